"""Figures of a page, drawn once for light pages and print and once for dark pages."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from rct_lightning.page.blocks import PIXELS_A_POINT, Figure

CSS_PIXELS = 96
"""Per inch."""
COLORS = 128
WIDTH = 5.2
"""Inches: narrow enough to be readable on a phone, where it is drawn at two thirds."""
INK = {"light": ("#ffffff", "#1c2127", "#8b949e"), "dark": ("#14171b", "#e4e7eb", "#79828c")}
"""Background, ink and line colours, as on the page."""
HUES = {"light": ("#0b62b0", "#b8550a", "#1b7a44", "#8a3ca5"), "dark": ("#6cb2f7", "#f2a35e", "#6fce96", "#d292ea")}


def drawn(
    name: str, draw: Callable[[Any, str], None], height: float, alt: str, caption: str, width: float = WIDTH
) -> Figure:
    """Draw a figure for both backgrounds.

    Args:
        name: File name without extension.
        draw: Draws into a matplotlib figure; its second argument is the colour of lines that are not curves.
        height: Inches.
        alt: What it shows, for those who cannot see it.
        caption: Printed under it.
        width: Inches.
    """
    light, dark = (_png(draw, (width, height), theme) for theme in ("light", "dark"))
    return Figure(name, light, alt, caption, dark)


def _png(draw: Callable[[Any, str], None], size: tuple[float, float], theme: str) -> bytes:
    import matplotlib
    from matplotlib.figure import Figure as Canvas
    from matplotlib.rcsetup import cycler
    from PIL import Image

    ground, ink, lines = INK[theme]
    style = {
        "text.parse_math": False,
        "font.size": 9,
        "axes.prop_cycle": cycler(color=HUES[theme]),
        "axes.spines.top": False,
        "axes.spines.right": False,
        **{key: ground for key in ("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor")},
        **{key: ink for key in ("text.color", "axes.labelcolor", "xtick.color", "ytick.color")},
        **{key: lines for key in ("axes.edgecolor", "legend.edgecolor")},
    }
    with matplotlib.rc_context(style):
        canvas = Canvas(figsize=size, layout="constrained")
        draw(canvas, lines)
        written = io.BytesIO()
        canvas.savefig(written, format="png", dpi=CSS_PIXELS * PIXELS_A_POINT)
    small = io.BytesIO()
    with Image.open(written) as drawn:  # a palette image takes a fifth of the space
        drawn.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    return small.getvalue()
