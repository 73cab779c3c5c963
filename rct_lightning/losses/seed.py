"""The original project's formulas, kept to show what they do; never a default.

The first version, according to its code and reports: the logits at a position were compared with the label at the SAME
position (copying is learnt, the next token is not); presence counted substrings in the target text and wrapped the
float in a new tensor (no gradient, a constant); coherence was always 0.5 and continuity always 0, since no row had a
context. In addition, the true next-token loss is measured and reported. With the shift *repaired*, the objective is the
LM loss plus a constant.

The second version, which was never imported anywhere, weighted the cross-entropy of each label: where the user's text
is marked with strength a, labels that are pieces of bond words count 1 + 0.15 a and labels that are pieces of rupture
words 1 + 0.2 a, so that rupture is learnt harder than bond. It does not check which word a piece belongs to: "er" and
"or" count.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rct_lightning.data import IGNORE, Batch
from rct_lightning.losses.language import language_loss
from rct_lightning.losses.relational import TERMS, LossSettings, Outcome, sum_by_row
from rct_lightning.scoring import hidden_states, logits_at, reply_log_probs

BOND_SUBSTRINGS = ("here", "with", "see", "love", "our", "bond")
RUPTURE_SUBSTRINGS = ("error", "cannot", "as an ai")
RUPTURE_FACTOR = 2.0
"""Factor by which the second version multiplied the weight of rupture labels."""


class SeedLoss:
    """The objective of the original's first version; it scores no phrases.

    Args:
        settings: Lambda and weights.
        decode: Turns reply tokens back into text.
        repaired: Whether each token is predicted from the position before it, as it should be.
    """

    phrase_tokens = longest_phrase = 0

    def __init__(self, settings: LossSettings, decode: Callable[[list[int]], str], *, repaired: bool = False) -> None:
        self.settings, self.decode, self.repaired = settings, decode, repaired

    def __call__(self, model: nn.Module, batch: Batch, step: int) -> Outcome:
        """Compute the LM loss, unshifted unless repaired, and the three constants."""
        hidden = hidden_states(model, batch.input_ids)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.repaired):
            true, true_row = reply_log_probs(model, hidden, batch.labels)
        costs = language_loss(true) if self.repaired else _unshifted(model, hidden, batch)
        share = batch.own.rows / max(batch.totals.rows, 1)
        constants = {"presence": self._presence(batch), "coherence": 0.5, "continuity": 0.0}
        terms = {name: torch.tensor(value * share, device=hidden.device) for name, value in constants.items()}
        terms["lm"] = costs / max(batch.totals.reply_tokens, 1)
        total = terms["lm"] + sum(self.settings.weight(name) * terms[name] for name in constants)
        return Outcome(total, terms, {}, sum_by_row(-true.detach(), true_row, len(batch)))

    def observe(self, model: nn.Module, batch: Batch) -> Outcome:
        """Compute the same terms without gradient."""
        with torch.no_grad():
            return self(model, batch, 0)

    def counts(self, batch: Batch) -> dict[str, int]:
        """Return the counts; the constants are means over rows."""
        return {"lm": batch.own.reply_tokens} | dict.fromkeys(TERMS, batch.own.rows)

    def _presence(self, batch: Batch) -> float:
        values = []
        for labels in batch.labels:
            text = self.decode(labels[labels != IGNORE].tolist()).lower()
            bond = sum(word in text for word in BOND_SUBSTRINGS)
            rupture = sum(word in text for word in RUPTURE_SUBSTRINGS)
            values.append(max(0.0, 1.0 - 0.2 * bond + 0.2 * rupture))
        return sum(values) / len(values)


class TokenWeightedLoss:
    """The objective of the original's second version with the shift repaired; it scores no phrases.

    What the weights add is reported as ``presence`` (bond labels) and ``coherence`` (rupture labels), so that the total
    is lm + lambda * sum(w * term) here, too; continuity is absent.

    Args:
        settings: Lambda and weights; the products are the original's 0.15 and 0.1.
        tokenize: Tokenises a text, without special tokens.
    """

    phrase_tokens = longest_phrase = 0

    def __init__(self, settings: LossSettings, tokenize: Callable[[str], list[int]]) -> None:
        self.settings = settings
        self.bond, self.rupture = (
            torch.tensor(sorted({token for text in texts for token in tokenize(text)}))
            for texts in (BOND_SUBSTRINGS, RUPTURE_SUBSTRINGS)
        )

    def __call__(self, model: nn.Module, batch: Batch, step: int) -> Outcome:
        """Compute the LM loss, and as further terms the parts of it due to bond and rupture labels of marked rows."""
        hidden = hidden_states(model, batch.input_ids)
        log_probs, row = reply_log_probs(model, hidden, batch.labels)
        labels = batch.labels[:, 1:][batch.labels[:, 1:] != IGNORE]
        added = -log_probs * batch.strength[row]
        bond = torch.isin(labels, self.bond.to(labels.device))
        rupture = torch.isin(labels, self.rupture.to(labels.device)) & ~bond
        sums = {
            "lm": language_loss(log_probs),
            "presence": (added * bond).sum(),
            "coherence": RUPTURE_FACTOR * (added * rupture).sum(),
        }
        terms = {name: value / max(batch.totals.reply_tokens, 1) for name, value in sums.items()}
        total = terms["lm"] + sum(self.settings.weight(name) * terms[name] for name in ("presence", "coherence"))
        return Outcome(total, terms, {}, sum_by_row(-log_probs.detach(), row, len(batch)))

    def observe(self, model: nn.Module, batch: Batch) -> Outcome:
        """Compute the same terms without gradient."""
        with torch.no_grad():
            return self(model, batch, 0)

    def counts(self, batch: Batch) -> dict[str, int]:
        """Return the counts; every term is a mean over reply tokens."""
        return dict.fromkeys(("lm", "presence", "coherence"), batch.own.reply_tokens)


def _unshifted(model: nn.Module, hidden: Tensor, batch: Batch) -> Tensor:
    """Return the summed cross-entropy of each label with the logits at its own position."""
    row, position = torch.nonzero(batch.labels != IGNORE, as_tuple=True)
    return F.cross_entropy(logits_at(model, hidden[row, position]), batch.labels[row, position], reduction="sum")
