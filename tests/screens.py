"""Screens of the terminal applications as plain text, kept beside the tests: what a person sees is reviewed as a diff.

``RCT_KEEP_SCREENS=1 pytest tests/test_monitor.py`` writes them anew.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "screens"
SIZES = ((80, 24), (120, 40), (40, 12))
"""Columns and lines that every screen is looked at in."""


def as_text(app: Any) -> str:
    """The lines on the screen of a running Textual application, without colours and trailing blanks."""
    lines = [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]
    return "\n".join(lines) + "\n"


def check_screen(app: Any, name: str) -> None:
    """Compare the screen with the kept one.

    Args:
        app: Running under a Pilot.
        name: Of the file in ``tests/screens/``, without its ending.
    """
    seen, kept = as_text(app), FOLDER / f"{name}.txt"
    if os.environ.get("RCT_KEEP_SCREENS"):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(seen, encoding="utf-8")
    expected = kept.read_text(encoding="utf-8") if kept.is_file() else "no screen was kept\n"
    assert seen == expected, f"{kept.name} differs; the screen is now:\n{seen}"
