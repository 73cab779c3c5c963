"""Search for phrases in a text: whole words, case-insensitive."""

from __future__ import annotations

import re
from collections.abc import Iterable


class PhraseMatcher:
    """Finds whole-word occurrences of several phrases, ignoring case and the kind of apostrophe."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self.phrases = tuple(dict.fromkeys(normalise(phrase) for phrase in phrases))
        longest_first = sorted(self.phrases, key=len, reverse=True)
        alternatives = "|".join(re.escape(phrase) for phrase in longest_first)
        self._pattern = re.compile(rf"(?<![\w'])(?:{alternatives})(?!\w)") if self.phrases else None

    def find(self, text: str) -> list[str]:
        """Return the phrases that occur, in order of occurrence; of overlapping ones only the first."""
        return self._pattern.findall(normalise(text)) if self._pattern else []

    def occurs_in(self, text: str) -> bool:
        """Return whether any phrase occurs."""
        return bool(self._pattern and self._pattern.search(normalise(text)))

    def remove_from(self, text: str) -> str:
        """Return the text without the phrases, the commas before them and punctuation that would be left over."""
        if self._pattern is None:
            return text
        straight = " ".join(text.replace("\u2019", "'").replace("\u2018", "'").split())
        left = re.sub(rf"(?:,\s*)?{self._pattern.pattern}", " ", straight, flags=re.IGNORECASE)
        left = re.sub(r"\s+([.,!?;:])", r"\1", " ".join(left.split()))
        left = re.sub(r"(^|(?<=[.!?]))\s*[.,!?;:]+", "", left).strip()
        return f"{left[:1].upper()}{left[1:]}"


def normalise(text: str) -> str:
    """Return the text in lower case, with straight apostrophes and single spaces."""
    return " ".join(text.replace("\u2019", "'").replace("\u2018", "'").lower().split())
