"""The audit as a page: Markdown, and HTML that stands alone."""

from __future__ import annotations

import html
import io
from collections import Counter
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from rct_lightning.corpus.audit import Audit
from rct_lightning.corpus.sides import Sides
from rct_lightning.corpus.tables import as_html, render
from rct_lightning.sanitize import printable

BINS = 40
COLOURS = {"ok": "#2e7d32", "warn": "#b26a00", "fail": "#c62828"}
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #ddd; text-align: right; vertical-align: top; }
th:first-child, td:first-child, .lines td { text-align: left; }
svg { max-width: 100%; height: auto; }
"""


def markdown(audit: Audit, title: str, files: Mapping[str, str]) -> str:
    """The page as Markdown.

    Args:
        audit: What was found.
        title: Of the corpus.
        files: SHA-256 of each file that was read, by name.
    """
    lines = [f"- **{line.status}** {line.what}: {line.seen}{_remedy(line.remedy)}" for line in audit.lines]
    read = [f"- {name}: SHA-256 {digest}" for name, digest in files.items()]
    parts = [f"# Audit of {title}", "\n".join(lines), render(audit.tables).rstrip(), "Read:", "\n".join(read)]
    return printable("\n\n".join(parts)) + "\n"


def page(audit: Audit, title: str, files: Mapping[str, str]) -> str:
    """The page as HTML with figures in it; it asks nothing of any other place."""
    lines = "".join(
        f'<tr><td style="color: {COLOURS[line.status]}"><b>{line.status}</b></td><td>{html.escape(line.what)}</td>'
        f"<td>{html.escape(line.seen + _remedy(line.remedy))}</td></tr>\n"
        for line in audit.lines
    )
    read = "".join(f"<li>{html.escape(name)}: SHA-256 {digest}</li>\n" for name, digest in files.items())
    heading = html.escape(f"Audit of {title}")
    return printable(
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{heading}</title>'
        f"<style>{STYLE}</style></head>\n<body><h1>{heading}</h1>\n"
        f'<table class="lines">\n{lines}</table>\n{figures(audit.sides)}\n'
        f"{''.join(map(as_html, audit.tables))}<p>Read:</p><ul>\n{read}</ul></body></html>\n"
    )


def figures(sides: Sides) -> str:
    """Types by side, lengths against the limit, and rows of the largest conversations, as one SVG element."""
    import matplotlib
    from matplotlib.figure import Figure

    # text of the corpus is no formula, ids in the file do not depend on chance, letters stay letters
    with matplotlib.rc_context({"text.parse_math": False, "svg.hashsalt": "audit", "svg.fonttype": "none"}):
        figure = Figure(figsize=(12, 3.6), layout="constrained")
        types, lengths, conversations = figure.subplots(1, 3)
        _draw_types(types, sides)
        _draw_lengths(lengths, sides)
        _draw_conversations(conversations, sides)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = written.getvalue()
    return svg[svg.index("<svg") :]


def _draw_types(axis: Any, sides: Sides) -> None:
    names = sorted({row.type or "no type" for row in sides.rows})
    for place, (side, rows) in enumerate({"train": sides.train, "eval": sides.held}.items()):
        if rows:
            counts = Counter(row.type or "no type" for row in rows)
            shares = [counts[name] / len(rows) for name in names]
            axis.bar([n + 0.4 * place - 0.2 for n in range(len(names))], shares, width=0.4, label=side)
    axis.set_xticks(range(len(names)), [printable(name)[:16] for name in names], rotation=20, ha="right")
    axis.set_title("share of rows by type")
    axis.legend()


def _draw_lengths(axis: Any, sides: Sides) -> None:
    axis.hist([sides.lengths.whole, sides.lengths.replies], bins=BINS, histtype="step", label=["row", "reply"])
    axis.axvline(sides.lengths.limit, color="black", ls="--", label="max_seq_length")
    axis.set_title("length in tokens")
    axis.set_ylabel("rows")
    axis.legend()


def _draw_conversations(axis: Any, sides: Sides) -> None:
    counts = sorted(Counter(row.conversation for row in sides.rows).values(), reverse=True)
    shares = [total / len(sides.rows) for total in accumulate(counts)]
    axis.plot(range(1, len(counts) + 1), shares)
    axis.set_ylim(0, 1)
    axis.set_title("share of rows in the largest conversations")
    axis.set_xlabel("conversations")


def _remedy(remedy: str) -> str:
    return f". {remedy}." if remedy else ""
