"""Words as tuples of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

Word = tuple[int, ...]

_UNREADABLE = "\N{REPLACEMENT CHARACTER}"


class WordPieces:
    """Which tokens make up words: a blank and a letter or digit, and the letters or digits that follow.

    The blank and what follows it must share a token. What counts is the text of tokens, not how a byte-level tokenizer
    spells it: there, a line break and the first byte of a dash look like letters. A character outside ASCII may take
    several tokens, each of which is unreadable alone.

    Attributes:
        begins: Whether a token may begin a word, bool [V].
        continues: Whether it may continue one, bool [V].
        capital: Whether it begins one with a capital, bool [V].
        incomplete: Tokens that hold a part of a character.
    """

    def __init__(self, tokenizer: Any) -> None:
        as_written = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
        self._decode = partial(tokenizer.decode, **as_written)
        before = tokenizer("a", add_special_tokens=False)["input_ids"]  # alone, a token may lose its leading blank
        texts = tokenizer.batch_decode([[*before, token] for token in range(len(tokenizer))], **as_written)
        texts = [text.removeprefix(self._decode(before)) for text in texts]
        self.incomplete = frozenset(token for token, text in enumerate(texts) if _UNREADABLE in text)
        self.begins = np.array([text[:1] == " " and _may_be_letter(text[1:2]) for text in texts])
        self.continues = np.array([_may_be_letter(text[:1]) for text in texts])
        self.capital = np.array([text[1:2].isupper() for text in texts])

    def words(self, ids: Sequence[int], start: int, stop: int) -> Iterator[tuple[int, Word]]:
        """Yield the words of a stretch: the position of their first token, and their tokens."""
        while start < stop:
            end = start + 1
            if self.begins[ids[start]]:
                while end < stop and self.continues[ids[end]]:
                    end += 1
                word = tuple(ids[start:end])
                if not self.incomplete.isdisjoint(word):
                    word = self._whole(word)
                if word:
                    yield start, word
            start = end

    def _whole(self, tokens: Word) -> Word:
        """Return the tokens up to which the text is a word; empty if it is none."""
        for end in range(len(tokens), 0, -1):
            if self._decode(list(tokens[:end])).lstrip(" ").isalnum():
                return tokens[:end]
        return ()


def _may_be_letter(character: str) -> bool:
    return character.isalnum() or character == _UNREADABLE
