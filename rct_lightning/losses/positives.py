r"""Bond phrases as extra training text after marked prompts: what remains of presence without any comparison.

    cost = -mean_c s(c|q+)        over the bond phrases c of the step, q+ the marked prompt of a pair

The phrases are those that :class:`RelationalLoss` draws at this step, after the same marked prompts, so the number of
bond tokens is the same; there are no rupture or plain phrases, no unmarked prompt, no distance from the base and no
term on a row's history. It is an arm of a study: what this loss achieves as well is not due to the contrast.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from rct_lightning.data import Batch
from rct_lightning.losses.language import language_loss
from rct_lightning.losses.presence import log_mean_exp
from rct_lightning.losses.relational import BANKS, Figure, Outcome, RelationalLoss, read_with_phrases, sum_by_row
from rct_lightning.scoring import Branches, reply_log_probs


class PositivesLoss(RelationalLoss):
    """LM loss and the cost of bond phrases, which replaces presence and takes its weight."""

    @property
    def phrase_tokens(self) -> int:
        """Approximate number of phrase tokens scored after each prompt in a training step: those of one bank."""
        return super().phrase_tokens // len(BANKS)

    def _evaluate(
        self, model: nn.Module, batch: Batch, drawn: Mapping[str, list[int]] | None, smoothing: float
    ) -> Outcome:
        bond = [] if drawn is None else [self.phrases.ids[index] for index in drawn["bond"]]
        branches = Branches.of(bond, batch.input_ids.device) if bond else None
        hidden, scores = read_with_phrases(model, batch, branches)
        log_probs, row = reply_log_probs(model, hidden, batch.labels)
        terms = {"lm": language_loss(log_probs) / max(batch.totals.reply_tokens, 1)}
        figures: dict[str, Figure] = {}
        if scores is not None:
            addressed = batch.strength[batch.twin_of] > 0  # whether the row, not its twin, is marked
            marked = torch.where(addressed[:, None], scores.rows, scores.twins)  # [Q, C]
            terms["presence"] = -marked.mean(dim=1).sum() / max(batch.totals.pairs, 1)
            score = log_mean_exp(marked.detach())
            figures["presence/S_B_marked"] = score.sum(), torch.tensor(float(len(score)))
        row_nll = sum_by_row(-log_probs.detach(), row, len(batch))
        return Outcome(self._total(terms), terms, figures, row_nll)
