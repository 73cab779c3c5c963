"""A curve of any length in bounded memory: neighbouring points are merged, and their extremes are kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

MOST = 512
"""Maximum number of stretches per curve."""


@dataclass(slots=True)
class Stretch:
    """Some consecutive points.

    Attributes:
        first: Step of the first point.
        last: Step of the last point.
        low: The lowest finite value.
        high: The highest finite value.
        total: Sum of the finite values.
        count: Number of finite values.
        lost: Number of values that are NaN or infinite.
    """

    first: int
    last: int
    low: float = math.inf
    high: float = -math.inf
    total: float = 0.0
    count: int = 0
    lost: int = 0

    @property
    def mean(self) -> float:
        """Mean of the finite values; requires at least one."""
        return self.total / self.count

    def take_in(self, other: Stretch) -> None:
        """Merge the next stretch into this one."""
        self.last = other.last
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self.total, self.count, self.lost = self.total + other.total, self.count + other.count, self.lost + other.lost


@dataclass(slots=True)
class Curve:
    """Values by step; each time ``most`` stretches are full, each is merged with its neighbour; spikes are preserved.

    Attributes:
        stretches: The stretches in order of their steps.
        newest: The last value, finite or not; None before the first.
        step: Step of the last value.
    """

    most: int = MOST
    stretches: list[Stretch] = field(default_factory=list)
    newest: float | None = None
    step: int = 0
    _width: int = 1
    _room: int = 0  # points that the last stretch can still take

    def add(self, step: int, value: float) -> None:
        """Add the next point."""
        self.newest, self.step = value, step
        if self._room == 0:
            if len(self.stretches) >= self.most:
                self._halve()
            self.stretches.append(Stretch(step, step))
            self._room = self._width
        self._room -= 1
        last = self.stretches[-1]
        last.last = step
        if value - value != 0:  # NaN or infinite
            last.lost += 1
            return
        last.total += value
        last.count += 1
        if value < last.low:
            last.low = value
        if value > last.high:
            last.high = value

    def _halve(self) -> None:
        for left, right in zip(self.stretches[::2], self.stretches[1::2], strict=True):
            left.take_in(right)
        self.stretches = self.stretches[::2]
        self._width *= 2

    def smoothed(self, share: float = 0.1) -> list[tuple[int, float]]:
        """Return an exponential moving average of the stretches' means, by their last steps, corrected for the start.

        Args:
            share: Weight of each new mean.
        """
        found, total, weight = [], 0.0, 0.0
        for stretch in self.stretches:
            if stretch.count:
                total, weight = (1 - share) * total + share * stretch.mean, (1 - share) * weight + share
                found.append((stretch.last, total / weight))
        return found
