"""Scores of the arms of a study by seed and item, and weighted sums of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rct_lightning.errors import UserError
from rct_lightning.evaluation.crossed import Inference, crossed_inference
from rct_lightning.evaluation.endpoints import Side
from rct_lightning.evaluation.study.arms import ABOUT, LM_ONLY, RCT, Arm, StudyRun


class NotThere(Exception):
    """Raised with the reason why something cannot be told; the page reports it."""


@dataclass(frozen=True)
class Part:
    """A weight, an arm, an endpoint and a side: one summand of a question."""

    weight: float
    arm: str
    endpoint: str
    side: Side = "tuned"


@dataclass(frozen=True)
class Scores:
    """An endpoint, or a sum of several, by seed, all seeds having the same items.

    Attributes:
        values: [S, N], one row per seed.
        seeds: The S seeds.
        groups: The unit each of the N items was sampled in.
        weights: [N]; None if equal.
    """

    values: np.ndarray
    seeds: tuple[int, ...]
    groups: tuple[str, ...]
    weights: tuple[float, ...] | None

    def by_seed(self) -> list[float]:
        """Return the weighted mean of each seed."""
        return [float(mean) for mean in np.average(self.values, axis=1, weights=self.weights)]


@dataclass(frozen=True)
class Study:
    """The evaluated runs of a study.

    Attributes:
        runs: One per arm and seed.
        samples: Bootstrap samples.
        seed: Seed of the bootstrap.
    """

    runs: Sequence[StudyRun]
    samples: int = 2000
    seed: int = 0

    def arms(self) -> list[Arm]:
        """Return all arms: those without relational terms first, then rct, then the others by name."""
        found = {run.arm.name: run.arm for run in self.runs}
        return sorted(found.values(), key=lambda arm: (arm.reference is not None, arm.name != RCT, arm.name))

    def treated(self) -> str:
        """Return the arm that the hypothesis is about: rct, or the only unnamed one with relational terms.

        A named arm other than rct is a placebo, or rct without one of its parts.

        Raises:
            NotThere: There is none, or it is ambiguous.
        """
        trained = [arm.name for arm in self.arms() if arm.reference is not None]
        if RCT in trained:
            return RCT
        others = [name for name in trained if name not in ABOUT]
        if len(others) == 1:
            return others[0]
        raise NotThere(
            f"the arm {RCT} is not in this study"
            + (f", and which of its {len(others)} other arms is meant is not said" if others else "")
        )

    def reference_of(self, arm: str) -> str:
        """Return the arm without relational terms that an arm is compared with."""
        return next((run.arm.reference for run in self.runs if run.arm.name == arm and run.arm.reference), LM_ONLY)

    def of(self, arm: str) -> dict[int, StudyRun]:
        """Return the runs of an arm by seed."""
        return {run.seed: run for run in self.runs if run.arm.name == arm}

    def sum(self, parts: Sequence[Part]) -> Scores:
        """Return the weighted sum of scores, over the seeds that all its arms share.

        Raises:
            NotThere: An arm or an endpoint is missing, or no seed is shared.
            UserError: Runs were evaluated on different items.
        """
        arms = list(dict.fromkeys(part.arm for part in parts))
        runs = {arm: self.of(arm) for arm in arms}
        for arm in arms:
            if not runs[arm]:
                raise NotThere(f"the arm {arm} is not in this study")
        seeds = sorted(set.intersection(*(set(found) for found in runs.values())))
        if not seeds:
            raise NotThere(f"the arms {' and '.join(arms)} share no seed")
        asked = [[(part, runs[part.arm][seed]) for part in parts] for seed in seeds]
        groups, weights = _items(asked)
        values = np.array([sum(part.weight * _figures(part, run, groups) for part, run in row) for row in asked])
        return Scores(values, tuple(seeds), groups, weights)

    def infer(self, scores: Scores, least: float = 0.0) -> Inference:
        """Infer the mean of scores minus a constant, with interval and p.

        Raises:
            NotThere: There are too few seeds or groups for an interval, or figures are NaN or infinite.
        """
        if len(scores.seeds) < 2:
            raise NotThere("there is one seed only, and nothing says how another would have come out")
        if len(set(scores.groups)) < 2:
            raise NotThere("it was asked of one item only")
        if not np.isfinite(scores.values).all():
            raise NotThere("a model's figures are no numbers: its training diverged")
        return crossed_inference(
            scores.values - least,
            weights=None if scores.weights is None else np.asarray(scores.weights),
            groups=scores.groups,
            samples=self.samples,
            seed=self.seed,
        )


def _items(asked: Sequence[Sequence[tuple[Part, StudyRun]]]) -> tuple[tuple[str, ...], tuple[float, ...] | None]:
    """Return groups and weights of the items; check that all runs share them."""
    for part, run in (each for row in asked for each in row):
        if part.endpoint not in run.endpoints:
            raise NotThere(f"{part.endpoint} was not measured for arm {run.arm.name}, seed {run.seed}")
    first_part, first_run = asked[0][0]
    described = first_run.endpoints[first_part.endpoint]
    for part, run in (each for row in asked for each in row):
        of_part, own = first_run.endpoints.get(part.endpoint), run.endpoints[part.endpoint]
        on, first_on = run.evaluated_on, first_run.evaluated_on
        same = [on[name] == first_on[name] for name in on if name in first_on]
        same += [own[name] == of_part[name] for name in ("groups", "weights")] if of_part is not None else []
        if not all(same):
            raise UserError(
                f"{part.endpoint}: the run with seed {run.seed} of arm '{run.arm.name}' was evaluated on other rows or "
                f"probes than the run with seed {first_run.seed} of arm '{first_run.arm.name}', so nothing can be "
                f"paired. A study's runs need the same evaluation rows."
            )
        if sorted(own["groups"]) != sorted(described["groups"]):
            raise NotThere(f"{part.endpoint} and {first_part.endpoint} were asked of different items")
    weights = described["weights"]
    return tuple(described["groups"]), None if weights is None else tuple(weights)


def _figures(part: Part, run: StudyRun, groups: Sequence[str]) -> np.ndarray:
    """Return an endpoint's figures, in the order of ``groups``."""
    described = run.endpoints[part.endpoint]
    values = np.asarray(described[part.side]["values"], dtype=float)
    if tuple(described["groups"]) == tuple(groups):
        return values
    places: dict[str, list[int]] = {}  # in another order: the first item of a group with the first, and so on
    for at, group in enumerate(described["groups"]):
        places.setdefault(group, []).append(at)
    return values[[places[group].pop(0) for group in groups]]
