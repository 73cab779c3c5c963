"""LM: negative log-likelihood of the reply, including its EOS."""

from __future__ import annotations

from torch import Tensor


def language_loss(log_probs: Tensor) -> Tensor:
    """Sum of -log p over reply tokens, in nats.

    The caller divides by the token count of the whole optimizer step, so that micro-batches of any size give the same
    gradient.

    Args:
        log_probs: [N], log-probability of each labelled token given the tokens before it.
    """
    return -log_probs.sum()
