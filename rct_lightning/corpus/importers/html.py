"""Converts HTML fragments, in which Google stores Gemini's answers, to text, in one pass for any input."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

TAG = re.compile(
    r"<!--|<(/?)([A-Za-z][A-Za-z0-9]{0,20})\b(?:\"[^\"]{0,2000}\"|'[^']{0,2000}'|[^\"'<>])*>",
)
APART = {"p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "pre", "hr", "section"}
"""Elements that are separated by a blank line."""
LINES = {"br": "\n", "tr": "\n", "/tr": "\n", "li": "\n- ", "td": " ", "th": " "}
ITEM_ENDS = re.compile(r"\s*</li\b", re.I)
UNSEEN = {"script", "style"}
_MARGINS = re.compile(r"[ \t]*\n[ \t]*")
_BLANKS = re.compile(r"\n{3,}")
_WIDE = re.compile(r"[\t\r\n]|  ")
_SPACES = re.compile(r"[ \t\r\n]+")


def html_text(fragment: str) -> str:
    """Return paragraphs, list items and preformatted lines as plain text; other tags are removed."""
    parts: list[str] = []
    flowing: list[str] = []
    for kept, piece in _pieces(fragment):
        if not kept:
            flowing.append(piece)
            continue
        parts += [_MARGINS.sub("\n", "".join(flowing)), piece]
        flowing = []
    parts.append(_MARGINS.sub("\n", "".join(flowing)))
    return _BLANKS.sub("\n\n", "".join(parts)).strip()


def _pieces(fragment: str) -> Iterator[tuple[bool, str]]:
    """Texts and the breaks between them; True where white space counts, inside ``pre``.

    The mark of an item stands right before its first word, its last word right before the next mark.
    """
    at, kept, marked = 0, False, False
    while True:
        tag = TAG.search(fragment, at)
        words = fragment[at : tag.start() if tag else len(fragment)]
        if not kept and _WIDE.search(words):  # most texts have single spaces, which need no work
            words = _SPACES.sub(" ", words)
        if marked:
            words = words if kept else words.lstrip()
            marked = not words
        yield kept, html.unescape(words)
        if tag is None:
            return
        at = tag.end()
        name = (tag[2] or "").lower()
        if not name:  # a comment
            at = _after(fragment, "-->", at)
        elif name in UNSEEN and not tag[1]:
            at = _after(fragment, f"</{tag[2]}", at)
        elif name == "pre":
            kept = not tag[1]
            yield False, "" if marked and kept else "\n\n"
        elif name in APART:
            yield kept, "" if (ITEM_ENDS.match(fragment, at) if tag[1] else marked) else "\n\n"
        else:
            yield kept, LINES.get(tag[1] + name, "")
            marked = not tag[1] if name == "li" else marked


def _after(fragment: str, end: str, at: int) -> int:
    found = fragment.find(end, at)
    return len(fragment) if found < 0 else found + (len(end) if end == "-->" else 0)
