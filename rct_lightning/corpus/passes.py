"""The three passes of cleaning over a file, which is never held in memory as a whole.

The first pass collects the personal data in the file, the second judges each row and takes its fingerprint, the third
writes. Rows are judged by their scrubbed text, so that cleaning a cleaned file changes nothing.

A context is cut after the last exchange in it that a rule found unfit: the row keeps what was said after that, as when
a context is too long, and the number of lost turns is recorded. A row that was removed for another reason (as a
duplicate, or for its length) was fit to be read, and stays in the contexts of later rows.
"""

from __future__ import annotations

import hashlib
import json
import math
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Any

from rct_lightning.corpus.clean_report import SCRUBS, Report, Settings
from rct_lightning.corpus.duplicates import Fingerprint, Fingerprints, repetitions
from rct_lightning.corpus.exchange import Exchange
from rct_lightning.corpus.lengths import TOO_LONG
from rct_lightning.corpus.rules import EXCHANGE_RULES
from rct_lightning.corpus.scrub import REMEMBERED, SPOKEN, Place, Scrubber, other_fields, other_texts, with_texts
from rct_lightning.dialogue import Contexts, Example, Line, Turn, after, read_lines

Verdict = tuple[str, str]
"""Name of a rule, and what it found."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A row in the form in which it is judged and written.

    Attributes:
        example: The row, scrubbed and with its context cut.
        labels: The label of each replacement in it.
        cut: Number of turns that its context lost.
        verdict: The verdict of the rules that judge a single exchange.
        absent: As in :class:`rct_lightning.dialogue.Line`.
    """

    example: Example
    labels: tuple[str, ...]
    cut: int
    verdict: Verdict | None
    absent: frozenset[str]


