"""Render a page as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import singledispatch

from rct_lightning.page.blocks import (
    FIGURES,
    Block,
    Cell,
    Facts,
    Figures,
    Page,
    Paragraph,
    Points,
    Section,
    SideBySide,
    Table,
)
from rct_lightning.sanitize import printable

_MARKS = re.compile(r"[\\`*|~]|\](?=[(\[:])|(?<!\w)_|_(?!\w)")
_MARKS_OF_A_LINK = re.compile(_MARKS.pattern + r"|[\[\]]")
_BEGINNINGS = re.compile(r"^(#|\[|[-+=](?=[-+=\s]|$)|\d+(?=[.)]))")


def as_markdown(page: Page) -> str:
    """Render the page as Markdown."""
    parts = [f"# {_line(page.title)}", *_all(page.lead, 1), *_all(page.sections, 1)]
    parts += ["---", _line(page.footer)] if page.footer else []
    return "\n\n".join(parts) + "\n"


def block_as_markdown(block: Block) -> str:
    """Render a single block."""
    return _markdown(block, 1)


def _all(blocks: Sequence[Block], level: int) -> list[str]:
    return [_markdown(block, level) for block in blocks]


@singledispatch
def _markdown(block: Block, level: int) -> str:
    raise TypeError(block)


@_markdown.register
def _(block: Paragraph, level: int) -> str:
    return ("" if block.tone == "plain" else "> ") + _line(block.text)


@_markdown.register
def _(block: Points, level: int) -> str:
    return "\n".join(f"- {_line(item)}" for item in block.items)


@_markdown.register
def _(block: Facts, level: int) -> str:
    return "\n".join(f"- **{_inline(name)}**: {_inline(value)}" for name, value in block.pairs)


@_markdown.register
def _(block: Table, level: int) -> str:
    rule = ["---:" if block.side(column) == "r" else "---" for column in range(len(block.header))]
    body = [[_cell(cell, first=at == 0) for at, cell in enumerate(row)] for row in block.cells()]
    lines = [f"| {' | '.join(line)} |" for line in ([_inline(name) for name in block.header], rule, *body)]
    return f"{_line(block.caption)}\n\n" + "\n".join(lines)


@_markdown.register
def _(block: Figures, level: int) -> str:
    shown = ((_inline(f.alt, _MARKS_OF_A_LINK), f.name, _line(f.caption)) for f in block.figures)
    return "\n\n".join(f"![{alt}]({FIGURES}/{name}.png)\n\n{caption}" for alt, name, caption in shown)


@_markdown.register
def _(block: SideBySide, level: int) -> str:
    said = [f"{_line(who)}:\n\n{_fenced(text)}" for who, text in (*block.asked, *block.answers)]
    return "\n\n".join([f"{'#' * (level + 1)} {_line(block.title)}", *said])


@_markdown.register
def _(block: Section, level: int) -> str:
    return "\n\n".join([f"{'#' * (level + 1)} {_line(block.title)}", *_all(block.blocks, level + 1)])


def _cell(cell: Cell, *, first: bool) -> str:
    """Render a cell on one line; a row name with an explanation next to it is bold."""
    text, detail = _inline(cell.text), _inline(cell.detail)
    return f"**{text}** {detail}" if first and text and detail else f"{text} {detail}".strip()


def _inline(text: str, marks: re.Pattern[str] = _MARKS) -> str:
    """Escape text to one line that Markdown shows literally."""
    text = " ".join(printable(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return marks.sub(lambda mark: "&#126;" if mark[0] == "~" else f"\\{mark[0]}", text)  # not every Markdown has \\~


def _line(text: str) -> str:
    """Escape text that is at the beginning of a line."""
    return _BEGINNINGS.sub(lambda begun: f"{begun[0]}\\" if begun[0].isdigit() else f"\\{begun[0]}", _inline(text))


def _fenced(text: str) -> str:
    """Fence text verbatim, with a fence longer than any in it."""
    text = printable(text)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"
