r"""Presence: what is said when one is addressed.

With S_B = logmeanexp over bond phrases c of s(c|q), S_R likewise over rupture phrases, and D = S_B - S_R:

* a row whose user text is marked with strength a in (0, 1] costs
  a * [ relu(D_ref + m - D)^2 + relu(S_B,ref + delta - S_B) ];
* an unmarked row costs kappa * (D - D_ref)^2, or, where ``hold`` is ``scores``,
  kappa * [ (S_B - S_B,ref)^2 + (S_R - S_R,ref)^2 ].

``ref`` is the frozen base. The margin is relative to it because a base may exceed an absolute one already. The second
part of the marked cost keeps the chosen side from falling together with the rejected one (compare DPO-Positive, Pal
et al. 2024); the unmarked cost keeps bond language from rising everywhere alike. It holds the separation rather than
the scores themselves: fine-tuning a base that narrates on replies in the first person lifts every phrase in the first
person, bond and rupture, addressed or not, and a cost on that shift would only fight the language model. Pushing down
unwanted continuations goes back to unlikelihood training (Welleck et al. 2019; Li et al. 2020), the length-normalised
score with a margin to SimPO (Meng et al. 2024).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Hold = Literal["separation", "scores"]


@dataclass(frozen=True)
class PresenceSettings:
    """Margin m, lift delta (both nats per token), weight kappa of specificity, and what unmarked rows hold on to."""

    margin: float = 2.0
    lift: float = 1.0
    specificity: float = 1.0
    hold: Hold = "separation"


def log_mean_exp(scores: Tensor) -> Tensor:
    """Log of the mean of exp over phrases: [B, C] -> [B]."""
    return torch.logsumexp(scores, dim=1) - math.log(scores.shape[1])


def presence_loss(
    bond: Tensor,
    rupture: Tensor,
    bond_ref: Tensor,
    rupture_ref: Tensor,
    strength: Tensor,
    settings: PresenceSettings,
) -> Tensor:
    """Cost of each row, in (nats per token)^2.

    Args:
        bond: [B], S_B of the model in training.
        rupture: [B], S_R of the model in training.
        bond_ref: [B], S_B of the frozen base.
        rupture_ref: [B], S_R of the frozen base.
        strength: [B], marker strength a; 0 for an unmarked row.
        settings: Margin, lift, specificity.

    Returns:
        [B], zero where a marked row has reached both the margin and the lift.
    """
    separation, separation_ref = bond - rupture, bond_ref - rupture_ref
    short_of_margin = torch.relu(separation_ref + settings.margin - separation).square()
    short_of_lift = torch.relu(bond_ref + settings.lift - bond)
    marked = strength * (short_of_margin + short_of_lift)
    if settings.hold == "separation":
        drift = (separation - separation_ref).square()
    else:
        drift = (bond - bond_ref).square() + (rupture - rupture_ref).square()
    return torch.where(strength > 0, marked, settings.specificity * drift)
