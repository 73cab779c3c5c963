"""The audit: whether a corpus is fit for training and evaluation, as lines and tables."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rct_lightning.console import Line
from rct_lightning.corpus import measures as measure
from rct_lightning.corpus.labels import agreement
from rct_lightning.corpus.questions import ask
from rct_lightning.corpus.sides import Sides
from rct_lightning.corpus.tables import share
from rct_lightning.dialogue import TYPES
from rct_lightning.markers import Half
from rct_lightning.page import Table

HALVES: dict[Half, str] = {"train": "half that trains", "heldout": "half that is scored"}


@dataclass(frozen=True)
class Audit:
    """The result of an audit, ready to be shown."""

    lines: Sequence[Line]
    tables: Sequence[Table]
    sides: Sides

    @property
    def failed(self) -> bool:
        """Whether a line has the status ``fail``."""
        return any(line.status == "fail" for line in self.lines)

    def preceded_by(self, line: Line) -> Audit:
        """Return the audit with a further line before the others."""
        return replace(self, lines=[line, *self.lines])


def old_split(source: Path) -> Line:
    """Return the line for rows that were split off what ``source`` held before."""
    seen = f"train.jsonl and eval.jsonl are of other rows than {source.name} holds now"
    return Line("warn", "split", seen, f"`rct corpus split {shlex.quote(str(source.parent))} --force` splits those")


def audit(sides: Sides) -> Audit:
    """Audit a corpus: ask every question and build every table."""
    found = [type_table(sides), sides.lengths.table(), phrase_table(sides), *agreement_tables(sides)]
    return Audit(ask(sides), found, sides)


def type_table(sides: Sides) -> Table:
    """Return rows by type and side: their number, and the shares that are marked and that have a history."""
    marks = {"train": sides.marked[: len(sides.train)], "eval": sides.marked[len(sides.train) :]}
    parts = {"train": sides.train} | ({"eval": sides.held} if sides.held else {})
    found = {row.type for row in sides.rows}
    names = [name for name in TYPES if name in found]
    names += sorted(name for name in found if name is not None and name not in TYPES)
    lines: dict[str, set[str | None]] = {name: {name} for name in names}
    lines |= {"no type": {None}} if None in found else {}
    body = []
    for title, kinds in (lines | {"all": found}).items():
        rows = {side: [row for row in part if row.type in kinds] for side, part in parts.items()}
        marked = [
            [row for row, mark in zip(part, marks[side], strict=True) if mark and row.type in kinds]
            for side, part in parts.items()
        ]
        cells = [str(len(chosen)) for chosen in rows.values()]
        cells += [share(some, chosen) for some, chosen in zip(marked, rows.values(), strict=True)]
        body.append([title, *cells, *(share(measure.with_context(chosen), chosen) for chosen in rows.values())])
    header = ["type", *parts, *(f"marked, {side}" for side in parts), *(f"history, {side}" for side in parts)]
    return Table("Rows by type, and the share that is marked or has a history", header, body)


def phrase_table(sides: Sides) -> Table:
    """Return the numbers of replies that hold a phrase of a bank, by bank, half and side."""
    body = []
    for bank in measure.BANKS:
        for half, name in HALVES.items():
            phrases = set(sides.labels.lexicon.phrases(bank, half))
            counts = (len({row for row, phrase in quotes if phrase in phrases}) for quotes in sides.quotes)
            body.append([f"{bank.replace('_', ' ')}, {name}", *map(str, counts)])
    return Table("Replies that hold a phrase of the banks, word for word", ["", "train", "eval"], body)


def agreement_tables(sides: Sides) -> list[Table]:
    """Return types given by hand against types by rule, both sides together; empty if no type was given by hand."""
    counts = agreement(sides.rows, sides.labels)
    if not counts:
        return []
    by_hand = [name for name in TYPES if any(hand == name for hand, _ in counts)]
    by_hand += sorted({hand for hand, _ in counts} - set(by_hand))
    body = [[hand, *(str(counts.get((hand, rule), 0)) for rule in TYPES)] for hand in by_hand]
    return [Table("Type that the file states (lines) and type by rule (columns)", ["", *TYPES], body)]
