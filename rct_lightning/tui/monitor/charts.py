"""Charts: which figures are drawn together, and where on a screen of a given size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from rct_lightning.tui.monitor.plot import Cell, Line, draw
from rct_lightning.tui.monitor.state import (
    DEVICE_MEMORY,
    MEMORY,
    NAMES,
    SPEED,
    TERMS,
    RunState,
    said,
)
from rct_lightning.tui.monitor.view import View

NARROWEST, LOWEST, MOST_ACROSS = 38, 7, 3
"""Columns and lines of a chart, and how many stand side by side."""


@dataclass(frozen=True)
class Options:
    """How curves are drawn.

    Attributes:
        log: With logarithmic heights.
        smooth: Smoothed, instead of every value's extremes.
    """

    log: bool = False
    smooth: bool = False


@dataclass(frozen=True)
class Chart:
    """A figure's curves: of training, and where there is one of evaluation."""

    title: str
    train: str
    held: str = ""


CURVES = (
    *(Chart(NAMES[name], f"train/{name}", f"eval/{name}") for name in ("lm", "total", *TERMS)),
    Chart("learning rate", "train/lr"),
    Chart("reply tokens a second", f"train/{SPEED}"),
    Chart("memory of the process, MiB", f"train/{MEMORY}"),
    Chart("memory of the device, MiB", f"train/{DEVICE_MEMORY}"),
)
ACTIVE = tuple(Chart(f"rows judged by {name}, share", f"train/activity/{name}") for name in TERMS)
GRADIENTS = (
    *(Chart(f"gradient norm, {name}", f"train/grad/{name}_norm") for name in ("lm", *TERMS)),
    *(Chart(f"cosine with LM, {name}", f"train/grad/{name}_cosine_lm") for name in TERMS),
)
FIRST, SECOND = ("cyan", "yellow", "o"), ("magenta", "green", "x")
"""Colours of a run's training and evaluation, and the mark of the latter."""


def charts(chosen: Sequence[Chart], views: Sequence[View], width: int, height: int, options: Options) -> Text:
    """Charts side by side and below each other, as many lines as whole ones need.

    Args:
        chosen: Which; those that neither run has figures of are left out, but for the first.
        views: A run, or two that are laid over each other.
        width: Columns.
        height: Lines that can be seen at once.
        options: How they are drawn.
    """
    drawn = {key for view in views for key in view.state.curves}
    shown = [chart for chart in chosen if {chart.train, chart.held} & drawn] or chosen[:1]
    across = max(1, min(MOST_ACROSS, width // NARROWEST, len(shown)))
    down = -(-len(shown) // across)
    seen = max(1, min(down, height // LOWEST))
    wide, high = width // across, max(height // seen, LOWEST)
    text = Text(no_wrap=True)
    for start in range(0, len(shown), across):
        beside = [_chart(chart, views, wide, high, options) for chart in shown[start : start + across]]
        for row in zip(*beside, strict=True):
            _write(text, [cell for cells in row for cell in cells])
    return text


def _chart(chart: Chart, views: Sequence[View], width: int, height: int, options: Options) -> list[list[Cell]]:
    """A title with the newest figures, and the curves below."""
    lines, title = [], [(chart.title, "bold")]
    for view, (train, held, mark) in zip(views, (FIRST, SECOND), strict=False):
        for key, color, sign in ((chart.train, train, ""), (chart.held, held, mark)):
            if key in view.state.curves:
                lines.append(_line(view.state, key, color, options, sign))
                title.append((f"  {_caption(chart, sign, len(views))}{said(view.state.newest(key))}", color))
    rows = [[(character, color) for words, color in title for character in words]]
    rows += draw(lines, width - 1, height - 1, log=options.log)
    rows += [[]] * (height - len(rows))
    return [row[: width - 1] + [(" ", "")] * (width - len(row[: width - 1])) for row in rows]


def _caption(chart: Chart, mark: str, runs: int) -> str:
    """What a figure in the title is; of two runs there is room for the marks alone."""
    if mark:
        return f"{mark} eval " if runs == 1 else f"{mark} "
    return "train " if runs == 1 and chart.held else ""


def _line(state: RunState, key: str, color: str, options: Options, mark: str) -> Line:
    curve = state.curves[key]
    lost = [stretch.last for stretch in curve.stretches if stretch.lost]
    if mark:  # evaluations are few: each stretch's mean, none is hidden by a smoothed one
        return Line([(s.last, s.mean, s.mean) for s in curve.stretches if s.count], color, mark, lost)
    if options.smooth:
        return Line([(step, value, value) for step, value in curve.smoothed()], color, lost=lost)
    return Line([(s.last, s.low, s.high) for s in curve.stretches if s.count], color, lost=lost)


def _write(text: Text, cells: Sequence[Cell]) -> None:
    """A line of cells, those of one colour together."""
    run, color = "", ""
    for character, wanted in [*cells, ("\n", "end")]:
        if wanted != color:
            text.append(run, color or None)
            run, color = "", wanted
        run += character
    text.append("\n")
