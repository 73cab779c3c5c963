"""The common form of every export before it becomes rows, and the tally of what was left out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rct_lightning.dialogue import Example, Role
from rct_lightning.sanitize import printable

EXAMPLES_KEPT = 3
"""Number of places that the report names for each reason; the others are only counted."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What one side said, as the export has it.

    Attributes:
        role: Who spoke.
        content: The text; empty for content that is not text (a picture, a tool's result).
        time: Seconds since 1970 (UTC), or None if the export gives none.
    """

    role: Role
    content: str
    time: float | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation; where it branches, the branch that was used last.

    Attributes:
        id: Identical for the same conversation in two exports.
        source: Name of the format it was read from.
        turns: What was said, oldest first; sides need not alternate.
        title: As its owner sees it, or None.
        time: Seconds since 1970 when it began, where single turns have no time.
        reconstructed: The export does not say where conversations begin and end; this was inferred.
        rows: Rows that the source holds ready-made; no others are derived then.
        local: Those of its id and its rows' ids that count from one in every file: something else can have them too.
    """

    id: str
    source: str
    turns: tuple[Utterance, ...] = ()
    title: str | None = None
    time: float | None = None
    reconstructed: bool = False
    rows: tuple[Example, ...] = ()
    local: frozenset[str] = frozenset()

    @property
    def rank(self) -> tuple[float, int]:
        """Sort key of its versions, highest preferred: the time of the last turn, then the length in characters."""
        times = [turn.time for turn in self.turns if turn.time is not None]
        return max(times, default=float("-inf")), sum(len(turn.content) for turn in self.turns)


def conversation_id(given: Any, source: str, turns: Sequence[Utterance], *, local: bool = False) -> str:
    """Return the id that an export gives a conversation, or one derived from its content.

    Args:
        given: The id in the export: a string or an integer; anything else counts as no id.
        source: Name of the format.
        turns: What was said.
        local: Ids of this format count from one in every file. The opening of the conversation becomes part of the
            id, so that files with the same numbers can be imported together; where two open alike,
            :class:`~rct_lightning.corpus.rowfile.RowFile` tells them apart.
    """
    name = printable(str(given)).strip() if isinstance(given, str | int) and not isinstance(given, bool) else ""
    if name and not local:
        return name
    said = turns[:1] if name else turns
    digest = hashlib.sha256(repr([(turn.role, turn.content) for turn in said]).encode("utf-8", "surrogatepass"))
    return f"{name or source}-{digest.hexdigest()[: 6 if name else 12]}"


@dataclass
class Count:
    """How often something happened, and the first places where it did."""

    count: int = 0
    where: list[str] = field(default_factory=list)

    def add(self, where: str, count: int) -> None:
        """Add to the count, and keep the place if it is among the first few."""
        self.count += count
        if len(self.where) < EXAMPLES_KEPT and where not in self.where:
            self.where.append(where)


@dataclass
class Tally:
    """What an import left out and what it altered, by reason."""

    dropped: dict[str, Count] = field(default_factory=dict)
    changed: dict[str, Count] = field(default_factory=dict)

    def drop(self, what: str, where: str, count: int = 1) -> None:
        """Count something that was left out; ``what`` is a plural noun phrase that says why, shown in the report."""
        if count:
            self.dropped.setdefault(what, Count()).add(where, count)

    def change(self, what: str, where: str, count: int = 1) -> None:
        """Count something that was kept but altered."""
        if count:
            self.changed.setdefault(what, Count()).add(where, count)

    def to_json(self) -> dict[str, Any]:
        """Return the tally for ``import.json``, largest counts first."""
        return {"dropped": _written(self.dropped), "changed": _written(self.changed)}


def largest_first(counts: Mapping[str, Count]) -> list[tuple[str, Count]]:
    """Return reasons and counts, most frequent first."""
    return sorted(counts.items(), key=lambda item: (-item[1].count, item[0]))


def _written(counts: Mapping[str, Count]) -> dict[str, Any]:
    return {
        what: {"count": one.count, "where": [printable(place) for place in one.where]}
        for what, one in largest_first(counts)
    }
