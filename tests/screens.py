"""Screens of the terminal applications as plain text, stored with the tests, so that changes are reviewed as a diff.

``RCT_KEEP_SCREENS=1 pytest tests/test_monitor.py`` rewrites them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "screens"
SIZES = ((80, 24), (120, 40), (40, 12))
"""Columns and lines of the sizes in which every screen is checked."""


def as_text(app: Any) -> str:
    """Return the screen of a running Textual application, without colours and trailing blanks."""
    lines = [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]
    return "\n".join(lines) + "\n"


def check_screen(app: Any, name: str) -> None:
    """Compare the screen with the stored one.

    Args:
        app: An application running under a Pilot.
        name: Name of the file in ``tests/screens/``, without extension.
    """
    seen, kept = as_text(app), FOLDER / f"{name}.txt"
    if os.environ.get("RCT_KEEP_SCREENS"):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(seen, encoding="utf-8")
    expected = kept.read_text(encoding="utf-8") if kept.is_file() else "no screen was kept\n"
    assert seen == expected, f"{kept.name} differs; the screen is now:\n{seen}"
