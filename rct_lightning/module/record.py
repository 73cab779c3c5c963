"""Terms and figures of one optimizer step, summed over its micro-batches and processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from rct_lightning.data import Batch
from rct_lightning.losses import TERMS, LossSettings, Outcome
from rct_lightning.losses.relational import Figure


@dataclass
class StepRecord:
    """Terms and figures of one optimizer step: sums over its micro-batches, still on the device.

    ``terms`` are values (sums of contributions), ``figures`` are (sum, count), ``gradients`` are filled on diagnostic
    steps only; ``lr`` is the learning rate of the update; ``skipped`` means that the gradient was not finite, so that
    no update was made.
    """

    step: int = 0
    terms: dict[str, Tensor] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)
    gradients: dict[str, float] = field(default_factory=dict)
    lr: float = 0.0
    skipped: bool = False

    def add(self, outcome: Outcome, batch: Batch) -> None:
        """Add a micro-batch."""
        for name, value in outcome.terms.items():
            self.add_term(name, value)
        for name, figure in outcome.figures.items():
            self.add_figure(name, figure)
        self.add_figure("next_token", (outcome.row_nll.sum(), torch.tensor(float(batch.own.reply_tokens))))

    def add_term(self, name: str, contribution: Tensor) -> None:
        """Add a micro-batch's contribution to a term."""
        self.terms[name] = self.terms.get(name, 0.0) + contribution.detach()

    def add_figure(self, name: str, figure: Figure) -> None:
        """Add a micro-batch's sum and count."""
        before = self.figures.get(name, (0.0, 0.0))
        self.figures[name] = (before[0] + figure[0], before[1] + figure[1])

    def on_cpu(self) -> StepRecord:
        """Return a copy that can be sent to another process."""
        terms = {name: value.cpu() for name, value in self.terms.items()}
        figures = {name: (total.cpu(), count.cpu()) for name, (total, count) in self.figures.items()}
        return replace(self, terms=terms, figures=figures)

    @classmethod
    def of_processes(cls, parts: Sequence[StepRecord]) -> StepRecord:
        """Merge the parts that each process saw of one step; gradients are already those of all processes."""
        whole = replace(parts[0], terms={}, figures={})
        for part in parts:
            for name, value in part.terms.items():
                whole.add_term(name, value)
            for name, figure in part.figures.items():
                whole.add_figure(name, figure)
        return whole

    def values(self, settings: LossSettings) -> dict[str, float]:
        """Return numbers to log: every term, the total, the learning rate, and every figure with a count above zero."""
        terms = {name: float(value) for name, value in self.terms.items()}
        result = {**terms, "total": weighted_total(terms, settings), "lr": self.lr}
        result |= {name: float(total / count) for name, (total, count) in self.figures.items() if count > 0}
        return result | self.gradients | ({"skipped": 1.0} if self.skipped else {})


def weighted_total(terms: Mapping[str, float], settings: LossSettings) -> float:
    """Return lm + lambda * sum(w * term), over the terms present."""
    return terms["lm"] + sum(settings.weight(name) * terms.get(name, 0.0) for name in TERMS)
