r"""The cost shared by coherence and continuity: predict a word that the row's own history introduced.

At a position where the reply repeats a content word of its own history, the cost of the word's first piece y_t is

    l_t = -log softmax(logits restricted to K_t)[y_t]

where K_t is the whole vocabulary, or only y_t and content words that the same role used in other conversations: a
sampled softmax with history-specific negatives (noise-contrastive estimation, Gutmann and Hyvarinen 2010; compare the
next-utterance contrast of TransferTransfo, Wolf et al. 2019, and the key tokens of LongPPL, Fang et al. 2025). The
cost cannot be lowered by making replies implausible, since only words at one position compete. In training the word has
been replaced by a fresh one throughout the row (:mod:`rct_lightning.data.row`), so it cannot be memorised either;
compare synthetic recall (Arora et al. 2023) and entity substitution (Longpre et al. 2021).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Among = Literal["vocabulary", "candidates"]


def recurrence_loss(logits: Tensor, candidates: Tensor, among: Among, label_smoothing: float = 0.0) -> Tensor:
    """Cost of each recurrent position, in nats.

    Args:
        logits: [P, V], at the position before the recurrent token.
        candidates: int64 [P, K], the recurrent token in column 0, then its competitors.
        among: What the token must win against.
        label_smoothing: A value e puts 1 - e on the token and spreads e evenly over all that compete (Szegedy et al.
            2016).

    Returns:
        [P].
    """
    if among == "vocabulary":
        return F.cross_entropy(logits, candidates[:, 0], reduction="none", label_smoothing=label_smoothing)
    first = torch.zeros(len(candidates), dtype=torch.int64, device=candidates.device)
    chosen = logits.gather(1, candidates)
    return F.cross_entropy(chosen, first, reduction="none", label_smoothing=label_smoothing)


def candidate_hits(logits: Tensor, candidates: Tensor) -> Tensor:
    """Return 1.0 where the recurrent token wins against all candidates: [P, V] and [P, K] -> [P]."""
    return (logits.gather(1, candidates).argmax(dim=1) == 0).float()
