"""The words of a reply that its own history introduced, and their competitors.

Words are compared whole, piece for piece: it means nothing that a reply and its history both contain a word beginning
with the piece "l", but it does that both contain "lantern". The loss applies to the first piece of such a word.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rct_lightning.dialogue import Example
from rct_lightning.template import Encoded, Span

Word = tuple[int, ...]


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


class ContentVocabulary:
    """The content words that each role used in each conversation.

    A content word occurs in few training conversations. A word is the tuple of its token ids.
    """

    def __init__(
        self, examples: Sequence[Example], encoded: Sequence[Encoded], tokenizer: Any, recurrence: Recurrence
    ) -> None:
        self.recurrence = recurrence
        self.begins, self.continues, self.capital = _word_pieces(tokenizer)
        seen: dict[Word, set[str]] = defaultdict(set)
        by_role: dict[str, set[tuple[str, Word]]] = {"human": set(), "assistant": set()}
        for example, row in zip(examples, encoded, strict=True):
            for span in row.spans:
                role = _ROLE_OF_SPAN.get(span.kind)
                if role is not None:
                    for _, word in self.words(row, span):
                        seen[word].add(example.conversation)
                        by_role[role].add((example.conversation, word))
        limit = max(1.0, recurrence.max_document_frequency * len({example.conversation for example in examples}))
        self._common = {word for word, conversations in seen.items() if len(conversations) > limit}
        self._pool = {
            role: sorted({(owner, word[0]) for owner, word in used if self.is_content(word)})
            for role, used in by_role.items()
        }
        self._alike: dict[tuple[str, int, bool], list[tuple[str, Word]]] = defaultdict(list)
        for role, used in by_role.items():
            for owner, word in sorted(used):
                if self.is_content(word):
                    self._alike[role, len(word), bool(self.capital[word[0]])].append((owner, word))

    def words(self, encoded: Encoded, span: Span) -> Iterator[tuple[int, Word]]:
        """Yield the words of a span: the position of their first piece, and their pieces."""
        position = span.start
        while position < span.stop:
            stop = position + 1
            if self.begins[encoded.ids[position]]:
                while stop < span.stop and self.continues[encoded.ids[stop]]:
                    stop += 1
                yield position, tuple(encoded.ids[position:stop])
            position = stop

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
        pool, wanted = self._pool[role], self.recurrence.num_candidates
        random = np.random.default_rng(seed)
        chosen: dict[int, None] = {}
        for _ in range(8 if pool else 0):
            for at in random.integers(len(pool), size=2 * wanted):
                owner, token = pool[at]
                if owner != conversation and token not in excluded:
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
        alike = self._alike[role, len(word), bool(self.capital[word[0]])]
        for at in random.integers(len(alike), size=16) if alike else ():
            owner, found = alike[at]
            if owner != conversation and taken.isdisjoint(found):
                return found
        return None


_ROLE_OF_SPAN = {"human": "human", "input": "human", "assistant": "assistant", "reply": "assistant"}


def _word_pieces(tokenizer: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each token id whether it begins a word, continues one, or begins with a capital: bool [V] each."""
    tokens = [token or "" for token in tokenizer.convert_ids_to_tokens(range(len(tokenizer)))]
    begins = [token[:1] in ("\u0120", "\u2581") and token[1:2].isalnum() for token in tokens]
    continues = [token[:1].isalnum() and token[:1] != "\u0120" for token in tokens]
    return np.array(begins), np.array(continues), np.array([token[1:2].isupper() for token in tokens])
