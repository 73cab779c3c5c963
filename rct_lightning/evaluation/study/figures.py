"""Figures of a study: differences of all arms with their intervals, and the cost of a larger weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rct_lightning.evaluation.study.claims import TERMS
from rct_lightning.evaluation.study.contrasts import Contrast
from rct_lightning.evaluation.study.scores import NotThere, Part, Scores, Study
from rct_lightning.page import Figure, drawn
from rct_lightning.sanitize import printable

SHOWN = (
    *TERMS.values(),
    "presence/bond_rate_difference",
    "continuity/recall_generated",
    "language/eval_lm_loss",
)
"""Endpoints of the forest plots: the primary ones, the generated ones, and the cost."""
LM_LOSS = "language/eval_lm_loss"
FEWEST_LAMBDAS = 3
"""Number of different weights of the relational terms, 0 included, that makes a study a sweep over them."""


def forests(found: Sequence[Contrast]) -> list[Figure]:
    """Draw one figure for each reference that arms are compared with."""
    references = list(dict.fromkeys(each.reference for each in found))
    return [_forest([each for each in found if each.reference == name], name) for name in references]


def _forest(found: Sequence[Contrast], reference: str) -> Figure:
    arms = list(dict.fromkeys(each.arm for each in found))
    panels = [endpoint for endpoint in SHOWN if any(each.endpoint == endpoint for each in found)]
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)

    def draw(canvas: Any, lines: str) -> None:
        axes = canvas.subplots(rows, columns, squeeze=False, sharey=True).flatten()
        for axis, endpoint in zip(axes, panels, strict=False):
            for each in (one for one in found if one.endpoint == endpoint):
                place, difference = arms.index(each.arm), each.difference
                color, mark = ("C0", "o") if each.is_better else ("C1", "X") if each.is_worse else (lines, "|")
                if np.isfinite([difference.low, difference.high]).all():
                    axis.plot([difference.low, difference.high], [place, place], color=color, lw=1.8)
                axis.plot([difference.mean], [place], mark, color=color, markersize=6)
            axis.axvline(0, color=lines, lw=0.8)
            axis.set_title(endpoint, fontsize=9)
            axis.tick_params(labelsize=8)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        axes[0].set_yticks(range(len(arms)), [printable(arm) for arm in arms])
        axes[0].set_ylim(len(arms) - 0.5, -0.5)

    told = f"Arm minus {reference}, paired by seed and item; the line is the 95% interval."
    caption = f"{told} A dot is better, a cross worse, and grey not told apart from 0. Of a loss, less is better."
    height, width = (0.28 * len(arms) + 0.9) * rows, 3.2 * columns + 1
    return drawn(f"forest_{_word(reference)}", draw, height, told, caption, width)


def pareto(study: Study, lambdas: Mapping[str, float | None]) -> Figure | None:
    """Plot the primary endpoints against LM loss for a sweep over loss.lambda; None if the study is not such a sweep.

    Args:
        study: The evaluated runs.
        lambdas: Weight of the relational terms by arm.
    """
    swept = {arm: weight for arm, weight in lambdas.items() if weight is not None}
    if len(swept) < FEWEST_LAMBDAS or len(set(swept.values())) < len(swept):  # arms that differ in something else
        return None

    def draw(canvas: Any, lines: str) -> None:
        for axis, endpoint in zip(canvas.subplots(1, len(TERMS)), TERMS.values(), strict=True):
            points = [(weight, *point) for arm, weight in swept.items() if (point := _point(study, arm, endpoint))]
            points.sort()
            axis.plot([x for _, x, *_ in points], [y for _, _, _, y, _ in points], color=lines, lw=1, zorder=1)
            for weight, x, spread_x, y, spread_y in points:
                axis.errorbar([x], [y], xerr=[spread_x], yerr=[spread_y], fmt="o", color="C0", markersize=5, lw=1)
                axis.annotate(f"{weight:g}", (x, y), textcoords="offset points", xytext=(6, 5), fontsize=9)
            axis.set_xlabel("LM loss on evaluation rows, nats per token (left is better)", fontsize=8)
            axis.set_ylabel(f"{endpoint} (up is better)", fontsize=8)
            axis.tick_params(labelsize=8)

    caption = (
        "Each point is a weight of the relational terms (loss.lambda): its mean over seeds, and one standard error. A "
        "point is worth having where no other lies both further left and higher."
    )
    told = "Primary endpoints against LM loss, by weight of the terms."
    return drawn("pareto", draw, 3.6, told, caption, 4 * len(TERMS))


def _point(study: Study, arm: str, endpoint: str) -> tuple[float, float, float, float] | None:
    """Return the LM loss and the endpoint of an arm, each followed by its standard error over seeds."""
    try:
        scores: list[Scores] = [study.sum([Part(1, arm, key)]) for key in (LM_LOSS, endpoint)]
    except NotThere:
        return None
    (x, spread_x), (y, spread_y) = (_mean_and_error(each.by_seed()) for each in scores)
    return x, spread_x, y, spread_y


def _mean_and_error(by_seed: Sequence[float]) -> tuple[float, float]:
    spread = float(np.std(by_seed, ddof=1)) / len(by_seed) ** 0.5 if len(by_seed) > 1 else 0.0
    return float(np.mean(by_seed)), spread


def _word(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)
