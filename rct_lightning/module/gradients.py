"""Gradients of the adapters: accumulated so far, and of each term separately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rct_lightning import processes
from rct_lightning.losses import TERMS


def gradients_of(parameters: Sequence[Tensor]) -> list[Tensor | None]:
    """Copy the gradients accumulated so far; None for each before the step's first backward pass."""
    gradients = [parameter.grad for parameter in parameters]
    return [None if gradient is None else gradient.clone() for gradient in gradients]


def add_gradients_of_terms(
    gradients: dict[str, Tensor], terms: Mapping[str, Tensor], parameters: Sequence[Tensor]
) -> None:
    """Add each term's unweighted gradient, flattened over all adapters, to those of earlier micro-batches."""
    for name, value in terms.items():
        if value.requires_grad:
            parts = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
            pairs = zip(parts, parameters, strict=True)
            part = torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs])
            gradients[name] = gradients[name] + part if name in gradients else part


def norms_and_cosines(gradients: dict[str, Tensor]) -> dict[str, float]:
    """Return the norm of each term's gradient and its cosine with the LM gradient, summed over all processes first."""
    gradients = _sum_over_processes(gradients)
    figures = {f"grad/{name}_norm": float(gradient.norm()) for name, gradient in gradients.items()}
    for name in TERMS:
        if name in gradients and figures[f"grad/{name}_norm"] > 0:
            cosine = torch.cosine_similarity(gradients[name], gradients["lm"], dim=0)
            figures[f"grad/{name}_cosine_lm"] = float(cosine)
    return figures


def _sum_over_processes(gradients: dict[str, Tensor]) -> dict[str, Tensor]:
    if not processes.are_several():
        return gradients
    whole: dict[str, Tensor] = {}
    for part in processes.gather({name: gradient.cpu() for name, gradient in gradients.items()}):
        for name, gradient in part.items():
            whole[name] = whole[name] + gradient if name in whole else gradient
    return whole
