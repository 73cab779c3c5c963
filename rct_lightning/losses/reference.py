"""Scores of the frozen base: computed once a row, kept, never differentiated."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rct_lightning.data import Batch
from rct_lightning.losses.relational import PhraseBook
from rct_lightning.scoring import base_model, score_many_phrases


class ReferenceScores:
    """s(phrase | prompt) under the base for every row of one dataset and every phrase of the training half.

    Rows and their twins are scored when they are first asked; memory is 2 x rows x phrases x 4 bytes.
    """

    def __init__(self, rows: int, phrases: PhraseBook) -> None:
        self.phrases = phrases
        self.table = torch.full((2 * rows, len(phrases.ids)), float("nan"))
        self.rows = rows

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Float32 [A, C] on the batch's device: the A sequences of the batch that are asked, in its order."""
        asked = batch.asked
        index = (batch.index + self.rows * batch.is_twin)[asked].cpu()
        missing = torch.isnan(self.table[index, 0])
        if missing.any():
            new = torch.nonzero(asked).flatten()[missing.to(asked.device)]
            lengths = batch.prompt_length[new]
            with base_model(model):
                scores = score_many_phrases(
                    model, batch.input_ids[new, : int(lengths.max())], lengths, self.phrases.ids
                )
            self.table[index[missing]] = scores.float().cpu()
        return self.table[index].to(batch.input_ids.device)
