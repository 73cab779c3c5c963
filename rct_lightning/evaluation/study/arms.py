"""Which runs of a study belong together, and what each was set to find out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
"""What is behind the name of an arm, in words."""
NOT_PART_OF_AN_ARM = ("arm", "seed", "run_dir", "objective_metric", "existing_run")


@dataclass(frozen=True)
class Arm:
    """What distinguishes some runs of a study, and the arm without relational terms that they are set against.

    Attributes:
        name: Of a configured arm, or the settings that differ within the study.
        reference: Name of the arm without relational terms; None for that one itself.
    """

    name: str
    reference: str | None = None


@dataclass(frozen=True)
class StudyRun:
    """One evaluated run.

    Attributes:
        arm: Its arm.
        seed: Its seed.
        endpoints: As metrics.json holds them.
        lambda_: The weight of its terms.
        evaluated_on: Hashes of the rows and probes.
    """

    arm: Arm
    seed: int
    endpoints: Mapping[str, Any]
    lambda_: float | None = None
    evaluated_on: Mapping[str, str] = field(default_factory=dict)


def arms_of(configs: Sequence[Mapping[str, Any]]) -> list[Arm]:
    """Each run's arm, from the configurations of all of them.

    Runs that were made with ``arm=NAME`` are of that arm, followed by what else differs among its runs, seeds aside.
    Where no arms were named, the keys whose values differ name them: a run without relational terms
    (``loss.lambda=0``) is a reference, whatever the other keys of its loss say, unless it trains one of the original's
    losses; any other run is set against the reference that shares its keys outside the loss.
    """
    flat = [_arm_keys(config) for config in configs]
    names = [config.get("arm") for config in configs]
    if len(set(names) - {None}) < 2:  # a sweep within one arm is named by what is swept
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
    """Keys with more than one value."""
    return sorted(key for key in set().union(*flat) if len({repr(keys[key]) for keys in flat if key in keys}) > 1)


def _arm_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    keys = {key: value for key, value in flat(config) if key not in NOT_PART_OF_AN_ARM}
    if not _is_reference(keys):
        return keys
    return {key: value for key, value in keys.items() if not key.startswith("loss.") or key == "loss.lambda"}


def _is_reference(keys: Mapping[str, Any]) -> bool:
    return not keys["loss.lambda"] and keys.get("loss.name") not in ORIGINAL_LOSSES


def check_arms(runs: Sequence[tuple[Arm, int]]) -> None:
    """Whether runs, as (arm, seed), make a study; to ask before they are evaluated, of unfinished ones too.

    Raises:
        UserError: They are all of one arm, or two are the same.
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
