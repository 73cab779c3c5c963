"""Scores of the frozen base: computed once a row, kept, never differentiated."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rct_lightning.data import Batch
from rct_lightning.losses.relational import PhraseBook
from rct_lightning.scoring import base_model, score_many_phrases


class ReferenceScores:
    """s(phrase | prompt) under the base for every row of one dataset and every phrase of the training half.

    Rows are scored when they are first seen, as they stand and with their other address; memory is 2 x rows x phrases x
    4 bytes.
    """

    def __init__(self, rows: int, phrases: PhraseBook) -> None:
        self.phrases = phrases
        self.table = torch.full((2 * rows, len(phrases.ids)), float("nan"))
        self.rows = rows

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Float32 [B, C] on the batch's device; NaN for a renamed row whose own text was not seen yet."""
        index = (batch.index + self.rows * batch.readdressed).cpu()
        missing = torch.isnan(self.table[index, 0]) & ~batch.renamed.cpu()
        if missing.any():
            self._fill(model, batch, missing, index)
        return self.table[index].to(batch.input_ids.device)

    def _fill(self, model: nn.Module, batch: Batch, missing: Tensor, index: Tensor) -> None:
        rows = missing.to(batch.input_ids.device)
        lengths = batch.prompt_length[rows]
        prompts = batch.input_ids[rows, : int(lengths.max())]
        with base_model(model):
            scores = score_many_phrases(model, prompts, lengths, self.phrases.ids)
        self.table[index[missing]] = scores.float().cpu()
