"""Compare several evaluated runs side by side from what their evaluations wrote; no model is loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rct_lightning.config import as_override, load_run_config
from rct_lightning.errors import UserError
from rct_lightning.evaluation.endpoints import MEANINGS, Direction
from rct_lightning.evaluation.metrics import flat, read_endpoints, read_evaluated_on
from rct_lightning.evaluation.statistics import Estimate
from rct_lightning.evaluation.told import Told
from rct_lightning.evaluation.verdict import Word, word_of
from rct_lightning.runs import RunDir, find_run

ASIDE = ("run_dir",)
"""Settings that differ between any two runs and carry no information."""


@dataclass(frozen=True)
class Figures:
    """One endpoint of one run."""

    base: Estimate
    tuned: Estimate
    change: Estimate
    groups: Sequence[str]
    better: Direction | None

    @property
    def word(self) -> Word:
        """The verdict on the change."""
        return word_of(self.better, self.change, self.groups)


@dataclass(frozen=True)
class EvaluatedRun:
    """A run with its report's figures and its own records."""

    run: RunDir
    settings: Mapping[str, Any]
    endpoints: Mapping[str, Figures]
    evaluated_on: Mapping[str, Any]
    told: Told

    @classmethod
    def of(cls, run: RunDir) -> EvaluatedRun:
        """Read an evaluated run.

        Raises:
            UserError: Its configuration or its figures are damaged.
        """
        settings = {key: value for key, value in flat(load_run_config(run.config).plain()) if key not in ASIDE}
        found = read_endpoints(run.metrics)
        try:
            endpoints = {key: _figures(key, found[key]) for key in MEANINGS if key in found}
        except (KeyError, TypeError, ValueError):
            what = f"{run.metrics}: its figures are not those of an evaluation"
            raise UserError(f"{what}. {_how_to_evaluate([run])}") from None
        return cls(run, settings, endpoints, read_evaluated_on(run.metrics), Told.of(run))


def read_runs(names: Sequence[str]) -> list[EvaluatedRun]:
    """Find runs by their directories, each once.

    Raises:
        UserError: One is not a run or was not evaluated yet (the message says how to evaluate it), or there are fewer
            than two.
    """
    runs = list({run.root.resolve(): run for run in map(find_run, names)}.values())
    if len(runs) < 2:
        what = "These are the same run" if len(names) > 1 else "There is nothing to compare with"
        raise UserError(f"{what}. Give two runs or more, as train.py printed them.")
    waiting = [run for run in runs if not run.metrics.is_file()]
    if waiting:
        listed = ", ".join(str(run.root) for run in waiting)
        raise UserError(f"{listed}: not evaluated yet. {_how_to_evaluate(waiting)}")
    return [EvaluatedRun.of(run) for run in runs]


def differing(runs: Sequence[EvaluatedRun]) -> list[str]:
    """Return the keys of settings whose values differ between runs."""
    keys = dict.fromkeys(key for run in runs for key in run.settings)
    return [key for key in keys if len({repr(run.settings.get(key)) for run in runs}) > 1]


def why_not_comparable(run: EvaluatedRun, first: EvaluatedRun) -> list[str]:
    """Say in what a run's evaluation data differ from the first run's; empty if the two are comparable."""
    reasons = [
        f"other {what}"
        for what, key in (("evaluation rows", "rows"), ("probes", "probes_file"))
        if key in run.evaluated_on and key in first.evaluated_on and run.evaluated_on[key] != first.evaluated_on[key]
    ]
    if not reasons and any(not same_items(key, run, first) for key in first.endpoints):
        reasons = ["other rows or probes"]
    return reasons


def same_items(key: str, run: EvaluatedRun, first: EvaluatedRun) -> bool:
    """Return whether an endpoint was measured on the same items, as far as the reports tell."""
    mine, theirs = run.endpoints.get(key), first.endpoints.get(key)
    return mine is not None and theirs is not None and mine.groups == theirs.groups


def as_json(runs: Sequence[EvaluatedRun]) -> dict[str, Any]:
    """Return the comparison as plain numbers."""
    keys = differing(runs)
    return {
        "runs": [
            {
                "run": str(run.run.root),
                "settings": {key: run.settings.get(key) for key in keys},
                "not_comparable": why_not_comparable(run, runs[0]),
                "state": run.told.state,
                "steps": run.told.step,
                "losses": {phase: run.told.last(phase) for phase in ("train", "eval")},
                "alerts": None if run.told.events is None else Counter(map(str, rules_of(run))),
            }
            for run in runs
        ],
        "endpoints": {
            key: {
                "meaning": MEANINGS[key][0],
                "better": MEANINGS[key][1],
                "runs": [_plain(run.endpoints.get(key)) for run in runs],
                "same_items": [same_items(key, run, runs[0]) for run in runs],
            }
            for key in endpoints_of(runs)
        },
    }


def endpoints_of(runs: Sequence[EvaluatedRun]) -> list[str]:
    """Return the endpoints that any run has, in report order."""
    return [key for key in MEANINGS if any(key in run.endpoints for run in runs)]


def rules_of(run: EvaluatedRun) -> list[str]:
    """Return the rule of each alert."""
    return [str(alert.get("rule", "?")) for alert in run.told.alerts]


def _plain(found: Figures | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {name: vars(getattr(found, name)) for name in ("base", "tuned", "change")} | {"verdict": found.word}


def _figures(key: str, described: Mapping[str, Any]) -> Figures:
    base, tuned, change = (_estimate(described[name]) for name in ("base", "tuned", "change"))
    return Figures(base, tuned, change, described["groups"], MEANINGS[key][1])


def _estimate(found: Mapping[str, Any]) -> Estimate:
    mean, low, high = (float(found[name]) for name in ("mean", "low", "high"))
    return Estimate(mean, low, high, int(found["items"]))


def _how_to_evaluate(runs: Sequence[RunDir]) -> str:
    commands = [f"python evaluate.py {as_override('run', str(run.root))}" for run in runs]
    return f"Type: {' && '.join(commands)}"
