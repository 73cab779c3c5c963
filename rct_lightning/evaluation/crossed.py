"""Mean over seeds evaluated on the same items, with an interval that covers other seeds and other conversations.

Seeds and groups of items (conversations, pairs, probes) are crossed random effects: y_sg = mean + a_s + b_g + e_sg. The
mean's variance is var(a)/S + var(b)/G + var(e)/SG, and each part is estimated from the mean squares of a two-way table.
A percentile interval of a crossed bootstrap is too short where there are few seeds and they differ (89% coverage with
eight instead of 95%) and too long where there is only noise (99.8%), since resampling both ways counts e three times
(Owen 2007). Dividing each bootstrap mean by its own standard error corrects both (docs/statistics.md has the
simulations).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

from rct_lightning.evaluation.statistics import LEVEL, Estimate, sums_by_group

FEWEST_TO_RESAMPLE = 5
"""Number of seeds, or groups, below which there are too few to resample; Student's t is used there."""
EMPTY_SAMPLES = 0.001
"""Share of bootstrap samples without any variation above which Student's t is used: too few items differ."""
LEAST_ERROR = 0.3
"""Of the mean's standard error: a bootstrap sample's own is taken to be at least that. A sample that lacks the one seed
which differs from the others seems to know its mean exactly, and its ratio would say nothing but that."""
TINY = 1e-9
"""Relative to the largest figure: anything smaller is rounding error."""
PORTION = 1 << 22
"""Numbers that one chunk of the bootstrap samples may hold: 32 MiB of them."""


@dataclass(frozen=True)
class Inference:
    """A mean, its interval, and its p value.

    Attributes:
        estimate: Mean with a 95% interval over seeds and groups; its ends are NaN with fewer than two of either.
        p: Two-sided, by the same method as the interval: at most 0.05 where the interval excludes zero.
    """

    estimate: Estimate
    p: float


@dataclass(frozen=True)
class Cells:
    """Weighted sums of items: one row per seed, one column per group.

    Attributes:
        sums: [S, G], weighted sums.
        weights: [G], total weight of each group's items.
    """

    sums: np.ndarray
    weights: np.ndarray

    @property
    def mean(self) -> float:
        """Weighted mean of all items."""
        return float(self.sums.sum() / (len(self.sums) * self.weights.sum()))

    def apart(self) -> np.ndarray:
        """Return each cell's deviation from the mean, [S, G], scaled so that the mean's error is that of a plain mean.

        Groups differ in size, so the mean is a ratio of sums; this is its linearisation.
        """
        return (self.sums - self.mean * self.weights) / self.weights.mean()


def crossed_inference(
    values: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    groups: Sequence[object] | None = None,
    samples: int = 2000,
    seed: int = 0,
) -> Inference:
    """Mean of a seeds x items matrix with a studentised crossed bootstrap.

    Bootstrap-t: Efron & Tibshirani 1993, chapter 12. Seeds and groups drawn independently: Owen 2007. With fewer than
    :data:`FEWEST_TO_RESAMPLE` of either, Student's t with Satterthwaite's degrees of freedom.

    Args:
        values: [S, N], usually paired differences of two arms: the same items under each seed.
        weights: [N], positive; equal by default.
        groups: N labels of the units that items were sampled in; by default each item is its own unit.
        samples: Bootstrap samples.
        seed: Seed of the bootstrap.
    """
    values = np.asarray(values, dtype=float)
    items = values.shape[1]
    if not np.isfinite(values).all():
        return Inference(Estimate(float("nan"), float("nan"), float("nan"), items), float("nan"))
    cells = Cells(*sums_by_group(values, weights, groups))
    (seeds, number), mean = cells.sums.shape, cells.mean
    if seeds < 2 or number < 2:
        return Inference(Estimate(mean, float("nan"), float("nan"), items), float("nan"))
    apart = cells.apart()
    error = float(_standard_error(*_mean_squares(apart), seeds, number))
    if error <= TINY * np.abs(cells.sums).max():  # all equal: nothing to resample
        return Inference(Estimate(mean, mean, mean, items), float(mean == 0))
    if min(seeds, number) < FEWEST_TO_RESAMPLE:
        return _student(apart, mean, error, items)
    drawn = np.sort(_studentised(cells, samples, seed, LEAST_ERROR * error))
    if np.isinf(drawn).mean() > EMPTY_SAMPLES:
        return _student(apart, mean, error, items)
    beyond_either = int((samples + 1) * (1 - LEVEL) / 2)
    low, high = mean - float(drawn[-beyond_either]) * error, mean - float(drawn[beyond_either - 1]) * error
    beyond = min(np.sum(drawn >= mean / error), np.sum(drawn <= mean / error))
    return Inference(Estimate(mean, low, high, items), min(1.0, 2 * float(beyond + 1) / (samples + 1)))


