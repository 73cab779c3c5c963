"""Write a page to disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rct_lightning.errors import UserError
from rct_lightning.page.blocks import FIGURES, Page
from rct_lightning.page.html import as_html
from rct_lightning.page.markdown import as_markdown
from rct_lightning.replacing import replacing


def write_page(folder: Path, name: str, page: Page) -> None:
    """Write ``name.html``, ``name.md`` and the figures that the Markdown shows; the HTML embeds its own.

    Raises:
        UserError: They cannot be written.
    """
    pictures = {folder / FIGURES / f"{figure.name}.png": figure.png for figure in page.figures()}
    texts = {f"{name}.md": as_markdown(page), f"{name}.html": as_html(page)}
    write_files(pictures | {folder / file: text.encode() for file, text in texts.items()})


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write files in order, each replaced in one step.

    Raises:
        UserError: One of them cannot be written.
    """
    for path, content in contents.items():
        try:
            with replacing(path) as part:
                part.write_bytes(content)
        except OSError as error:
            raise UserError(f"{path}: it cannot be written ({error.strerror or error}).") from None
