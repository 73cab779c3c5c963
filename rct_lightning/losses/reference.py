"""Scores of the frozen base: computed once a row, kept, never differentiated."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rct_lightning.data import Batch
from rct_lightning.losses.relational import PhraseBook
from rct_lightning.scoring import Branches, base_model, score


class ReferenceScores:
    """s(phrase | prompt) under the base for every row of one dataset and every phrase of the training half.

    Rows are scored when they are first seen; memory is rows x phrases x 4 bytes.
    """

    def __init__(self, rows: int, phrases: PhraseBook) -> None:
        self.phrases = phrases
        self.table = torch.full((rows, len(phrases.ids)), float("nan"))

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Float32 [B, C] on the batch's device."""
        index = batch.index.cpu()
        missing = torch.isnan(self.table[index, 0])
        if missing.any():
            self._fill(model, batch, missing, index)
        return self.table[index].to(batch.input_ids.device)

    def _fill(self, model: nn.Module, batch: Batch, missing: Tensor, index: Tensor) -> None:
        device = batch.input_ids.device
        rows = missing.to(device)
        lengths = batch.prompt_length[rows]
        longest = int(lengths.max())
        inside = torch.arange(longest, device=device) < lengths[:, None]
        with base_model(model):
            scored = score(
                model,
                batch.input_ids[rows, :longest],
                inside.long(),
                lengths,
                Branches.of(self.phrases.ids, device),
            )
        assert scored.phrase_scores is not None
        self.table[index[missing]] = scored.phrase_scores.float().cpu()
