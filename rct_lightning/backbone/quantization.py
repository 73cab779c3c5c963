"""Precision of the base: bits per weight, compute dtype, and whether NF4 works on a device at all."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from rct_lightning.backbone.devices import free_memory
from rct_lightning.errors import UserError

Quantization = Literal["auto", "nf4", "none"]
Dequantize = Literal["auto", "once", "never"]

FULL_WEIGHT_SHARE = 0.5
"""dequantize=auto keeps full weights if they take at most this share of the free memory."""


@dataclass(frozen=True)
class Precision:
    """The requested precision of the base's weights, the effective one, and why."""

    asked: str
    effective: str
    why: str
    dtype: torch.dtype
    weight_bytes: int

    def line(self) -> str:
        """Return one line for the console and the run's events."""
        return (
            f"quantization: asked {self.asked}, effective {self.effective}, computing in "
            f"{str(self.dtype).removeprefix('torch.')}, base weights {self.weight_bytes / 2**20:.1f} MiB ({self.why})"
        )


def compute_dtype(device: str) -> torch.dtype:
    """Return bf16 on CUDA devices that support it, else float32 (bf16 matmul is several times slower on most CPUs)."""
    if device.startswith("cuda") and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float32


def decide_quantization(asked: Quantization, device: str) -> tuple[str, str]:
    """Return ``nf4`` or ``none``, and why.

    Raises:
        UserError: nf4 was requested and does not work on the device.
    """
    if asked == "none":
        return "none", "as asked"
    problem = nf4_problem(device)
    if problem is None:
        return "nf4", "as asked" if asked == "nf4" else f"NF4 works on {device}"
    if asked == "nf4":
        raise UserError(
            f"model.quantization=nf4 cannot be had on {device}: {problem} Use model.quantization=none, or auto to "
            f"take NF4 only where it works."
        )
    return "none", f"NF4 does not work on {device}: {problem}"


def nf4_problem(device: str) -> str | None:
    """Return why NF4 does not work on a device; None if quantising a small tensor succeeds."""
    try:
        from bitsandbytes import functional as bnb

        weight, state = bnb.quantize_4bit(torch.ones(64, 64, device=device), quant_type="nf4")
        bnb.dequantize_4bit(weight, state)
    except Exception as error:  # bitsandbytes raises many kinds; each means the same to the caller
        return f"bitsandbytes says {type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'nothing'}."
    return None


def nf4_slowdown(device: str, size: int = 1024, trials: int = 5) -> float:
    """Return how many times longer a product takes with quantised weights than with full ones, best of some trials."""
    from bitsandbytes.nn import Linear4bit

    full = nn.Linear(size, size, bias=False).to(device)
    quantised = Linear4bit(size, size, bias=False, quant_type="nf4", compute_dtype=torch.float32)
    quantised.load_state_dict(full.state_dict())
    quantised = quantised.to(device)
    rows = torch.randn(64, size, device=device)
    seconds: list[float] = []
    for layer in (full, quantised):
        times = []
        for _ in range(trials + 1):  # the first warms up
            start = time.perf_counter()
            with torch.no_grad():
                float(layer(rows).sum())  # waits for the device
            times.append(time.perf_counter() - start)
        seconds.append(min(times[1:]))
    return seconds[1] / max(seconds[0], 1e-9)


def decide_dequantize(asked: Dequantize, model: Any, dtype: torch.dtype, device: str) -> tuple[bool, str]:
    """Return whether a model in NF4 is dequantised to full weights at load time, and why."""
    if asked != "auto":
        return asked == "once", f"dequantize={asked} as asked"
    parameters = sum(logical_numel(parameter) for parameter in model.parameters())
    needed, free = parameters * dtype.itemsize, free_memory(device)
    fits = needed <= FULL_WEIGHT_SHARE * free
    how = "full weights fit" if fits else "full weights do not fit"
    return fits, f"{how}: {needed / 2**20:.0f} MiB of {free / 2**20:.0f} MiB free"


def holds_nf4(model: nn.Module) -> bool:
    """Return whether any layer of a model is in 4 bits; loading changes no layer of an architecture's own kind."""
    return any(parameter.dtype == torch.uint8 for parameter in model.parameters())


def keep_weights_as_they_are(model: nn.Module) -> None:
    """Disable bitsandbytes' bf16 kernel for inference on CPUs.

    On a CPU with AVX512-BF16 the first evaluation pass would repack the 4-bit weights permanently, into a form that
    passes no gradient and computes in bf16: training after an evaluation would fail, and the results would differ.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]


def logical_numel(parameter: torch.Tensor) -> int:
    """Return the number of values that a parameter represents; NF4 packs two into a byte."""
    return parameter.numel() * 2 if parameter.dtype == torch.uint8 else parameter.numel()
