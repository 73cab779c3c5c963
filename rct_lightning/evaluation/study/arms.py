"""The arms of a study: which runs belong together, and what each arm is for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rct_lightning.config.loading import BESIDE_RESUME
from rct_lightning.config.schema import ORIGINAL_LOSSES
from rct_lightning.errors import UserError
from rct_lightning.evaluation.metrics import flat

BASE, LM_ONLY, RCT, POSITIVES = "base", "lm_only", "rct", "positives_only"
SHUFFLED, WRONG_HISTORY = "shuffled_markers", "wrong_history"
ABOUT = {
    BASE: "the model before any training, which every run begins with",
    LM_ONLY: "trained on the same conversations with the language-model loss alone",
    RCT: "trained on the same conversations with the relational terms added",
    POSITIVES: "shown the same bond phrases as plain text to imitate, nothing set against them",
    SHUFFLED: "the relational terms, with presence told to answer to markers that were dealt out at random",
    WRONG_HISTORY: "the relational terms, with coherence and continuity told another conversation's history",
    "no_presence": "the relational terms without presence",
    "no_coherence": "the relational terms without coherence",
    "no_continuity": "the relational terms without continuity",
    "original_v1": "the loss of the project this one follows, with the shift of its targets repaired",
    "original_v2": "that project's second loss, which weights words, with the shift repaired",
}
"""What the name of an arm means."""
NOT_PART_OF_AN_ARM = frozenset({"arm", "seed", "run_dir", "objective_metric", "existing_run"}) | BESIDE_RESUME


@dataclass(frozen=True)
class Arm:
    """The settings that some runs of a study share, and the arm without relational terms that they are compared with.

    Attributes:
        name: Name of a configured arm, or the settings that differ within the study.
        reference: Name of the arm without relational terms; None for that arm itself.
    """

    name: str
    reference: str | None = None


@dataclass(frozen=True)
class StudyRun:
    """One evaluated run.

    Attributes:
        arm: Its arm.
        seed: Its seed.
        endpoints: Endpoints as in metrics.json.
        lambda_: Weight of its relational terms.
        evaluated_on: Hashes of the evaluation rows and probes.
    """

    arm: Arm
    seed: int
    endpoints: Mapping[str, Any]
    lambda_: float | None = None
    evaluated_on: Mapping[str, str] = field(default_factory=dict)


def arms_of(configs: Sequence[Mapping[str, Any]]) -> list[Arm]:
    """Return each run's arm, derived from the configurations of all runs.

    Runs made with ``arm=NAME`` belong to that arm; settings that differ among its runs, seeds aside, are appended to
    the name. Without named arms, the keys whose values differ name them: a run without relational terms
    (``loss.lambda=0``) is a reference, whatever the other keys of its loss, unless it trains one of the original's
    losses; any other run is compared with the reference that has the same keys outside the loss.
    """
    flat = [_arm_keys(config) for config in configs]
    names = [config.get("arm") for config in configs]
    if len(set(names) - {None}) < 2:  # a sweep within one arm is named by the swept settings
        names = [None] * len(flat)
    varying = {name: _varying([keys for keys, own in zip(flat, names, strict=True) if own == name]) for name in names}
    around_lm = varying.get(LM_ONLY, []) if any(names) else varying.get(None, [])
    arms = []
    for keys, name in zip(flat, names, strict=True):
        shown = {key: f"{key}={keys[key]}" for key in varying[name] if key in keys}
        outside = (shown[key] for key in around_lm if key in shown and not key.startswith("loss."))
        around = " ".join([LM_ONLY, *outside])
        if name == LM_ONLY or (name is None and _is_reference(keys)):
            arms.append(Arm(around))
        elif name is None:
            own = {"loss.lambda": f"loss.lambda={keys['loss.lambda']}"} if not shown else {}
            arms.append(Arm(" ".join((own | shown).values()), around))
        else:
            arms.append(Arm(" ".join([name, *shown.values()]), around))
    return arms


def _varying(flat: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the keys with more than one value."""
    return sorted(key for key in set().union(*flat) if len({repr(keys[key]) for keys in flat if key in keys}) > 1)


def _arm_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    keys = {key: value for key, value in flat(config) if key not in NOT_PART_OF_AN_ARM}
    if not _is_reference(keys):
        return keys
    return {key: value for key, value in keys.items() if not key.startswith("loss.") or key == "loss.lambda"}


def _is_reference(keys: Mapping[str, Any]) -> bool:
    return not keys["loss.lambda"] and keys.get("loss.name") not in ORIGINAL_LOSSES


def check_arms(runs: Sequence[tuple[Arm, int]]) -> None:
    """Check that runs, as (arm, seed), form a study; unfinished ones included, before any is evaluated.

    Raises:
        UserError: All runs are of one arm, or two have the same arm and seed.
    """
    names = sorted({arm.name for arm, _ in runs})
    if len(names) < 2:
        raise UserError(
            f"A study needs runs with loss.lambda=0 and runs with another arm; found {', '.join(names) or 'none'}. "
            f"Type the command of this multirun again where it was stopped, or train them with: python train.py -m "
            f"loss.lambda=0,0.3 seed=1,2,3,4,5,6,7,8"
        )
    twice = [(arm.name, seed) for (arm, seed), count in Counter(runs).items() if count > 1]
    if twice:
        name, seed = min(twice)
        raise UserError(f"Two runs are of arm '{name}' with seed {seed}, and only one can be paired. Move one away.")
