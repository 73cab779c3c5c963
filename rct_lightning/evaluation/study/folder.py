"""The runs in a study's directory: those that can be compared, and those that cannot, each with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rct_lightning.config import Config, load_run_config
from rct_lightning.errors import UserError
from rct_lightning.evaluation.study.arms import Arm, arms_of, check_arms
from rct_lightning.page import FIGURES
from rct_lightning.runs import RunDir, study_runs
from rct_lightning.untrusted import check_adapter, load_template


@dataclass(frozen=True)
class Finished:
    """A run that can be evaluated."""

    run: RunDir
    config: Config
    arm: Arm


@dataclass(frozen=True)
class Absent:
    """A run that is left out of the comparison.

    Attributes:
        root: The run's directory.
        name: The directory relative to the study's.
        why: The reason.
    """

    root: Path
    name: str
    why: str


@dataclass(frozen=True)
class StudyFolder:
    """A study's directory."""

    root: Path
    finished: Sequence[Finished]
    absent: Sequence[Absent]


def read_study(name: str) -> StudyFolder:
    """Read the runs of a multirun.

    Raises:
        UserError: No run is finished, all are of one arm, two have the same arm and seed, or a link leads out of one.
    """
    root = Path(name)
    absent, readable = [], []
    for run in study_runs(name):
        try:
            readable.append((run, load_run_config(run.config), _why_not(run)))
        except UserError as error:
            absent.append(_absent(root, run.root, str(error)))
    if not readable:
        raise _nothing_finished(name, absent)
    arms = arms_of([config.plain() for _, config, _ in readable])
    check_arms([(arm, config.seed) for arm, (_, config, _) in zip(arms, readable, strict=True)])
    finished = []
    for arm, (run, config, why) in zip(arms, readable, strict=True):
        if why:
            absent.append(_absent(root, run.root, f"{arm.name}, seed {config.seed}: {why}"))
        else:
            finished.append(Finished(run, config, arm))
    absent += [_absent(root, path, "it ended before it wrote its configuration") for path in _never_began(root)]
    if not finished:
        raise _nothing_finished(name, absent)
    return StudyFolder(root, finished, sorted(absent, key=lambda each: each.name))


def _nothing_finished(name: str, absent: Sequence[Absent]) -> UserError:
    left = "; ".join(f"{each.name} ({each.why.rstrip('.')})" for each in absent[:5])
    more = f"; and {len(absent) - 5} more" if len(absent) > 5 else ""
    return UserError(
        f"study={name}: no finished run in this directory. Give the directory of a multirun."
        + (f" What is there: {left}{more}." if left else "")
    )


def _why_not(run: RunDir) -> str:
    """Return why a run cannot be compared with the others; empty if it can."""
    status = run.read_status()
    state = status.get("state", "finished")
    if state == "stopped":
        return f"a health rule ended it at step {status.get('step')}, and arms are compared after equal training"
    if state != "finished":
        error = status.get("error")
        return f"it is not finished ({state}{f': {error}' if error else ''})"
    if not (run.adapter / "adapter_config.json").is_file():
        return "it is not finished (it has no adapter)"
    try:
        check_adapter(run.adapter)
        load_template(run.adapter)
    except UserError as error:
        return str(error)
    return ""


def _never_began(root: Path) -> list[Path]:
    """Return job directories without any run in them."""
    folders = [
        path for path in sorted(root.iterdir()) if path.is_dir() and path.name[0] != "." and path.name != FIGURES
    ]
    return [path for path in folders if not any(path.glob("**/config.yaml"))]


def _absent(root: Path, run: Path, why: str) -> Absent:
    return Absent(run, str(run.relative_to(root)), why)
