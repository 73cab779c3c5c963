"""``rct corpus clean``: rows that can be learnt from, the others with a reason, and an account.

The file is read three times and never held whole: to learn which personal data it holds, to judge each row and take its
fingerprint, and to write. A row is judged by its scrubbed text, so that cleaning what was cleaned changes nothing.

A context is cut behind the last exchange in it that a rule found unfit: the row keeps what was said after that, as where
a context is too long, and the number of turns it lost is written down. A row that was taken out for another reason (a
duplicate, its length) was fit to be read, and stays in the contexts of the rows after it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from rct_lightning.corpus.duplicates import COMPARING_RULES, Fingerprint, Fingerprints, repetitions
from rct_lightning.corpus.exchange import Exchange, Rule
from rct_lightning.corpus.folder import CorpusDir
from rct_lightning.corpus.lengths import TOO_LONG, Measure, tokens_by, words_of
from rct_lightning.corpus.pii import KINDS, Kind, phone_library
from rct_lightning.corpus.rules import EXCHANGE_RULES
from rct_lightning.corpus.scrub import NAME, REMEMBERED, Names, Place, Scrubber, texts_in, with_texts
from rct_lightning.corpus.together import written_together
from rct_lightning.dialogue import Example, Line, Turn, after, read_lines
from rct_lightning.errors import UserError

RULES: tuple[Rule, ...] = (*EXCHANGE_RULES, TOO_LONG, *COMPARING_RULES)
"""What takes a row out, in the order in which it is asked."""
SCRUBS: tuple[Kind, ...] = (*KINDS, NAME)
"""What is replaced."""
RECORDS = ("scrubbed", "context_cut", "quarantined")
"""Fields that cleaning adds to rows."""
Verdict = tuple[str, str]
"""Name of a rule, and what it saw."""


@dataclass(frozen=True)
class Settings:
    """How to clean.

    Attributes:
        off: Names of rules and kinds that are turned off.
        names: The user's list of names.
        max_tokens: Longest row, prompt and reply; None: no limit.
        tokenizer: Folder of the model whose tokens are counted; None: words.
    """

    off: frozenset[str] = frozenset()
    names: Names | None = None
    max_tokens: int | None = None
    tokenizer: Path | None = None

    def measure(self) -> Measure | None:
        """What a length is counted in; None without a limit.

        Raises:
            UserError: The folder holds no tokenizer.
        """
        if self.max_tokens is None or TOO_LONG.name in self.off:
            return None
        return words_of if self.tokenizer is None else tokens_by(self.tokenizer)


@dataclass
class Report:
    """What cleaning did.

    Attributes:
        rows: Rows that were read.
        clean: Rows that stay.
        quarantined: Rows that went, by rule.
        scrubbed_rows: Rows in which something was replaced, by kind of personal data.
        scrubbed_places: Places that were replaced, contexts included, by kind.
        values: Distinct values, by kind.
        cut_rows: Rows whose context was cut.
        cut_turns: Turns that they lost.
    """

    rows: int = 0
    clean: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    scrubbed_rows: Counter[str] = field(default_factory=Counter)
    scrubbed_places: Counter[str] = field(default_factory=Counter)
    values: Counter[str] = field(default_factory=Counter)
    cut_rows: int = 0
    cut_turns: int = 0

    def to_json(self, settings: Settings) -> dict[str, Any]:
        """As ``clean.json`` has it; no text of a row and no name is in it."""
        library = phone_library()
        return {
            "rows": self.rows,
            "clean": self.clean,
            "quarantined": {rule.name: self.quarantined[rule.name] for rule in RULES if rule.name not in settings.off},
            "scrubbed": {
                kind.name: {
                    "rows": self.scrubbed_rows[kind.name],
                    "places": self.scrubbed_places[kind.name],
                    "values": self.values[kind.name],
                }
                for kind in SCRUBS
                if kind.name not in settings.off
            },
            "context_cut": {"rows": self.cut_rows, "turns": self.cut_turns},
            "settings": {
                "off": sorted(settings.off),
                "names": len(settings.names.replacements) if settings.names else 0,
                "max_tokens": settings.max_tokens,
                "tokenizer": None if settings.tokenizer is None else settings.tokenizer.name,
                "phonenumbers": None if library is None else library.__version__,
            },
        }


def check_names(off: Iterable[str]) -> frozenset[str]:
    """Names of rules and kinds that are to be turned off.

    Raises:
        UserError: One of them does not exist.
    """
    known = [rule.name for rule in RULES] + [kind.name for kind in SCRUBS]
    for name in off:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            meant = f"Did you mean {near[0]!r}? " if near else ""
            raise UserError(f"--off {name}: there is no such rule. {meant}The rules are {', '.join(known)}.")
    return frozenset(off)


def clean_corpus(
    source: Path, out: CorpusDir, settings: Settings, *, force: bool = False, tell: Callable[[str], object] = bool
) -> Report:
    """Read rows; write ``clean.jsonl``, ``quarantine.jsonl`` and ``clean.json``, all or none.

    Args:
        source: A JSONL file.
        out: Where to write.
        settings: How to clean.
        force: Replace what was written before.
        tell: Told what is being done.

    Returns:
        The account, as it was written.

    Raises:
        UserError: Something cannot be read or written, or no row passes.
    """
    targets = [out.clean, out.quarantine, out.clean_report]
    _check_targets(source, targets, force)
    cleaning = Cleaning(source, settings)
    tell("looking for personal data")
    cleaning.survey()
    tell("judging rows")
    cleaning.judge()
    if not cleaning.report.clean:
        counted = ", ".join(f"{name} {count}" for name, count in cleaning.report.quarantined.most_common())
        raise UserError(
            f"{source}: none of the {cleaning.report.rows} rows passes ({counted}). Look at them with the rule in mind, "
            "or turn it off with --off NAME; `rct corpus clean --explain` lists the rules."
        )
    tell("writing")
    with written_together(targets) as (clean, quarantine, account):
        cleaning.write(clean, quarantine)
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        whole = {"source": source.name, "sha256": digest} | cleaning.report.to_json(settings)
        account.write(json.dumps(whole, indent=1) + "\n")
    return cleaning.report


def _check_targets(source: Path, targets: Sequence[Path], force: bool) -> None:
    folder = targets[0].parent
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: this is a file. Give a folder as --out.")
    for target in targets:
        if target.exists() and source.exists() and target.samefile(source):
            raise UserError(f"{source}: cleaning would write over the rows it reads. Give another folder as --out.")
        if target.exists() and not force:
            raise UserError(f"{target}: it is there already. --force replaces it, or choose another --out.")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A row as it will be written, or as it is judged.

    Attributes:
        example: Scrubbed, its context cut.
        labels: Of everything that was replaced in it.
        cut: Turns that its context lost.
        verdict: Of the rules that look at one exchange.
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
        self._personal = bytearray()  # of each row: whether anything in it is to be replaced
        self._spoiled = bytearray()  # of each row: whether it spoils the contexts after it
        self._cuts = array("q")
        self._verdicts: dict[int, Verdict] = {}

    # --- first pass -------------------------------------------------------------------------------------------------

    def survey(self) -> None:
        """Learn which personal data the file holds, and where each row stands."""
        turns: Counter[str] = Counter()
        for line in read_lines(self.source, allow_empty=True):
            example = line.example
            before = turns[example.conversation] if "context" in line.absent else len(example.context)
            turns[example.conversation] = before + 2
            place = (_time(example), before, example.id if "id" not in line.absent else _digest(example))
            spoken = (*(turn.content for turn in example.context), example.input, example.output)
            found = sum(self._scrubber.survey(text, place) for text in spoken)
            for text in texts_in([example.source, _others(example)]):
                found += self._scrubber.survey(text, place, True)
            self._places.append(place)
            self._personal.append(found > 0)
        self._scrubber.number()
        self.report.rows = len(self._places)
        self.report.values = self._scrubber.values()

    # --- second pass ------------------------------------------------------------------------------------------------

    def judge(self) -> None:
        """Decide of each row whether it stays."""
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
        """The verdict of the first rule that speaks, and whether any that spoils contexts does."""
        verdict, spoils = None, False
        for rule in self._rules:
            if (verdict is None or rule.spoils and not spoils) and rule.find and (seen := rule.find(exchange)):
                verdict, spoils = verdict or (rule.name, seen), spoils or rule.spoils
        return verdict, spoils

    # --- third pass -------------------------------------------------------------------------------------------------

    def write(self, clean: IO[str], quarantine: IO[str]) -> None:
        """Write every row to one of two files, and count."""
        report, names = self.report, {kind.label: kind.name for kind in SCRUBS}
        read_back: dict[str, tuple[Turn, ...]] = {}  # the context that a reader of clean.jsonl would build
        for number, row in enumerate(self._prepared(first=False)):
            example, line = row.example, _with_records(row)
            for label, places in Counter(row.labels).items():
                report.scrubbed_rows[names[label]] += 1
                report.scrubbed_places[names[label]] += places
            report.cut_rows += row.cut > 0
            report.cut_turns += row.cut
            if verdict := self._verdicts.get(number):
                line["quarantined"] = {"rule": verdict[0], "reason": verdict[1]}
                quarantine.write(json.dumps(line, ensure_ascii=False) + "\n")
                continue
            if "context" in row.absent and read_back.get(example.conversation, ()) == example.context:
                del line["context"]
            read_back[example.conversation] = after(example)
            clean.write(json.dumps(line, ensure_ascii=False) + "\n")

    # --- every pass but the first -----------------------------------------------------------------------------------

    def _prepared(self, first: bool) -> Iterator[Prepared]:
        """The rows, scrubbed and with their contexts; ``first``: judge them, else use what was found then."""
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
        return replace(
            example,
            context=tuple(Turn(turn.role, scrub(turn.content)) for turn in example.context),
            input=scrub(example.input),
            output=scrub(example.output),
            source=None if example.source is None else scrub(example.source, True),
            extra=dict(example.extra) | with_texts(_others(example), lambda text: scrub(text, True)),
        ), tuple(labels)

    def _cut(self, context: Sequence[Turn]) -> int:
        """Turns up to and with the last exchange that spoils a context."""
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


def _others(example: Example) -> dict[str, Any]:
    """Fields in which personal data is looked for, besides what was said; cleaning's own records are not."""
    return {name: value for name, value in example.extra.items() if name not in RECORDS}


def _with_records(row: Prepared) -> dict[str, Any]:
    """A row as it is written; what an earlier cleaning recorded is added to."""
    line = row.example.to_json()
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
    """Seconds since 1970, from the field ``time``; without one a row comes after all that have one."""
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
    """What a row without an id is known by: its content."""
    content = example.to_json() | {"id": "", "conversation": ""}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
