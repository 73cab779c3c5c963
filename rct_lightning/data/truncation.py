"""Report of what did not fit into ``max_seq_length``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rct_lightning.template import Encoded


@dataclass(frozen=True)
class TruncationReport:
    """Counts of what did not fit into ``max_seq_length``."""

    rows: int
    rows_with_cut_context: int
    rows_with_cut_input: int
    rows_with_cut_reply: int
    reply_tokens: int
    reply_tokens_cut: int

    @classmethod
    def of(cls, rows: Sequence[Encoded]) -> TruncationReport:
        """Count over the rows of one side of the split."""
        lost = sum(row.reply_tokens_cut for row in rows)
        return cls(
            rows=len(rows),
            rows_with_cut_context=sum(row.turns_cut > 0 for row in rows),
            rows_with_cut_input=sum(row.input_tokens_cut > 0 for row in rows),
            rows_with_cut_reply=sum(row.reply_tokens_cut > 0 for row in rows),
            reply_tokens=sum(len(row.ids) - row.prompt_length for row in rows) + lost,
            reply_tokens_cut=lost,
        )

    def line(self, side: str, max_length: int) -> str:
        """Return one line for the console."""
        return (
            f"{side}: {self.rows} rows at most {max_length} tokens; oldest turns cut in {self.rows_with_cut_context}, "
            f"user text cut in {self.rows_with_cut_input}, reply cut in {self.rows_with_cut_reply} "
            f"({self.reply_tokens_cut} of {self.reply_tokens} reply tokens lost)"
        )