def _mean_squares(apart: np.ndarray) -> tuple[float, float, float]:
    """Mean squares of seeds, of groups and of the residual in a two-way analysis of variance of [S, G]."""
    seeds, groups = apart.shape
    by_seed, by_group = apart.mean(1), apart.mean(0)
    left = apart - by_seed[:, None] - by_group
    return (
        groups * float(by_seed @ by_seed) / (seeds - 1),
        seeds * float(by_group @ by_group) / (groups - 1),
        float((left**2).sum()) / ((seeds - 1) * (groups - 1)),
    )


def _standard_error(of_seeds: np.ndarray | float, of_groups: np.ndarray | float, left: np.ndarray | float,
                    seeds: int, groups: int) -> np.ndarray:  # fmt: skip
    """Standard error of the mean from mean squares; a negative variance component becomes zero (Searle et al. 1992)."""
    variance = left + np.maximum(np.subtract(of_seeds, left), 0) + np.maximum(np.subtract(of_groups, left), 0)
    return np.sqrt(variance / (seeds * groups))


def _student(apart: np.ndarray, mean: float, error: float, items: int) -> Inference:
    """Infer with Student's t and the degrees of freedom of a sum of mean squares (Satterthwaite 1946)."""
    seeds, groups = apart.shape
    of_seeds, of_groups, left = _mean_squares(apart)
    rest = (seeds - 1) * (groups - 1)
    parts = [(square, free) for square, free in ((of_seeds, seeds - 1), (of_groups, groups - 1)) if square > left]
    parts += [(left, rest)] if len(parts) != 1 else []
    freedom = max(1.0, (error**2 * seeds * groups) ** 2 / sum(square**2 / free for square, free in parts))
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error
    p = 2 * float(stats.t.sf(abs(mean) / error, freedom))
    return Inference(Estimate(mean, mean - half, mean + half, items), p)


def _studentised(cells: Cells, samples: int, seed: int, least: float) -> np.ndarray:
    """Return (mean of a bootstrap sample - mean) / the sample's own standard error: [samples].

    A sample is given by how often each seed and each group was drawn; its mean squares are sums over the table weighted
    by those counts. The ratio is infinite where a sample contains none of the few items that differ.
    """
    (seeds, groups), weights = cells.sums.shape, cells.weights
    sums = cells.sums - cells.mean * weights  # their mean is 0
    tiny = TINY * np.abs(cells.sums).max()
    portion = max(1, min(samples, PORTION // (seeds + groups)))
    found = []
    for number, start in enumerate(range(0, samples, portion)):
        of_seeds, of_groups = _draw(seeds, groups, min(portion, samples - start), seed, number)
        by_group = of_seeds @ sums
        drawn_weight = of_groups @ weights
        means = (by_group * of_groups).sum(1) / (seeds * drawn_weight)
        scale = groups / drawn_weight
        seeds_apart = (of_groups @ sums.T - (means * drawn_weight)[:, None]) * scale[:, None]
        groups_apart = (by_group - seeds * means[:, None] * weights) * scale[:, None]
        squares_seeds = (of_seeds * seeds_apart**2).sum(1) / groups
        squares_groups = (of_groups * groups_apart**2).sum(1) / seeds
        squares = ((of_seeds @ sums**2 - 2 * means[:, None] * by_group * weights) * of_groups).sum(1)
        squares = (squares + means**2 * seeds * (of_groups @ weights**2)) * scale**2
        left = np.maximum(squares - squares_seeds - squares_groups, 0) / ((seeds - 1) * (groups - 1))
        errors = _standard_error(squares_seeds / (seeds - 1), squares_groups / (groups - 1), left, seeds, groups)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = means / np.where(errors < tiny, 0.0, np.maximum(errors, least))
        found.append(np.where(np.abs(means) < tiny, 0.0, ratios))
    return np.concatenate(found)


@lru_cache(maxsize=8)
def _draw(seeds: int, groups: int, size: int, seed: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw how often each seed and each group is sampled: [size, S] and [size, G]; equal for all tables of a shape."""
    random = np.random.default_rng((seed, number))
    drawn = (random.multinomial(each, np.full(each, 1 / each), size).astype(float) for each in (seeds, groups))
    return next(drawn), next(drawn)
