"""The unit that the cleaning rules judge, and the definition of a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rct_lightning.sanitize import printable

AROUND, LONGEST = 30, 80
"""Characters of an excerpt: before and after the place found, and of the place itself."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A user text and the reply to it."""

    input: str
    output: str

    def sides(self) -> Iterator[tuple[str, str]]:
        """Yield both texts, each after its name."""
        yield "input", self.input
        yield "reply", self.output


@dataclass(frozen=True)
class Rule:
    """A named reason to remove a row.

    Attributes:
        name: Name, as in ``--off NAME``.
        looks_for: Description for the user, in one line.
        find: Returns what was found in an exchange, or None; the function is None for rules that compare rows.
        spoils: Whether such an exchange also makes a context that contains it unusable.
    """

    name: str
    looks_for: str
    find: Callable[[Exchange], str | None] | None = None
    spoils: bool = False


def excerpt(text: str, start: int = 0, end: int | None = None) -> str:
    """Return the text at a place and around it, on one line and safe to show."""
    end = min(len(text) if end is None else end, start + LONGEST)
    shown = " ".join(printable(text[max(0, start - AROUND) : end + AROUND]).split())
    return f'"{"…" if start > AROUND else ""}{shown}{"…" if end + AROUND < len(text) else ""}"'
