"""Finds texts that are alike among many, without comparing all pairs.

Two texts are alike if a given share of the word n-grams of the one that has fewer occurs in the other. All n-grams are
hashed into one sorted array; a text whose n-grams are unique has no partner and costs nothing more, and of the others
only the rarest n-grams are looked up, so many that a partner must share one of them (prefix filtering; Chaudhuri et al.
2006). The result is exact except where an n-gram is in more than :data:`WINDOW` texts: then only the next ones by
length are compared, so that a thousand copies are chained together and a stock phrase does not make the work quadratic.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rct_lightning.corpus.overlap import SHINGLE_WORDS, words

WINDOW = 100
"""Maximum number of texts compared with a text because of one shared n-gram, the next longer ones first."""

Hashes = npt.NDArray[np.uint64]
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no bit is lost; 2**64 over the golden ratio


@dataclass(frozen=True)
class Likeness:
    """When two texts count as alike.

    Attributes:
        size: Words per n-gram.
        share: Least share of the n-grams of the text that has fewer, in (0, 1].
        least: Least number of n-grams that must be shared.
        stock: An n-gram that more texts than this hold is a stock phrase and does not count as shared.
    """

    size: int
    share: float
    least: int = 1
    stock: int | None = None

    def needed(self, grams: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return how many n-grams a partner must share, for texts with these numbers of n-grams."""
        return np.maximum(np.ceil(self.share * grams - 1e-9).astype(np.int64), self.least)


NEARLY_THE_SAME = Likeness(SHINGLE_WORDS, share=0.8)
"""A copy with a word or two changed, or a text contained in the other. Holds whenever Jaccard is 0.8 or more."""
SAME_PASSAGE = Likeness(size=8, share=0.2, least=8, stock=10)
"""At least a fifth of the shorter text, and at least fifteen words in a row (or more in pieces), is in the other and in
few further texts."""


def alike(texts: Sequence[str], rule: Likeness) -> list[tuple[int, int]]:
    """Return pairs of texts that are alike, as positions, each pair once.

    The result does not depend on the order of the texts. Texts shorter than an n-gram have no partner.
    """
    found = _Index.of(texts, rule.size, rule.stock)
    return [(found.texts[one], found.texts[other]) for one, other in _pairs(found, rule)]


def coverage(texts: Iterable[str], by: Iterable[str], size: int) -> float:
    """Return the share of the distinct n-grams of ``texts`` that also occur in ``by``; 0 if there are none."""
    known: dict[str, int] = {}
    wanted, there = (_distinct([_grams(text, size, known) for text in side]) for side in (texts, by))
    return float(np.isin(wanted, there, assume_unique=True).mean()) if len(wanted) else 0.0


def _distinct(grams: list[Hashes]) -> Hashes:
    return np.unique(np.concatenate(grams)) if grams else np.empty(0, np.uint64)


@dataclass(frozen=True)
class _Index:
    """N-grams of texts; the texts are ordered by their number of n-grams, then by content.

    Attributes:
        texts: Position of each text in the given sequence.
        start: Index in ``grams`` at which the n-grams of each text begin; one more entry ends the last.
        grams: Distinct n-grams of each text, sorted.
        count: For each entry of ``grams``, the number of texts that hold it; 1 for a stock phrase.
        place: For each entry of ``grams``, the index of its first holder in ``holders``.
        holders: Texts by n-gram, in ascending order within each.
    """

    texts: list[int]
    start: npt.NDArray[np.int64]
    grams: Hashes
    count: npt.NDArray[np.int64]
    place: npt.NDArray[np.int64]
    holders: npt.NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[str], size: int, stock: int | None) -> _Index:
        known: dict[str, int] = {}
        grams = [_grams(text, size, known) for text in texts]
        order = sorted((i for i, found in enumerate(grams) if len(found)), key=lambda i: (len(grams[i]), texts[i], i))
        sizes = np.array([len(grams[i]) for i in order], dtype=np.int64)
        start = np.concatenate([[0], np.cumsum(sizes)])
        flat = np.concatenate([grams[i] for i in order]) if order else np.empty(0, np.uint64)
        owners = np.repeat(np.arange(len(order)), sizes)
        by_gram = np.argsort(flat, kind="stable")  # stable: holders of a gram stay in order
        first = np.flatnonzero(np.diff(flat[by_gram], prepend=~flat[by_gram[:1]]))
        counts = np.diff(first, append=len(flat))
        count, place = np.empty(len(flat), np.int64), np.empty(len(flat), np.int64)
        count[by_gram], place[by_gram] = np.repeat(counts, counts), np.repeat(first, counts)
        if stock is not None:
            count[count > stock] = 1  # as if it were unique
        return cls(order, start, flat, count, place, owners[by_gram])

    def of_text(self, text: int) -> slice:
        return slice(int(self.start[text]), int(self.start[text + 1]))


def _pairs(index: _Index, rule: Likeness) -> Iterator[tuple[int, int]]:
    """Yield pairs of texts as positions in the index; the first has no more n-grams than the second."""
    sizes = np.diff(index.start)
    shared = np.add.reduceat(index.count > 1, index.start[:-1], dtype=np.int64) if len(sizes) else sizes
    needed = rule.needed(sizes)
    sets: dict[int, frozenset[int]] = {}

    def grams_of(text: int) -> frozenset[int]:
        if text not in sets:
            here = index.of_text(text)
            sets[text] = frozenset(index.grams[here][index.count[here] > 1].tolist())
        return sets[text]

    for text in np.flatnonzero(shared >= needed).tolist():
        need = int(needed[text])
        for other in sorted(_candidates(index, text, int(shared[text]) - need + 1)):
            if len(grams_of(text) & grams_of(other)) >= need:
                yield text, other


def _candidates(index: _Index, text: int, rarest: int) -> set[int]:
    """Return later texts that share one of the text's ``rarest`` (a number) n-grams that are not unique to it."""
    here = index.of_text(text)
    counts = index.count[here]
    others = np.flatnonzero(counts > 1)
    chosen = others[np.lexsort((index.grams[here][others], counts[others]))[:rarest]] + here.start
    found: set[int] = set()
    for place, count in zip(index.place[chosen].tolist(), index.count[chosen].tolist(), strict=True):
        holders = index.holders[place : place + count]
        after = int(np.searchsorted(holders, text)) + 1
        found.update(holders[after : after + WINDOW].tolist())
    return found


def _grams(text: str, size: int, known: dict[str, int]) -> Hashes:
    """Return the distinct n-grams of a text, hashed and sorted; hashes of words are cached in ``known``."""
    found = words(text)
    if len(found) < size:
        return np.empty(0, np.uint64)
    for word in found:
        if word not in known:
            known[word] = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
    hashes = np.array([known[word] for word in found], dtype=np.uint64)
    count = len(found) - size + 1
    grams = np.zeros(count, np.uint64)
    for step in range(size):
        grams = (grams ^ hashes[step : step + count]) * _FACTOR
        grams ^= grams >> np.uint64(29)
    return np.unique(grams)
