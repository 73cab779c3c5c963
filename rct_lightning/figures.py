"""Figures that a run and its report share."""

from __future__ import annotations

from typing import Any

from rct_lightning.losses import TERMS


def draw_losses(rows: list[dict[str, Any]]) -> Any:
    """LM, terms and total by step, training as lines and evaluation as dots, as a matplotlib figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots(1, 2)
    for axis, names in ((axes[0], ("lm", "total")), (axes[1], TERMS)):
        for color, name in enumerate(names):
            for phase, style in (("train", "-"), ("eval", "o--")):
                points = [(r["step"], r[f"{name}_loss"]) for r in rows if r["phase"] == phase and f"{name}_loss" in r]
                if points:
                    steps, values = zip(*points, strict=True)
                    axis.plot(steps, values, style, color=f"C{color}", label=f"{name}, {phase}", markersize=4, lw=1)
        axis.set_xlabel("optimizer step")
        if axis.lines:
            axis.legend(fontsize=8)
    axes[0].set_ylabel("nats per reply token")
    axes[1].set_ylabel("raw term")
    return figure
