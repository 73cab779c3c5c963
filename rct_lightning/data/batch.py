"""A batch, and the counts by which its terms are divided."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

IGNORE = -100
PAD_MULTIPLE = 8
"""Rows are padded to a multiple of this number of tokens."""


COHERENCE, CONTINUITY = 0, 1
"""Source of a recurrent position: first said by the assistant, first said by the user."""


@dataclass(frozen=True)
class Totals:
    """Denominators of the terms over one whole optimizer step (all micro-batches, all processes).

    ``pairs``: rows that have a twin. ``prompts_without_history``: prompts of pairs (both sides counted) without earlier
    turns. ``*_rows``: rows to which the term applies.
    """

    reply_tokens: int
    pairs: int
    coherence_positions: int
    continuity_positions: int
    prompts_without_history: int
    rows: int
    coherence_rows: int = 0
    continuity_rows: int = 0

    def activity(self) -> dict[str, float]:
        """Return the share of rows to which each relational term applies."""
        judged = {"presence": self.pairs, "coherence": self.coherence_rows, "continuity": self.continuity_rows}
        return {term: count / max(self.rows, 1) for term, count in judged.items()}

    @classmethod
    def none(cls) -> Totals:
        """Return totals of zero."""
        return cls(*(0 for _ in fields(cls)))

    def __add__(self, other: Totals) -> Totals:
        return Totals(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


_OF_WORDS = ("recurrent_row", "recurrent_position", "recurrent_source", "candidates")


@dataclass(frozen=True)
class Batch:
    """B rows, right-padded to T tokens, and twins of Q of them.

    There are P recurrent positions over all rows, with K candidates each.

    A twin is the row's prompt with a presence marker added or removed, followed by the reply tokens before
    ``asked_at``. It carries no labels. Only the part after the prefix it shares with the row is stored: at most S
    tokens, right-padded.

    Attributes:
        input_ids: int64 [B, T].
        attention_mask: int64 [B, T], 0 on padding.
        labels: int64 [B, T], the token itself on the reply and its EOS, -100 elsewhere.
        prompt_length: int64 [B], where the reply begins.
        asked_at: int64 [B], where phrases are scored: at the end of the prompt, or after some clauses of the reply.
        strength: float32 [B], marker strength of the user's text in [0, 1].
        has_history: bool [B], whether the row has any earlier turn.
        renamed: bool [B], whether its recurrent words were replaced (their labels are -100 then).
        twin_of: int64 [Q], the row of each twin; at most one twin per row.
        twin_ids: int64 [Q, S].
        twin_start: int64 [Q], tokens that the twin shares with its row.
        twin_length: int64 [Q], tokens after the shared prefix.
        twin_strength: float32 [Q], marker strength of the twin's user text.
        recurrent_row: int64 [P], row of each recurrent position.
        recurrent_position: int64 [P], index of the recurrent token in its row.
        recurrent_source: int64 [P], 0 coherence (the assistant said it first), 1 continuity (the user did).
        candidates: int64 [P, K], the recurrent token first, then content tokens of other conversations.
        index: int64 [B], position of each row in its dataset.
        totals: Denominators over the whole optimizer step that this batch is part of.
        own: The same counts over this batch alone.
    """

    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor
    prompt_length: Tensor
    asked_at: Tensor
    strength: Tensor
    has_history: Tensor
    renamed: Tensor
    twin_of: Tensor
    twin_ids: Tensor
    twin_start: Tensor
    twin_length: Tensor
    twin_strength: Tensor
    recurrent_row: Tensor
    recurrent_position: Tensor
    recurrent_source: Tensor
    candidates: Tensor
    index: Tensor
    totals: Totals
    own: Totals

    def __len__(self) -> int:
        return len(self.input_ids)

    def parts(self, count: int) -> Iterator[Batch]:
        """Yield the batch in parts of nearly equal numbers of rows; all of them keep the same totals."""
        edges = [len(self) * at // count for at in range(count + 1)]
        for start, stop in zip(edges, edges[1:], strict=False):
            if stop > start:
                yield self._rows(start, stop)

    def _rows(self, start: int, stop: int) -> Batch:
        twins = (self.twin_of >= start) & (self.twin_of < stop)
        words = (self.recurrent_row >= start) & (self.recurrent_row < stop)
        cut: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Tensor):
                of = twins if f.name.startswith("twin_") else words if f.name in _OF_WORDS else slice(start, stop)
                cut[f.name] = value[of]
        cut["twin_of"], cut["recurrent_row"] = cut["twin_of"] - start, cut["recurrent_row"] - start
        source, row = cut["recurrent_source"], cut["recurrent_row"]
        claimed = cut["twin_of"][~cut["has_history"][cut["twin_of"]]]
        own = Totals(
            reply_tokens=int((cut["labels"] != IGNORE).sum()),
            pairs=len(cut["twin_of"]),
            coherence_positions=int((source == COHERENCE).sum()),
            continuity_positions=int((source == CONTINUITY).sum()),
            prompts_without_history=2 * len(claimed),
            rows=stop - start,
            coherence_rows=len(row[source == COHERENCE].unique()),
            continuity_rows=len(torch.cat([row[source == CONTINUITY], claimed]).unique()),
        )
        return replace(self, **cut, own=own)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Return the batch with every tensor on a device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory, for asynchronous copies to a GPU."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {name: function(v) for name, v in values.items() if isinstance(v, Tensor)}
        return replace(self, **moved)
