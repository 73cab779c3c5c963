"""Several runs side by side: every arm against the arm without relational terms, paired by seed and by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rct_lightning.errors import UserError
from rct_lightning.evaluation.metrics import flat
from rct_lightning.evaluation.statistics import Estimate, crossed_bootstrap

LM_ONLY = "lm_only"
NOT_PART_OF_AN_ARM = ("seed", "run_dir", "objective_metric")


@dataclass(frozen=True)
class Arm:
    """What distinguishes some runs of a study, and the arm they are set against; a reference has none."""

    name: str
    reference: str | None = None


@dataclass(frozen=True)
class StudyRun:
    """One evaluated run: its arm, its seed, and its endpoints as metrics.json holds them."""

    arm: Arm
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


def arms_of(configs: Sequence[Mapping[str, Any]]) -> list[Arm]:
    """Each run's arm, from the configurations of all of them.

    An arm is named by the keys whose values differ within the study, seeds aside. A run without relational terms
    (``loss.lambda=0``) is a reference, whatever the other keys of its loss say, unless it trains the original's
    unshifted loss; any other run is set against the reference that shares its keys outside the loss.
    """
    flat = [_arm_keys(config) for config in configs]
    varying = sorted(
        key for key in set().union(*flat) if len({repr(keys.get(key)) for keys in flat if key in keys}) > 1
    )
    arms = []
    for keys in flat:
        shown = {key: f"{key}={keys[key]}" for key in varying if key in keys}
        around = " ".join([LM_ONLY, *(text for key, text in shown.items() if not key.startswith("loss."))])
        if _is_reference(keys):
            arms.append(Arm(around))
        else:
            own = {"loss.lambda": f"loss.lambda={keys['loss.lambda']}"} if len(shown) == 0 else {}
            arms.append(Arm(" ".join((own | shown).values()), around))
    return arms


def _arm_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    keys = {key: value for key, value in flat(config) if key not in NOT_PART_OF_AN_ARM}
    if not _is_reference(keys):
        return keys
    return {key: value for key, value in keys.items() if not key.startswith("loss.") or key == "loss.lambda"}


def _is_reference(keys: Mapping[str, Any]) -> bool:
    return not keys["loss.lambda"] and keys.get("loss.name") != "seed"


def check_arms(runs: Sequence[tuple[Arm, int]]) -> None:
    """Whether runs, as (arm, seed), can be set against each other; to ask before they are evaluated.

    Raises:
        UserError: There is no arm with relational terms, or one lacks its reference, or shares no seed with it.
    """
    seeds: dict[str, set[int]] = {}
    for arm, seed in runs:
        seeds.setdefault(arm.name, set()).add(seed)
    wanted = {arm.name: arm.reference for arm, _ in runs if arm.reference is not None}
    if not wanted or not set(wanted.values()) & set(seeds):
        raise UserError(
            f"A study needs runs with loss.lambda=0 and runs with another arm; found "
            f"{', '.join(sorted(seeds)) or 'none'}. Train them with: python train.py -m loss.lambda=0,0.3 "
            f"seed=1,2,3,4,5"
        )
    for name, reference in sorted(wanted.items()):
        if not seeds[name] & seeds.get(reference, set()):
            raise UserError(f"The arm '{name}' shares no seed with '{reference}', so nothing can be paired. Add a run.")


def contrasts(runs: Sequence[StudyRun], samples: int = 2000, seed: int = 0) -> list[Contrast]:
    """Every arm against its reference.

    Raises:
        UserError: As :func:`check_arms`; or the runs were evaluated on different items.
    """
    check_arms([(run.arm, run.seed) for run in runs])
    arms: dict[str, dict[int, StudyRun]] = {}
    for run in runs:
        arms.setdefault(run.arm.name, {})[run.seed] = run
    found = []
    for arm, reference_name in sorted({(run.arm.name, run.arm.reference) for run in runs if run.arm.reference}):
        by_seed, reference = arms[arm], arms[str(reference_name)]
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
                f"{key}: the run with seed {run.seed} of arm '{run.arm.name}' was evaluated on other rows or probes, "
                f"so nothing can be paired by item. A study's runs need the same evaluation rows."
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
