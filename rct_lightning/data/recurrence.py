"""The words of a reply that its own history introduced, and their competitors.

Words are compared whole, piece for piece: it means nothing that a reply and its history both contain a word beginning
with the piece "l", but it does that both contain "lantern". The loss applies to the first piece of such a word.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rct_lightning.data.words import Word, WordPieces
from rct_lightning.dialogue import Example
from rct_lightning.template import Encoded, Span


@dataclass(frozen=True)
class Recurrence:
    """How recurrent positions are found and what they compete with (see docs/losses.md).

    Attributes:
        max_document_frequency: A word is content if it occurs in at most this share of training conversations.
        num_candidates: Competing tokens per position, besides the true one.
        seed: Seed of the draw of candidates.
    """

    max_document_frequency: float = 0.05
    num_candidates: int = 31
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Uses:
    """Which conversations used what, by numbers: int32 [N] each, without repetition and in the order of both.

    Attributes:
        owner: Conversations.
        item: Words, or first pieces of words.
    """

    owner: np.ndarray
    item: np.ndarray

    @classmethod
    def of(cls, owner: np.ndarray, item: np.ndarray) -> Uses:
        """Sort pairs and leave out those that are there already."""
        items = int(item.max(initial=0)) + 1
        ordered = np.unique(owner.astype(np.int64) * items + item)
        return cls((ordered // items).astype(np.int32), (ordered % items).astype(np.int32))

    def where(self, chosen: np.ndarray) -> Uses:
        """Return some of the pairs: bool [N]."""
        return Uses(self.owner[chosen], self.item[chosen])

    def draw(self, count: int, random: np.random.Generator) -> Iterable[tuple[int, int]]:
        """Draw so many pairs, with replacement."""
        at = random.integers(len(self.item), size=count)
        return zip(self.owner[at].tolist(), self.item[at].tolist(), strict=True)


class ContentVocabulary:
    """The content words that each role used in each conversation.

    A content word occurs in few training conversations. A word is the tuple of its token ids. Words and conversations
    are kept as numbers: as objects they would take more memory than the rows.
    """

    def __init__(
        self, examples: Sequence[Example], encoded: Sequence[Encoded], tokenizer: Any, recurrence: Recurrence
    ) -> None:
        self.recurrence = recurrence
        self.pieces = WordPieces(tokenizer)
        names = sorted({example.conversation for example in examples})
        self._number_of = {name: number for number, name in enumerate(names)}
        self._words, used = self._uses(examples, encoded)
        both = Uses.of(*np.concatenate([[uses.owner, uses.item] for uses in used.values()], axis=1))
        limit = max(1.0, recurrence.max_document_frequency * len(names))
        is_common = np.bincount(both.item, minlength=len(self._words)) > limit
        self._common = {self._words[number] for number in np.flatnonzero(is_common)}
        first = np.array([word[0] for word in self._words], dtype=np.int64)
        length = np.array([len(word) for word in self._words], dtype=np.int64)
        self._pool: dict[str, Uses] = {}
        self._alike: dict[tuple[str, int, bool], Uses] = {}
        for role, uses in used.items():
            content = uses.where(~is_common[uses.item])
            self._pool[role] = Uses.of(content.owner, first[content.item])
            for pieces in np.unique(length[content.item]).tolist():
                for capital in (False, True):
                    alike = (length[content.item] == pieces) & (self.pieces.capital[first[content.item]] == capital)
                    self._alike[role, pieces, capital] = content.where(alike)

    def _uses(self, examples: Sequence[Example], encoded: Sequence[Encoded]) -> tuple[list[Word], dict[str, Uses]]:
        """Return the words of all rows in order, and by role which conversation used which of them."""
        numbers: dict[Word, int] = {}
        said = {"human": array("i"), "assistant": array("i")}  # conversation, word, conversation, word ...
        for example, row in zip(examples, encoded, strict=True):
            owner = self._number_of[example.conversation]
            for span in row.spans:
                if (role := _ROLE_OF_SPAN.get(span.kind)) is not None:
                    for _, word in self.words(row, span):
                        said[role].extend((owner, numbers.setdefault(word, len(numbers))))
        words = sorted(numbers)
        rank = np.empty(len(words), dtype=np.int64)
        rank[[numbers[word] for word in words]] = np.arange(len(words))
        pairs = {role: np.array(found, dtype=np.int32).reshape(-1, 2) for role, found in said.items()}
        return words, {role: Uses.of(found[:, 0], rank[found[:, 1]]) for role, found in pairs.items()}

    def words(self, encoded: Encoded, span: Span) -> Iterator[tuple[int, Word]]:
        """Yield the words of a span: the position of their first piece, and their pieces."""
        return self.pieces.words(encoded.ids, span.start, span.stop)

    def is_content(self, word: Word) -> bool:
        """Return whether a word is content; unseen words are."""
        return word not in self._common

    def first_speaker(self, encoded: Encoded) -> Mapping[Word, str]:
        """Return the role that said each word of the history first."""
        speaker: dict[Word, str] = {}
        for span in encoded.spans:
            if span.kind in ("human", "assistant"):
                for _, word in self.words(encoded, span):
                    speaker.setdefault(word, span.kind)
        return speaker

    def draw(self, role: str, conversation: str, excluded: set[int], seed: int) -> np.ndarray | None:
        """Draw distinct first pieces of content words that a role used in other conversations.

        Returns:
            int64 [num_candidates], or None if too few were found.
        """
        pool, wanted, own = self._pool[role], self.recurrence.num_candidates, self._number_of.get(conversation)
        random = np.random.default_rng(seed)
        chosen: dict[int, None] = {}
        for _ in range(8 if len(pool.item) else 0):
            for owner, token in pool.draw(2 * wanted, random):
                if owner != own and token not in excluded:
                    chosen[token] = None
                    if len(chosen) == wanted:
                        return np.fromiter(chosen, dtype=np.int64)
        return None

    def substitute(
        self, word: Word, role: str, conversation: str, taken: set[int], random: np.random.Generator
    ) -> Word | None:
        """Draw a content word of another conversation: same role, length and capitalisation, but no piece in ``taken``.

        Returns:
            Its pieces, or None if a few draws find none.
        """
        alike, own = (
            self._alike.get((role, len(word), bool(self.pieces.capital[word[0]]))),
            self._number_of.get(conversation),
        )
        for owner, number in alike.draw(16, random) if alike is not None and len(alike.item) else ():
            if owner != own and taken.isdisjoint(self._words[number]):
                return self._words[number]
        return None


_ROLE_OF_SPAN = {"human": "human", "input": "human", "assistant": "assistant", "reply": "assistant"}
