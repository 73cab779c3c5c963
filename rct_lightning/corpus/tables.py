"""Text tables as the data card and the audit print them: first column left-aligned, figures right-aligned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rct_lightning.page import Table


def render(found: Sequence[Table]) -> str:
    """Return tables as Markdown with aligned columns, readable in a terminal and on a page."""
    return "\n\n".join(f"### {table.caption}\n\n{aligned(table)}" for table in found) + "\n"


def aligned(table: Table) -> str:
    """Return the lines of a table without its caption."""
    texts = [table.header, *([cell.text for cell in row] for row in table.cells())]
    lines = [[text.replace("|", "/").replace("\n", " ") for text in line] for line in texts]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(table.header))]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    cells = ([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def share(part: Sequence[Any], whole: Sequence[Any]) -> str:
    """Return the length of ``part`` as a percentage of that of ``whole``; "-" if ``whole`` is empty."""
    return f"{len(part) / len(whole):.1%}" if whole else "-"
