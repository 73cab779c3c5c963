"""Several runs side by side: every arm against the arm without relational terms, paired by seed and by item."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rct_lightning.errors import UserError
from rct_lightning.evaluation.statistics import Estimate, crossed_bootstrap


@dataclass(frozen=True)
class StudyRun:
    """One evaluated run: its arm, its seed, and its endpoints as metrics.json holds them."""

    arm: str
    lambda_: float
    seed: int
    endpoints: Mapping[str, Any]


@dataclass(frozen=True)
class Contrast:
    """An endpoint of one arm against the reference arm, the tuned sides paired by seed and item."""

    arm: str
    endpoint: str
    arm_mean: float
    reference_mean: float
    difference: Estimate
    by_seed: list[float]


def read_run(metrics: Path, loss: Mapping[str, Any], seed: int) -> StudyRun:
    """One run from the metrics.json of its report and the loss section of its configuration."""
    endpoints = json.loads(metrics.read_text(encoding="utf-8"))["endpoints"]
    return StudyRun(arm_of(loss), float(loss["lambda"]), seed, endpoints)


def arm_of(loss: Mapping[str, Any]) -> str:
    """The name of an arm from the loss section of its configuration."""
    weights = "/".join(f"{weight:.2g}" for weight in loss["weights"].values())
    return f"{loss['name']} lambda={loss['lambda']:g} w={weights}" if loss["lambda"] else "lm_only"


def check_arms(runs: Sequence[tuple[str, int]]) -> None:
    """Whether runs, as (arm, seed), can be set against each other; to ask before they are evaluated.

    Raises:
        UserError: There is no arm without relational terms, or an arm shares no seed with it.
    """
    arms: dict[str, set[int]] = {}
    for arm, seed in runs:
        arms.setdefault(arm, set()).add(seed)
    if "lm_only" not in arms or len(arms) < 2:
        raise UserError(
            f"A study needs runs with loss.lambda=0 and runs with another arm; found "
            f"{', '.join(sorted(arms)) or 'none'}. Train them with: python train.py -m loss.lambda=0,0.3 seed=1,2,3,4,5"
        )
    for arm, seeds in sorted(arms.items()):
        if not seeds & arms["lm_only"]:
            raise UserError(f"The arm '{arm}' shares no seed with lm_only, so nothing can be paired. Add such a run.")


def contrasts(runs: Sequence[StudyRun], samples: int = 2000, seed: int = 0) -> list[Contrast]:
    """Every arm against ``lm_only``.

    Raises:
        UserError: As :func:`check_arms`; or the runs were evaluated on different items.
    """
    check_arms([(run.arm, run.seed) for run in runs])
    arms: dict[str, dict[int, StudyRun]] = {}
    for run in runs:
        arms.setdefault(run.arm, {})[run.seed] = run
    reference = arms.pop("lm_only")
    found = []
    for arm, by_seed in sorted(arms.items()):
        seeds = sorted(set(by_seed) & set(reference))
        for key, described in reference[seeds[0]].endpoints.items():
            _check_items(key, described, [run for s in seeds for run in (by_seed[s], reference[s])])
            tuned = np.array([by_seed[s].endpoints[key]["tuned"]["values"] for s in seeds])
            lm_only = np.array([reference[s].endpoints[key]["tuned"]["values"] for s in seeds])
            weights = None if described["weights"] is None else np.asarray(described["weights"])
            difference = crossed_bootstrap(
                tuned - lm_only, weights=weights, groups=described["groups"], samples=samples, seed=seed
            )
            by_seed_means = np.average(tuned - lm_only, axis=1, weights=weights)
            found.append(
                Contrast(
                    arm,
                    key,
                    float(np.average(tuned, axis=1, weights=weights).mean()),
                    float(np.average(lm_only, axis=1, weights=weights).mean()),
                    difference,
                    [round(float(value), 4) for value in by_seed_means],
                )
            )
    return found


def _check_items(key: str, described: Mapping[str, Any], runs: Sequence[StudyRun]) -> None:
    for run in runs:
        if key not in run.endpoints or run.endpoints[key]["groups"] != described["groups"]:
            raise UserError(
                f"{key}: the run with seed {run.seed} of arm '{run.arm}' was evaluated on other rows or probes, so "
                f"nothing can be paired by item. A study's runs need the same evaluation rows."
            )


def study_table(found: Sequence[Contrast]) -> str:
    """The contrasts as a Markdown table."""
    lines = [
        "| arm | endpoint | lm_only | arm | difference [95% interval] | by seed |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for c in found:
        mark = " *" if c.difference.excludes_zero() else ""
        seeds = " ".join(f"{value:+.3f}" for value in c.by_seed)
        lines.append(
            f"| {c.arm} | {c.endpoint} | {c.reference_mean:.3f} | {c.arm_mean:.3f} | {c.difference}{mark} | {seeds} |"
        )
    return "\n".join(lines)
