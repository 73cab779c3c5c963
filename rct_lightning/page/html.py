"""Render a page as HTML."""

from __future__ import annotations

import base64
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from rct_lightning.page.blocks import Page
from rct_lightning.sanitize import printable

TEMPLATE = Path(__file__).with_name("page.html")


def as_html(page: Page) -> str:
    """Render the page as HTML."""
    numbers = count(1)
    return _template().render(page=page, data_uri=_data_uri, number=lambda: next(numbers))


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    def shown(value: Any) -> Any:  # called on every expression in the template, before it is escaped
        return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value  # once

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=shown, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8"))


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
