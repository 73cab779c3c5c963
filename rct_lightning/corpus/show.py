"""Shows a row as the model sees it: what is context, what is learnt, what does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rct_lightning.corpus.tokens import FolderTokenizer
from rct_lightning.corpus.truncation import WITHOUT_LIMIT
from rct_lightning.dialogue import Example
from rct_lightning.errors import UserError
from rct_lightning.template import DialogueTemplate, SpanKind

TURN_SPANS, PRESENT_SPANS = 3, 5
"""Role, content and newline of an earlier turn; two roles, user text, newline and reply of the current exchange."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive tokens of a row that are treated alike.

    Attributes:
        kind: Their kind.
        text: Their text; special tokens by their names.
        tokens: Their number.
        cut: Whether they are cut off, so that the model never sees them.
    """

    kind: SpanKind
    text: str
    tokens: int
    cut: bool = False

    @property
    def learnt(self) -> bool:
        """Whether they carry labels: the reply and its end-of-sequence token do."""
        return self.kind == "reply" and not self.cut


def find(rows: Sequence[Example], wanted: str) -> tuple[int, Example]:
    """Return a row and its number, by id or by its number counted from 1.

    Raises:
        UserError: There is no such row.
    """
    for number, row in enumerate(rows, start=1):
        if row.id == wanted:
            return number, row
    if wanted.isdecimal() and 1 <= int(wanted) <= len(rows):
        return int(wanted), rows[int(wanted) - 1]
    raise UserError(
        f"There is no row {wanted!r}. Give a number from 1 to {len(rows)}, or an id such as {rows[0].id!r}."
    )


def pieces(row: Example, tokenizer: FolderTokenizer, limit: int, template: DialogueTemplate) -> list[Piece]:
    """Return the whole row in pieces, including those that a limit cuts off.

    Raises:
        UserError: The limit leaves no room for any part of the reply.
    """
    whole, fitting = (template.encode(row, tokenizer, length) for length in (WITHOUT_LIMIT, limit))
    if len(fitting.ids) > limit or fitting.reply_tokens_cut == len(whole.ids) - whole.prompt_length:
        raise UserError(f"--max-seq-length {limit} leaves no room for a reply. Use 512, or what the run uses.")
    first_turn = len(whole.spans) - PRESENT_SPANS - TURN_SPANS * len(row.context)
    cut_turns = range(first_turn, first_turn + TURN_SPANS * fitting.turns_cut)
    found = []
    for number, span in enumerate(whole.spans):
        ids, gone, cut_end = whole.ids[span.start : span.stop], 0, 0
        if number in cut_turns:
            gone = len(ids)
        elif span.kind == "input":
            gone = fitting.input_tokens_cut
        elif span.kind == "reply":
            cut_end = fitting.reply_tokens_cut
        parts = ((ids[:gone], True), (ids[gone : len(ids) - cut_end], False), (ids[len(ids) - cut_end :], True))
        found += [Piece(span.kind, tokenizer.decode(part), len(part), cut) for part, cut in parts if part]
    return found
