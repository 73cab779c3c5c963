"""Rows as tensors, and how they are collated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from rct_lightning.data.batch import IGNORE, PAD_MULTIPLE, Batch, Totals
from rct_lightning.data.placebo import Placebo, shuffle_markers, with_wrong_histories
from rct_lightning.data.recurrence import ContentVocabulary
from rct_lightning.data.row import Counterfactual, Row, make_row, parted, read_in_epoch, with_twin
from rct_lightning.data.sampler import BatchRequest
from rct_lightning.dialogue import Example
from rct_lightning.markers import Lexicon
from rct_lightning.template import Encoded


class RelationalDataset(Dataset[Batch]):
    """Rows of one side of the split; indexing with a :class:`BatchRequest` gives a collated batch.

    Args:
        examples: The rows.
        encoded: The same rows, tokenised.
        vocabulary: Content words of the training side.
        lexicon: Presence markers.
        pad_id: Padding token.
        counterfactual: Augmentation of rows in training epochs; by default none.
        encode: Tokenises a row's twin; without it rows have no twins.
        twin_every: Every n-th row is given a twin.
        clause_ends: Tokens that end a clause, after which phrases may be scored in training.
        placebo: A term's input is taken from other rows (see :mod:`rct_lightning.data.placebo`).
    """

    def __init__(
        self,
        examples: Sequence[Example],
        encoded: Sequence[Encoded],
        vocabulary: ContentVocabulary,
        lexicon: Lexicon,
        pad_id: int,
        counterfactual: Counterfactual | None = None,
        encode: Callable[[Example], Encoded] | None = None,
        twin_every: int = 1,
        clause_ends: frozenset[int] = frozenset(),
        placebo: Placebo | None = None,
    ) -> None:
        self.counterfactual = counterfactual or Counterfactual()
        self.examples = list(examples)
        self.pad_id = pad_id
        self.vocabulary = vocabulary
        self.rows = [
            make_row(example, row, vocabulary, lexicon, number)
            for number, (example, row) in enumerate(zip(examples, encoded, strict=True))
        ]
        if encode is not None:
            for number in range(0, len(self.rows), twin_every):
                row, example = self.rows[number], self.examples[number]
                self.rows[number] = with_twin(row, example, lexicon, encode, number)
        if placebo == "shuffled_markers":
            self.rows = shuffle_markers(self.rows, self.counterfactual.seed)
        elif placebo == "wrong_history":
            self.rows = with_wrong_histories(self.rows, vocabulary)
        self.clause_ends = clause_ends
        self.lengths = np.array([len(row.encoded.ids) for row in self.rows])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, request: BatchRequest) -> Batch:
        return self.collate(request.indices, request.step_indices, request.epoch)

    def counts(self, indices: Sequence[int], epoch: int | None = None) -> Totals:
        """Sum the denominators over some rows as augmented in an epoch."""
        return sum((self.row(index, epoch).counts for index in indices), Totals.none())

    def row(self, index: int, epoch: int | None = None) -> Row:
        """Return an unchanged row, or as augmented in a training epoch (see :func:`row.read_in_epoch`)."""
        row = self.rows[index]
        if epoch is None or not self.counterfactual.active:
            return row
        return read_in_epoch(row, self.counterfactual, self.vocabulary, self.clause_ends, epoch, index)

    def collate(
        self, indices: Sequence[int], step_indices: Sequence[int] | None = None, epoch: int | None = None
    ) -> Batch:
        """Pad rows, and the parts of their twins after the shared prefix, to one batch.

        Args:
            indices: Rows of the batch.
            step_indices: All rows of the optimizer step, over which the totals are counted; by default these rows.
            epoch: The training epoch; None leaves rows unchanged.
        """
        rows = [self.row(index, epoch) for index in indices]
        twins = [(at, *parted(row)) for at, row in enumerate(rows) if row.twin is not None]
        width = -(-max(len(row.encoded.ids) for row in rows) // PAD_MULTIPLE) * PAD_MULTIPLE
        ids = _padded([row.encoded.ids for row in rows], width, self.pad_id)
        mask = _padded([[1] * len(row.encoded.ids) for row in rows], width, 0)
        labels = np.full((len(rows), width), IGNORE, dtype=np.int64)
        for at, row in enumerate(rows):
            length, prompt = len(row.encoded.ids), row.encoded.prompt_length
            labels[at, prompt:length] = row.encoded.ids[prompt:]
            labels[at, list(row.unlabelled)] = IGNORE
        own = sum((row.counts for row in rows), Totals.none())
        recurrent = [(at, found) for at, row in enumerate(rows) for found in row.recurrent]
        candidates = np.array([found.candidates for _, found in recurrent], dtype=np.int64)
        return Batch(
            input_ids=torch.from_numpy(ids),
            attention_mask=torch.from_numpy(mask),
            labels=torch.from_numpy(labels),
            prompt_length=torch.tensor([row.encoded.prompt_length for row in rows]),
            asked_at=torch.tensor([row.encoded.prompt_length + row.said for row in rows]),
            strength=torch.tensor([row.strength for row in rows], dtype=torch.float32),
            has_history=torch.tensor([row.has_history for row in rows]),
            renamed=torch.tensor([row.renamed for row in rows]),
            twin_of=torch.tensor([at for at, _, _ in twins], dtype=torch.int64),
            twin_ids=torch.from_numpy(_padded([other for _, _, other in twins], None, self.pad_id)),
            twin_start=torch.tensor([start for _, start, _ in twins], dtype=torch.int64),
            twin_length=torch.tensor([len(other) for _, _, other in twins], dtype=torch.int64),
            twin_strength=torch.tensor([row.twin.strength for row in rows if row.twin], dtype=torch.float32),
            recurrent_row=torch.tensor([at for at, _ in recurrent], dtype=torch.int64),
            recurrent_position=torch.tensor([found.position for _, found in recurrent], dtype=torch.int64),
            recurrent_source=torch.tensor([source for row in rows for source in row.sources], dtype=torch.int64),
            candidates=torch.from_numpy(candidates.reshape(-1, self.vocabulary.recurrence.num_candidates + 1)),
            index=torch.tensor(list(indices)),
            totals=own if step_indices in (None, tuple(indices)) else self.counts(step_indices, epoch),
            own=own,
        )


def _padded(rows: Sequence[Sequence[int]], width: int | None, fill: int) -> np.ndarray:
    """Return rows of tokens as one array [N, width], by default as wide as the longest."""
    array = np.full((len(rows), max(map(len, rows), default=0) if width is None else width), fill, dtype=np.int64)
    for at, row in enumerate(rows):
        array[at, : len(row)] = row
    return array
