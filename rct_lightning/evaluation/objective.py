"""A single objective for a search: the worst of the three terms' endpoints, subject to the guardrails.

Each endpoint is the change from base to tuned in the good direction, in standard deviations over its items, so that
the three are comparable; the worst counts, so that none is bought at the expense of another. Settings that break a
guardrail are worse than any that keep all of them, and among themselves better the less they break (Deb 2000): this
guides a search that has not found a feasible point yet.
"""

from __future__ import annotations

import math

import numpy as np

from rct_lightning.config.search import BROKEN
from rct_lightning.evaluation.endpoints import Comparison, Endpoint
from rct_lightning.evaluation.study.claims import TERMS
from rct_lightning.evaluation.study.guardrails import BOUNDS, Bound

GUARDRAILS = (
    Bound("language/eval_lm_loss", "LM loss: at most the base's", 0.0, over_base=True, at_most=True),
    Bound("guardrail/ordinary_lm_loss", "loss on ordinary text: at most the base's", 0.0, over_base=True, at_most=True),
    *BOUNDS,
)
"""The guardrails of a study, plus two losses that a study reports as costs without a bound."""


def excess(bound: Bound, found: Endpoint) -> float:
    """Return by how much a bound is exceeded; 0 if it is kept."""
    figure = _mean(found, "tuned") - (_mean(found, "base") if bound.over_base else 0.0)
    return max(0.0, figure - bound.limit if bound.at_most else bound.limit - figure)


def objective_of(comparison: Comparison) -> float:
    """Return the figure to minimise: minus the worst endpoint, or BROKEN plus the excess beyond the limits.

    A guardrail that was not measured (the bundled development probes hold no ordinary text) counts as kept. Infinite if
    one of the three endpoints was not measured, or a figure is not finite.
    """
    found = {endpoint.key: endpoint for endpoint in comparison.endpoints}
    guarded = [guardrail for guardrail in GUARDRAILS if guardrail.endpoint in found]
    needed = [*TERMS.values(), *(guardrail.endpoint for guardrail in guarded)]
    if not all(key in found and np.isfinite(list(found[key].values.values())).all() for key in needed):
        return math.inf
    broken = sum(excess(guardrail, found[guardrail.endpoint]) for guardrail in guarded)
    return BROKEN + broken if broken > 0 else -min(_standardised(found[key]) for key in TERMS.values())


def _standardised(endpoint: Endpoint) -> float:
    """Return the mean change in the good direction over its standard deviation over items."""
    change = endpoint.values["tuned"] - endpoint.values["base"]
    sign = -1.0 if endpoint.better == "lower" else 1.0
    return sign * float(change.mean()) / max(float(change.std()), 1e-9)


def _mean(endpoint: Endpoint, side: str) -> float:
    return float(np.average(endpoint.values[side], weights=endpoint.weights))  # type: ignore[index]
