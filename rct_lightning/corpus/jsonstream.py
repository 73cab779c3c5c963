"""Reads large JSON one element at a time, and reports the byte at which it is damaged.

Elements are decoded by the standard library's decoder from a buffer that is refilled when an element does not end in
it. Compared with an event-based parser, this keeps lone surrogates and long numbers as they are, reports where a file
ends too early, and is no slower (docs/corpus.md).
"""

from __future__ import annotations

import codecs
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, BinaryIO

from rct_lightning.errors import UserError

PIECE = 1 << 20
"""Bytes read at once."""
LONGEST = 64 << 20
"""Maximum length of one element in characters; no real conversation is longer."""
SLACK = 12
"""An error this close to the end of the buffer may be due to the cut: \\ud83d\\ude00 is the longest token (12)."""
BEGUN = ("true", "false", "null", "-", ".", "e+", "e-", "E+", "E-")
"""Tokens of which a part at the end of a file shows that the file was cut."""

_SPACE = re.compile(r"[ \t\r\n]*")


class Damaged(UserError):
    """A file that cannot be read beyond some byte. The elements before it were already yielded."""


class JsonStream:
    """A cursor in a JSON file.

    Args:
        file: A file opened for reading bytes.
        name: Its name in messages.
        advance: Called with the number of bytes of every piece that was read.
    """

    def __init__(self, file: BinaryIO, name: str, advance: Callable[[int], object] | None = None) -> None:
        self.name = name
        self.count = 0
        """Number of elements yielded."""
        self._file, self._advance = file, advance
        self._text, self._at = "", 0
        self._tail = b""  # bytes of a character that the next piece completes
        self._fed = 0  # bytes in or before the buffer
        self._ended = False
        self._fault: str | None = None  # why nothing can be read beyond the buffer
        self._decode = json.JSONDecoder().raw_decode
        self._more()
        self._text = self._text.removeprefix("\ufeff")

    def peek(self) -> str:
        """Return the next character that is not white space, or an empty string at the end."""
        while True:
            end = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            self._at = end
            if end < len(self._text):
                return self._text[end]
            if self._ended:
                if self._fault:
                    raise self._damaged(self._fault)
                return ""
            self._more()

    def documents(self) -> Iterator[Any]:
        """Yield all values up to the end: JSON lines, or a single object."""
        while self.peek():
            yield self._element()

    def elements(self) -> Iterator[Any]:
        """Yield the elements of the list that begins here."""
        self._expect("[")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield self._element()
            if self.peek() == "]":
                self._at += 1
                return
            self._expect(",")

    def elements_under(self, key: str) -> Iterator[Any]:
        """Yield the elements of the list under a key of the object that begins here; other keys are skipped."""
        for name in self._keys():
            if name == key and self.peek() == "[":
                yield from self.elements()
            else:
                self._value()

    def heads(self, key: str) -> Iterator[Any]:
        """Like :meth:`documents`, but each object only up to the first element of the list under ``key``."""
        while begin := self.peek():
            if begin != "{":
                yield self._element()
                continue
            found: dict[str, Any] = {}
            told = False
            for name in self._keys():
                if name != key or self.peek() != "[":
                    found[name] = self._value()
                    continue
                elements = self.elements()
                found[name] = list(islice(elements, 1))
                if found[name] and not told:
                    told = True
                    yield found
                for _ in elements:
                    pass
            if not told:
                yield found

    def finish(self) -> None:
        """Check that nothing follows.

        Raises:
            Damaged: Something follows.
        """
        if self.peek():
            raise self._damaged("something follows after the end of the JSON value")

    def _keys(self) -> Iterator[str]:
        self._expect("{")
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            if self.peek() != '"':
                self._expect('"')
            name = self._value()
            self._expect(":")
            yield name
            if self.peek() == "}":
                self._at += 1
                return
            self._expect(",")

    def _element(self) -> Any:
        value = self._value()
        self.count += 1
        return value

    def _value(self) -> Any:
        self.peek()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended or not self._unfinished(error):
                    raise self._malformed(error) from None
            except (RecursionError, ValueError) as error:
                deep = isinstance(error, RecursionError)
                why = (
                    "what begins here is nested too deeply"
                    if deep
                    else "what begins here has a number of too many digits"
                )
                raise self._damaged(why) from None
            else:
                if self._ended or not self._goes_on(value, end):
                    self._at = end
                    return value
            self._more()

    def _goes_on(self, value: Any, end: int) -> bool:
        """Return whether a number may continue in the next piece: 1 in ``1``, in ``1.`` and in ``1e+``."""
        rest = len(self._text) - end
        return rest == 0 or (rest < SLACK and isinstance(value, int | float) and self._text[end] in ".eE")

    def _unfinished(self, error: json.JSONDecodeError) -> bool:
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - SLACK

    def _malformed(self, error: json.JSONDecodeError) -> Damaged:
        rest = self._text[error.pos : error.pos + SLACK]
        begun = any(word.startswith(rest) for word in BEGUN)  # also true for an empty rest
        halved = error.msg.startswith("Invalid \\") and error.pos >= len(self._text) - 6
        cut = begun or halved or error.msg.startswith("Unterminated string")
        self._at = len(self._text) if cut else error.pos
        if cut:
            return self._damaged(self._fault or "the file ends in the middle of a value: it was cut")
        if self._text[self._at] == "\0":
            return self._damaged("a NUL byte stands here: the file is damaged, or it is UTF-16 and not UTF-8")
        return self._damaged(f"not valid JSON ({error.msg})")

    def _expect(self, character: str) -> None:
        found = self.peek()
        if not found:
            raise self._damaged("the file ends too early: it was cut")
        if found != character:
            raise self._damaged(f"not valid JSON ({character!r} expected)")
        self._at += 1

    def _damaged(self, what: str) -> Damaged:
        rest = len(self._text[self._at :].encode("utf-8", "surrogatepass"))
        return Damaged(f"{self.name}, byte {self._fed - rest + 1:,}, after {self.count:,} whole entries: {what}.")

    def _more(self) -> None:
        """Drop what was consumed and read another piece, a larger one if one element fills the buffer."""
        kept = self._text[self._at :]
        if len(kept) > LONGEST:
            raise self._damaged(f"what begins here is longer than {LONGEST >> 20} million characters")
        self._text, self._at = kept, 0
        try:
            piece = self._file.read(max(PIECE, len(kept)))
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            self._stop(f"the rest cannot be read ({error})")
            return
        if self._advance is not None:
            self._advance(len(piece))
        data = self._tail + piece
        try:
            text, used = codecs.utf_8_decode(data, "strict", not piece)
        except UnicodeDecodeError as error:
            text, used = data[: error.start].decode("utf-8"), error.start
            self._stop(
                "the file ends in the middle of a character: it was cut" if not piece else _not_utf8(data, error)
            )
        self._text = kept + text if kept else text
        self._fed += used
        self._tail = data[used:]
        self._ended = self._ended or not piece

    def _stop(self, why: str) -> None:
        self._fault, self._ended = why, True


def _not_utf8(data: bytes, error: UnicodeDecodeError) -> str:
    utf16 = error.start == 0 and data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    return f"this byte is not UTF-8 ({'the file is UTF-16' if utf16 else error.reason}). Save the file as UTF-8"
