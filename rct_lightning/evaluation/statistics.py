"""Intervals for means of few items that come in groups (rows of a conversation, probes of a seed)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95% interval; the interval is NaN where fewer than two groups were seen."""

    mean: float
    low: float
    high: float
    items: int

    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval."""
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
    """Weighted mean with a percentile interval; whole groups are drawn with replacement (Efron & Tibshirani 1993).

    Args:
        values: [N].
        weights: [N], positive; equal by default.
        groups: N labels of what was sampled as a unit; each item its own by default.
        samples: Bootstrap samples.
        seed: Of the draw.
    """
    values = np.asarray(values, dtype=float)
    if len(values) == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    (numerator,), denominator = _sums_by_group(values[None], weights, groups)
    number = len(denominator)
    mean = float(numerator.sum() / denominator.sum())
    if number < 2:
        return Estimate(mean, float("nan"), float("nan"), len(values))
    drawn = np.random.default_rng(seed).integers(number, size=(samples, number))
    means = numerator[drawn].sum(1) / denominator[drawn].sum(1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(mean, float(low), float(high), len(values))


def t_interval(values: Sequence[float]) -> Estimate:
    """Mean of independent replications (seeds) with Student's t interval."""
    array = np.asarray(values, dtype=float)
    if len(array) < 2:
        return Estimate(float(array.mean()) if len(array) else float("nan"), float("nan"), float("nan"), len(array))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array)))
    mean = float(array.mean())
    return Estimate(mean, mean - half, mean + half, len(array))


def crossed_bootstrap(
    differences: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    groups: Sequence[object] | None = None,
    samples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Mean of a seeds x items matrix; seeds and groups of items are both drawn with replacement.

    Args:
        differences: [S, N], paired differences of two arms: the same items under each seed.
        weights: [N].
        groups: N labels of what items were sampled as.
        samples: Bootstrap samples.
        seed: Of the draw.
    """
    seeds = len(differences)
    numerator, denominator = _sums_by_group(differences, weights, groups)
    number = len(denominator)
    mean = float(numerator.sum() / (seeds * denominator.sum()))
    if seeds < 2 or number < 2:
        return Estimate(mean, float("nan"), float("nan"), seeds)
    random = np.random.default_rng(seed)
    means = np.empty(samples)
    for sample in range(samples):
        chosen = random.integers(number, size=number)
        by_seed = numerator[:, chosen].sum(1) / denominator[chosen].sum()
        means[sample] = by_seed[random.integers(seeds, size=seeds)].mean()
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(mean, float(low), float(high), seeds)


def _sums_by_group(
    rows: np.ndarray, weights: np.ndarray | None, groups: Sequence[object] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted sums of each row [S, N] over its groups, and the groups' weights: [S, G] and [G]."""
    items = rows.shape[1]
    weight = np.ones(items) if weights is None else np.asarray(weights, dtype=float)
    labels = np.arange(items) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    number = int(labels.max()) + 1
    sums = np.stack([np.bincount(labels, weights=weight * row, minlength=number) for row in rows])
    return sums, np.bincount(labels, weights=weight, minlength=number)
