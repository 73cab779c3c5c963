"""Which of many texts are alike, without comparing each with each.

Two texts are alike where a share of the word n-grams of the one that has fewer occurs in the other. All n-grams are
hashed into one sorted array; a text whose n-grams stand alone has no partner and costs nothing more, and of the others
only the rarest n-grams are looked up, as many as cannot all be missed by a partner (prefix filtering; Chaudhuri et al.
2006). The result is exact but where an n-gram is in more than :data:`WINDOW` texts: then the next ones by length are
compared, so that a thousand copies are chained together and a stock phrase does not make the work quadratic.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rct_lightning.corpus.overlap import SHINGLE_WORDS, words

WINDOW = 100
"""Texts that share an n-gram and are compared with one of them at most, the next longer ones first."""

Hashes = npt.NDArray[np.uint64]
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no bit is lost; 2**64 over the golden ratio


@dataclass(frozen=True)
class Likeness:
    """When two texts count as alike.

    Attributes:
        size: Words of an n-gram.
        share: Of the n-grams of the text that has fewer, in (0, 1].
        least: N-grams that must be shared in any case.
        stock: Texts that may hold an n-gram; one that more of them hold is a stock phrase and does not count as shared.
    """

    size: int
    share: float
    least: int = 1
    stock: int | None = None

    def needed(self, grams: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """N-grams that a partner must share with texts of so many."""
        return np.maximum(np.ceil(self.share * grams - 1e-9).astype(np.int64), self.least)


NEARLY_THE_SAME = Likeness(SHINGLE_WORDS, share=0.8)
"""A copy with a word or two changed, or one that stands whole in the other. Holds wherever Jaccard is 0.8 or more."""
SAME_PASSAGE = Likeness(size=8, share=0.2, least=8, stock=10)
"""A fifth of the shorter text, and at least fifteen words in a row or more in pieces, stands in the other and in few
more."""


def alike(texts: Sequence[str], rule: Likeness) -> list[tuple[int, int]]:
    """Pairs of texts that are alike, as positions, each pair once.

    The result does not depend on the order of the texts. Texts without a whole n-gram have no partner.
    """
    found = _Index.of(texts, rule.size, rule.stock)
    return [(found.texts[one], found.texts[other]) for one, other in _pairs(found, rule)]


def coverage(texts: Iterable[str], by: Iterable[str], size: int) -> float:
    """Share of the distinct n-grams of ``texts`` that occur in ``by`` too; 0 where there are none."""
    known: dict[str, int] = {}
    wanted, there = (_distinct([_grams(text, size, known) for text in side]) for side in (texts, by))
    return float(np.isin(wanted, there, assume_unique=True).mean()) if len(wanted) else 0.0


def _distinct(grams: list[Hashes]) -> Hashes:
    return np.unique(np.concatenate(grams)) if grams else np.empty(0, np.uint64)


@dataclass(frozen=True)
class _Index:
    """N-grams of texts, which are ordered by their number of n-grams and then by content.

    Attributes:
        texts: Position of each text in what was given.
        start: Where the n-grams of each text begin in ``grams``; one more entry ends the last.
        grams: Distinct n-grams of each text, sorted.
        count: Texts that hold it, for each entry of ``grams``; 1 for a stock phrase.
        place: Where its first holder stands in ``holders``, for each entry of ``grams``.
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
            count[count > stock] = 1  # as if it stood alone
        return cls(order, start, flat, count, place, owners[by_gram])

    def of_text(self, text: int) -> slice:
        return slice(int(self.start[text]), int(self.start[text + 1]))


def _pairs(index: _Index, rule: Likeness) -> Iterator[tuple[int, int]]:
    """Pairs of texts in the index's own order; the first has no more n-grams than the second."""
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
    """Later texts that share one of the ``rarest`` n-grams that are not the text's alone."""
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
    """The distinct n-grams of a text, hashed and sorted; the hash of a word is remembered in ``known``."""
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
