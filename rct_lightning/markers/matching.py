"""Where phrases occur in a text: whole words, whatever their case."""

from __future__ import annotations

import re
from collections.abc import Iterable


class PhraseMatcher:
    """Finds whole-word occurrences of any of several phrases, ignoring case and kind of apostrophe."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self.phrases = tuple(dict.fromkeys(normalise(phrase) for phrase in phrases))
        longest_first = sorted(self.phrases, key=len, reverse=True)
        alternatives = "|".join(re.escape(phrase) for phrase in longest_first)
        self._pattern = re.compile(rf"(?<![\w'])(?:{alternatives})(?!\w)") if self.phrases else None

    def find(self, text: str) -> list[str]:
        """The phrases that occur, in order of occurrence, overlapping ones once."""
        return self._pattern.findall(normalise(text)) if self._pattern else []

    def occurs_in(self, text: str) -> bool:
        """Whether any phrase occurs."""
        return bool(self._pattern and self._pattern.search(normalise(text)))

    def remove_from(self, text: str) -> str:
        """The text without the phrases, the comma before them and the punctuation that they leave alone."""
        if self._pattern is None:
            return text
        straight = " ".join(text.replace("\u2019", "'").replace("\u2018", "'").split())
        left = re.sub(rf"(?:,\s*)?{self._pattern.pattern}", " ", straight, flags=re.IGNORECASE)
        left = re.sub(r"\s+([.,!?;:])", r"\1", " ".join(left.split()))
        left = re.sub(r"(^|(?<=[.!?]))\s*[.,!?;:]+", "", left).strip()
        return f"{left[:1].upper()}{left[1:]}"


def normalise(text: str) -> str:
    """Lower case, straight apostrophes, single spaces."""
    return " ".join(text.replace("\u2019", "'").replace("\u2018", "'").lower().split())
