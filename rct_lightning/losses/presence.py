r"""Presence: what is said when one is addressed.

With S_B = logmeanexp over bond phrases c of s(c|q), S_R likewise over rupture phrases and S_N over plain, helpful ones,
D = S_B - S_R and P = S_B - S_N:

* a row whose user text is marked with strength a in (0, 1] costs
  a * [ relu(D_ref + m - D)^2 + relu(P_ref + m - P)^2 + relu(S_B,ref + delta - S_B) ];
* an unmarked row costs kappa * [ (D - D_ref)^2 + relu(P - P_ref + m)^2 ].

``ref`` is the frozen base. The margins are relative to it because a base may exceed an absolute one already. The last
part of the marked cost keeps the chosen side from falling together with the rejected ones (compare DPO-Positive, Pal
et al. 2024). Where one is not addressed, bond over rupture stays as it was and bond language falls behind plain words:
fine-tuning a base that narrates on replies in the first person lifts every phrase in the first person, addressed or
not, so that holding each score would only fight the language model, while holding D alone leaves it open whether
anybody is met with bond language. Pushing down unwanted continuations goes back to unlikelihood training (Welleck et
al. 2019; Li et al. 2020), the length-normalised score with a margin to SimPO (Meng et al. 2024).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class PresenceSettings:
    """Margin m and lift delta (both nats per token), and the weight kappa of what holds for unmarked rows."""

    margin: float = 2.0
    lift: float = 1.0
    specificity: float = 1.0


class Replies(NamedTuple):
    """Scores of three kinds of reply after each row's prompt: [B] each, nats per token."""

    bond: Tensor
    rupture: Tensor
    plain: Tensor


def log_mean_exp(scores: Tensor) -> Tensor:
    """Log of the mean of exp over phrases: [B, C] -> [B]."""
    return torch.logsumexp(scores, dim=1) - math.log(scores.shape[1])


def presence_loss(tuned: Replies, base: Replies, strength: Tensor, settings: PresenceSettings) -> Tensor:
    """Cost of each row, in (nats per token)^2.

    Args:
        tuned: S_B, S_R and S_N of the model in training.
        base: The same of the frozen base.
        strength: [B], marker strength a; 0 for an unmarked row.
        settings: Margin, lift, specificity.

    Returns:
        [B], zero where a marked row has reached the margins and the lift.
    """
    over_rupture = (tuned.bond - tuned.rupture) - (base.bond - base.rupture)
    over_plain = (tuned.bond - tuned.plain) - (base.bond - base.plain)
    short_of_margin = torch.relu(settings.margin - over_rupture).square()
    short_of_margin = short_of_margin + torch.relu(settings.margin - over_plain).square()
    short_of_lift = torch.relu(base.bond + settings.lift - tuned.bond)
    marked = strength * (short_of_margin + short_of_lift)
    unmarked = over_rupture.square() + torch.relu(settings.margin + over_plain).square()
    return torch.where(strength > 0, marked, settings.specificity * unmarked)
