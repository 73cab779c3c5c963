"""Charts: which figures are drawn together, and how they are arranged on a screen of a given size."""

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
"""Minimum columns and lines of a chart, and maximum number side by side."""


@dataclass(frozen=True)
class Options:
    """How curves are drawn.

    Attributes:
        log: Whether heights are logarithmic.
        smooth: Whether curves are smoothed, instead of showing every value's extremes.
    """

    log: bool = False
    smooth: bool = False


@dataclass(frozen=True)
class Chart:
    """A figure's curves: of training and, where it exists, of evaluation."""

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
"""Colours of a run's training and evaluation curves, and the mark of the latter."""


def charts(chosen: Sequence[Chart], views: Sequence[View], width: int, height: int, options: Options) -> Text:
    """Arrange charts in rows, with as many lines as complete charts need.

    Args:
        chosen: Charts to draw; those without data in either run are left out, except the first.
        views: One run, or two that are overlaid.
        width: Columns.
        height: Lines that are visible at once.
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
    """Draw a title with the newest figures, and the curves below it."""
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
    """Label a figure in the title; with two runs there is only room for the marks."""
    if mark:
        return f"{mark} eval " if runs == 1 else f"{mark} "
    return "train " if runs == 1 and chart.held else ""


def _line(state: RunState, key: str, color: str, options: Options, mark: str) -> Line:
    curve = state.curves[key]
    lost = [stretch.last for stretch in curve.stretches if stretch.lost]
    if mark:  # evaluations are few: each stretch's mean is shown, none smoothed away
        return Line([(s.last, s.mean, s.mean) for s in curve.stretches if s.count], color, mark, lost)
    if options.smooth:
        return Line([(step, value, value) for step, value in curve.smoothed()], color, lost=lost)
    return Line([(s.last, s.low, s.high) for s in curve.stretches if s.count], color, lost=lost)


def _write(text: Text, cells: Sequence[Cell]) -> None:
    """Append a line of cells, merging neighbours of one colour."""
    run, color = "", ""
    for character, wanted in [*cells, ("\n", "end")]:
        if wanted != color:
            text.append(run, color or None)
            run, color = "", wanted
        run += character
    text.append("\n")
