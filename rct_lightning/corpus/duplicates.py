"""Rows that repeat others: retries, copies, and copies with a few words changed.

Exchanges are compared, that is the user's text together with the reply: the same question with another answer is not
a duplicate (twins of a minimal pair are built that way), and the context is not compared.

Two rows are near-duplicates from a Jaccard index of 0.8 of the 5-word shingles of both texts (Broder 1997). If less
than that share of a row's shingles occurs in any other rows, it cannot have a partner and is excluded at once, without
loss; among the others MinHash with locality-sensitive hashing finds candidates, and these are compared exactly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rct_lightning.corpus.exchange import Exchange, Rule
from rct_lightning.corpus.overlap import SHINGLE_WORDS, words
from rct_lightning.corpus.scrub import Place

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

JACCARD = 0.8
BANDS, BAND_ROWS = 25, 5
"""Shape of the index: a pair at the threshold is missed with a probability of 5e-5, ``(1 - 0.8**5) ** 25``."""
LEAST_ESTIMATE = 0.65
"""Share of equal minima from which a candidate is compared; four standard deviations below the threshold."""

RETRY = Rule("retry", "an input that the user sent again at once; the last answer to it stays")
DUPLICATE = Rule("duplicate", "an exchange that stands in an earlier row, word for word")
NEAR_DUPLICATE = Rule(
    "near-duplicate", f"an exchange that shares {JACCARD:.0%} of its 5-word shingles with an earlier row"
)
COMPARING_RULES = (RETRY, DUPLICATE, NEAR_DUPLICATE)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The data of a row that is kept for comparing it.

    Attributes:
        row: Its number in the file, from 0.
        place: Sort key that decides which of two rows stays: the earlier one by time, turns before it, and id.
        id: Its id, as shown to the user.
        conversation: Its conversation.
        exchange: Digest of the words of its exchange.
        repeats: Digest of the exchange directly before it if the user asked the same there; else None.
        grams: Hashes of its shingles, sorted and distinct.
    """

    row: int
    place: Place
    id: str
    conversation: str
    exchange: bytes
    repeats: bytes | None
    grams: npt.NDArray[np.uint64]


class _Hashes(dict[str, int]):
    """64-bit hashes of words, computed on first access."""

    def __missing__(self, word: str) -> int:
        digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self[word] = int.from_bytes(digest, "little")
        return self[word]


class Fingerprints:
    """Computes fingerprints; the hash of each word is computed once."""

    def __init__(self) -> None:
        self._words = _Hashes()

    def of(
        self, row: int, place: Place, name: str, conversation: str, exchange: Exchange, before: Exchange | None
    ) -> Fingerprint:
        """Return the fingerprint of a row.

        Args:
            row: Its number in the file.
            place: Its place in the order of all rows.
            name: Its id.
            conversation: Its conversation.
            exchange: Its exchange.
            before: The exchange directly before it in its context, if any.
        """
        asked, answered = words(exchange.input), words(exchange.output)
        again = before is not None and _said(exchange.input, asked) == _said(before.input, words(before.input))
        return Fingerprint(
            row=row,
            place=place,
            id=name,
            conversation=conversation,
            exchange=_digest(exchange, asked, answered),
            repeats=_digest(before, asked, words(before.output)) if before is not None and again else None,
            grams=self._grams(asked, answered),
        )

    def _grams(self, asked: Sequence[str], answered: Sequence[str]) -> npt.NDArray[np.uint64]:
        import numpy as np

        sides = [self._side(found, np.uint64(salt)) for salt, found in ((1, asked), (2, answered)) if found]
        if not sides:
            return np.empty(0, np.uint64)
        grams = np.concatenate(sides)
        grams.sort()
        return grams[np.concatenate([[True], grams[1:] != grams[:-1]])]

    def _side(self, found: Sequence[str], salt: np.uint64) -> npt.NDArray[np.uint64]:
        """Return the shingle hashes of one text; a text shorter than a shingle is one shingle."""
        import numpy as np

        hashes = np.fromiter(map(self._words.__getitem__, found), np.uint64, len(found))
        size = min(len(found), SHINGLE_WORDS)
        count = len(found) - size + 1
        grams = np.full(count, salt, np.uint64)
        for step in range(size):  # a multiplication and a shift per word: order matters, and all bits take part
            grams = (grams ^ hashes[step : step + count]) * np.uint64(0x9E3779B97F4A7C15)
            grams ^= grams >> np.uint64(32)
        return grams


