"""Ties between rows: if some of the tied rows were learnt, an evaluation on the others measures memory.

The split keeps tied rows on one side, but lets weak ties go where the requested number of rows cannot be held out with
them (``split.py``). The audit looks for every tie across the sides. The guard before step 0 stops on a conversation, a
row, a user text or reply (or nearly one) or a minimal pair on both sides, and warns of a shared history; passages and
short user texts it leaves to the audit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rct_lightning.corpus.measures import pair_of
from rct_lightning.corpus.near import NEARLY_THE_SAME, SAME_PASSAGE, Likeness, alike, coverage
from rct_lightning.corpus.overlap import words
from rct_lightning.dialogue import Example
from rct_lightning.markers import normalise

TieKind = Literal[
    "same row", "same user text", "near user text", "same reply", "near reply", "same passage",
    "same history", "same pair", "same short user text",
]  # fmt: skip
TEXTS: tuple[tuple[str, TieKind, TieKind], ...] = (
    ("input", "same user text", "near user text"),
    ("output", "same reply", "near reply"),
)

COMPARED_WORDS = 8
"""Texts with fewer words ("Yes, please.") are everyday speech and by themselves create no tie."""
EVERYDAY_CONVERSATIONS = 3
"""A shorter user text creates a tie nevertheless if at most this many conversations hold it."""
COVERED_WORDS, MOST_COVERED = 8, 0.2
"""At most this share of the 8-grams of evaluation replies may occur in training replies."""

REMEDY = (
    "Evaluation would measure memory. Split by conversation (data.eval_file=null does it, and `rct corpus split`), or "
    "take out what is alike."
)
"""Remedy where something of the evaluation side is on the training side."""


@dataclass(frozen=True, slots=True)
class Tie:
    """Positions of rows that have something in common; each of them is tied to all others."""

    kind: TieKind
    rows: tuple[int, ...]


def ties(rows: Sequence[Example]) -> list[Tie]:
    """Return everything that rows have in common, except their conversation.

    Rows are tied by the same user text and reply; by the same or nearly the same user text or reply of eight words or
    more; by a long passage of their replies; by a turn of their histories; by ``pair`` (twins of a minimal pair); and
    by a shorter user text that few conversations hold.
    """
    found = list(_sharing(rows, "same row", lambda row: (normalise(row.input), normalise(row.output))))
    found += _sharing(rows, "same pair", pair_of)
    found += _sharing_history(rows)
    for what, same, near in TEXTS:
        holders: dict[str, list[int]] = defaultdict(list)
        for position, row in enumerate(rows):
            holders[normalise(getattr(row, what))].append(position)
        long = {text: held for text, held in holders.items() if is_long(text)}
        found += _tied(long.values(), same)
        found += _alike(long, NEARLY_THE_SAME, near)
        if what == "output":
            found += _alike(long, SAME_PASSAGE, "same passage")
        else:
            short = (held for text, held in holders.items() if text not in long)
            found += _tied((held for held in short if _conversations(rows, held) <= EVERYDAY_CONVERSATIONS),
                           "same short user text")  # fmt: skip
    return found


def is_long(text: str) -> bool:
    """Return whether a text is too long to be everyday speech that recurs by chance."""
    return len(text.split()) >= COMPARED_WORDS or len(words(text)) >= COMPARED_WORDS


@dataclass(frozen=True)
class Leakage:
    """What an evaluation side shares with a training side.

    Attributes:
        conversations: Names of conversations that are on both sides.
        rows: Ids of evaluation rows that are tied to a training row, by kind of tie.
        covered: Share of the 8-grams of evaluation replies that occur in training replies, in [0, 1].
    """

    conversations: frozenset[str]
    rows: dict[TieKind, frozenset[str]]
    covered: float

    def count(self, *kinds: TieKind) -> int:
        """Return the number of evaluation rows that are tied in at least one of these ways."""
        return len(frozenset[str]().union(*(self.rows.get(kind, frozenset()) for kind in kinds)))


def leakage(train: Sequence[Example], held: Sequence[Example], found: Iterable[Tie] | None = None) -> Leakage:
    """Return what evaluation rows share with training rows; ``found``: their ties, train first, if already computed."""
    leaked: dict[TieKind, set[str]] = defaultdict(set)
    for tie in ties([*train, *held]) if found is None else found:
        sides = [position >= len(train) for position in tie.rows]
        if any(sides) and not all(sides):
            leaked[tie.kind] |= {held[p - len(train)].id for p in tie.rows if p >= len(train)}
    return Leakage(
        frozenset({row.conversation for row in train} & {row.conversation for row in held}),
        {kind: frozenset(ids) for kind, ids in leaked.items()},
        coverage((row.output for row in held), (row.output for row in train), COVERED_WORDS),
    )


def on_both_sides(train: Sequence[Example], held: Sequence[Example]) -> list[str]:
    """Return the problems that are cheap to find: conversations, minimal pairs and exact rows on both sides."""
    shared = {row.conversation for row in train} & {row.conversation for row in held}
    problems = [f"{len(shared)} conversations are on both sides"] if shared else []
    pairs = {pair_of(row) for row in train} & {pair_of(row) for row in held} - {None}
    if pairs:
        problems.append(f"{len(pairs)} minimal pairs are parted (rows with the same `pair` are on both sides)")
    known = {(normalise(row.input), normalise(row.output)) for row in train}
    same = sum((normalise(row.input), normalise(row.output)) in known for row in held)
    return problems + ([f"{same} evaluation rows stand word for word among the training rows"] if same else [])


def _sharing(rows: Sequence[Example], kind: TieKind, key: Callable[[Example], Hashable]) -> Iterator[Tie]:
    """Return ties between rows that have the same key; rows with the key None are skipped."""
    holders: dict[Hashable, list[int]] = defaultdict(list)
    for position, row in enumerate(rows):
        holders[key(row)].append(position)
    holders.pop(None, None)
    return _tied(holders.values(), kind)


def _sharing_history(rows: Sequence[Example]) -> Iterator[Tie]:
    """Return ties between conversations that share a long turn, history in one of them, by the first row of each."""
    holders: dict[str, dict[str, int]] = defaultdict(dict)
    for position, row in enumerate(rows):
        for text in {turn.content for turn in row.context}:
            holders[text].setdefault(row.conversation, position)
    for position, row in enumerate(rows):
        for text in (row.input, row.output):
            if text in holders:
                holders[text].setdefault(row.conversation, position)
    shared = (list(held.values()) for text, held in holders.items() if len(held) > 1 and is_long(text))
    return _tied(shared, "same history")


def _alike(holders: dict[str, list[int]], rule: Likeness, kind: TieKind) -> Iterator[Tie]:
    texts, held = list(holders), list(holders.values())
    return (Tie(kind, (*held[one], *held[other])) for one, other in alike(texts, rule))


def _tied(groups: Iterable[Sequence[int]], kind: TieKind) -> Iterator[Tie]:
    return (Tie(kind, tuple(group)) for group in groups if len(group) > 1)


def _conversations(rows: Sequence[Example], positions: Sequence[int]) -> int:
    return len({rows[position].conversation for position in positions})
