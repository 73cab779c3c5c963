"""What cleaning should have taken out and what may still be there: the audit asks here, and only here.

A pattern finds e-mail addresses and the like; no pattern finds a name.
"""

from __future__ import annotations

import re

_PERSONAL = {
    "e-mail": re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}\b"),
    "key": re.compile(r"\b(?:sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|AKIA[A-Z0-9]{16}|hf_[A-Za-z0-9]{20,})\b"),
    "home folder": re.compile(r"(?:/(?:home|Users)/|\b[A-Z]:\\Users\\)[\w.-]+"),
}
_ARTEFACTS = {
    "placeholder": re.compile(
        r"This block is not supported on your current device yet|Viewing artifacts created via the Analysis Tool"
    ),
    "reasoning": re.compile(r"^\W*(?:The|This) user (?:is|was|wants|has|seems|asks?|says?)\b|<think(?:ing)?>", re.M),
    "citation": re.compile("\ue200|【\\d+†"),
}


def personal(text: str) -> list[str]:
    """Kinds of personal data in a text."""
    return [kind for kind, pattern in _PERSONAL.items() if pattern.search(text)]


def artefacts(text: str) -> list[str]:
    """Kinds of text that a program wrote between the lines of a talk."""
    return [kind for kind, pattern in _ARTEFACTS.items() if pattern.search(text)]
