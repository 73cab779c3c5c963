"""Evaluated runs made without a model: random figures, and the run's own records."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from bad_configs import make_run, run_config

from rct_lightning.dialogue import Turn
from rct_lightning.evaluation.endpoints import MEANINGS, SIDES, Comparison, Measurements, Spoken
from rct_lightning.evaluation.report import Report, write_report
from rct_lightning.evaluation.setting import Setting
from rct_lightning.losses import TERMS
from rct_lightning.runs import RunDir

CONFIG: dict[str, Any] = {
    "model": {"name": "nano"},
    "loss": {"name": "relational", "lambda": 0.3, "weights": {"presence": 0.5, "coherence": 0.0}},
    "data": {"max_seq_length": 512},
    "seed": 7,
}
PROMPT = "Are you there?"


def compared(
    seed: int = 0, items: int = 12, replies: list[tuple[str, str, str]] | None = None, endpoints: int = 99
) -> Comparison:
    """Return every endpoint, or the first few, with changes that are up, down or none."""
    random = np.random.default_rng(seed)
    found = Measurements()
    for number, key in enumerate([*MEANINGS][:endpoints]):
        base = random.normal(size=items)
        moved = base + (number % 3 - 1) + 0.1 * random.normal(size=items)
        groups = [f"g{item // 2}" for item in range(items)]
        weights = [1.0 + item % 3 for item in range(items)] if number % 2 else None
        for side, values in zip(SIDES, (base, moved), strict=True):
            found.add(side, key, values, groups, weights)
    return Comparison(found.in_order(), [(PROMPT, "No.", "I am.")] if replies is None else replies, spoken())


def spoken() -> list[Spoken]:
    """Return nine replies of every kind, unordered."""
    kinds = ("marked", "twin", "rows", "recall", "without")
    context = (Turn("human", "My dog is Bramble."), Turn("assistant", "A good name."))
    return [
        Spoken(kind, f"{kind}-{number}", context if kind == "recall" else (), f"asked {kind} {number}",
               f"base {kind} {number}", f"tuned {kind} {number}", "Bramble" if kind == "recall" else "")
        for kind in kinds for number in (5, 3, 9, 1, 7, 2, 8, 4, 6)
    ]  # fmt: skip


def finished_run(root: Path, **changes: str) -> RunDir:
    """Return a run as training leaves it; ``changes`` replace pieces of its configuration."""
    run = RunDir(make_run(root, "finished", checkpoints=False))
    text = run_config()
    for old, new in changes.items():
        old = old.replace("__", ": ")
        assert old in text, old
        text = text.replace(old, new, 1)
    run.config.write_text(text, encoding="utf-8")
    names = ["step", *(f"{name}_loss" for name in ("lm", *TERMS, "total")), "phase"]
    with run.loss_components.open("w", encoding="utf-8", newline="") as file:
        rows = [[0, 6, 0.5, "", 4, 7, "eval"], [2, 5, 0.4, 3, "", 6, "train"], [4, 4.5, 0.3, "", 2, 5.5, "eval"]]
        csv.writer(file).writerows([names, *rows])
    checks = [{"guard": "labels", "status": "ok", "seen": "all replies", "remedy": ""},
              {"guard": "truncation", "status": "warn", "seen": "9% were cut", "remedy": "Raise it."}]  # fmt: skip
    run.checks.write_text(json.dumps(checks))
    alert = {"time": 5.0, "event": "alert", "step": 3, "rule": "rising", "seen": "it rose", "means": "By heart.",
             "remedy": "Stop earlier.", "fatal": False}  # fmt: skip
    run.events.write_text('{"time": 0.0, "event": "start", "step": 0}\n' + json.dumps(alert) + "\n")
    return run


def evaluated_run(root: Path, seed: int = 0, items: int = 12, on: str = "a", **changes: str) -> RunDir:
    """Return the same with a metrics.json, but without a page."""
    run = finished_run(root, **changes)
    metrics = {
        "made_from": "",
        "evaluated_on": {"rows": on, "probes_file": "p"},
        **Report(compared(seed, items)).metrics(),
    }
    run.write_json(run.metrics, metrics)
    return run


def reported(run: RunDir, folder: Path, comparison: Comparison | None = None, **facts: Any) -> Report:
    """Write a complete report of a run."""
    report = Report(compared() if comparison is None else comparison)
    write_report(report, run, folder, Setting(CONFIG, **facts))
    return report
