"""Tables of ready-made text, as the data card and the audit show them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table of ready-made text; the first column is left-aligned."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def render(found: Sequence[Table]) -> str:
    """Tables as Markdown with aligned columns, readable in a terminal and on a page."""
    return "\n\n".join(f"### {table.title}\n\n{aligned(table)}" for table in found) + "\n"


def aligned(table: Table) -> str:
    """The lines of a table without its title."""
    lines = [[cell.replace("|", "/").replace("\n", " ") for cell in line] for line in (table.header, *table.rows)]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(table.header))]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    cells = ([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def as_html(table: Table) -> str:
    """The table as HTML, everything in it escaped."""
    head, *body = (
        "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in line)
        for tag, line in (("th", table.header), *(("td", line) for line in table.rows))
    )
    rows = "".join(f"<tr>{line}</tr>\n" for line in body)
    return f"<h2>{html.escape(table.title)}</h2>\n<table><tr>{head}</tr>\n{rows}</table>\n"


def share(part: Sequence[Any], whole: Sequence[Any]) -> str:
    """One length over another in percent; "-" over nothing."""
    return f"{len(part) / len(whole):.1%}" if whole else "-"
