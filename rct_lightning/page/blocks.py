"""The building blocks of a page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

FIGURES = "figures"
"""Folder of the figures, next to the Markdown that shows them."""
PIXELS_A_POINT = 2
"""Figures are drawn with two pixels for each CSS pixel of the page, so that they stay sharp."""

Tone = Literal["plain", "good", "bad", "quiet"]
"""A colour that repeats what the words say; it never carries information alone."""


@dataclass(frozen=True)
class Paragraph:
    """Running text; with a tone it is shown in a box."""

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
    """Names with their values, as (name, value)."""

    kind: ClassVar[str] = "facts"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Cell:
    """A cell with a tone and a second, smaller line."""

    text: str
    detail: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Table:
    """A table; where it is wider than the screen it scrolls in its own box.

    Attributes:
        caption: What it shows.
        header: Names of the columns.
        rows: The rows, each with as many cells as the header; the first cell names the row.
        align: One letter per column: ``l`` for words, ``r`` for figures; ``l`` everywhere by default.
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
        """Yield the rows with every cell as a :class:`Cell`."""
        for row in self.rows:
            yield [cell if isinstance(cell, Cell) else Cell(cell) for cell in row]

    def side(self, column: int) -> str:
        """Return a column's alignment, ``l`` or ``r``."""
        return self.align[column] if self.align else "l"


@dataclass(frozen=True)
class Figure:
    """A picture.

    Attributes:
        name: File name without extension.
        png: The image for light pages and for print, drawn with :data:`PIXELS_A_POINT`.
        alt: What it shows, for those who cannot see it.
        caption: Printed under it.
        dark: The image for dark pages; the light one by default.
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
    """Several answers to the same dialogue, word for word.

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
    """A part of the page under a heading; sections can be nested."""

    kind: ClassVar[str] = "section"
    title: str
    blocks: Sequence[Block]


Block = Paragraph | Points | Facts | Table | Figures | SideBySide | Section


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        title: Its heading and window title.
        lead: Blocks above everything else.
        sections: The rest; each is listed in the table of contents.
        footer: How the page was made.
    """

    title: str
    lead: Sequence[Block]
    sections: Sequence[Section]
    footer: str = ""

    def figures(self) -> list[Figure]:
        """Return all figures, in order."""
        return list(_figures([*self.lead, *self.sections]))


def _figures(blocks: Sequence[Block]) -> Iterator[Figure]:
    for block in blocks:
        if isinstance(block, Section):
            yield from _figures(block.blocks)
        elif isinstance(block, Figures):
            yield from block.figures
