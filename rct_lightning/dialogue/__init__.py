"""The corpus: JSON lines, of which each becomes one :class:`Example`.

Every error names the file and the line, so that the user can go straight to the place.
"""

from rct_lightning.dialogue.example import TYPES, Example, Role, Turn, after
from rct_lightning.dialogue.files import as_jsonl, content_hash, read_jsonl, read_lines, read_rows, write_jsonl
from rct_lightning.dialogue.row import Contexts, Line, is_visible, line_from_row, turns, with_context

__all__ = [
    "TYPES",
    "Contexts",
    "Example",
    "Line",
    "Role",
    "Turn",
    "after",
    "as_jsonl",
    "content_hash",
    "is_visible",
    "line_from_row",
    "read_jsonl",
    "read_lines",
    "read_rows",
    "turns",
    "with_context",
    "write_jsonl",
]
