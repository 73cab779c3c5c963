"""Figures that a run and its report share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rct_lightning.losses import TERMS

LANGUAGE = ("lm", "total")
"""Curves that are nats per reply token; those of :data:`TERMS` are raw terms."""
UNITS = {LANGUAGE: "nats per reply token", TERMS: "raw term"}


def draw_losses(rows: list[dict[str, Any]]) -> Any:
    """LM, terms and total by step, training as lines and evaluation as dots, as a matplotlib figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    for axis, names in zip(figure.subplots(1, 2), UNITS, strict=True):
        draw_curves(axis, rows, names)
    return figure


def draw_curves(axis: Any, rows: Sequence[dict[str, Any]], names: tuple[str, ...]) -> None:
    """Some losses by step, one of the keys of :data:`UNITS`."""
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
