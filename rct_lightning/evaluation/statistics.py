"""Intervals for means of few items that come in groups (rows of a conversation, sides of a pair)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over items with its 95% interval, whose ends are NaN if there are fewer than two groups."""

    mean: float
    low: float
    high: float
    items: int

    def excludes_zero(self) -> bool:
        """Return whether zero lies outside the interval."""
        return self.low > 0 or self.high < 0

    def within(self, least: float, most: float) -> Estimate:
        """The same without what the mean cannot be."""
        low, high = (float(np.clip(end, least, most)) for end in (self.low, self.high))
        return Estimate(self.mean, low, high, self.items)

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def mean_over_groups(
    values: np.ndarray, *, weights: np.ndarray | None = None, groups: Sequence[object] | None = None
) -> Estimate:
    """Return a weighted mean with Student's t interval over whole groups.

    The mean is a ratio of two sums over groups; its error is that of the linearisation (Cochran 1977, chapter 6). The
    percentile bootstrap of few groups is too short (docs/statistics.md).

    Args:
        values: [N].
        weights: [N], positive; equal by default.
        groups: N labels of the units that were sampled; by default each item is its own unit.
    """
    values = np.asarray(values, dtype=float)
    if len(values) == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    (sums,), weight = sums_by_group(values[None], weights, groups)
    number = len(weight)
    mean = float(sums.sum() / weight.sum())
    if number < 2 or not np.isfinite(values).all():
        return Estimate(mean, float("nan"), float("nan"), len(values))
    apart = (sums - mean * weight) / weight.mean()
    error = float(np.sqrt(apart @ apart / (number * (number - 1))))
    half = float(stdtrit(number - 1, (1 + LEVEL) / 2)) * error
    return Estimate(mean, mean - half, mean + half, len(values))


def sums_by_group(
    rows: np.ndarray, weights: np.ndarray | None, groups: Sequence[object] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Sum each row [S, N], weighted, over its groups; return the sums and the groups' weights: [S, G] and [G]."""
    items = rows.shape[1]
    weight = np.ones(items) if weights is None else np.asarray(weights, dtype=float)
    labels = np.arange(items) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    number = int(labels.max()) + 1
    sums = np.stack([np.bincount(labels, weights=weight * row, minlength=number) for row in rows])
    return sums, np.bincount(labels, weights=weight, minlength=number)