def _said(text: str, found: Sequence[str]) -> str:
    """Return what is compared to decide whether two texts are the same: words, or characters if there are no words."""
    return " ".join(found) or "".join(text.split())


def _digest(exchange: Exchange, asked: Sequence[str], answered: Sequence[str]) -> bytes:
    both = f"{_said(exchange.input, asked)}\n{_said(exchange.output, answered)}"
    return hashlib.blake2b(both.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Repetition:
    """A row that repeats another: its number in the file, the rule and the reason."""

    row: int
    rule: Rule
    reason: str


def repetitions(rows: Iterable[Fingerprint], off: Iterable[str] = ()) -> list[Repetition]:
    """Return the rows to remove, each with the row that stays; the result does not depend on the order of ``rows``.

    Args:
        rows: Fingerprints of the rows that passed all other rules.
        off: Names of rules that are turned off.
    """
    left = sorted(rows, key=lambda one: (one.place, one.row))
    gone: list[Repetition] = []
    steps: tuple[tuple[Rule, Callable[[Sequence[Fingerprint]], Iterable[tuple[Fingerprint, str]]]], ...] = (
        (RETRY, _retries),
        (DUPLICATE, _copies),
        (NEAR_DUPLICATE, _near_copies),
    )
    out = set(off)
    for rule, find in steps:
        if rule.name not in out:
            found = {one.row: reason for one, reason in find(left)}
            gone += [Repetition(row, rule, reason) for row, reason in found.items()]
            left = [one for one in left if one.row not in found]
    return gone


def _retries(rows: Sequence[Fingerprint]) -> Iterable[tuple[Fingerprint, str]]:
    again = {(one.conversation, one.repeats): one.id for one in rows if one.repeats is not None}
    for one in rows:
        if (later := again.get((one.conversation, one.exchange))) is not None and later != one.id:
            yield one, f"the user asked the same again in row {later}"


def _copies(rows: Sequence[Fingerprint]) -> Iterable[tuple[Fingerprint, str]]:
    first: dict[bytes, str] = {}
    for one in rows:
        if (kept := first.setdefault(one.exchange, one.id)) != one.id:
            yield one, f"the same exchange as in row {kept}"


def _near_copies(rows: Sequence[Fingerprint]) -> Iterable[tuple[Fingerprint, str]]:
    suspects = _suspects(rows)
    if len(suspects) < 2:
        return
    import numpy as np
    from datasketch import MinHash, MinHashLSH

    empty = MinHash(BANDS * BAND_ROWS, seed=1, hashfunc=lambda value: value)
    index = MinHashLSH(num_perm=len(empty), params=(BANDS, BAND_ROWS))
    sketches = np.empty((len(suspects), len(empty)), empty.hashvalues.dtype)
    for number, one in enumerate(suspects):
        sketch = empty.copy()
        sketch.update_batch((one.grams >> 32).tolist())
        sketches[number] = sketch.hashvalues
        found = np.array(sorted(index.query(sketch)), dtype=np.int64)
        near = found[(sketches[found] == sketches[number]).mean(axis=1) >= LEAST_ESTIMATE] if len(found) else found
        best = max(((_jaccard(one, suspects[other]), -other) for other in near.tolist()), default=(0.0, 0))
        if best[0] >= JACCARD:  # of equally similar rows the earliest is named
            yield one, f"{best[0]:.0%} of the shingles are those of row {suspects[-best[1]].id}"
        else:
            index.insert(number, sketch)


def _suspects(rows: Sequence[Fingerprint]) -> list[Fingerprint]:
    """Return rows that may have a partner: enough of their shingles occur in the other rows taken together."""
    import numpy as np

    whole = np.concatenate([one.grams for one in rows]) if rows else np.empty(0, np.uint64)
    whole.sort()
    shared = np.unique(whole[1:][whole[1:] == whole[:-1]])
    del whole
    if not len(shared):
        return []

    def enough(one: Fingerprint) -> bool:
        at = np.minimum(np.searchsorted(shared, one.grams), len(shared) - 1)
        return bool(np.count_nonzero(shared[at] == one.grams) >= max(1.0, JACCARD * len(one.grams)))

    return [one for one in rows if enough(one)]


def _jaccard(one: Fingerprint, other: Fingerprint) -> float:
    import numpy as np

    smaller, larger = sorted((len(one.grams), len(other.grams)))
    if smaller < JACCARD * larger:
        return 0.0
    both = len(np.intersect1d(one.grams, other.grams, assume_unique=True))
    return both / (len(one.grams) + len(other.grams) - both)
