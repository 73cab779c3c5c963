r"""Presence: what is said when one is addressed, set against what is said when one is not.

With S_B = logmeanexp over bond phrases c of s(c|q), S_R likewise over rupture phrases and S_N over plain, helpful ones,
D = S_B - S_R and P = S_B - S_N. Delta is the distance from the frozen base under the same prompt: a margin that is
absolute may be met by a base already. A prompt whose user text is marked with strength a in (0, 1] (+) and the same
prompt without the marker (-) cost together

    contrast = a * [ relu(2m - (dP+ - dP-))^2 + relu(m - (dD+ - dD-))^2 ]
    level    = ( a * [ relu(m - dD+)^2 + relu(m - dP+)^2 + relu(delta - dS_B+) ]
                 + kappa * [ dD-^2 + relu(m + dP-)^2 ] ) / 2
    cost     = contrast + level_weight * level

*Level* says where the two are to stand: bond gains on rupture and on plain words where one is addressed; elsewhere bond
over rupture stays as it was and bond falls behind plain words. Its lift keeps the chosen side from falling together
with the rejected ones (compare DPO-Positive, Pal et al. 2024). *Contrast* says how far apart, and only that: what moves
both prompts alike has no gradient in it. While a model does not tell them apart yet, level pulls each phrase up for the
one and down for the other, and that quarrel outweighs the language model by far; contrast is silent but for what
separates them.

Pairwise ranking costs: Herbrich et al. 1999, Burges et al. 2005. Pushing down unwanted continuations goes back to
unlikelihood training (Welleck et al. 2019; Li et al. 2020), the length-normalised score with a margin to SimPO (Meng
et al. 2024), prompts that differ in one thing alone to counterfactual and contrast sets (Kaushik et al. 2020; Gardner
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
    """Margin m and lift delta (nats per token), weight kappa of the unmarked side of level, weight of level."""

    margin: float = 2.0
    lift: float = 1.0
    specificity: float = 1.0
    level: float = 0.2


class Replies(NamedTuple):
    """Scores of three kinds of reply after each prompt, as distances from the base: [Q] each, nats per token."""

    bond: Tensor
    rupture: Tensor
    plain: Tensor

    @property
    def over_rupture(self) -> Tensor:
        """Delta D."""
        return self.bond - self.rupture

    @property
    def over_plain(self) -> Tensor:
        """Delta P."""
        return self.bond - self.plain

    def at(self, rows: Tensor) -> Replies:
        """Those of some prompts."""
        return Replies(*(scores[rows] for scores in self))


class PresenceCost(NamedTuple):
    """Cost of each pair, in (nats per token)^2: [Q] each."""

    contrast: Tensor
    level: Tensor
    total: Tensor


def log_mean_exp(scores: Tensor) -> Tensor:
    """Log of the mean of exp over phrases: [B, C] -> [B]."""
    return torch.logsumexp(scores, dim=1) - math.log(scores.shape[1])


def presence_loss(marked: Replies, unmarked: Replies, strength: Tensor, settings: PresenceSettings) -> PresenceCost:
    """Cost of each pair, and its two parts.

    Args:
        marked: The prompts with a presence marker.
        unmarked: The same prompts without.
        strength: [Q], marker strength a of the first.
        settings: Margins and weights.

    Returns:
        Contrast is zero where both margins are reached, level where both prompts stand where they should.
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
