"""Settings of cleaning and the report of what it did, as JSON and as text."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rct_lightning.corpus.duplicates import COMPARING_RULES
from rct_lightning.corpus.exchange import Rule
from rct_lightning.corpus.folder import CorpusDir
from rct_lightning.corpus.lengths import TOO_LONG, Measure, tokens_by, words_of
from rct_lightning.corpus.pii import KINDS, Kind, phone_library
from rct_lightning.corpus.rules import EXCHANGE_RULES
from rct_lightning.corpus.scrub import NAME, Names
from rct_lightning.errors import UserError
from rct_lightning.sanitize import printable

WIDTH = 110
LIMITS = (
    "Patterns cannot find names, addresses or anything else without a fixed form; they miss things and are no "
    "anonymisation. Read what you publish."
)
WITHOUT_NAMES = "No list of names was given: names are left as they are. --names FILE replaces those you list."
IDS_WITH_NAMES = (
    "Listed names occur in ids or conversation names, {:,} rows in all. These stay as they are: to have others, rename "
    "the files or chats they come from, and import again."
)


RULES: tuple[Rule, ...] = (*EXCHANGE_RULES, TOO_LONG, *COMPARING_RULES)
"""Rules that remove a row, in the order in which they are applied."""
SCRUBS: tuple[Kind, ...] = (*KINDS, NAME)
"""Kinds of personal data that are replaced."""


@dataclass(frozen=True)
class Settings:
    """How to clean.

    Attributes:
        off: Names of rules and kinds that are turned off.
        names: The user's list of names.
        max_tokens: Maximum length of prompt and reply together; None for no limit.
        tokenizer: Folder of the model whose tokens are counted; None to count words.
    """

    off: frozenset[str] = frozenset()
    names: Names | None = None
    max_tokens: int | None = None
    tokenizer: Path | None = None

    def measure(self) -> Measure | None:
        """Return the measure of a row's length; None without a limit.

        Raises:
            UserError: The folder holds no tokenizer, or a tokenizer is given without a limit.
        """
        if self.tokenizer is not None and self.max_tokens is None:
            raise UserError("--tokenizer says what --max-tokens counts, and that is not given. Give both, or neither.")
        if self.max_tokens is None or TOO_LONG.name in self.off:
            return None
        return words_of if self.tokenizer is None else tokens_by(self.tokenizer)


@dataclass
class Report:
    """Counts of what cleaning did.

    Attributes:
        rows: Rows that were read.
        clean: Rows that were kept.
        quarantined: Rows that were removed, by rule.
        scrubbed_rows: Rows in which something was replaced, by kind of personal data.
        scrubbed_places: Number of replacements, contexts included, by kind.
        values: Distinct values, by kind.
        ids_with_names: Rows with a listed name in their id or in the name of their conversation; these are not changed.
        cut_rows: Rows whose context was cut.
        cut_turns: Turns that these rows lost.
    """

    rows: int = 0
    clean: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    scrubbed_rows: Counter[str] = field(default_factory=Counter)
    scrubbed_places: Counter[str] = field(default_factory=Counter)
    values: Counter[str] = field(default_factory=Counter)
    ids_with_names: int = 0
    cut_rows: int = 0
    cut_turns: int = 0

    def to_json(self, settings: Settings) -> dict[str, Any]:
        """Return the content of ``clean.json``; it holds no text of a row and no listed name."""
        library = phone_library()
        return {
            "rows": self.rows,
            "clean": self.clean,
            "quarantined": {rule.name: self.quarantined[rule.name] for rule in RULES if rule.name not in settings.off},
            "scrubbed": {
                kind.name: {
                    "rows": self.scrubbed_rows[kind.name],
                    "places": self.scrubbed_places[kind.name],
                    "values": self.values[kind.name],
                }
                for kind in SCRUBS
                if kind.name not in settings.off
            },
            "ids_with_names": self.ids_with_names,
            "context_cut": {"rows": self.cut_rows, "turns": self.cut_turns},
            "settings": {
                "off": sorted(settings.off),
                "names": len(settings.names.replacements) if settings.names else 0,
                "max_tokens": settings.max_tokens,
                "tokenizer": None if settings.tokenizer is None else settings.tokenizer.name,
                "phonenumbers": None if library is None else library.__version__,
            },
        }


def explanation(settings: Settings) -> str:
    """Describe every rule: its name, what it looks for, what it does, and how to turn it off."""
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
    """Return the table of what was found, with notes for the user."""
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
    if report.ids_with_names:
        notes.insert(0, IDS_WITH_NAMES.format(report.ids_with_names))
    written = ", ".join(path.name for path in (folder.clean, folder.quarantine, folder.clean_report))
    return "\n".join([*_columns(lines), "", *(line for note in notes for line in textwrap.wrap(note, WIDTH)), "",
                      printable(f"{folder.root}: {written}")])  # fmt: skip


def _columns(lines: Sequence[tuple[str, str, str]]) -> list[str]:
    wide, high = (max(len(line[column]) for line in lines) for column in (0, 1))
    return [f"{name.ljust(wide)}  {number.rjust(high)}  {what}".rstrip() for name, number, what in lines]
