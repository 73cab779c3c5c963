"""Rows as tensors, and how they are collated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from rct_lightning.data.batch import COHERENCE, CONTINUITY, IGNORE, Batch, Totals
from rct_lightning.data.recurrence import ContentVocabulary
from rct_lightning.data.sampler import BatchRequest
from rct_lightning.dialogue import Example
from rct_lightning.markers import Lexicon
from rct_lightning.template import Encoded

PAD_MULTIPLE = 8


@dataclass(frozen=True)
class Row:
    """One row as tensors, before padding."""

    encoded: Encoded
    strength: float
    positions: np.ndarray
    sources: np.ndarray
    candidates: np.ndarray

    @property
    def has_history(self) -> bool:
        """Whether any earlier turn survived truncation."""
        return any(span.kind in ("human", "assistant") for span in self.encoded.spans)

    @property
    def counts(self) -> Totals:
        """What this row adds to the denominators."""
        return Totals(
            reply_tokens=len(self.encoded.ids) - self.encoded.prompt_length,
            rows=1,
            coherence_positions=int((self.sources == COHERENCE).sum()),
            continuity_positions=int((self.sources == CONTINUITY).sum()),
            rows_without_history=int(not self.has_history),
        )


class RelationalDataset(Dataset[Batch]):
    """Rows of one side of the split; indexing with a :class:`BatchRequest` gives a collated batch."""

    def __init__(
        self,
        examples: Sequence[Example],
        encoded: Sequence[Encoded],
        vocabulary: ContentVocabulary,
        lexicon: Lexicon,
        pad_id: int,
    ) -> None:
        self.examples = list(examples)
        self.pad_id = pad_id
        self.num_candidates = vocabulary.recurrence.num_candidates
        self.rows = [
            _make_row(example, row, vocabulary, lexicon, number)
            for number, (example, row) in enumerate(zip(examples, encoded, strict=True))
        ]
        self.lengths = np.array([len(row.encoded.ids) for row in self.rows])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, request: BatchRequest) -> Batch:
        return self.collate(request.indices, request.step_indices)

    def counts(self, indices: Sequence[int]) -> Totals:
        """Denominators over some rows."""
        total = Totals(0, 0, 0, 0, 0)
        for index in indices:
            total = total + self.rows[index].counts
        return total

    def collate(self, indices: Sequence[int], step_indices: Sequence[int] | None = None) -> Batch:
        """Pad rows to one batch whose totals count all rows of the optimizer step (default: these rows)."""
        rows = [self.rows[index] for index in indices]
        longest = max(len(row.encoded.ids) for row in rows)
        width = -(-longest // PAD_MULTIPLE) * PAD_MULTIPLE
        ids = np.full((len(rows), width), self.pad_id, dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        labels = np.full((len(rows), width), IGNORE, dtype=np.int64)
        for at, row in enumerate(rows):
            length, prompt = len(row.encoded.ids), row.encoded.prompt_length
            ids[at, :length] = row.encoded.ids
            mask[at, :length] = 1
            labels[at, prompt:length] = row.encoded.ids[prompt:]
        own = self.counts(indices)
        candidates = [row.candidates.reshape(-1, self.num_candidates + 1) for row in rows]
        return Batch(
            input_ids=torch.from_numpy(ids),
            attention_mask=torch.from_numpy(mask),
            labels=torch.from_numpy(labels),
            prompt_length=torch.tensor([row.encoded.prompt_length for row in rows]),
            strength=torch.tensor([row.strength for row in rows], dtype=torch.float32),
            has_history=torch.tensor([row.has_history for row in rows]),
            recurrent_row=torch.tensor([at for at, row in enumerate(rows) for _ in row.positions], dtype=torch.int64),
            recurrent_position=torch.from_numpy(np.concatenate([row.positions for row in rows])),
            recurrent_source=torch.from_numpy(np.concatenate([row.sources for row in rows])),
            candidates=torch.from_numpy(np.concatenate(candidates)),
            index=torch.tensor(list(indices)),
            totals=own if step_indices is None else self.counts(step_indices),
            own=own,
        )


def _make_row(example: Example, encoded: Encoded, vocabulary: ContentVocabulary, lexicon: Lexicon, number: int) -> Row:
    first_said = vocabulary.first_speaker(encoded)
    spans = {kind: [span for span in encoded.spans if span.kind == kind] for kind in ("input", "reply")}
    present = {word for span in spans["input"] for _, word in vocabulary.words(encoded, span)}
    own_pieces = {token for word in (*first_said, *present) for token in word}
    positions, sources, candidates, seen = [], [], [], set()
    for position, word in (found for span in spans["reply"] for found in vocabulary.words(encoded, span)):
        if word in seen:  # a word that this reply has said already may be copied from the reply itself
            continue
        seen.add(word)
        if word not in first_said or word in present or not vocabulary.is_content(word):
            continue
        role = first_said[word]
        seed = vocabulary.recurrence.seed * 1_000_003 + number * 1009 + position
        others = vocabulary.draw(role, example.conversation, own_pieces, seed)
        if others is not None:
            positions.append(position)
            sources.append(COHERENCE if role == "assistant" else CONTINUITY)
            candidates.append(np.concatenate([[word[0]], others]))
    width = vocabulary.recurrence.num_candidates + 1
    return Row(
        encoded,
        lexicon.strength(example.input),
        np.array(positions, dtype=np.int64),
        np.array(sources, dtype=np.int64),
        np.array(candidates, dtype=np.int64).reshape(-1, width),
    )
