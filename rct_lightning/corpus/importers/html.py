"""The text of a fragment of HTML, as Google keeps Gemini's answers."""

from __future__ import annotations

import html
import re

TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)(?:\"[^\"]{0,4000}\"|'[^']{0,4000}'|[^\"'<>])*>")
UNSEEN = re.compile(r"<!--.{0,100000}?-->|<(script|style)\b[^<>]*>.{0,100000}?</\1\s*>", re.S | re.I)
PREFORMATTED = re.compile(r"<pre\b[^<>]*>(.*?)</pre\s*>", re.S | re.I)
APART = {"p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "pre", "hr", "section"}
"""Elements that stand apart by a blank line."""
LINES = {"br": "\n", "tr": "\n", "/tr": "\n", "li": "\n- ", "td": " ", "th": " "}
_MARGINS = re.compile(r"[ \t]*\n[ \t]*")
_BLANKS = re.compile(r"\n{3,}")
_SPACES = re.compile(r"[ \t\r\n]+")


def html_text(fragment: str) -> str:
    """Paragraphs, items of lists and preformatted lines as plain text; everything else without its marks."""
    fragment = UNSEEN.sub("", fragment)
    parts, at = [], 0
    for found in PREFORMATTED.finditer(fragment):
        parts += [_flowing(fragment[at : found.start()]), "\n\n", _stripped(found[1]).strip("\n"), "\n\n"]
        at = found.end()
    parts.append(_flowing(fragment[at:]))
    return _BLANKS.sub("\n\n", "".join(parts)).strip()


def _flowing(fragment: str) -> str:
    """Text in which white space does not count."""
    return _MARGINS.sub("\n", _stripped(_SPACES.sub(" ", fragment)))


def _stripped(fragment: str) -> str:
    return html.unescape(TAG.sub(_break, fragment))


def _break(tag: re.Match[str]) -> str:
    name = tag[2].lower()
    return "\n\n" if name in APART else LINES.get(tag[1] + name, "")
