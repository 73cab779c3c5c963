"""The layout of a run directory: the only place that spells a file name of a run."""

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

LOGS = Path("logs") / "train"
STEP = re.compile(r"(?:best-)?step-\d{1,18}")
"""Names of what is kept in ``checkpoints/``."""
WhichAdapter = Literal["last", "best"]
METRICS_FILE, REPORT_NAME = "metrics.json", "report"
"""Of what evaluation writes into its folder: the figures, and the page without its ending."""
LARGEST = 1e300
"""Of a figure in the events; what is larger, or no number, is none."""


@dataclass(frozen=True)
class RunDir:
    """Paths of one run. Nothing is created by asking for a path."""

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
        """What the guards found before step 0."""
        return self.root / "checks.json"

    @property
    def loss_components(self) -> Path:
        """Loss terms by optimizer step and phase."""
        return self.root / "loss_components.csv"

    @property
    def generation_samples(self) -> Path:
        """Replies to the fixed prompts while training."""
        return self.root / "generation_samples.txt"

    @property
    def baseline_generation(self) -> Path:
        """Replies of the base model, captured before training."""
        return self.root / "baseline_generation.txt"

    @property
    def eval_sanity(self) -> Path:
        """Rows drawn through the validation loader, one JSON object a line."""
        return self.root / "eval_sanity.jsonl"

    @property
    def events(self) -> Path:
        """What happened, one JSON object a line."""
        return self.root / "events.jsonl"

    @property
    def status(self) -> Path:
        """Whether the run is running, finished or failed."""
        return self.root / "status.json"

    @property
    def tensorboard(self) -> Path:
        """Event files."""
        return self.root / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        """Training state."""
        return self.root / "checkpoints"

    @property
    def adapter(self) -> Path:
        """The trained adapter, a PEFT folder."""
        return self.root / "adapter"

    @property
    def report(self) -> Path:
        """What evaluation writes."""
        return self.root / "report"

    @property
    def metrics(self) -> Path:
        """The endpoints as plain numbers."""
        return self.report / METRICS_FILE

    @property
    def report_of_best(self) -> Path:
        """What evaluation writes of the best evaluation's adapter."""
        return self.root / "report_best"

    def best_adapter(self, step: int) -> Path:
        """The adapter after a step, where no evaluation was better."""
        return self.checkpoints / f"best-step-{step}"

    def best_adapters(self) -> list[Path]:
        """Those that are there, the newest first: one, or two where a run was killed while it kept one."""
        found = [path for path in self.checkpoints.glob("best-step-*") if STEP.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)

    def trained_adapter(self, which: WhichAdapter) -> Path:
        """The last adapter of a run, or the one of its best evaluation.

        Raises:
            UserError: None was kept.
        """
        if which == "last":
            return self.adapter
        best = self.best_adapters()
        if not best:
            raise UserError(f"{self.root}: no best evaluation's adapter was kept. Use the last one.")
        return best[0]

    def step_of(self, which: WhichAdapter) -> int | None:
        """Optimizer steps behind an adapter; None where the run says nothing of it.

        Raises:
            UserError: None was kept.
        """
        if which == "best":
            return int(self.trained_adapter(which).name.rpartition("-")[2])
        step = self.read_status().get("step")
        return step if type(step) is int else None

    @property
    def appended(self) -> tuple[Path, ...]:
        """Files that grow while a run trains."""
        return self.loss_components, self.generation_samples, self.eval_sanity, self.events

    def sizes(self) -> dict[str, int]:
        """Bytes of the files that grow, as far as there are any."""
        return {path.name: path.stat().st_size for path in self.appended if path.is_file()}

    def cut_back(self, sizes: Mapping[str, int]) -> None:
        """Take away what was appended since their sizes were noted: a resumed run says it again."""
        for path in self.appended:
            if path.is_file() and path.stat().st_size > sizes.get(path.name, 0):
                os.truncate(path, sizes.get(path.name, 0))

    def clear(self) -> None:
        """Take away what a run wrote, its configuration last; whatever else is in the folder stays."""
        for folder in (self.tensorboard, self.checkpoints, self.adapter, self.report, self.report_of_best):
            shutil.rmtree(folder, ignore_errors=True)
        files = (*self.appended, self.baseline_generation, self.checks, self.environment, self.status, self.config)
        for path in files:
            path.unlink(missing_ok=True)

    def read_status(self) -> dict[str, Any]:
        """The status, empty where none was written."""
        try:
            return read_object(self.status)
        except UserError:
            return {}

    def read_events(self) -> list[dict[str, Any]]:
        """Everything that happened, without figures that were no number and a last line that is still being written.

        Raises:
            UserError: The file cannot be read at all.
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
        """The loss terms by step and phase, without those that were not computed; empty where none were logged.

        A row that is no row, as a killed process leaves, is left out.
        """
        if not self.loss_components.is_file():
            return []
        found = []
        with self.loss_components.open(encoding="utf-8", errors="replace", newline="") as file:
            with suppress(csv.Error):  # a byte that no table has
                for row in csv.DictReader(file):
                    with suppress(TypeError, ValueError):
                        found.append(
                            {name: value if name == "phase" else float(value) for name, value in row.items() if value}
                        )
        return [row for row in found if "step" in row and "phase" in row]

    def write_json(self, path: Path, value: Any) -> None:
        """Write JSON so that a reader sees the old file or the new one, never half of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(part, path)


def check_is_free(root: Path) -> None:
    """Whether a run can be written there.

    Raises:
        UserError: Another run, or something else, stands there.
    """
    if RunDir(root).config.exists():
        raise UserError(f"{root}: this folder holds a run already. Give another hydra.run.dir, or remove it.")
    others = [path for path in root.iterdir() if not path.name.startswith(".")] if root.is_dir() else []
    others = [path for path in others if path != RunDir(root).status]  # of a job that was refused
    if any(path.suffix != ".log" for path in others):  # Hydra's own are not in the way
        raise UserError(f"{root}: this folder holds other files already. Give another hydra.run.dir.")


def find_run(name: str, logs: Path = LOGS) -> RunDir:
    """A finished or running run by its directory, or the newest one for ``latest``.

    Raises:
        UserError: There is no such run.
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
    """The runs of the same folder, this one among them, in order of their names, which begin with their times."""
    found = [path.parent for path in run.root.absolute().parent.glob("*/config.yaml") if _is_file(path)]
    return [RunDir(root) for root in sorted(found)]


def study_runs(name: str) -> list[RunDir]:
    """The runs inside a multirun's directory, finished or not, in order of their names.

    Raises:
        UserError: There is none.
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
    """The folders of a multirun in which a job wrote how it stands, in order of their names."""
    return [RunDir(path.parent) for path in sorted(multirun.glob(f"**/{RunDir(multirun).status.name}"))]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for the disk
        return False


def _without_links_outside(run: RunDir) -> RunDir:
    """A run's files are read, cut back, written and replaced: where one is a link, something else would be.

    Raises:
        UserError: A link leads out of the directory.
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
    """A line of events.jsonl as it stands, with ``event`` and ``step``; None where it holds none.

    A figure that was NaN or infinite is None, and ``not_finite`` then says which of them it was.
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
