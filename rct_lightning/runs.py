"""The layout of a run directory; no other module spells out the file names of a run."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rct_lightning.errors import UserError
from rct_lightning.reading import read_object
from rct_lightning.replacing import replacing

LOGS = Path("logs") / "train"
STEP = re.compile(r"(?:best-)?step-\d{1,18}")
"""Pattern of the names in ``checkpoints/``."""
WhichAdapter = Literal["last", "best"]
METRICS_FILE, REPORT_NAME = "metrics.json", "report"
STUDY_FILE = "study.json"
"""Names of what evaluation writes into its folder: the figures, and the report page without its suffix."""
LARGEST = 1e300
"""Largest absolute value of a figure in the events; larger values are dropped, as NaN is."""


@dataclass(frozen=True)
class RunDir:
    """Paths of one run. Reading a path creates nothing."""

    root: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.root / "config.yaml"

    @property
    def environment(self) -> Path:
        """Versions, hardware, seed, commit and data hashes."""
        return self.root / "environment.json"

    @property
    def checks(self) -> Path:
        """The findings of the guards before step 0."""
        return self.root / "checks.json"

    @property
    def loss_components(self) -> Path:
        """Loss terms by optimizer step and phase."""
        return self.root / "loss_components.csv"

    @property
    def generation_samples(self) -> Path:
        """Replies to the fixed prompts during training."""
        return self.root / "generation_samples.txt"

    @property
    def baseline_generation(self) -> Path:
        """Replies of the base model, captured before training."""
        return self.root / "baseline_generation.txt"

    @property
    def eval_sanity(self) -> Path:
        """Rows drawn through the validation loader, one JSON object per line."""
        return self.root / "eval_sanity.jsonl"

    @property
    def events(self) -> Path:
        """The events of the run, one JSON object per line."""
        return self.root / "events.jsonl"

    @property
    def status(self) -> Path:
        """The state of the run: running, finished, failed, and so on."""
        return self.root / "status.json"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files."""
        return self.root / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints of the training state, and the best adapter so far."""
        return self.root / "checkpoints"

    @property
    def adapter(self) -> Path:
        """The trained adapter, a PEFT folder."""
        return self.root / "adapter"

    @property
    def report(self) -> Path:
        """The folder that evaluation writes."""
        return self.root / "report"

    @property
    def metrics(self) -> Path:
        """The endpoints as plain numbers."""
        return self.report / METRICS_FILE

    @property
    def report_of_best(self) -> Path:
        """The folder that evaluation writes for the best evaluation's adapter."""
        return self.root / "report_best"

    def best_adapter(self, step: int) -> Path:
        """Return the folder of the best adapter so far, saved after ``step``."""
        return self.checkpoints / f"best-step-{step}"

    def best_adapters(self) -> list[Path]:
        """Return the existing best adapters, newest first: one, or two if a run was killed while it saved one."""
        found = [path for path in self.checkpoints.glob("best-step-*") if STEP.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)

    def trained_adapter(self, which: WhichAdapter) -> Path:
        """Return the last adapter of a run, or the one of its best evaluation.

        Raises:
            UserError: No best adapter was kept.
        """
        if which == "last":
            return self.adapter
        best = self.best_adapters()
        if not best:
            raise UserError(f"{self.root}: no best evaluation's adapter was kept. Use the last one.")
        return best[0]

    def step_of(self, which: WhichAdapter) -> int | None:
        """Return the number of optimizer steps after which an adapter was saved; None if the run did not record it.

        Raises:
            UserError: No best adapter was kept.
        """
        if which == "best":
            return int(self.trained_adapter(which).name.rpartition("-")[2])
        step = self.read_status().get("step")
        return step if type(step) is int else None

    @property
    def appended(self) -> tuple[Path, ...]:
        """The files to which a run appends while it trains."""
        return self.loss_components, self.generation_samples, self.eval_sanity, self.events

    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of each existing file of :attr:`appended`, by name."""
        return {path.name: path.stat().st_size for path in self.appended if path.is_file()}

    def cut_back(self, sizes: Mapping[str, int]) -> None:
        """Truncate the appended files to the recorded sizes: a resumed run writes the rest again."""
        for path in self.appended:
            if path.is_file() and path.stat().st_size > sizes.get(path.name, 0):
                os.truncate(path, sizes.get(path.name, 0))

    def clear(self) -> None:
        """Remove what a run wrote, its configuration last; other files in the folder stay."""
        for folder in (self.tensorboard, self.checkpoints, self.adapter, self.report, self.report_of_best):
            shutil.rmtree(folder, ignore_errors=True)
        files = (*self.appended, self.baseline_generation, self.checks, self.environment, self.status, self.config)
        for path in files:
            path.unlink(missing_ok=True)

    def read_status(self) -> dict[str, Any]:
        """Return the status; empty if there is no readable one."""
        try:
            return read_object(self.status)
        except UserError:
            return {}

    def read_events(self) -> list[dict[str, Any]]:
        """Return the events, without values that are not finite numbers and without incomplete lines.

        Raises:
            UserError: There is no such file, or it cannot be read.
        """
        if not self.events.is_file():
            raise UserError(f"{self.events}: this is no file of events. Give the folder that train.py printed.")
        try:
            content = self.events.read_bytes()
        except OSError as error:
            raise UserError(f"{self.events}: cannot be read ({error.strerror}). Look at its permissions.") from None
        events = (event_of(line) for line in content.splitlines())
        return [_with_figures_that_are(event) for event in events if event is not None]

    def read_loss_components(self) -> list[dict[str, Any]]:
        """Return the loss terms by step and phase, without terms that were not computed; empty if none were logged.

        A damaged row, as a killed process can leave, is skipped.
        """
        if not self.loss_components.is_file():
            return []
        found = []
        with self.loss_components.open(encoding="utf-8", errors="replace", newline="") as file:
            with suppress(csv.Error):  # a byte that CSV does not allow
                for row in csv.DictReader(file):
                    with suppress(TypeError, ValueError):
                        found.append(
                            {name: value if name == "phase" else float(value) for name, value in row.items() if value}
                        )
        return [row for row in found if "step" in row and "phase" in row]

    def write_json(self, path: Path, value: Any) -> None:
        """Write JSON atomically: a reader sees either the old file or the new one."""
        with replacing(path) as part:
            part.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def check_is_free(root: Path) -> None:
    """Check that a run can be written to a folder.

    Raises:
        UserError: The folder holds another run or other files.
    """
    if RunDir(root).config.exists():
        raise UserError(f"{root}: this folder holds a run already. Give another hydra.run.dir, or remove it.")
    others = [path for path in root.iterdir() if not path.name.startswith(".")] if root.is_dir() else []
    others = [path for path in others if path != RunDir(root).status]  # left by a refused job
    if any(path.suffix != ".log" for path in others):  # Hydra's own are not in the way
        raise UserError(f"{root}: this folder holds other files already. Give another hydra.run.dir.")


def find_run(name: str, logs: Path = LOGS) -> RunDir:
    """Return a finished or running run by its directory, or the newest one for ``latest``.

    Raises:
        UserError: There is no such run, or a link in it leads out of its directory.
    """
    if name == "latest":
        configs = [*logs.glob("*/*/config.yaml"), *logs.glob("multiruns/*/*/config.yaml")]
        configs = [path for path in configs if path.is_file()]
        if not configs:
            raise UserError(
                f"There is no run under {logs} yet. Train one with 'python train.py', or give the folder of one."
            )
        return _without_links_outside(RunDir(max(configs, key=lambda path: path.stat().st_mtime_ns).parent))
    run = RunDir(Path(name))
    if not _is_file(run.config):
        why = (
            f"it has no {run.config.name}, or none that can be read" if _exists(run.root) else "there is no such folder"
        )
        raise UserError(
            f"{name or repr(name)}: not a run directory, {why}. Give the folder that train.py printed, or latest."
        )
    return _without_links_outside(run)


def runs_beside(run: RunDir) -> list[RunDir]:
    """Return the runs in the same folder, this one included, sorted by name; names begin with the time of the run."""
    found = [path.parent for path in run.root.resolve().parent.glob("*/config.yaml") if _is_file(path)]
    return [RunDir(root) for root in sorted(found)]


def study_runs(name: str) -> list[RunDir]:
    """Return the runs inside a multirun's directory, finished or not, sorted by path.

    Raises:
        UserError: There is none, or a link leads out of a run's directory.
    """
    if not _exists(Path(name)):
        raise UserError(f"study={name}: there is no such folder. Give the directory of a multirun.")
    if _is_file(RunDir(Path(name)).config):
        raise UserError(f"study={name}: this is one run, evaluated with run={name}. Give the directory of a multirun.")
    found = [RunDir(path.parent) for path in sorted(Path(name).glob("**/config.yaml"))]
    if not found:
        raise UserError(f"study={name}: no finished run in this directory. Give the directory of a multirun.")
    return [_without_links_outside(run) for run in found]


def jobs_in(multirun: Path) -> list[RunDir]:
    """Return the folders of a multirun in which a job wrote its status, sorted by path."""
    return [RunDir(path.parent) for path in sorted(multirun.glob(f"**/{RunDir(multirun).status.name}"))]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # e.g. a name too long for the file system
        return False


def _without_links_outside(run: RunDir) -> RunDir:
    """Return the run after checking its links: its files are read, truncated and replaced; so would link targets be.

    Raises:
        UserError: A link leads out of the run directory.
    """
    inside = run.root.resolve()
    for path in sorted(run.root.rglob("*")):
        if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(inside):
            raise UserError(
                f"{path}: this link leads out of the run directory, and what it leads to would be read or written "
                f"over. Put the file itself in its place."
            )
    return run


def event_of(line: bytes) -> dict[str, Any] | None:
    """Parse a line of events.jsonl; return None unless it is an event with ``event`` and ``step``.

    A figure that was NaN or infinite is stored as None, and ``not_finite`` then records which of the two it was.
    """
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    kind, step = event.get("event"), event.get("step")
    return event if isinstance(kind, str) and type(step) is int and abs(step) <= LARGEST else None


def _with_figures_that_are(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if _is_text_or_number(value)}


def _is_text_or_number(value: Any) -> bool:
    return isinstance(value, str | bool) or (isinstance(value, int | float) and abs(value) <= LARGEST)
