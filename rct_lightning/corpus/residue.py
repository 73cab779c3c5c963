"""What cleaning should have taken out and what may still be there: the audit asks here, and only here.

A pattern finds e-mail addresses and the like; no pattern finds a name.
"""

from __future__ import annotations

import re
from functools import lru_cache

from rct_lightning.dialogue import Example

_PERSONAL = {
    "email": re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b"),
    "key": re.compile(r"\b(?:sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|AKIA[A-Z0-9]{16}|hf_[A-Za-z0-9]{20,})\b"),
    "home": re.compile(r"(?:/(?:home|Users)/|\b[A-Z]:\\Users\\)[\w.-]+"),
}
_ARTEFACTS = {
    "placeholder": re.compile(
        r"This block is not supported on your current device yet|Viewing artifacts created via the Analysis Tool"
    ),
    "reasoning": re.compile(r"^\W*(?:The|This) user (?:is|was|wants|has|seems|asks?|says?)\b|<think(?:ing)?>", re.M),
    "citation": re.compile("\ue200|【\\d+†"),
}


def personal(row: Example) -> list[str]:
    """Kinds of personal data in a row, its history included."""
    texts = (row.input, row.output, *(turn.content for turn in row.context))
    return sorted({kind for text in texts for kind in _personal_in(text)})


def artefacts(row: Example) -> list[str]:
    """Kinds of text in a row's own exchange that a program wrote and nobody said."""
    return [kind for kind, pattern in _ARTEFACTS.items() if pattern.search(row.input) or pattern.search(row.output)]


@lru_cache(maxsize=1 << 14)  # the rows of a conversation have their history in common
def _personal_in(text: str) -> tuple[str, ...]:
    return tuple(kind for kind, pattern in _PERSONAL.items() if pattern.search(text))
