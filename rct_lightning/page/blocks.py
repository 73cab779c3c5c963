"""What a page is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

FIGURES = "figures"
"""Folder of the figures, beside the Markdown that shows them."""
PIXELS_A_POINT = 2
"""Figures are drawn with two pixels for one of the page, so that they stay sharp."""

Tone = Literal["plain", "good", "bad", "quiet"]
"""A colour that repeats what the words say; it never says anything alone."""


@dataclass(frozen=True)
class Paragraph:
    """Running text; with a tone it stands in a box."""

    kind: ClassVar[str] = "paragraph"
    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Points:
    """A list of statements."""

    kind: ClassVar[str] = "points"
    items: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Names with what they are, as (name, value)."""

    kind: ClassVar[str] = "facts"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Cell:
    """A cell with a second, smaller line, and a tone."""

    text: str
    detail: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Table:
    """A table; where it is wider than the screen it scrolls in a box of its own.

    Attributes:
        caption: What it shows.
        header: Names of the columns.
        rows: As many cells each; the first names the row.
        align: A letter a column: ``l`` for words, ``r`` for figures; words by default.
    """

    kind: ClassVar[str] = "table"
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    align: str = ""

    def __post_init__(self) -> None:
        widths = {len(row) for row in self.rows} | ({len(self.align)} if self.align else set())
        if widths - {len(self.header)}:
            raise ValueError(f"{self.caption}: a row of {sorted(widths)} cells under {len(self.header)} names")

    def cells(self) -> Iterator[list[Cell]]:
        """The rows, every cell of them a :class:`Cell`."""
        for row in self.rows:
            yield [cell if isinstance(cell, Cell) else Cell(cell) for cell in row]

    def side(self, column: int) -> str:
        """``l`` or ``r``."""
        return self.align[column] if self.align else "l"


@dataclass(frozen=True)
class Figure:
    """A picture.

    Attributes:
        name: Of its file, without ending.
        png: For light pages and for paper, drawn with :data:`PIXELS_A_POINT`.
        alt: What it shows, for who cannot see it.
        caption: Printed under it.
        dark: The same for dark pages; the light one by default.
    """

    name: str
    png: bytes
    alt: str
    caption: str
    dark: bytes | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w+", self.name, re.ASCII):
            raise ValueError(f"{self.name!r} names no file")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height on the page, in CSS pixels."""
        width, height = (int.from_bytes(self.png[at : at + 4], "big") for at in (16, 20))  # of PNG's first chunk
        return width // PIXELS_A_POINT, height // PIXELS_A_POINT


@dataclass(frozen=True)
class Figures:
    """Pictures beside each other, or under each other where the screen is narrow."""

    kind: ClassVar[str] = "figures"
    figures: Sequence[Figure]


@dataclass(frozen=True)
class SideBySide:
    """What several said to the same, word for word.

    Attributes:
        title: Which example this is.
        asked: The turns that all of them answered, as (speaker, text).
        answers: As (who, text).
    """

    kind: ClassVar[str] = "side_by_side"
    title: str
    asked: Sequence[tuple[str, str]]
    answers: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading; parts may hold parts."""

    kind: ClassVar[str] = "section"
    title: str
    blocks: Sequence[Block]


Block = Paragraph | Points | Facts | Table | Figures | SideBySide | Section


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        title: Its heading and the name of its window.
        lead: What stands above everything else.
        sections: The rest; each is listed in the contents.
        footer: How the page came about.
    """

    title: str
    lead: Sequence[Block]
    sections: Sequence[Section]
    footer: str = ""

    def figures(self) -> list[Figure]:
        """All figures, in order."""
        return list(_figures([*self.lead, *self.sections]))


def _figures(blocks: Sequence[Block]) -> Iterator[Figure]:
    for block in blocks:
        if isinstance(block, Section):
            yield from _figures(block.blocks)
        elif isinstance(block, Figures):
            yield from block.figures
