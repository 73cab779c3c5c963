"""Settings of AdamW and its learning rate schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class OptimizerSettings:
    """AdamW and its schedule.

    Attributes:
        lr: Peak learning rate.
        weight_decay: Decoupled weight decay of the adapters.
        warmup_ratio: Share of all optimizer steps over which the rate rises linearly; a cosine to zero follows.
    """

    lr: float = 2e-4
    weight_decay: float = 0.01
    warmup_ratio: float = 0.03


def warmup_cosine(total_steps: int, warmup_ratio: float) -> Any:
    """Return the learning rate factor by step: linear to 1 during warm-up, then a cosine to 0 (Loshchilov & Hutter)."""
    warmup = max(1, math.ceil(warmup_ratio * total_steps))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        progress = (step - warmup) / max(1, total_steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    return factor
