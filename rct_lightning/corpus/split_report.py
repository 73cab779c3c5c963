"""The report of a split."""

from __future__ import annotations

from collections import Counter

from rct_lightning.console import Line
from rct_lightning.corpus.labels import given_by_rule
from rct_lightning.corpus.leakage import COVERED_WORDS, MOST_COVERED
from rct_lightning.corpus.limits import LARGEST_CONVERSATION, LARGEST_GROUP
from rct_lightning.corpus.near import coverage
from rct_lightning.corpus.split import Split
from rct_lightning.markers import Lexicon
from rct_lightning.page import Table


def table(found: Split, lexicon: Lexicon) -> Table:
    """Return rows of both sides by type, with a history and marked, and the number of conversations."""
    sides = {"train": found.train, "eval": found.held}
    counts = {
        "with history": [sum(bool(row.context) for row in rows) for rows in sides.values()],
        "marked": [sum(lexicon.strength(row.input) > 0 for row in rows) for rows in sides.values()],
        "all": [len(rows) for rows in sides.values()],
        "conversations": [len({row.conversation for row in rows}) for rows in sides.values()],
    }
    kinds = [Counter(row.type or "no type" for row in rows) for rows in sides.values()]
    counts = {kind: [count[kind] for count in kinds] for kind in sorted({*kinds[0], *kinds[1]})} | counts
    return Table("Rows", ["rows", *sides], [[name, *map(str, numbers)] for name, numbers in counts.items()])


def lines(found: Split) -> list[Line]:
    """Return lines on size, ties, and anything that makes an evaluation on these rows less informative."""
    return [line for line in (_size(found), *_ties(found), _skew(found), _stock(found), _labels(found)) if line]


def _size(found: Split) -> Line:
    if len(found.held) == found.wished:
        return Line("ok", "size", f"exactly {found.wished} rows are held out")
    seen = f"{len(found.held)} rows are held out, not {found.wished}: whole conversations allow no more"
    return Line("warn", "size", seen, "Another --eval-size may fit")


def _ties(found: Split) -> list[Line]:
    joined = [group for group in found.groups if len(group.conversations) > 1]
    kinds = sum((group.ties for group in joined), Counter[str]())
    why = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
    number = sum(len(group.conversations) for group in joined)
    seen = f"{number} conversations stay together in {len(joined)} groups ({why})"
    told = [Line("ok", "ties", seen if joined else "no conversation is tied to another")]
    largest = max(joined, key=lambda group: len(group.rows), default=None)
    if largest and len(largest.rows) > LARGEST_GROUP * found.rows:
        seen = f"one of these groups holds {len(largest.rows)} of {found.rows} rows; what is held out is of the rest"
        remedy = "Rows that repeat each other tie it together; `rct corpus clean` takes copies out"
        told.append(Line("warn", "ties", seen, remedy))
    if found.loosened:
        seen = "passages, histories and short user texts that conversations share were not kept on one side"
        told.append(Line("warn", "ties", seen, "With them no such split exists; `rct corpus audit` counts them"))
    return told


def _skew(found: Split) -> Line | None:
    rows = [*found.train, *found.held]
    name, most = Counter(row.conversation for row in rows).most_common(1)[0]
    if most <= LARGEST_CONVERSATION * len(rows) or len({row.conversation for row in rows}) < 1 / LARGEST_CONVERSATION:
        return None
    use = "measured with" if name in {row.conversation for row in found.held} else "learnt"
    seen = f"conversation {name!r} holds {most} of {len(rows)} rows ({most / len(rows):.0%}); all of it is {use}"
    return Line("warn", "skew", seen, "More conversations, or fewer rows of this one, would be a fairer corpus")


def _stock(found: Split) -> Line | None:
    covered = coverage((row.output for row in found.held), (row.output for row in found.train), COVERED_WORDS)
    if covered <= MOST_COVERED:
        return None
    seen = f"{covered:.0%} of the 8-grams of held-out replies occur in training replies"
    return Line("warn", "stock text", seen, "The checks of train.py refuse this: take sentences out that replies share")


def _labels(found: Split) -> Line | None:
    given = Counter(label for row in (*found.train, *found.held) for label in given_by_rule(row))
    if not given:
        return None
    seen = ", ".join(f"{label} of {count} rows" for label, count in sorted(given.items(), reverse=True))
    return Line("ok", "labels", f"given by rule: {seen} (docs/corpus.md says how often rules are right)")
