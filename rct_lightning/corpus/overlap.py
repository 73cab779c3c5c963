"""How much two texts have in common, measured in word shingles.

A shingle is a run of consecutive words. The overlap of two texts is the number of shingles they share, relative to the
text that has fewer: a short text that is contained in a long one has an overlap of 1 (containment; Broder 1997).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from rct_lightning.markers import normalise

SHINGLE_WORDS = 5
"""Words per shingle: enough that everyday phrases ("I do not know") do not count as overlap."""

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
    """Two passages, by id, and the share of shingles they have in common, in [0, 1]."""

    share: float
    first: str
    second: str


def words(text: str) -> list[str]:
    """Return the lower-case words and numbers of any script, with apostrophes; everything else is dropped.

    In scripts without spaces (Chinese, Japanese) each character is a word.
    """
    text = normalise(text)
    return (_ASCII_WORD if text.isascii() else _WORD).findall(text)


def sentences(text: str) -> list[str]:
    """Return the sentences as words joined by single spaces, so that case and punctuation do not matter."""
    parts = (" ".join(words(part)) for part in re.split(r"(?<=[.!?])[\"']?\s+", text))
    return [part for part in parts if part]


def shingles(text: str, size: int = SHINGLE_WORDS) -> Shingles:
    """Return the distinct runs of ``size`` words; a shorter text is one shingle, an empty text has none."""
    found = words(text)
    if len(found) < size:
        return frozenset({tuple(found)}) if found else frozenset()
    return frozenset(tuple(found[start : start + size]) for start in range(len(found) - size + 1))


def overlap(first: str, second: str, size: int = SHINGLE_WORDS) -> float:
    """Return the shared shingles of two texts divided by the smaller number of shingles; 0 if a text is empty."""
    one, other = shingles(first, size), shingles(second, size)
    return len(one & other) / min(len(one), len(other)) if one and other else 0.0


def overlaps(passages: Sequence[Passage], others: Sequence[Passage] | None = None) -> list[Overlap]:
    """Return all pairs that share a shingle, largest share first.

    Args:
        passages: Texts to compare.
        others: Texts to compare them with; None compares each passage with every later one.
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
