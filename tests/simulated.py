"""Simulated studies whose effect is known, to test the statistics against.

Every arm has an effect per seed, one per conversation, and noise, with the sizes measured between runs of nano with and
without relational terms (five seeds, docs/losses.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from rct_lightning.evaluation.statistics import LEVEL, Estimate
from rct_lightning.evaluation.study.arms import LM_ONLY, POSITIVES, RCT, Arm, StudyRun
from rct_lightning.evaluation.study.claims import TERMS
from rct_lightning.evaluation.study.scores import Study

Interval = Callable[..., Estimate]


@dataclass(frozen=True)
class World:
    """Standard deviations of a paired difference of two arms, and the sizes of a study.

    Attributes:
        seed: Standard deviation of the seeds' effects.
        conversation: Standard deviation of the conversations' effects.
        noise: Standard deviation of the residual in a cell.
        seeds: Number of seeds.
        conversations: Number of conversations.
        sizes: Number of items of each conversation; None means one.
        shape: normal, skewed, or shares of 0 and 1.
    """

    seed: float
    conversation: float
    noise: float
    seeds: int = 8
    conversations: int = 80
    sizes: tuple[int, ...] | None = None
    shape: str = "normal"

    def groups(self) -> np.ndarray:
        """Return the conversation of each item."""
        return np.repeat(np.arange(self.conversations), self.sizes or 1)

    def differences(self, random: np.random.Generator) -> np.ndarray:
        """Draw paired differences whose true mean is 0: [S, N]."""
        if self.shape == "share":
            return self._right(random) - self._right(random)
        draw = random.normal if self.shape == "normal" else lambda size: random.exponential(size=size) - 1
        groups = self.groups()
        return (
            self.seed * draw(size=(self.seeds, 1))
            + self.conversation * draw(size=self.conversations)[groups]
            + self.noise * draw(size=(self.seeds, len(groups)))
        )

    def _right(self, random: np.random.Generator) -> np.ndarray:
        """Draw answers that are right or wrong, by a threshold on the same effects."""
        groups = self.groups()
        level = self.conversation * random.normal(size=self.conversations)[groups]
        level = level + self.seed * random.normal(size=(self.seeds, 1))
        return (level + self.noise * random.normal(size=(self.seeds, len(groups))) > 0.5).astype(float)


ROWS = (1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 3, 3, 3, 3, 3, 4, 4, 7)
"""Number of evaluation rows with a history, by conversation."""
MEASURED = {
    "presence": World(0.067, 0.134, 0.112, conversations=31),
    "coherence": World(0.01, 0.060, 0.079, conversations=18, sizes=ROWS),
    "continuity": World(0.01, 0.091, 0.116, conversations=18, sizes=ROWS),
}
"""Of the three primary endpoints, λ = 0.3 against λ = 0."""


def coverage(world: World, interval: Interval, trials: int, samples: int = 1000) -> float:
    """Return the share of simulated studies whose interval contains the true difference, which is 0."""
    random, groups = np.random.default_rng(7), world.groups()
    held = 0
    for _ in range(trials):
        found = interval(world.differences(random), groups=groups.tolist(), samples=samples)
        held += found.low <= 0 <= found.high
    return held / trials


def percentile(differences: np.ndarray, *, groups: Any, samples: int) -> Estimate:
    """The usual percentile interval, which does not keep its nominal coverage with eight seeds."""
    labels, seeds = np.asarray(groups), len(differences)
    number = labels.max() + 1
    sums = np.stack([np.bincount(labels, row, number) for row in differences])
    sizes = np.bincount(labels, minlength=number)
    of_seeds, of_groups = _drawn(seeds, samples), _drawn(number, samples)
    means = ((of_seeds @ sums) * of_groups).sum(1) / (seeds * (of_groups @ sizes))
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(differences.mean()), float(low), float(high), seeds)


@lru_cache
def _drawn(number: int, samples: int) -> np.ndarray:
    return np.random.default_rng(number).multinomial(number, np.full(number, 1 / number), samples).astype(float)


def study(
    random: np.random.Generator,
    rct: Mapping[str, float] | None = None,
    positives: Mapping[str, float] | None = None,
    worlds: Mapping[str, World] | None = None,
    samples: int = 1000,
) -> Study:
    """Return lm_only, rct and positives_only on the primary endpoints, with what rct and positives_only add by term."""
    worlds = worlds or MEASURED
    arms = {LM_ONLY: {}, RCT: rct or {}, POSITIVES: positives or {}}
    seeds = next(iter(worlds.values())).seeds
    endpoints: dict[tuple[str, int], dict[str, Any]] = {(arm, seed): {} for arm in arms for seed in range(seeds)}
    for term, endpoint in TERMS.items():
        world = worlds[term]
        groups = [f"c{group}" for group in world.groups()]
        base = {"values": [0.0] * len(groups)}
        for arm, added in arms.items():
            values = added.get(term, 0.0) + world.differences(random) / np.sqrt(2)  # a difference has two of them
            for seed in range(seeds):
                described = {"base": base, "tuned": {"values": values[seed]}, "groups": groups, "weights": None}
                endpoints[arm, seed][endpoint] = described
    runs = [
        StudyRun(Arm(arm, None if arm == LM_ONLY else LM_ONLY), seed, found) for (arm, seed), found in endpoints.items()
    ]
    return Study(runs, samples)
