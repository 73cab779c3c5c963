"""The content of each tab, as text of a given width: pure functions of what is known about one run or two."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rct_lightning.sanitize import printable
from rct_lightning.tui.monitor import summary
from rct_lightning.tui.monitor.charts import ACTIVE, CURVES, FIRST, GRADIENTS, LOWEST, SECOND, Options, charts
from rct_lightning.tui.monitor.state import said
from rct_lightning.tui.monitor.verdict import Condition
from rct_lightning.tui.monitor.view import View

COLORS: dict[Condition, str] = {
    "running": "green",
    "stalled": "yellow",
    "crashed": "red",
    "stopped": "yellow",
    "finished": "blue",
    "unknown": "magenta",
}
BESIDE = 76
"""Minimum number of columns to show replies side by side."""


def curves_tab(views: Sequence[View], width: int, height: int, options: Options) -> RenderableType:
    """Show losses, learning rate, speed and memory."""
    return charts(CURVES, views, width, height, options)


def terms_tab(views: Sequence[View], width: int, height: int, options: Options) -> RenderableType:
    """Show what each term does, as tables and as the share of the rows that it judges."""
    state = views[0].state
    of = [f"of {names_of(views)[0]}", ""] if len(views) > 1 else []
    tables = Text("\n".join([*of, *summary.losses(state, width), "", *summary.terms(state, width), ""]), no_wrap=True)
    return Group(tables, charts(ACTIVE, views, width, max(height // 2, LOWEST), options))


def gradients_tab(views: Sequence[View], width: int, height: int, options: Options) -> RenderableType:
    """Show norms of each term's gradient, unweighted, and its cosine with that of the LM loss."""
    return charts(GRADIENTS, views, width, height, options)


def samples_tab(views: Sequence[View], width: int, height: int, options: Options) -> RenderableType:
    """Show the newest replies next to the base's; for two runs the greedy ones."""
    samples = views[0].samples
    if samples.step is None:
        return Text("No samples yet.")
    heads = ["base, greedy", f"step {samples.step:,}, greedy", "sampled"]
    rows = [(row.prompt, [row.base or "(not kept)", row.greedy, row.sampled]) for row in samples.rows]
    if len(views) > 1:
        others = {row.prompt: row.greedy for row in views[1].samples.rows}
        heads[2] = f"second run, step {views[1].samples.step or 0:,}, greedy"
        rows = [(prompt, [*said_[:2], others.get(prompt, "(none)")]) for prompt, said_ in rows]
    return _stacked(heads, rows) if width < BESIDE else _side_by_side(heads, rows)


def _side_by_side(heads: Sequence[str], rows: Sequence[tuple[str, list[str]]]) -> RenderableType:
    parts: list[RenderableType] = [_columns([Text(head, "bold") for head in heads])]
    for prompt, replies in rows:
        parts += [Text(f"\n{prompt}", "dim"), _columns([Text(reply) for reply in replies])]
    return Group(*parts)


