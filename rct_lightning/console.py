"""Console output for the user: findings, and mistakes that the user can fix."""

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
        """Return the finding wrapped to lines of at most ``width`` characters, safe for a terminal."""
        wrap = textwrap.TextWrapper(width, subsequent_indent=" " * 20, break_long_words=False, break_on_hyphens=False)
        return wrap.fill(printable(str(self)))


def tell(error: UserError) -> None:
    """Print a user's mistake as one paragraph on standard error."""
    print("\n".join(textwrap.wrap(printable(f"Error: {error}"), width=WIDTH, break_long_words=False)), file=sys.stderr)


def show(page: str) -> None:
    """Print a page on standard output; stop quietly if the reader closes the pipe."""
    try:
        print(page, flush=True)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        sys.stderr.close()
