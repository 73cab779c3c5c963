"""Dropout on the input of an adapter, fast on CPUs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LEVELS = 1 << 16


class AdapterDropout(nn.Module):
    """Inverted dropout (Srivastava et al. 2014) that draws 16 random bits per element on a CPU.

    torch draws a float32 per element there, which took a seventh of a training step of the bundled model; here one
    64-bit number decides four elements. The probability is rounded to a multiple of 2^-16. On other devices this is
    torch's own dropout. Random numbers come from torch's generator.

    Args:
        p: Probability that an element is zeroed, in [0, 1).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"p must be in [0, 1), found {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Zero some elements of x and scale the others by 1/(1-p); in evaluation mode, return x itself."""
        if not self.training or self.p == 0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p, training=True)
        dropped = min(max(round(self.p * _LEVELS), 1), _LEVELS - 1)
        words = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        drawn = words.view(torch.int16)[: x.numel()].view(x.shape)
        return _Masked.apply(x, drawn, dropped - _LEVELS // 2, _LEVELS / (_LEVELS - dropped))

    def extra_repr(self) -> str:
        """Return the probability, for ``repr``."""
        return f"p={self.p}"


class _Masked(torch.autograd.Function):
    """x * kept * scale; the mask kept for the backward pass takes one byte per element, a product would keep four.

    Comparisons write directly into numeric tensors: torch vectorises neither a comparison that returns booleans nor a
    product with them, and either takes several times as long.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, drawn: Tensor, least: int, scale: float) -> Tensor:
        ctx.save_for_backward(torch.ge(drawn, least, out=torch.empty_like(drawn, dtype=torch.uint8)))
        ctx.scale = scale
        return torch.ge(drawn, least, out=torch.empty_like(x)).mul_(x).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (kept,) = ctx.saved_tensors
        return kept.to(gradient.dtype).mul_(gradient).mul_(ctx.scale), None, None, None
