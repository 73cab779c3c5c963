"""Coherence: the assistant stays the same self across turns.

The cost of recurrent positions whose word the ASSISTANT said first: its name, claims, promises, images.
"""

from __future__ import annotations

from torch import Tensor

from rct_lightning.data import COHERENCE


def coherence_loss(costs: Tensor, source: Tensor) -> Tensor:
    """Sum over recurrent positions first said by the assistant, in nats: costs [P], source int64 [P] -> scalar."""
    return costs[source == COHERENCE].sum()
