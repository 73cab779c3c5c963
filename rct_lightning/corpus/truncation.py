"""Lengths of rows in tokens, and what a limit cuts off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import median

from rct_lightning.corpus.tokens import FolderTokenizer, LengthsOnly
from rct_lightning.dialogue import Example
from rct_lightning.page import Table
from rct_lightning.template import DialogueTemplate, Encoded

WITHOUT_LIMIT = 1 << 30


@dataclass(frozen=True)
class Lengths:
    """Numbers of tokens of rows as the template encodes them, and what fits into the limit.

    Attributes:
        limit: Maximum number of tokens of a row (``data.max_seq_length``).
        whole: Tokens of each row if nothing were cut, its end-of-sequence token included.
        replies: Tokens of each row's reply, its end-of-sequence token included.
        encoded: Each row encoded within the limit; all ids are 0, only the lengths and counts are meaningful.
    """

    limit: int
    whole: list[int]
    replies: list[int]
    encoded: list[Encoded]

    @classmethod
    def of(cls, rows: Sequence[Example], tokenizer: FolderTokenizer, limit: int, template: DialogueTemplate) -> Lengths:
        """Count the tokens of rows, and those of each distinct turn once: it is in the context of every later row."""
        turns = {turn for row in rows for turn in row.context}
        texts = {turn.content for turn in turns} | {text for row in rows for text in (row.input, row.output)}
        known = LengthsOnly(tokenizer, tokenizer.lengths(" " + text.strip() for text in texts))
        encode = partial(template.encode, tokenizer=known)
        said_before = {turn: template.turn_length(turn, known) for turn in turns}
        alone = [encode(replace(row, context=()), max_length=WITHOUT_LIMIT) for row in rows]
        return cls(
            limit,
            [
                len(one.ids) + sum(map(said_before.__getitem__, row.context))
                for row, one in zip(rows, alone, strict=True)
            ],
            [len(one.ids) - one.prompt_length for one in alone],
            [encode(row, max_length=limit) for row in rows],
        )

    @property
    def cut_rows(self) -> int:
        """Number of rows that lose something, mostly their oldest turns."""
        return sum(row.turns_cut + row.input_tokens_cut + row.reply_tokens_cut > 0 for row in self.encoded)

    @property
    def reply_tokens_kept(self) -> float:
        """Share of the reply tokens that fit."""
        return 1 - sum(row.reply_tokens_cut for row in self.encoded) / max(sum(self.replies), 1)

    @property
    def limit_for_replies(self) -> int:
        """The least limit at which no reply and no current user text is cut."""
        lost = (row.input_tokens_cut + row.reply_tokens_cut for row in self.encoded)
        return max(len(row.ids) + cut for row, cut in zip(self.encoded, lost, strict=True))

    def table(self) -> Table:
        """Return a table of the lengths: least, median, 95th percentile and most."""
        body = []
        for name, counts in (("row", self.whole), ("reply", self.replies)):
            ordered = sorted(counts)
            high = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
            body.append([name, str(ordered[0]), f"{median(ordered):g}", str(high), str(ordered[-1])])
        return Table("Length in tokens", ["", "least", "median", "95%", "most"], body)
