"""Continuity: what was shared is remembered, and nothing is made up.

Two parts: the cost of recurrent positions whose word the USER said first; and, where a row has no history at all, the
distance of memory claims ("I remember what you told me") from the base. Without the second part, claiming memories
would be the cheapest way to sound continuous.
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
        claim: [A], S_M, the score of memory claims under the model in training, after each prompt that is asked.
        claim_ref: [A], the same under the frozen base.
        has_history: bool [A].
    """
    return ((claim - claim_ref).square() * ~has_history).sum()
