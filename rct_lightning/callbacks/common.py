"""Helpers shared by callbacks: the run directory, logging, events, and whether a step has just ended."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning as L

from rct_lightning.runs import RunDir


def run_of(trainer: L.Trainer) -> RunDir:
    """Return the run directory of a trainer."""
    return RunDir(Path(trainer.default_root_dir))


def log_scalars(trainer: L.Trainer, values: Mapping[str, float], step: int) -> None:
    """Send numbers to every logger."""
    for logger in trainer.loggers:
        logger.log_metrics(dict(values), step=step)


def write_event(trainer: L.Trainer, kind: str, **values: object) -> None:
    """Append one JSON object to the run's events file."""
    if trainer.is_global_zero:
        record = {"time": time.time(), "event": kind, "step": trainer.global_step, **values}
        path = run_of(trainer).events
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_plain(record), allow_nan=False) + "\n")


def _plain(record: Mapping[str, object]) -> dict[str, object]:
    """Replace NaN and infinity, which JSON lacks, by null; ``not_finite`` says which of them each was."""
    lost = {
        name: "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        for name, value in record.items()
        if isinstance(value, float) and not math.isfinite(value)
    }
    return {**record, **dict.fromkeys(lost), "not_finite": lost} if lost else dict(record)


class StepCallback(L.Callback):
    """A callback that knows when an optimizer step has ended, whatever the accumulation."""

    def __init__(self) -> None:
        self._seen = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start from the current step, which is not 0 in a resumed run."""
        self._seen = trainer.global_step

    def step_ended(self, trainer: L.Trainer) -> bool:
        """Return True once for each new optimizer step."""
        if trainer.global_step == self._seen:
            return False
        self._seen = trainer.global_step
        return True


def as_markdown_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a Markdown table; line breaks and pipes in cells cannot break it."""

    def line(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(header), line(tuple("---" for _ in header)), *(line(row) for row in rows)])
