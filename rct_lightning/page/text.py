"""Render a page as text for a terminal: without figures, tables in columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import singledispatch

from rct_lightning.page.blocks import Block, Facts, Figures, Page, Paragraph, Points, Section, SideBySide, Table
from rct_lightning.sanitize import printable

WIDTH = 110


def as_text(page: Page) -> str:
    """Render the page as text; every line of it is safe to print."""
    return "\n\n".join(_all([Paragraph(page.title), *page.lead, *page.sections])) + "\n"


def _all(blocks: Sequence[Block]) -> list[str]:
    return [text for text in map(_text, blocks) if text]


@singledispatch
def _text(block: Block) -> str:
    raise TypeError(block)


@_text.register
def _(block: Paragraph) -> str:
    return _wrapped(block.text)


@_text.register
def _(block: Points) -> str:
    return "\n".join(_wrapped(item, "- ") for item in block.items)


@_text.register
def _(block: Facts) -> str:
    wide = max((len(_flat(name)) for name, _ in block.pairs), default=0)
    return "\n".join(_wrapped(value, f"{_flat(name).ljust(wide)}  ") for name, value in block.pairs)


@_text.register
def _(block: Table) -> str:
    rows = [[_flat(f"{cell.text} {cell.detail}") for cell in row] for row in block.cells()]
    lines = [[_flat(name) for name in block.header], *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(block.header))]
    parts = []
    for columns in _beside(widths):
        for line in lines:
            put = ((str.rjust if block.side(c) == "r" else str.ljust)(line[c], widths[c]) for c in columns)
            parts.append("  ".join(put).rstrip())
        parts.append("")
    return "\n".join([_wrapped(block.caption), *parts[:-1]])


def _beside(widths: Sequence[int]) -> list[list[int]]:
    """Group a table's columns, as many at a time as fit next to each other; each group repeats the first column."""
    parts, room = [[0]], WIDTH - widths[0]
    for column in range(1, len(widths)):
        if widths[column] + 2 > room and len(parts[-1]) > 1:
            parts.append([0])
            room = WIDTH - widths[0]
        parts[-1].append(column)
        room -= widths[column] + 2
    return parts


@_text.register
def _(block: Figures) -> str:
    return ""


@_text.register
def _(block: SideBySide) -> str:
    said = [f"{_flat(who)}:\n{textwrap.indent(printable(text), '  ')}" for who, text in (*block.asked, *block.answers)]
    return "\n".join([_flat(block.title), *said])


@_text.register
def _(block: Section) -> str:
    title = _flat(block.title)
    return "\n\n".join([f"{title}\n{'-' * len(title)}", *_all(block.blocks)])


def _flat(text: str) -> str:
    return " ".join(printable(text).split())


def _wrapped(text: str, first: str = "") -> str:
    return textwrap.fill(_flat(text), WIDTH, initial_indent=first, subsequent_indent=" " * len(first))
