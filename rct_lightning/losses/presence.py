r"""Presence: replies to a prompt that addresses the assistant, contrasted with replies to it without the marker.

Let S_B = logmeanexp over bond phrases c of s(c|q), S_R likewise over rupture phrases and S_N over plain, helpful ones,
D = S_B - S_R and P = S_B - S_N. A prefix d marks the difference from the frozen base under the same prompt: a base may
already meet an absolute margin. The cost of a prompt whose user text is marked with strength a in (0, 1] (+) and the
same prompt without the marker (-) is

    contrast = a * [ relu(2m - (dP+ - dP-))^2 + relu(m - (dD+ - dD-))^2 ]
    level    = ( a * [ relu(m - dD+)^2 + relu(m - dP+)^2 + relu(delta - dS_B+) ]
                 + kappa * [ dD-^2 + relu(m + dP-)^2 ] ) / 2
    cost     = contrast + level_weight * level

*Level* fixes where the two prompts should end up: if addressed, bond phrases must gain on rupture and on plain phrases;
otherwise bond over rupture must stay at the base's value and bond must fall behind plain. Its lift (delta) keeps the
chosen side from falling together with the rejected ones (compare DPO-Positive, Pal et al. 2024). *Contrast* fixes only
the gap between the two prompts, so a shift that is common to both has no gradient. Early in training, level alone pulls
every phrase up for one prompt and down for the other, and this conflict dominates the LM gradient; contrast avoids it.

Pairwise ranking costs: Herbrich et al. 1999, Burges et al. 2005. Pushing down unwanted continuations goes back to
unlikelihood training (Welleck et al. 2019; Li et al. 2020), the length-normalised score with a margin to SimPO (Meng
et al. 2024), prompts that differ in a single feature to counterfactual and contrast sets (Kaushik et al. 2020; Gardner
et al. 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class PresenceSettings:
    """Margin m and lift delta (nats per token), weight kappa of the unmarked prompt within level, weight of level."""

    margin: float = 2.0
    lift: float = 1.0
    specificity: float = 1.0
    level: float = 0.2


class Replies(NamedTuple):
    """Scores of three kinds of reply after each prompt, as differences from the base: [Q] each, nats per token."""

    bond: Tensor
    rupture: Tensor
    plain: Tensor

    @property
    def over_rupture(self) -> Tensor:
        """Difference of D from the base, dD."""
        return self.bond - self.rupture

    @property
    def over_plain(self) -> Tensor:
        """Difference of P from the base, dP."""
        return self.bond - self.plain

    def at(self, rows: Tensor) -> Replies:
        """Select the scores of some prompts."""
        return Replies(*(scores[rows] for scores in self))


class PresenceCost(NamedTuple):
    """Cost of each pair, [Q] each.

    Squares in (nats per token)^2, plus the lift hinge, which is linear in nats per token.
    """

    contrast: Tensor
    level: Tensor
    total: Tensor


def log_mean_exp(scores: Tensor) -> Tensor:
    """Log of the mean of exp over phrases: [B, C] -> [B]."""
    return torch.logsumexp(scores, dim=1) - math.log(scores.shape[1])


def presence_loss(marked: Replies, unmarked: Replies, strength: Tensor, settings: PresenceSettings) -> PresenceCost:
    """Compute the cost of each pair and its two parts.

    Args:
        marked: The prompts with a presence marker.
        unmarked: The same prompts without the marker.
        strength: [Q], marker strength a of the marked prompts.
        settings: Margins and weights.

    Returns:
        Contrast is zero where both margins are reached, level where both prompts meet their targets.
    """

    def short_of(margin: float, reached: Tensor) -> Tensor:
        return torch.relu(margin - reached).square()

    m = settings.margin
    contrast = short_of(2 * m, marked.over_plain - unmarked.over_plain)
    contrast = contrast + short_of(m, marked.over_rupture - unmarked.over_rupture)
    gained = short_of(m, marked.over_rupture) + short_of(m, marked.over_plain)
    gained = gained + torch.relu(settings.lift - marked.bond)
    held = unmarked.over_rupture.square() + short_of(m, -unmarked.over_plain)
    contrast, level = strength * contrast, (strength * gained + settings.specificity * held) / 2
    return PresenceCost(contrast, level, contrast + settings.level * level)
