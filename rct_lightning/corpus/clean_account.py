"""What ``rct corpus clean`` shows: the rules, what is being done, and a table at the end."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rct_lightning.corpus.clean import RULES, SCRUBS, Report, Settings
from rct_lightning.corpus.folder import CorpusDir
from rct_lightning.corpus.lengths import TOO_LONG
from rct_lightning.corpus.scrub import NAME
from rct_lightning.sanitize import printable

WIDTH = 110
LIMITS = (
    "Patterns cannot find names, addresses or anything else without a fixed form; they miss things and are no "
    "anonymisation. Read what you publish."
)
WITHOUT_NAMES = "No list of names was given: names are left as they are. --names FILE replaces those you list."


def rows_of(source: Path, out: Path | None) -> tuple[Path, CorpusDir]:
    """The file to clean and the folder to write to.

    Args:
        source: A corpus folder or a JSONL file.
        out: A folder, or None: that of the rows.

    Raises:
        UserError: The folder holds no imported rows.
    """
    if source.is_dir() or (not source.exists() and not source.suffix):
        folder = CorpusDir(source)
        return folder.existing(folder.imported), CorpusDir(out or source)
    return source, CorpusDir(out or source.parent)


@contextmanager
def telling() -> Iterator[Callable[[str], object]]:
    """Shows what is being done, on a terminal."""
    if not sys.stderr.isatty():
        yield bool
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as status:
        yield status.update


def explanation(settings: Settings) -> str:
    """Every rule: its name, what it looks for, what happens, and how it is turned off."""
    lines = [("rule", "looks for", "what happens")]
    for rule in RULES:
        happens = "the row is quarantined"
        if rule.spoils:
            happens += ", contexts are cut behind it"
        if rule is TOO_LONG and settings.max_tokens is None:
            happens = f"nothing without --max-tokens; then {happens}"
        lines.append((rule.name, rule.looks_for, _unless_off(rule.name, happens, settings)))
    for kind in SCRUBS:
        happens = f"each value is replaced, by [{kind.label}_1] and so on"
        if kind is NAME and settings.names is None:
            happens = f"nothing without --names; then {happens}"
        lines.append((kind.name, kind.looks_for, _unless_off(kind.name, happens, settings)))
    width = max(len(name) for name, _, _ in lines)
    shown = []
    for name, looks_for, happens in lines:
        first, *more = textwrap.wrap(f"{looks_for}: {happens}" if name != "rule" else "", WIDTH - width - 2) or [""]
        shown += [f"{name.ljust(width)}  {first}".rstrip(), *(" " * (width + 2) + line for line in more)]
    how = "--off NAME turns a rule off and may be given again. Rows go to quarantine.jsonl whole, with rule and reason."
    return "\n".join([*shown[1:], "", *textwrap.wrap(how, WIDTH), *textwrap.wrap(LIMITS, WIDTH)])


def _unless_off(name: str, happens: str, settings: Settings) -> str:
    return "turned off" if name in settings.off else happens


def account(report: Report, settings: Settings, folder: CorpusDir) -> str:
    """The table of what was found, and what a person should know about it."""
    lines = [("", "rows", "")]
    lines += [
        (rule.name, f"{report.quarantined[rule.name]:,}", "quarantined")
        for rule in RULES
        if rule.name not in settings.off and (rule is not TOO_LONG or settings.max_tokens is not None)
    ]
    for kind in SCRUBS:
        if kind.name not in settings.off and (kind is not NAME or settings.names is not None):
            count, values = report.scrubbed_rows[kind.name], report.values[kind.name]
            lines.append((kind.name, f"{count:,}", f"scrubbed, {values:,} value{'s' if values != 1 else ''}"))
    lines.append(("context", f"{report.cut_rows:,}", f"cut behind an unfit exchange, {report.cut_turns:,} turns"))
    lines.append(("read", f"{report.rows:,}", f"{report.clean:,} clean, {report.rows - report.clean:,} quarantined"))
    notes = [LIMITS] if settings.names or NAME.name in settings.off else [LIMITS, WITHOUT_NAMES]
    written = ", ".join(path.name for path in (folder.clean, folder.quarantine, folder.clean_report))
    return "\n".join([*_columns(lines), "", *(line for note in notes for line in textwrap.wrap(note, WIDTH)), "",
                      printable(f"{folder.root}: {written}")])  # fmt: skip


def _columns(lines: Sequence[tuple[str, str, str]]) -> list[str]:
    wide, high = (max(len(line[column]) for line in lines) for column in (0, 1))
    return [f"{name.ljust(wide)}  {number.rjust(high)}  {what}".rstrip() for name, number, what in lines]
