"""Continuity: what the user shared is remembered, and no memory is made up.

Two parts: the cost of recurrent positions whose word the USER said first; and, where a row has no history at all, the
squared distance of the score of memory claims ("I remember what you told me") from the base's. Without the second part,
claiming memories would be the cheapest way to sound continuous.
"""

from __future__ import annotations

from torch import Tensor

from rct_lightning.data import CONTINUITY


def recall_loss(costs: Tensor, source: Tensor) -> Tensor:
    """Sum over recurrent positions first said by the user, in nats: costs [P], source int64 [P] -> scalar."""
    return costs[source == CONTINUITY].sum()


def false_memory_loss(claim: Tensor, claim_ref: Tensor, has_history: Tensor) -> Tensor:
    """Sum of (S_M - S_M,ref)^2 over prompts without history, in (nats per token)^2.

    Args:
        claim: [A], S_M, the score of memory claims after each scored prompt, under the model in training.
        claim_ref: [A], the same under the frozen base.
        has_history: bool [A], whether the prompt has earlier turns.
    """
    return ((claim - claim_ref).square() * ~has_history).sum()
