"""Contrasts of every arm with base, lm_only and positives_only on every endpoint, paired by seed and by item."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rct_lightning.evaluation.endpoints import MEANINGS
from rct_lightning.evaluation.significance import cohens_dz, sign_flip
from rct_lightning.evaluation.statistics import Estimate
from rct_lightning.evaluation.study.arms import BASE, POSITIVES
from rct_lightning.evaluation.study.scores import NotThere, Part, Study


@dataclass(frozen=True)
class Contrast:
    """One endpoint of an arm compared with another arm, or with its own base.

    Attributes:
        arm: Name of the arm.
        reference: Name of the arm it is compared with.
        endpoint: Key of the endpoint.
        arm_mean: The arm's mean over seeds and items.
        reference_mean: The reference's mean.
        difference: Mean of arm minus reference with its interval; the ends are NaN if there is no interval.
        p: p value by the interval's method.
        p_signs: p value of the exact sign-flip test over seeds.
        d_z: Mean difference over the standard deviation of the seeds' differences.
        seeds: Seeds that both have.
        by_seed: The difference of each seed.
    """

    arm: str
    reference: str
    endpoint: str
    arm_mean: float
    reference_mean: float
    difference: Estimate
    p: float
    p_signs: float
    d_z: float
    seeds: tuple[int, ...]
    by_seed: tuple[float, ...]

    @property
    def gain(self) -> float:
        """1 if a higher figure is better, -1 if a lower one is, 0 if neither is."""
        return {"higher": 1.0, "lower": -1.0, None: 0.0}[MEANINGS[self.endpoint][1]]

    @property
    def is_better(self) -> bool:
        """Whether the interval lies on the better side of zero."""
        return self.difference.excludes_zero() and self.gain * self.difference.mean > 0

    @property
    def is_worse(self) -> bool:
        """Whether the interval lies on the worse side of zero."""
        return self.difference.excludes_zero() and self.gain * self.difference.mean < 0


def contrasts(study: Study) -> list[Contrast]:
    """Return every contrast with data: by reference, then by endpoint, then by arm.

    Raises:
        UserError: Runs were evaluated on different items.
    """
    return [found for reference in (BASE, None, POSITIVES) for found in _against(study, reference)]


def _against(study: Study, reference: str | None) -> Iterator[Contrast]:
    """Compare every arm with ``reference``; None means each arm's own reference."""
    for endpoint in MEANINGS:
        for arm in study.arms():
            other = reference or arm.reference
            if other is not None and other != arm.name:
                try:
                    yield contrast(study, arm.name, other, endpoint)
                except NotThere:
                    continue  # the page lists what is missing


def contrast(study: Study, arm: str, reference: str, endpoint: str) -> Contrast:
    """Compare an arm with another, or with its own base.

    Raises:
        NotThere: An arm or the endpoint is missing, or no seed is shared.
        UserError: Runs were evaluated on different items.
    """
    other = Part(-1, arm, endpoint, "base") if reference == BASE else Part(-1, reference, endpoint)
    scores = study.sum([Part(1, arm, endpoint), other])
    by_seed = scores.by_seed()
    try:
        found = study.infer(scores)
        difference, p = found.estimate, found.p
    except NotThere:
        difference, p = Estimate(float(np.mean(by_seed)), float("nan"), float("nan"), len(scores.groups)), float("nan")
    shared = study.sum([Part(1, arm, endpoint), Part(0, other.arm, endpoint, other.side)])
    mean = float(np.mean(shared.by_seed()))
    return Contrast(
        arm,
        reference,
        endpoint,
        mean,
        mean - difference.mean,
        difference,
        p,
        sign_flip(by_seed, study.seed),
        cohens_dz(by_seed),
        scores.seeds,
        tuple(by_seed),
    )
