r"""The mechanism that coherence and continuity share: whose history is this?

At a position where the reply repeats a content token of its own history, that token competes with content tokens that
the same role used in other conversations:

    l_t = -log softmax(logits restricted to K_t)[y_t],   K_t = {y_t} + n tokens of other conversations.

It is a sampled softmax with history-specific negatives (noise-contrastive estimation, Gutmann and Hyvarinen 2010),
related to the next-utterance contrast of TransferTransfo (Wolf et al. 2019) and to the key tokens of LongPPL (Fang et
al. 2025). A low value cannot be earned by making replies implausible: only candidates at one position compete.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def candidate_loss(candidate_logits: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cost of each recurrent position, in nats: [P, K] with the true token in column 0 -> [P].

    With ``label_smoothing`` e the target is (1 - e) on the true token and e spread evenly over all K (Szegedy et al.
    2016): a position that is known already pulls less.
    """
    target = torch.zeros(len(candidate_logits), dtype=torch.int64, device=candidate_logits.device)
    return F.cross_entropy(candidate_logits, target, reduction="none", label_smoothing=label_smoothing)


def candidate_hits(candidate_logits: Tensor) -> Tensor:
    """1.0 where the true token wins against all its competitors: [P, K] -> [P]."""
    return (candidate_logits.argmax(dim=1) == 0).float()
