"""The figures of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rct_lightning.evaluation.endpoints import group_of
from rct_lightning.evaluation.verdict import Judged
from rct_lightning.figures import LANGUAGE, draw_curves
from rct_lightning.losses import TERMS
from rct_lightning.page import Figure, drawn

MARKS = {"better": ("o", 2), "WORSE": ("X", 1), "no clear change": ("o", None), "": ("o", None)}
"""Marker and colour of an endpoint; without a colour it is hollow and grey."""


def changes(found: Sequence[Judged]) -> Figure:
    """Plot each endpoint's change in units of its own standard deviation over items, with its interval."""
    shown = [each for each in found if each.better is not None]

    def draw(figure: Any, grey: str) -> None:
        axis = figure.subplots()
        for place, each in enumerate(reversed(shown)):
            mark, hue = MARKS[each.word]
            color = grey if hue is None else f"C{hue}"
            low, mean, high = _in_deviations(each)
            axis.plot([low, high], [place, place], color=color, lw=1.6, solid_capstyle="round")
            filled = "none" if hue is None else color
            axis.plot([mean], [place], mark, color=color, markersize=5.5, markerfacecolor=filled)
        axis.axvline(0, color=grey, lw=0.8, zorder=0)
        axis.set_yticks(range(len(shown)), [each.key for each in reversed(shown)])
        starts = [at for at in range(1, len(shown)) if group_of(shown[at].key) != group_of(shown[at - 1].key)]
        for at in starts:
            axis.axhline(len(shown) - at - 0.5, color=grey, lw=0.4, ls=":")
        axis.set_ylim(-0.6, max(len(shown), 1) - 0.4)
        axis.set_xlabel("worse  \N{LEFTWARDS ARROW}  standard deviations  \N{RIGHTWARDS ARROW}  better")

    alt = "; ".join(f"{each.key}: {each.word or 'not judged'}, change {each.change}" for each in shown)
    caption = (
        "Change from base to tuned with its 95% interval, in the better direction, in standard deviations over items. "
        "Filled circle: better. Cross: worse. Hollow: no clear change, the interval holds zero; or not judged."
    )
    return drawn("endpoints", draw, 0.27 * len(shown) + 0.9, f"Changes of the endpoints. {alt or 'None'}.", caption)


def losses(rows: Sequence[dict[str, Any]]) -> list[Figure]:
    """Plot the loss curves; no figures if nothing was logged."""
    if not rows:
        return []
    told = (
        (
            "loss_language",
            LANGUAGE,
            "LM loss and total loss",
            "LM loss and the total that is minimised, with the terms that a step's rows have",
        ),
        ("loss_terms", TERMS, "the relational terms", "The relational terms before they are weighted"),
    )
    return [
        drawn(
            name,
            lambda figure, grey, names=names: draw_curves(figure.subplots(), rows, names),  # type: ignore[misc]
            3.2,
            f"Curves of {alt} by optimizer step. {_ends(rows, names)}",
            f"{caption}, by step. Lines: training, a step each. Dots: the evaluation rows.",
        )
        for name, names, alt, caption in told
    ]


def _ends(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """Return the first and last value of every curve on the evaluation rows, in words."""
    parts = []
    for name in names:
        values = [row[f"{name}_loss"] for row in rows if row["phase"] == "eval" and f"{name}_loss" in row]
        parts += [f"{name} on the evaluation rows from {values[0]:.3f} to {values[-1]:.3f}."] if values else []
    return " ".join(parts)


def _in_deviations(each: Judged) -> tuple[float, float, float]:
    values = each.endpoint.values
    spread = float((values["tuned"] - values["base"]).std())
    scale = (1 if each.better == "higher" else -1) / (spread if spread > 1e-9 else 1.0)
    low, high = sorted((scale * each.change.low, scale * each.change.high))
    return low, scale * each.change.mean, high