def _columns(cells: Sequence[Text]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for _ in cells:
        grid.add_column(ratio=1)
    grid.add_row(*cells)
    return grid


def _stacked(heads: Sequence[str], rows: Sequence[tuple[str, list[str]]]) -> Text:
    text = Text()
    for prompt, replies in rows:
        text.append(f"{prompt}\n", "dim")
        for head, words in zip(heads, replies, strict=True):
            text.append(f"{head}: ", "bold").append(f"{words}\n")
        text.append("\n")
    return text


def alerts_tab(views: Sequence[View], width: int, height: int, options: Options) -> RenderableType:
    """Show everything that was reported about the run, in full."""
    view = views[0]
    state, text = view.state, Text()
    text.append(f"{view.verdict.condition}. ", COLORS[view.verdict.condition]).append(f"{view.verdict.why}\n\n")
    for line in summary.lost(state):
        text.append(f"{line}\n", "red")
    older = state.alert_count - len(state.alerts)
    text.append(f"{state.alert_count or 'No'} alert{'s' * (state.alert_count != 1)}\n", "bold")
    for alert in reversed(state.alerts):
        text.append(f"{alert.rule}, step {alert.step:,}: ", "yellow").append(
            f"{alert.seen}. {alert.means} {alert.remedy}\n"
        )
    text.append(f"{older:,} older ones are in {view.run.events.name}\n" if older else "")
    for step, note in reversed(state.notes):
        text.append(f"step {step:,}: ", "yellow").append(f"{note}\n")
    text.append(f"\nChecks before step 0: {len(view.findings) or 'none were noted'}\n", "bold")
    for finding in sorted(view.findings, key=lambda found: found.status == "ok"):
        color = "green" if finding.status == "ok" else "yellow" if finding.status == "warn" else "red"
        text.append(f"{finding.status:4}  ", color).append(f"{finding.guard}: {finding.seen}. {finding.remedy}\n")
    return text


def checkpoints_tab(views: Sequence[View], width: int, height: int, options: Options) -> RenderableType:
    """Show the checkpoints to resume from, and whether they are intact."""
    view, text = views[0], Text()
    if view.state.best is not None:
        step, metric, value = view.state.best
        text.append(f"Best evaluation: {metric} {said(value)} at step {step:,}\n\n")
    for line, kept in zip(summary.checkpoints(view), view.kept, strict=True):
        color = {"whole": "green", "damaged": "red", "unfinished": "yellow"}.get(kept.soundness, "default")
        text.append(f"{line}\n", color)
    return text if text.plain else Text("No checkpoints yet.")


def compare_tab(views: Sequence[View], width: int, height: int, options: Options) -> RenderableType:
    """Show the newest figures of both runs; their curves are overlaid in the other tabs."""
    if len(views) < 2:
        return Text("Give a second run: rct monitor RUN RUN2")
    names = names_of(views)
    legend = Text(f"first, o: {names[0]}\n", FIRST[0]).append(f"second, x: {names[1]}\n\n", SECOND[0])
    return legend.append("\n".join(summary.comparison(views[0].state, views[1].state, width)), "default")


def names_of(views: Sequence[View]) -> tuple[str, ...]:
    """Return the names of the runs' directories, safe to show."""
    return tuple(printable(view.run.root.absolute().name) for view in views)


Panel = Callable[[Sequence[View], int, int, Options], RenderableType]
TABS: dict[str, Panel] = {
    "Curves": curves_tab,
    "Terms": terms_tab,
    "Gradients": gradients_tab,
    "Samples": samples_tab,
    "Alerts": alerts_tab,
    "Checkpoints": checkpoints_tab,
    "Compare": compare_tab,
}


def header(views: Sequence[View], width: int, most: int) -> Text:
    """Render what matters most: whether the run is alive, how far it is, and what needs attention.

    Args:
        views: One run, or two; the header is about the first.
        width: Columns.
        most: Maximum number of lines, at least 3.
    """
    view, condition = views[0], views[0].verdict.condition
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" {condition} ", f"reverse {COLORS[condition]}").append(
        f" {' against '.join(names_of(views))}", "bold"
    )
    reading = [] if view.read >= 1 else [f"reading its history, {math.floor(100 * view.read)}%"]
    text.append("\n" + _filled([*reading, *summary.progress(view)], width))
    why = textwrap.wrap(view.verdict.why, width) if condition not in ("running", "finished") else []
    look_at = textwrap.wrap(" | ".join(summary.warnings(view)), width)
    why = why[: max(most - 2 - bool(look_at), 1)]
    for lines, color in ((why, COLORS[condition]), (look_at[: most - 2 - len(why)], "yellow")):
        for line in lines:
            text.append(f"\n{line}", color)
    return text


def _filled(pieces: Sequence[str], width: int) -> str:
    """Join as many pieces as fit into a line."""
    line = ""
    for piece in pieces:
        longer = f"{line} | {piece}" if line else piece
        line = longer if len(longer) <= width else line
    return line


def tab_bar(tabs: Sequence[str], current: str, width: int) -> Text:
    """Render the tabs with their keys; if not all names fit, only the current one's."""
    whole = sum(len(name) + 4 for name in tabs) <= width
    text = Text(no_wrap=True)
    for number, name in enumerate(tabs, 1):
        label = f" {number} {name} " if whole or name == current else f" {number} "
        text.append(label, "reverse" if name == current else "dim")
    return text
