"""Curves in characters: two by four dots in each (braille), so that a terminal can show a plot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # of a braille character, by column, from the top
AXIS, LARGEST = 8, 1e300
"""Columns of the axis labels on the left; the largest height that is drawn."""
Point = tuple[int, float, float]  # step, lowest and highest value
Cell = tuple[str, str]  # a character and the name of its colour


@dataclass(frozen=True)
class Line:
    """A line through points or, with a mark, that character at each; a ! marks steps without a finite value."""

    points: Sequence[Point]
    color: str
    mark: str = ""
    lost: Sequence[int] = ()


def draw(lines: Sequence[Line], width: int, height: int, *, log: bool = False) -> list[list[Cell]]:
    """Draw rows of cells: axis labels on the left, curves, and the first and last step below.

    Later lines are drawn over earlier ones. With logarithmic heights, values without a logarithm are left out.
    """
    shown = [[point for each in line.points if (point := _scaled(each, log))] for line in lines]
    heights = [value for points in shown for _, *both in points for value in both]
    steps = [step for points in shown for step, *_ in points] + [step for line in lines for step in line.lost]
    if not steps:
        return [_words("no figures yet", width)]
    low, high = min(heights, default=0.0), max(heights, default=0.0)
    if low == high:
        margin = abs(low) / 2 if abs(low) > 1e-300 else 0.5
        low, high = low - margin, high + margin
    canvas = _Canvas(max(width - AXIS, 1), max(height - 1, 1), (min(steps), max(steps)), (low, high))
    for line, points in zip(lines, shown, strict=True):
        canvas.put(line, points)
    names = _figures(low, high, log, canvas.rows)
    rows = [_words(f"{name:>{AXIS - 1}} ", AXIS) + row for name, row in zip(names, canvas.cells, strict=True)]
    first, last = (f"{step:,}" for step in canvas.steps)
    below = f"{first}{last:>{max(canvas.columns - len(first), len(last) + 1)}}" if first != last else first
    return [*rows, _words(" " * AXIS + below, width)]


def _scaled(point: Point, log: bool) -> Point | None:
    """Return the point, with logarithms if requested; None if it has no valid height."""
    step, low, high = point
    if not (abs(low) <= LARGEST and abs(high) <= LARGEST) or (log and high <= 0):
        return None
    return (step, math.log10(low if low > 0 else high), math.log10(high)) if log else point


class _Canvas:
    """A grid of cells with dots in them."""

    def __init__(self, columns: int, rows: int, steps: tuple[int, int], heights: tuple[float, float]) -> None:
        self.cells: list[list[Cell]] = [[(" ", "")] * columns for _ in range(rows)]
        self.columns, self.rows, self.steps, self.heights = columns, rows, steps, heights

    def put(self, line: Line, points: Sequence[Point]) -> None:
        """Draw a line over what is there."""
        dots: dict[tuple[int, int], int] = {}
        for across, (top, bottom) in self._bands(points).items():
            for down in range(top, bottom + 1):
                place = down // 4, across // 2
                dots[place] = dots.get(place, 0) | DOTS[across % 2][down % 4]
        cells = {place: chr(0x2800 + found) for place, found in dots.items()}
        if line.mark:
            cells = {(self._down(high) // 4, self._across(step) // 2): line.mark for step, _, high in points}
        for (row, column), character in cells.items():
            self.cells[row][column] = character, line.color
        for step in line.lost:
            self.cells[0][self._across(step) // 2] = "!", "red"

    def _bands(self, points: Sequence[Point]) -> dict[int, tuple[int, int]]:
        """Return the highest and lowest dot by dot column: its points' extremes, connected to the column before."""
        found: dict[int, tuple[int, int]] = {}
        before: tuple[int, int, int] | None = None
        for step, low, high in points:
            across, top, bottom = self._across(step), self._down(high), self._down(low)
            if before is not None and across > before[0]:  # a straight line from the previous point
                last, *ends = before
                start, rise = sum(ends) / 2, ((top + bottom) - sum(ends)) / 2
                heights = [round(start + rise * at / (across - last)) for at in range(across - last + 1)]
                for at, (one, next_) in enumerate(zip(heights, heights[1:], strict=False), last + 1):
                    found[at] = min(one, next_), max(one, next_)
            already = found.get(across, (top, bottom))
            found[across] = min(already[0], top), max(already[1], bottom)
            before = across, *found[across]
        return found

    def _across(self, step: int) -> int:
        first, last = self.steps
        return round((step - first) / max(last - first, 1) * (2 * self.columns - 1))

    def _down(self, value: float) -> int:
        low, high = self.heights
        return round((high - value) / (high - low) * (4 * self.rows - 1))


def _figures(low: float, high: float, log: bool, rows: int) -> list[str]:
    """Return the axis labels: the highest value, the lowest, and the middle one if there is room."""
    at = {0, rows - 1} | ({rows // 2} if rows > 4 else set())
    values = [high - (high - low) * row / max(rows - 1, 1) for row in range(rows)]
    return [_short(10**value if log else value) if row in at else "" for row, value in enumerate(values)]


def _short(value: float) -> str:
    texts = [f"{value:{form}}" for form in (",.0f" if 1000 <= abs(value) < 1e6 else ".3g", ".2g", ".1g")]
    return next((text for text in texts if len(text) < AXIS), texts[-1])


def _words(text: str, width: int) -> list[Cell]:
    return [(character, "dim") for character in text[:width].ljust(width)]
