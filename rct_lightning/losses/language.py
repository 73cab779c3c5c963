"""LM: negative log-likelihood of the reply, its EOS included."""

from __future__ import annotations

from torch import Tensor


def language_loss(log_probs: Tensor) -> Tensor:
    """Sum of -log p over reply tokens, in nats.

    The count belongs to the whole optimizer step and divides there once, so that micro-batches of any size give the
    same gradient.

    Args:
        log_probs: [N], log-probability of each labelled token given what stands before it.
    """
    return -log_probs.sum()
