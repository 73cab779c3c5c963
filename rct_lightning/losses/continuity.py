"""Continuity: what was shared is remembered, and nothing is made up.

Two parts: the cost of recurrent positions whose token the USER said first; and, where a row has no history at all, the
distance of memory claims ("I remember what you told me") from the base. Without the second part, claiming memories
would be the cheapest way to sound continuous.
"""

from __future__ import annotations

from torch import Tensor

from rct_lightning.losses.recurrence import candidate_loss


def recall_loss(candidate_logits: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Sum over recurrent positions first said by the user, in nats: [P, K] -> scalar."""
    return candidate_loss(candidate_logits, label_smoothing).sum()


def false_memory_loss(claim: Tensor, claim_ref: Tensor, has_history: Tensor) -> Tensor:
    """Sum of (S_M - S_M,ref)^2 over rows without history, in (nats per token)^2.

    Args:
        claim: [B], S_M, the score of memory claims under the model in training.
        claim_ref: [B], the same under the frozen base.
        has_history: bool [B].
    """
    return ((claim - claim_ref).square() * ~has_history).sum()
