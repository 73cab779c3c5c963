"""Whether seeds agree, how far apart they are, and what several questions at once cost."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

EXACT_UP_TO = 16
"""Seeds up to which all patterns of signs are tried; beyond, :data:`SAMPLED` of them are drawn."""
SAMPLED = 100_000


def sign_flip(by_seed: Sequence[float], seed: int = 0) -> float:
    """Two-sided p of the mean of paired differences, a figure a seed: the sign-flip (Fisher's randomisation) test.

    Without a difference each could as well have come with the other sign; p is the share of all 2^S patterns whose mean
    is at least as far from zero. It assumes no distribution, and cannot be below 2 / 2^S (0.0625 with five seeds,
    0.0078 with eight). It speaks of other seeds on these items; the interval speaks of other items too.

    Args:
        by_seed: S differences.
        seed: Of the draw, where there are more than :data:`EXACT_UP_TO`.
    """
    values = np.asarray(by_seed, dtype=float)
    if len(values) == 0 or not np.isfinite(values).all():
        return float("nan")
    least = abs(values.sum()) - 1e-9 * np.abs(values).sum()  # the same sum in another order
    if len(values) <= EXACT_UP_TO:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(values))))
        return float((np.abs(signs @ values) >= least).mean())
    signs = np.random.default_rng(seed).choice((1.0, -1.0), size=(SAMPLED, len(values)))
    return float((np.sum(np.abs(signs @ values) >= least) + 1) / (SAMPLED + 1))


def smallest_p(seeds: int) -> float:
    """What :func:`sign_flip` can reach at best with so many seeds."""
    return min(1.0, 2.0 ** (1 - seeds)) if seeds <= EXACT_UP_TO else 1 / (SAMPLED + 1)


def cohens_dz(by_seed: Sequence[float]) -> float:
    """Mean of paired differences in their own standard deviations (Cohen 1988); NaN where that is no number."""
    values = np.asarray(by_seed, dtype=float)
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    if not np.isfinite(values).all() or spread <= 1e-12 * max(1.0, float(np.abs(values).max(initial=0.0))):
        return float("nan")
    return float(values.mean()) / spread


def holm(p_values: Sequence[float], number: int | None = None) -> list[float]:
    """Adjusted p values of several questions, at least one of which is claimed (Holm 1979), in the order given.

    Args:
        p_values: One a question; NaN where it could not be asked, which stays.
        number: Questions that were planned; those that could not be asked count.
    """
    values = np.asarray(p_values, dtype=float)
    planned = max(number or 0, len(values))
    adjusted, above = values.copy(), 0.0
    for rank, place in enumerate(np.argsort(values)):  # NaN come last
        if not np.isnan(values[place]):
            above = max(above, min(1.0, (planned - rank) * values[place]))
            adjusted[place] = above
    return [float(value) for value in adjusted]
