"""Where a page is put."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from rct_lightning.errors import UserError
from rct_lightning.page.blocks import FIGURES, Page
from rct_lightning.page.html import as_html
from rct_lightning.page.markdown import as_markdown


def write_page(folder: Path, name: str, page: Page) -> None:
    """Write ``name.html``, ``name.md`` and the figures that the latter shows; the HTML holds its own.

    Raises:
        UserError: The disk does not take them.
    """
    pictures = {folder / FIGURES / f"{figure.name}.png": figure.png for figure in page.figures()}
    texts = {f"{name}.md": as_markdown(page), f"{name}.html": as_html(page)}
    write_files(pictures | {folder / file: text.encode() for file, text in texts.items()})


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write files in order; each is written beside its place and put there when it is whole.

    Raises:
        UserError: The disk does not take one of them.
    """
    for path, content in contents.items():
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(content)
            os.replace(part, path)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise UserError(f"{path}: it cannot be written ({error.strerror or error}).") from None
