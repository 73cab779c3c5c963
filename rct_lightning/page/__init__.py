"""A page that people read: one description, written as HTML that stands alone, as Markdown, and as plain text.

Whoever has something to report describes it with the blocks and calls :func:`write_page`; since all files are made of
the same description, they cannot disagree. Every text is made printable and escaped here, whoever it is from. The HTML
holds its style and figures and asks nothing of any other place; its content security policy forbids that, and scripts.
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
