"""The audit as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from rct_lightning.console import Status
from rct_lightning.corpus.audit import Audit
from rct_lightning.corpus.sides import Sides
from rct_lightning.page import Cell, Figure, Figures, Page, Points, Section, Table, Tone, drawn
from rct_lightning.sanitize import printable

BINS = 40
HEIGHT = 3.2
TONES: dict[Status, Tone] = {"ok": "good", "warn": "plain", "fail": "bad"}


def page(audit: Audit, title: str, files: Mapping[str, str], drawings: Sequence[Figure] = ()) -> Page:
    """Return the audit's page: lines, drawings and tables.

    Args:
        audit: The audit.
        title: Name of the corpus.
        files: SHA-256 of each file that was read, by name.
        drawings: The drawings from :func:`figures`.
    """
    lines = [
        (Cell(line.status, line.what, TONES[line.status]), f"{line.seen}{f'. {line.remedy}.' if line.remedy else ''}")
        for line in audit.lines
    ]
    shown = [Section("Drawn", [Figures(drawings)])] if drawings else []
    tables = [replace(table, align=f"l{'r' * (len(table.header) - 1)}") for table in audit.tables]
    return Page(
        f"Audit of {title}",
        [Table("Whether the corpus is fit to learn from and to measure with", ["", "seen"], lines)],
        [
            *shown,
            Section("Counted", tables),
            Section("Read", [Points([f"{name}: SHA-256 {digest}" for name, digest in files.items()])]),
        ],
    )


def figures(sides: Sides) -> list[Figure]:
    """Return the drawings: types by side, lengths against the limit, and shares of the largest conversations."""
    lengths = f"Rows by length in tokens; the dashed line is max_seq_length, {sides.lengths.limit}"
    conversations = "Share of the rows that are in the largest conversations, by their number"
    return [
        drawn("types", lambda figure, _: _draw_types(figure.subplots(), sides), HEIGHT,
              "Shares of the rows by type and side.", "Share of rows by type"),
        drawn("lengths", lambda figure, line: _draw_lengths(figure.subplots(), line, sides), HEIGHT,
              f"{lengths}.", lengths),
        drawn("conversations", lambda figure, _: _draw_conversations(figure.subplots(), sides), HEIGHT,
              f"{conversations}.", conversations),
    ]  # fmt: skip


def _draw_types(axis: Any, sides: Sides) -> None:
    names = sorted({row.type or "no type" for row in sides.rows})
    for place, (side, rows) in enumerate({"train": sides.train, "eval": sides.held}.items()):
        if rows:
            counts = Counter(row.type or "no type" for row in rows)
            shares = [counts[name] / len(rows) for name in names]
            axis.bar([n + 0.4 * place - 0.2 for n in range(len(names))], shares, width=0.4, label=side)
    axis.set_xticks(range(len(names)), [printable(name)[:16] for name in names], rotation=20, ha="right")
    axis.set_ylabel("share of rows")
    axis.legend()


def _draw_lengths(axis: Any, line: str, sides: Sides) -> None:
    axis.hist([sides.lengths.whole, sides.lengths.replies], bins=BINS, histtype="step", label=["row", "reply"])
    axis.axvline(sides.lengths.limit, color=line, ls="--", label="max_seq_length")
    axis.set_xlabel("length in tokens")
    axis.set_ylabel("rows")
    axis.legend()


def _draw_conversations(axis: Any, sides: Sides) -> None:
    counts = sorted(Counter(row.conversation for row in sides.rows).values(), reverse=True)
    shares = [total / len(sides.rows) for total in accumulate(counts)]
    axis.plot(range(1, len(counts) + 1), shares)
    axis.set_ylim(0, 1)
    axis.set_xlabel("conversations")
    axis.set_ylabel("share of rows")
