"""Intervals for means of few items that come in groups (rows of a conversation, sides of a pair)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95% interval; the interval is NaN if there are fewer than two groups."""

    mean: float
    low: float
    high: float
    items: int

    def excludes_zero(self) -> bool:
        """Return whether zero lies outside the interval."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap_mean(
    values: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    groups: Sequence[object] | None = None,
    samples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Return a weighted mean with a percentile interval; whole groups are resampled (Efron & Tibshirani 1993).

    Args:
        values: [N].
        weights: [N], positive; equal by default.
        groups: N labels of the units that were sampled; by default each item is its own unit.
        samples: Bootstrap samples.
        seed: Seed of the bootstrap.
    """
    values = np.asarray(values, dtype=float)
    if len(values) == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    (numerator,), denominator = sums_by_group(values[None], weights, groups)
    number = len(denominator)
    mean = float(numerator.sum() / denominator.sum())
    if number < 2:
        return Estimate(mean, float("nan"), float("nan"), len(values))
    drawn = np.random.default_rng(seed).integers(number, size=(samples, number))
    means = numerator[drawn].sum(1) / denominator[drawn].sum(1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(mean, float(low), float(high), len(values))


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
