"""A page for people to read: one description, written as self-contained HTML, as Markdown, and as plain text.

To report something, describe it with the blocks and call :func:`write_page`; since all files are made from the same
description, they cannot disagree. Every text is made printable and escaped here, whatever its source. The HTML embeds
its style and figures and loads nothing from elsewhere; its content security policy forbids that, and scripts.
"""

from rct_lightning.page.blocks import (
    FIGURES,
    PIXELS_A_POINT,
    Block,
    Cell,
    Facts,
    Figure,
    Figures,
    Page,
    Paragraph,
    Points,
    Section,
    SideBySide,
    Table,
    Tone,
)
from rct_lightning.page.drawing import drawn
from rct_lightning.page.html import as_html
from rct_lightning.page.markdown import as_markdown, block_as_markdown
from rct_lightning.page.text import as_text
from rct_lightning.page.writing import write_files, write_page

__all__ = [
    "FIGURES",
    "PIXELS_A_POINT",
    "Block",
    "Cell",
    "Facts",
    "Figure",
    "Figures",
    "Page",
    "Paragraph",
    "Points",
    "Section",
    "SideBySide",
    "Table",
    "Tone",
    "as_html",
    "as_markdown",
    "as_text",
    "block_as_markdown",
    "drawn",
    "write_files",
    "write_page",
]
