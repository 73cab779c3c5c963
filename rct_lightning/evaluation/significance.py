"""Agreement between seeds, effect size over seeds, and correction for several questions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

EXACT_UP_TO = 16
"""Number of seeds up to which all sign patterns are tried; beyond it, :data:`SAMPLED` of them are drawn."""
SAMPLED = 100_000


def sign_flip(by_seed: Sequence[float], seed: int = 0) -> float:
    """Return the two-sided p of a mean of paired differences, one per seed: sign-flip test (Fisher's randomisation).

    Under the null hypothesis each difference could as well have had the other sign; p is the share of all 2^S patterns
    whose mean is at least as far from zero. The test assumes no distribution, and p cannot be below 2 / 2^S (0.0625
    with five seeds, 0.0078 with eight). It generalises to other seeds on these items; the interval also to other items.

    Args:
        by_seed: S differences.
        seed: Seed of the draw, used with more than :data:`EXACT_UP_TO` differences.
    """
    values = np.asarray(by_seed, dtype=float)
    if len(values) == 0 or not np.isfinite(values).all():
        return float("nan")
    least = abs(values.sum()) - 1e-9 * np.abs(values).sum()  # tolerates rounding of the same sum in another order
    if len(values) <= EXACT_UP_TO:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(values))))
        return float((np.abs(signs @ values) >= least).mean())
    signs = np.random.default_rng(seed).choice((1.0, -1.0), size=(SAMPLED, len(values)))
    return float((np.sum(np.abs(signs @ values) >= least) + 1) / (SAMPLED + 1))


def smallest_p(seeds: int) -> float:
    """Return the smallest p that :func:`sign_flip` can reach with that many seeds."""
    return min(1.0, 2.0 ** (1 - seeds)) if seeds <= EXACT_UP_TO else 1 / (SAMPLED + 1)


def cohens_dz(by_seed: Sequence[float]) -> float:
    """Return the mean of paired differences over their standard deviation (Cohen 1988); NaN where it is undefined."""
    values = np.asarray(by_seed, dtype=float)
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    if not np.isfinite(values).all() or spread <= 1e-12 * max(1.0, float(np.abs(values).max(initial=0.0))):
        return float("nan")
    return float(values.mean()) / spread


def holm(p_values: Sequence[float], number: int | None = None) -> list[float]:
    """Adjust the p values of several questions by Holm's method (Holm 1979); return them in the order given.

    Args:
        p_values: One per question; NaN where a question could not be answered, and NaN in the result.
        number: Number of planned questions; those that could not be answered count.
    """
    values = np.asarray(p_values, dtype=float)
    planned = max(number or 0, len(values))
    adjusted, above = values.copy(), 0.0
    for rank, place in enumerate(np.argsort(values)):  # NaN sort last
        if not np.isnan(values[place]):
            above = max(above, min(1.0, (planned - rank) * values[place]))
            adjusted[place] = above
    return [float(value) for value in adjusted]
