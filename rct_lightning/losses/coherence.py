"""Coherence: the same self across turns.

The cost of recurrent positions whose token the ASSISTANT said first: its name, claims, promises, images.
"""

from __future__ import annotations

from torch import Tensor

from rct_lightning.losses.recurrence import candidate_loss


def coherence_loss(candidate_logits: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Sum over recurrent positions first said by the assistant, in nats: [P, K] -> scalar."""
    return candidate_loss(candidate_logits, label_smoothing).sum()
