"""Terminal output of an import: a progress bar while it reads, a table at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rct_lightning.corpus.conversation import largest_first
from rct_lightning.corpus.importing import Report
from rct_lightning.sanitize import printable

WIDTH = 110
FILES_SHOWN = 20


@contextmanager
def import_progress() -> Iterator[Callable[[int, int], object] | None]:
    """Show a bar of the bytes read and yield the function that advances it; None if stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def show_import(report: Report, out: Path) -> None:
    """Print the report: files, what was left out, what was altered."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(justify="right")
    table.add_column()
    lines = [(report.conversations, "conversations"), (report.rows, "rows")]
    for one in report.files[:FILES_SHOWN]:
        lines.append((one.rows, f"  {one.format}: {one.name}"))
    if len(report.files) > FILES_SHOWN:
        more = report.files[FILES_SHOWN:]
        lines.append((sum(one.rows for one in more), f"  {len(more):,} more files"))
    lines += [(one.count, f"left out: {what}") for what, one in largest_first(report.tally.dropped)]
    lines += [(one.count, f"altered: {what}") for what, one in largest_first(report.tally.changed)]
    for number, what in lines:
        table.add_row(f"{number:,}", Text(printable(what)))
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print(table)
    console.print(Text(printable(f"{out}: imported.jsonl, import.json")))
