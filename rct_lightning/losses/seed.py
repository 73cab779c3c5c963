"""The original project's formulas, kept to show what they do; never a default.

What they did, as its code and reports describe them: the logits at a position were compared with the label at the
SAME position (copying is learnt, the next token is not); presence counted substrings in the target text and wrapped
the float in a new tensor (no gradient, a constant); coherence was always 0.5 and continuity always 0, since no row had
a context. Beside them, the true next-token loss is measured and reported.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from rct_lightning.data import IGNORE, Batch
from rct_lightning.losses.relational import LossSettings, Outcome, sum_by_row
from rct_lightning.scoring import hidden_states, logits_at, reply_log_probs

BOND_SUBSTRINGS = ("here", "with", "see", "love", "our", "bond")
RUPTURE_SUBSTRINGS = ("error", "cannot", "as an ai")


class SeedLoss:
    """The objective of the original's first version; it asks no phrases.

    Args:
        settings: lambda and weights.
        decode: Turns reply tokens back into text.
    """

    phrase_tokens = 0

    def __init__(self, settings: LossSettings, decode: Callable[[list[int]], str]) -> None:
        self.settings, self.decode = settings, decode

    def __call__(self, model: nn.Module, batch: Batch, step: int) -> Outcome:
        """The unshifted loss and the three constants."""
        hidden = hidden_states(model, batch.input_ids)
        row, position = torch.nonzero(batch.labels != IGNORE, as_tuple=True)
        unshifted = F.cross_entropy(
            logits_at(model, hidden[row, position]), batch.labels[row, position], reduction="sum"
        )
        share = batch.own.rows / max(batch.totals.rows, 1)
        constants = {"presence": self._presence(batch), "coherence": 0.5, "continuity": 0.0}
        terms = {name: torch.tensor(value * share, device=hidden.device) for name, value in constants.items()}
        terms["lm"] = unshifted / max(batch.totals.reply_tokens, 1)
        with torch.no_grad():
            true, true_row = reply_log_probs(model, hidden, batch.labels)
        total = terms["lm"] + sum(self.settings.weight(name) * terms[name] for name in constants)
        return Outcome(total, terms, {}, sum_by_row(-true, true_row, len(batch)))

    def observe(self, model: nn.Module, batch: Batch) -> Outcome:
        """The same figures without gradient."""
        with torch.no_grad():
            return self(model, batch, 0)

    def _presence(self, batch: Batch) -> float:
        values = []
        for labels in batch.labels:
            text = self.decode(labels[labels != IGNORE].tolist()).lower()
            bond = sum(word in text for word in BOND_SUBSTRINGS)
            rupture = sum(word in text for word in RUPTURE_SUBSTRINGS)
            values.append(max(0.0, 1.0 - 0.2 * bond + 0.2 * rupture))
        return sum(values) / len(values)
