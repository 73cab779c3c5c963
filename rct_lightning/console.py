"""Console output for the user: findings, and mistakes that the user can fix."""

from __future__ import annotations

import io
import os
import sys
import textwrap
from dataclasses import dataclass
from typing import Literal, TextIO

from rct_lightning.errors import UserError
from rct_lightning.sanitize import printable

EXIT_CODE = 2
WIDTH = 110
Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Line:
    """One finding: ok, warn or fail; what it is about; what was seen; what to do."""

    status: Status
    what: str
    seen: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.status:4}  {self.what:12}  {self.seen}{f'. {self.remedy}' if self.remedy else ''}"

    def wrapped(self, width: int = WIDTH) -> str:
        """Return the finding wrapped to lines of at most ``width`` characters, safe for a terminal."""
        return _wrapped(str(self), width, indent=" " * 20)


def accept_any_character() -> None:
    """Escape what the encoding of the console cannot write, a bullet under Latin-1, instead of failing at it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def tell(error: UserError) -> None:
    """Print a user's mistake as one paragraph on standard error."""
    print(_wrapped(str(error), _columns(sys.stderr), begin="Error: "), file=sys.stderr)


def _wrapped(text: str, width: int, *, begin: str = "", indent: str = "") -> str:
    """Wrap at blanks only: a path or a word of a command stays whole, and on the line of the beginning."""
    wrap = textwrap.TextWrapper(
        width, initial_indent=begin, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return wrap.fill(printable(text))


def _columns(stream: TextIO) -> int:
    """Return the width of a paragraph: that of the terminal, if it is one, and at most :data:`WIDTH`."""
    try:
        return min(os.get_terminal_size(stream.fileno()).columns or WIDTH, WIDTH)
    except (OSError, ValueError):  # a file, a pipe, or no stream of the system at all
        return WIDTH


def show(page: str) -> None:
    """Print a page on standard output; stop quietly if the reader closes the pipe."""
    try:
        print(page, flush=True)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        sys.stderr.close()
