"""How much two texts have in common, counted in word shingles.

A shingle is a run of consecutive words; two texts overlap by the shingles they share, relative to the one
that has fewer: a short text that stands whole inside a long one overlaps by 1 (containment; Broder 1997).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rct_lightning.markers import normalise

SHINGLE_WORDS = 5
"""Words in a shingle: long enough that everyday turns of phrase ("I do not know") are no overlap."""

_NO_SPACES = "\u3040-\u30ff\u3400-\u9fff"
_ASCII_WORD = re.compile(r"[a-z0-9']+")
_WORD = re.compile(rf"[{_NO_SPACES}]|(?:[^\W_{_NO_SPACES}]|')+")

Shingles = frozenset[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Passage:
    """A text to compare. Passages that share a ``group`` are alike on purpose and are not compared."""

    id: str
    text: str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two passages and the share of their shingles, in [0, 1]."""

    share: float
    first: str
    second: str


def words(text: str) -> list[str]:
    """Lower-case words and numbers of any script, apostrophes kept, everything else dropped.

    Where a script has no spaces (Chinese, Japanese) a character is a word.
    """
    text = normalise(text)
    return (_ASCII_WORD if text.isascii() else _WORD).findall(text)


def sentences(text: str) -> list[str]:
    """Sentences as their words joined by single spaces, so that case and punctuation do not matter."""
    parts = (" ".join(words(part)) for part in re.split(r"(?<=[.!?])[\"']?\s+", text))
    return [part for part in parts if part]


def shingles(text: str, size: int = SHINGLE_WORDS) -> Shingles:
    """The distinct runs of ``size`` words; a text with fewer words is one shingle, an empty text none."""
    found = words(text)
    if len(found) < size:
        return frozenset({tuple(found)}) if found else frozenset()
    return frozenset(tuple(found[start : start + size]) for start in range(len(found) - size + 1))


def overlap(first: str, second: str, size: int = SHINGLE_WORDS) -> float:
    """Shared shingles of two texts divided by the smaller number of shingles; 0 where a text is empty."""
    one, other = shingles(first, size), shingles(second, size)
    return len(one & other) / min(len(one), len(other)) if one and other else 0.0


def overlaps(passages: Sequence[Passage], others: Sequence[Passage] | None = None) -> list[Overlap]:
    """All pairs that share a shingle, largest share first.

    Args:
        passages: Texts to compare.
        others: Texts to compare them with; without it each passage is compared with every later one.
    """
    found = [shingles(passage.text) for passage in passages]
    against = found if others is None else [shingles(passage.text) for passage in others]
    targets = passages if others is None else others
    where: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, grams in enumerate(against):
        for gram in grams:
            where[gram].append(index)
    pairs = []
    for index, grams in enumerate(found):
        shared = Counter(target for gram in grams for target in where.get(gram, ()))
        for target, count in shared.items():
            twins = passages[index].group is not None and passages[index].group == targets[target].group
            if twins or (others is None and target <= index):
                continue
            share = count / min(len(grams), len(against[target]))
            pairs.append(Overlap(share, passages[index].id, targets[target].id))
    return sorted(pairs, key=lambda pair: (-pair.share, pair.first, pair.second))
