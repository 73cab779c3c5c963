"""What a person is told on the console: findings, and what went wrong that they can put right."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import dataclass
from typing import Literal

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
        """The finding in lines of at most so many characters, safe for a terminal."""
        wrap = textwrap.TextWrapper(width, subsequent_indent=" " * 20, break_long_words=False, break_on_hyphens=False)
        return wrap.fill(printable(str(self)))


def tell(error: UserError) -> None:
    """Print a mistake as one paragraph on the standard error stream."""
    print("\n".join(textwrap.wrap(printable(f"Error: {error}"), width=WIDTH, break_long_words=False)), file=sys.stderr)


def show(page: str) -> None:
    """Print a page on the standard output stream, as much of it as whoever reads it wants."""
    try:
        print(page, flush=True)
    except BrokenPipeError:  # head has seen enough
        sys.stderr.close()
