"""What the rules of cleaning look at, and what a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rct_lightning.sanitize import printable

AROUND, LONGEST = 30, 80
"""Characters of an excerpt: before and after what was seen, and of that itself."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A user text and the reply to it."""

    input: str
    output: str

    def sides(self) -> Iterator[tuple[str, str]]:
        """Both texts with what a person calls them."""
        yield "input", self.input
        yield "reply", self.output


@dataclass(frozen=True)
class Rule:
    """A named reason to take a row out.

    Attributes:
        name: As in ``--off NAME``.
        looks_for: For a person, in a line.
        find: What was seen in an exchange, or None where nothing was; no function for rules that need more than one.
        spoils: Whether a context that holds such an exchange is spoiled too.
    """

    name: str
    looks_for: str
    find: Callable[[Exchange], str | None] | None = None
    spoils: bool = False


def excerpt(text: str, start: int = 0, end: int | None = None) -> str:
    """What stands at a place and around it, in one line, safe to show."""
    end = min(len(text) if end is None else end, start + LONGEST)
    shown = " ".join(printable(text[max(0, start - AROUND) : end + AROUND]).split())
    return f'"{"…" if start > AROUND else ""}{shown}{"…" if end + AROUND < len(text) else ""}"'
