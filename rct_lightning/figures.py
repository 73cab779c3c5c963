"""Figures shared by a run and its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rct_lightning.losses import TERMS

LANGUAGE = ("lm", "total")
"""Curves in nats per reply token; those of :data:`TERMS` are raw terms."""
UNITS = {LANGUAGE: "nats per reply token", TERMS: "raw term"}


def draw_losses(rows: list[dict[str, Any]]) -> Any:
    """Plot LM loss, terms and total by step, training as lines and evaluation as dots, as a matplotlib figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    for axis, names in zip(figure.subplots(1, 2), UNITS, strict=True):
        draw_curves(axis, rows, names)
    return figure


def draw_curves(axis: Any, rows: Sequence[dict[str, Any]], names: tuple[str, ...]) -> None:
    """Plot losses by step; ``names`` is one of the keys of :data:`UNITS`."""
    for color, name in enumerate(names):
        for phase, style in (("train", "-"), ("eval", "o--")):
            points = [(r["step"], r[f"{name}_loss"]) for r in rows if r["phase"] == phase and f"{name}_loss" in r]
            if points:
                steps, values = zip(*points, strict=True)
                axis.plot(steps, values, style, color=f"C{color}", label=f"{name}, {phase}", markersize=4, lw=1)
    axis.set_xlabel("optimizer step")
    axis.set_ylabel(UNITS[names])
    if axis.lines:
        axis.legend(fontsize=8)


def draw_terms(rows: Sequence[dict[str, Any]], weights: Mapping[str, float]) -> Any:
    """Plot what each term adds to the total, and the share of rows it judges, by step, as a matplotlib figure.

    Args:
        rows: As in loss_components.csv; a training row may also hold a term's ``TERM_activity``.
        weights: Weight of each term, lambda included.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    adds, judges = figure.subplots(1, 2)
    for color, (term, weight) in enumerate(weights.items()):
        for axis, key, factor, phase, style in (
            (adds, f"{term}_loss", weight, "train", "-"),
            (adds, f"{term}_loss", weight, "eval", "o--"),
            (judges, f"{term}_activity", 1.0, "train", "-"),
        ):
            points = [(row["step"], factor * row[key]) for row in rows if row["phase"] == phase and key in row]
            if points and weight:
                axis.plot(*zip(*points, strict=True), style, color=f"C{color}", label=f"{term}, {phase}", markersize=4)
    adds.set_ylabel("added to the total, nats per reply token")
    judges.set_ylabel("share of rows that a term judges")
    for axis in (adds, judges):
        axis.set_xlabel("optimizer step")
        if axis.lines:
            axis.legend(fontsize=8)
    return figure