class Cleaning:
    """The three passes over one file, in this order: :meth:`survey`, :meth:`judge`, :meth:`write`."""

    def __init__(self, source: Path, settings: Settings) -> None:
        self.source, self.settings = source, settings
        self.report = Report()
        self._measure = settings.measure()
        self._scrubber = Scrubber(settings.off, settings.names)
        self._rules = [rule for rule in EXCHANGE_RULES if rule.name not in settings.off]
        self._judged = lru_cache(REMEMBERED)(self._judge_exchange)
        self._places: list[Place] = []
        self._personal = bytearray()  # per row: whether anything in it is to be replaced
        self._spoiled = bytearray()  # per row: whether it spoils the contexts after it
        self._cuts = array("q")
        self._verdicts: dict[int, Verdict] = {}

    # --- first pass -------------------------------------------------------------------------------------------------

    def survey(self) -> None:
        """Collect the personal data of the file and the place of each row."""
        turns: Counter[str] = Counter()
        for line in read_lines(self.source, allow_empty=True):
            example = line.example
            before = turns[example.conversation] if "context" in line.absent else len(example.context)
            turns[example.conversation] = before + 2
            place = (_time(example), before, example.id if "id" not in line.absent else _digest(example))
            spoken = (*(turn.content for turn in example.context), example.input, example.output)
            found = sum(self._scrubber.survey(text, place) for text in spoken)
            found += sum(self._scrubber.survey(text, place, fields) for text, fields in other_texts(example))
            names = self._scrubber.names
            self.report.ids_with_names += bool(names and names.in_id(f"{example.id} {example.conversation}"))
            self._places.append(place)
            self._personal.append(found > 0)
        self._scrubber.number()
        self.report.rows = len(self._places)
        self.report.values = self._scrubber.values()

    # --- second pass ------------------------------------------------------------------------------------------------

    def judge(self) -> None:
        """Decide for each row whether it stays."""
        fingerprints, left = Fingerprints(), []
        for number, row in enumerate(self._prepared(first=True)):
            exchange = Exchange(row.example.input, row.example.output)
            if row.verdict:
                self._verdicts[number] = row.verdict
            elif self._measure and (length := self._measure(exchange)) > (self.settings.max_tokens or 0):
                self._verdicts[number] = (TOO_LONG.name, f"{length} {'tokens' if self.settings.tokenizer else 'words'}")
            else:
                left.append(self._fingerprint(fingerprints, number, row.example, exchange))
        for gone in repetitions(left, self.settings.off):
            self._verdicts[gone.row] = (gone.rule.name, gone.reason)
        self.report.quarantined = Counter(rule for rule, _ in self._verdicts.values())
        self.report.clean = self.report.rows - len(self._verdicts)

    def _fingerprint(self, take: Fingerprints, number: int, example: Example, exchange: Exchange) -> Fingerprint:
        last = example.context[-2:]
        asked_before = [turn.role for turn in last] == ["human", "assistant"]
        before = Exchange(last[0].content, last[1].content) if asked_before else None
        return take.of(number, self._places[number], example.id, example.conversation, exchange, before)

    def _judge_exchange(self, exchange: Exchange) -> tuple[Verdict | None, bool]:
        """Return the verdict of the first rule that applies, and whether any rule that spoils contexts applies."""
        verdict, spoils = None, False
        for rule in self._rules:
            if (verdict is None or rule.spoils and not spoils) and rule.find and (seen := rule.find(exchange)):
                verdict, spoils = verdict or (rule.name, seen), spoils or rule.spoils
        return verdict, spoils

    # --- third pass -------------------------------------------------------------------------------------------------

    def write(self, clean: IO[str], quarantine: IO[str]) -> None:
        """Write every row to one of the two files, and complete the report."""
        report, names = self.report, {kind.label: kind.name for kind in SCRUBS}
        read_back = Contexts()  # those that a reader of clean.jsonl rebuilds
        for number, row in enumerate(self._prepared(first=False)):
            example, verdict = row.example, self._verdicts.get(number)
            rebuilt = verdict is None and "context" in row.absent and read_back.rebuild(example)
            line = _with_records(row, context=not rebuilt)
            for label, places in Counter(row.labels).items():
                report.scrubbed_rows[names[label]] += 1
                report.scrubbed_places[names[label]] += places
            report.cut_rows += row.cut > 0
            report.cut_turns += row.cut
            if verdict:
                line["quarantined"] = {"rule": verdict[0], "reason": verdict[1]}
                quarantine.write(json.dumps(line, ensure_ascii=False) + "\n")
                continue
            read_back.add(example)
            clean.write(json.dumps(line, ensure_ascii=False) + "\n")

    # --- every pass but the first -----------------------------------------------------------------------------------

    def _prepared(self, first: bool) -> Iterator[Prepared]:
        """Yield the rows, scrubbed and with their contexts; ``first`` judges them, later calls reuse the results."""
        spoken: dict[str, tuple[tuple[Turn, ...], int]] = {}
        for number, line in enumerate(read_lines(self.source, allow_empty=True)):
            example, labels = self._scrubbed(line) if self._personal[number] else (line.example, ())
            verdict = None
            if first:
                verdict, spoils = self._judged(Exchange(example.input, example.output))
                self._spoiled.append(spoils)
            if "context" in line.absent:
                context, cut = spoken.get(example.conversation, ((), 0))
            else:
                cut = self._cut(example.context) if first else self._cuts[number]
                context = example.context[cut:]
            if first:
                self._cuts.append(cut)
            if len(context) != len(example.context):
                example = replace(example, context=context)
            follows = cut + len(context) + 2
            spoken[example.conversation] = ((), follows) if self._spoiled[number] else (after(example), cut)
            yield Prepared(example, labels, cut, verdict, line.absent)

    def _scrubbed(self, line: Line) -> tuple[Example, tuple[str, ...]]:
        labels: list[str] = []

        def scrub(text: str, fields: bool = False) -> str:
            text, found = self._scrubber.scrub(text, fields)
            labels.extend(found)
            return text

        example = line.example
        others = {
            name: with_texts(value, partial(scrub, fields=name not in SPOKEN))
            for name, value in other_fields(example).items()
        }
        return replace(
            example,
            context=tuple(Turn(turn.role, scrub(turn.content)) for turn in example.context),
            input=scrub(example.input),
            output=scrub(example.output),
            source=None if example.source is None else scrub(example.source, True),
            extra=dict(example.extra) | others,
        ), tuple(labels)

    def _cut(self, context: Sequence[Turn]) -> int:
        """Return the number of turns up to and including the last exchange that spoils a context."""
        end = len(context)
        while end > 0:
            start = end - 1
            if context[start].role == "assistant" and start and context[start - 1].role == "human":
                start -= 1
            said = {turn.role: turn.content for turn in context[start:end]}
            if self._judged(Exchange(said.get("human", ""), said.get("assistant", "")))[1]:
                return end
            end = start
        return 0


def _with_records(row: Prepared, context: bool) -> dict[str, Any]:
    """Return a row as it is written; counts are added to those of an earlier cleaning."""
    line = row.example.to_json(context=context)
    line.pop("quarantined", None)
    if row.labels:
        earlier = line.get("scrubbed")
        known = earlier if isinstance(earlier, dict) else {}
        line["scrubbed"] = known | {
            label: places + (known[label] if isinstance(known.get(label), int) else 0)
            for label, places in sorted(Counter(row.labels).items())
        }
    if row.cut:
        earlier = line.get("context_cut")
        line["context_cut"] = row.cut + (earlier if isinstance(earlier, int) else 0)
    return line


def _time(example: Example) -> float:
    """Return seconds since 1970 from the field ``time``; infinity without one, so that the row is sorted last."""
    written = example.extra.get("time")
    if isinstance(written, str):
        try:
            moment = datetime.fromisoformat(written)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return math.inf
    if isinstance(written, int | float) and abs(written) < 1e18 and not math.isnan(written):
        return float(written)
    return math.inf


def _digest(example: Example) -> str:
    """Return a hash of a row's content, which stands in for a missing id."""
    content = example.to_json() | {"id": "", "conversation": ""}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
