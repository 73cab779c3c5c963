r"""Bond phrases as extra text to learn, where one is addressed: what is left of presence without anything to compare.

    cost = -mean_c s(c|q+)        over the bond phrases c of the step, q+ the marked prompt of a pair

The same phrases as :class:`RelationalLoss` draws at this step, after the same marked prompts, so the same number of
tokens; no rupture and no plain phrases, no unmarked prompt, no distance from the base, and no term on a row's history.
An arm of a study: what it reaches, too, is not reached by the contrast.
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
    """LM loss and the cost of bond phrases, which takes the place (and the weight) of presence."""

    @property
    def phrase_tokens(self) -> int:
        """About as many tokens as a training step asks after each prompt: those of one bank."""
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
            addressed = batch.strength[batch.twin_of] > 0  # which of the two prompts is
            marked = torch.where(addressed[:, None], scores.rows, scores.twins)  # [Q, C]
            terms["presence"] = -marked.mean(dim=1).sum() / max(batch.totals.pairs, 1)
            score = log_mean_exp(marked.detach())
            figures["presence/S_B_marked"] = score.sum(), torch.tensor(float(len(score)))
        row_nll = sum_by_row(-log_probs.detach(), row, len(batch))
        return Outcome(self._total(terms), terms, figures, row_nll)
