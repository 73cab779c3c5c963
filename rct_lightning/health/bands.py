"""Typical ranges of healthy runs: their figures by step, relative to the base."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rct_lightning.health.history import mean
from rct_lightning.health.rules import MEASUREMENTS, proportions

BAND_EDGES = (0, 50, 100, 200, 400, 600)
"""Optimizer steps at which the rows of the table begin."""
BANDS = ("lm", "presence", "coherence", "continuity", "total")
LEAST = 1e-6
"""Smaller figures of the base are not used as denominators: the term applied to nothing."""


def bands(runs: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    """Return a Markdown table of figures relative to the base: the lowest and the highest run, by step.

    Args:
        runs: The events of each run; the first evaluation is the base's.

    Returns:
        A row per span of steps: each run's mean over its logged steps, divided by the base's figure on the evaluation
        rows; and the LM loss of evaluations, divided in the same way.
    """
    lines = ["| steps | " + " | ".join((*BANDS, "eval lm")) + " |", "|---" * (len(BANDS) + 2) + "|"]
    ends = [*BAND_EDGES[1:], math.inf]
    for start, end in zip(BAND_EDGES, ends, strict=True):
        shares: dict[str, list[float]] = {name: [] for name in (*BANDS, "eval lm")}
        for events in runs:
            base = next(event for event in events if event["event"] == "eval")
            inside = [event for event in events if start < event["step"] <= end]
            for kind, names in (("step", BANDS), ("eval", ("lm",))):
                for name in names:
                    found = [event[name] for event in inside if event["event"] == kind and _is_figure(event.get(name))]
                    if found and _is_figure(base.get(name)) and abs(base[name]) > LEAST:
                        shares["eval lm" if kind == "eval" else name].append(mean(found) / base[name])
        if any(shares.values()):
            span = f"{start + 1}-{end}" if end < math.inf else f"from {start + 1}"
            cells = [f"{min(found):.2f}-{max(found):.2f}" if found else "" for found in shares.values()]
            lines.append(f"| {span} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def largest_proportions(events: Sequence[Mapping[str, Any]], weights: Mapping[str, float]) -> dict[str, float]:
    """Return the largest sustained weighted gradient of each term, as the rule ``proportion`` measures it.

    Args:
        events: Events of a run.
        weights: Lambda * w of each term.

    Returns:
        The maximum, over windows of :data:`MEASUREMENTS` consecutive measurements, of the smallest ratio to the LM
        gradient; terms with fewer measurements are left out.
    """
    steps = [
        {name: value for name, value in event.items() if _is_figure(value)}
        for event in events
        if event["event"] == "step"
    ]
    found = {}
    for term, weight in weights.items():
        ratios = proportions(steps, term, weight)
        if weight > 0 and len(ratios) >= MEASUREMENTS:
            windows = [ratios[at : at + MEASUREMENTS] for at in range(len(ratios) - MEASUREMENTS + 1)]
            found[term] = max(map(min, windows))
    return found


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
