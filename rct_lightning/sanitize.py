"""Makes foreign text safe to show: nothing in it controls the terminal or reverses the direction of a line.

A model's reply, a row of a corpus or a line of a log may hold escape sequences that write to the clipboard, clear the
screen or hide text beside them. All such text passes through this module once, on its way in.
"""

from __future__ import annotations

import re

_LINES = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # control sequences: colours, cursor, clear (ECMA-48)
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # strings: title, clipboard, links
    r"|\x1b[ -/]*[0-~]"  # two bytes: reset, character sets
)
_CONTROLS = re.compile(
    # C0 but tab and newline, DEL, C1. What a C1 introducer would begin is text without it, and somebody's words where a
    # text was read in a wrong encoding.
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # direction, invisible, line separators
    "\U000e0000-\U000e007f]"  # tags: invisible text
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_OPEN = re.compile(  # an incomplete sequence at the end of a piece
    r"\x1b\[[0-?]*[ -/]*$"
    r"|\x1b[\]PX^_][^\x07\x1b\x9c]*\x1b?$"
    r"|\x1b[ -/]*$"
)
LONGEST_SEQUENCE = 4096
"""Maximum number of characters that a stream holds back while a sequence is incomplete."""


def printable(text: str) -> str:
    """Return the text without escape sequences, control and direction characters; tabs and newlines stay.

    Whatever else ends a line (CR, VT, FF, NEL, U+2028, U+2029) becomes a newline, and a lone surrogate the replacement
    character.
    """
    text = _ESCAPES.sub("", _LINES.sub("\n", text))
    return _SURROGATES.sub("\ufffd", _CONTROLS.sub("", text))


class Stream:
    """The same for text that arrives in pieces: sequences that span several pieces are removed as well."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """Return what can be shown now; an incomplete sequence is held back until it is complete."""
        text = self._held + piece
        begun = _OPEN.search(text)
        at = begun.start() if begun and len(text) - begun.start() <= LONGEST_SEQUENCE else len(text)
        if text[:at].endswith("\r"):  # may be the first half of CR LF
            at -= 1
        self._held = text[at:]
        return printable(text[:at])

    def end(self) -> str:
        """Return what was held back; call this after the last piece."""
        text, self._held = self._held, ""
        return printable(text)
