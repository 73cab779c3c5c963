"""What a person is told on the console when something they can put right went wrong."""

from __future__ import annotations

import sys
import textwrap

from rct_lightning.errors import UserError
from rct_lightning.sanitize import printable

EXIT_CODE = 2
WIDTH = 110


def tell(error: UserError) -> None:
    """Print a mistake as one paragraph on the standard error stream."""
    print("\n".join(textwrap.wrap(printable(f"Error: {error}"), width=WIDTH, break_long_words=False)), file=sys.stderr)
