"""Evaluation of a micro-batch in parts when memory is short, with the gradient of the whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from rct_lightning.data import Batch
from rct_lightning.losses.relational import Outcome

Evaluate = Callable[[Batch], Outcome]


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error is an out-of-memory error; the wording differs between devices."""
    said = str(error).lower()
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(word in said for word in words)
    )


def evaluate_in_parts(
    evaluate: Evaluate, model: nn.Module, batch: Batch, parts: int, loss_scale: float = 1.0
) -> Outcome:
    """Evaluate a batch in parts, computing each part's gradient before the next part is evaluated.

    The terms of a step are sums divided by counts of the whole step, so the parts add up to it. Only one part's
    activations are held at a time; of each part only the gradient is kept, and the gradient of ``total`` is their sum.

    Args:
        evaluate: Computes the loss of a batch, with gradient.
        model: The model whose trainable parameters are learnt.
        batch: A batch of at least ``parts`` rows.
        parts: Number of parts.
        loss_scale: Factor of each part's loss in its backward pass, without which float16 loses small gradients. It is
            taken out of the sum again.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    gradients = [torch.zeros_like(parameter) for parameter in parameters]
    outcomes = []
    for part in batch.parts(parts):
        outcome = evaluate(part)
        found = torch.autograd.grad(outcome.total * loss_scale, parameters, allow_unused=True)
        for total, gradient in zip(gradients, found, strict=True):
            if gradient is not None:
                total += gradient / loss_scale
        outcomes.append(_without_gradient(outcome))
    whole = _sum(outcomes)
    total = _WithGradients.apply(whole.total, gradients, *parameters)
    return Outcome(total, whole.terms, whole.figures, whole.row_nll)


class _WithGradients(torch.autograd.Function):
    """A value with given gradients, which need not be finite."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: list[Tensor], *parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *(gradient * each for each in ctx.gradients)


def _without_gradient(outcome: Outcome) -> Outcome:
    terms = {name: term.detach() for name, term in outcome.terms.items()}
    return Outcome(outcome.total.detach(), terms, outcome.figures, outcome.row_nll)


def _sum(outcomes: list[Outcome]) -> Outcome:
    terms: dict[str, Tensor] = {}
    figures: dict[str, tuple[Tensor, Tensor]] = {}
    for outcome in outcomes:
        for name, term in outcome.terms.items():
            terms[name] = terms[name] + term if name in terms else term
        for name, (value, count) in outcome.figures.items():
            before = figures.get(name, (torch.zeros_like(value), torch.zeros_like(count)))
            figures[name] = before[0] + value, before[1] + count
    total = torch.stack([outcome.total for outcome in outcomes]).sum()
    return Outcome(total, terms, figures, torch.cat([outcome.row_nll for outcome in outcomes]))
