"""Which tokens of a reply only its own history makes right, and what they compete with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rct_lightning.dialogue import Example
from rct_lightning.template import Encoded


@dataclass(frozen=True)
class Recurrence:
    """How recurrent positions are found and what they compete with (settled in docs/losses.md).

    Attributes:
        max_document_frequency: A token is content if it occurs in at most this share of training conversations.
        num_candidates: Competing tokens at a position, besides the true one.
        seed: Seed of the draw of candidates.
    """

    max_document_frequency: float = 0.05
    num_candidates: int = 31
    seed: int = 0


class ContentVocabulary:
    """Which tokens carry content, and which content tokens each role used in each conversation.

    A content token begins a word and occurs in few training conversations.
    """

    def __init__(
        self, examples: Sequence[Example], encoded: Sequence[Encoded], tokenizer: Any, recurrence: Recurrence
    ) -> None:
        self.recurrence = recurrence
        self.word_starts = _word_starts(tokenizer)
        seen: dict[str, set[int]] = defaultdict(set)
        by_role: dict[str, set[tuple[str, int]]] = {"human": set(), "assistant": set()}
        for example, row in zip(examples, encoded, strict=True):
            seen[example.conversation].update(row.ids)
            for span in row.spans:
                role = _ROLE_OF_SPAN.get(span.kind)
                if role is not None:
                    tokens = row.ids[span.start : span.stop]
                    by_role[role].update((example.conversation, token) for token in tokens)
        frequency = Counter(token for tokens in seen.values() for token in tokens)
        limit = max(1.0, recurrence.max_document_frequency * len(seen))
        self._common = {token for token, count in frequency.items() if count > limit}
        self._pool = {
            role: np.array(sorted(pair for pair in pairs if self.is_content(pair[1])), dtype=object).reshape(-1, 2)
            for role, pairs in by_role.items()
        }

    def is_content(self, token: int) -> bool:
        """Whether a token is content. One that training never saw is, if it begins a word."""
        return bool(self.word_starts[token]) and token not in self._common

    def draw(self, role: str, conversation: str, excluded: set[int], seed: int) -> np.ndarray | None:
        """Distinct content tokens that a role used in other conversations: int64 [n], None where too few exist."""
        pool, wanted = self._pool[role], self.recurrence.num_candidates
        random = np.random.default_rng(seed)
        chosen: dict[int, None] = {}
        for _ in range(8 if len(pool) else 0):
            for at in random.integers(len(pool), size=2 * wanted):
                owner, token = pool[at]
                if owner != conversation and token not in excluded:
                    chosen[token] = None
                    if len(chosen) == wanted:
                        return np.fromiter(chosen, dtype=np.int64)
        return None


_ROLE_OF_SPAN = {"human": "human", "input": "human", "assistant": "assistant", "reply": "assistant"}


def first_speaker(encoded: Encoded) -> Mapping[int, str]:
    """The role that said a token first in the history."""
    speaker: dict[int, str] = {}
    for span in encoded.spans:
        if span.kind in ("human", "assistant"):
            for token in encoded.ids[span.start : span.stop]:
                speaker.setdefault(token, span.kind)
    return speaker


def _word_starts(tokenizer: Any) -> np.ndarray:
    """For each token id, whether it begins a word: bool [V]."""
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    return np.array([token is not None and token[:1] in "\u0120\u2581" and token[1:2].isalnum() for token in tokens])
