"""Search for phrases in a text: whole words, case-insensitive."""

from __future__ import annotations

import re
from collections.abc import Iterable

GAP = "\0"
"""Where a phrase was, while what it leaves behind is tidied."""


class PhraseMatcher:
    """Finds whole-word occurrences of several phrases, ignoring case and the kind of apostrophe."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self.phrases = tuple(dict.fromkeys(normalise(phrase) for phrase in phrases))
        longest_first = sorted(self.phrases, key=len, reverse=True)
        alternatives = "|".join(re.escape(phrase) for phrase in longest_first)
        self._pattern = re.compile(rf"(?<![\w'])(?:{alternatives})(?!\w)") if self.phrases else None
        as_typed = alternatives.replace(r"\ ", r"\s+").replace("'", "['\u2018\u2019]")
        self._as_typed = re.compile(rf"(?:,\s*)?(?<![\w'\u2018\u2019])(?:{as_typed})(?!\w)", re.IGNORECASE)

    def find(self, text: str) -> list[str]:
        """Return the phrases that occur, in order of occurrence; of overlapping ones only the first."""
        return self._pattern.findall(normalise(text)) if self._pattern else []

    def occurs_in(self, text: str) -> bool:
        """Return whether any phrase occurs."""
        return bool(self._pattern and self._pattern.search(normalise(text)))

    def remove_from(self, text: str) -> str:
        """Return the text without the phrases, the commas before them and punctuation that would be left over.

        Lines, blanks and letters elsewhere stay as they are, so that the two texts differ in the phrase alone.
        """
        left = self._as_typed.sub(GAP, text.strip()) if self.phrases else text
        if GAP not in left:
            return text
        begins = left.startswith(GAP)
        left = re.sub(rf"[^\S\n]*{GAP}(?:[^\S\n]*{GAP})*[^\S\n]*", GAP, left)
        left = re.sub(rf"(^|[\n.!?]){GAP}[.,!?;:]+[^\S\n]*", rf"\1{GAP}", left)
        left = re.sub(rf"{GAP}(?=[.,!?;:\n]|$)|(?<=\n){GAP}|^{GAP}", "", left).replace(GAP, " ").strip()
        return f"{left[:1].upper()}{left[1:]}" if begins else left


def normalise(text: str) -> str:
    """Return the text in lower case, with straight apostrophes and single spaces."""
    return " ".join(text.replace("\u2019", "'").replace("\u2018", "'").lower().split())
