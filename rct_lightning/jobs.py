"""Jobs of a multirun: taking up what is already in a job's folder, and reporting the jobs that did not finish.

A multirun that is started again with ``existing_run=continue`` completes what is missing: finished runs are left alone,
interrupted ones are resumed, and a failure ends only the job in which it occurs.
"""

from __future__ import annotations

import functools
import math
import os
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rct_lightning import identity, processes, runs
from rct_lightning.config import Config, in_multirun, load_run_config
from rct_lightning.config.loading import BESIDE_RESUME
from rct_lightning.errors import Interrupted, JobFailed, UserError
from rct_lightning.evaluation.metrics import flat
from rct_lightning.preflight import can_go_on, check_is_not_trained, check_same_data
from rct_lightning.runs import RunDir
from rct_lightning.sanitize import printable

T_co = TypeVar("T_co")
Task = Callable[[Any], T_co]

NOT_OF_A_RUN = BESIDE_RESUME | {"run_dir", "existing_run"}
"""Keys in which two configurations may differ although the runs learn the same."""


@dataclass(frozen=True)
class Job:
    """What is left to do for a job.

    Attributes:
        config: The configuration to train with; None if there is nothing left to do.
        objective: The recorded objective of a finished run.
    """

    config: Config | None
    objective: float | None = None


@contextmanager
def taken_up(config: Config) -> Iterator[Job]:
    """Yield what is left to do for a run, given what ``existing_run=continue`` finds in its folder.

    Inside the block no other process trains in that folder. Of several that train one run together, the first locks it.

    Raises:
        UserError: Another process trains in its folder, or the folder holds a run with other settings.
    """
    goes_on = config.existing_run == "continue" and config.resume is None
    root, of = _place(config)
    if not processes.is_first(of):
        yield Job(config)
        return
    with identity.alone_in(root) as alone:
        if alone and goes_on:
            yield _as_found(config, RunDir(root))
        elif alone:  # a run that begins meanwhile would be the latest
            yield Job(config if config.resume is None else config.model_copy(update={"resume": str(root)}))
        elif goes_on:
            print(f"{root}: another process trains this run, and it is left to it.", flush=True)
            yield Job(None)
        elif config.resume is not None:
            raise UserError(f"{root}: another process is training this run. Wait for its end, or end it; then resume.")
        else:
            raise UserError(
                f"{root}: another process has begun a run in this folder. Start it again, since a folder named by the "
                f"clock then has another name, or give another hydra.run.dir."
            )


def _place(config: Config) -> tuple[Path, int]:
    """Return the folder of a run, and the number of processes that train it."""
    if config.resume is None:
        return Path(config.run_dir), config.trainer.processes
    run = runs.find_run(config.resume)
    return run.root, load_run_config(run.config).trainer.processes


def _as_found(config: Config, run: RunDir) -> Job:
    if not run.config.is_file():
        return Job(config)
    run = runs.find_run(str(run.root))
    stored = load_run_config(run.config)
    other = _first_difference(stored.plain(), config.plain())
    if other:
        raise UserError(
            f"{run.root}: a run of other settings stands here ({other}), so it cannot be gone on with. Give another "
            f"hydra.sweep.dir, or remove the folder."
        )
    check_is_not_trained(run)
    status = run.read_status()
    if status.get("state") == "finished":
        check_same_data(stored, run)
        objective = status.get("objective")
        print(f"{run.root}: finished before.", flush=True)
        return Job(None, objective if isinstance(objective, int | float) else math.inf)
    if can_go_on(run):
        return Job(config.model_copy(update={"resume": str(run.root)}))
    print(f"{run.root}: interrupted before its first checkpoint; begun anew.", flush=True)
    run.clear()
    return Job(config)


def recorded(task: Task[T_co]) -> Task[T_co]:
    """Decorate a Hydra task so that a job of a multirun that does not finish records why in its folder."""

    @functools.wraps(task)
    def run(cfg: Any) -> T_co:
        try:
            return task(cfg)
        except Exception as error:
            if not in_multirun() or (isinstance(error, Interrupted) and not _is_the_jobs_own(error)):
                raise
            with identity.alone_in(Path(cfg.run_dir)) as alone:
                if alone:
                    _note(RunDir(Path(cfg.run_dir)), error)
            if isinstance(error, Interrupted):
                raise UserError(str(error)) from None
            if isinstance(error, UserError):
                raise
            traceback.print_exc()
            raise JobFailed from None  # drops the traceback, whose frames hold the model

    return run


def _is_the_jobs_own(ended: Interrupted) -> bool:
    """Return whether only the job was stopped, not the multirun: its time was up, or a cluster signalled it alone."""
    return ended.exit_code == 0 or "SUBMITIT_EXECUTOR" in os.environ


def _note(run: RunDir, error: Exception) -> None:
    """Write into a job's status how it ended, unless its folder holds another run."""
    status = run.read_status()
    state, said = status.get("state"), str(error)
    if isinstance(error, UserError):
        if run.config.is_file() and state not in ("failed", "stopped"):
            return  # refused because the folder holds a run
        state = state if run.config.is_file() else "refused"
    elif not isinstance(error, Interrupted):
        state, said = "failed", f"{type(error).__name__}: {error}"
    run.write_json(run.status, status | {"state": state, "error": said})


def tell_of_jobs(multirun: Path) -> bool:
    """Print which jobs of a multirun did not finish, and why; return False if one of them failed.

    Folders of jobs that were refused before they started are removed.
    """
    jobs = [(run, run.read_status()) for run in runs.jobs_in(multirun)]
    left = [(run, status) for run, status in jobs if status.get("state") != "finished"]
    if left:
        print(f"\n{len(jobs) - len(left)} of {len(jobs)} jobs in {multirun} are finished. The others:")
    for run, status in left:
        said = " ".join(str(status.get("error", f"at step {status.get('step', 0)}")).split())
        print(printable(f"  {run.root.relative_to(multirun)}  {status.get('state', 'unknown')}: {said}"))
        if status.get("state") == "refused":
            with identity.alone_in(run.root) as alone:
                if alone:
                    run.clear()
                    _remove_if_empty(run.root)
    return all(status.get("state") != "failed" for _, status in left)


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()


def _first_difference(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """Return the first key whose values differ, with both values; empty if there is none."""
    one, two = dict(flat(stored)), dict(flat(asked))
    for key in sorted({*one, *two} - NOT_OF_A_RUN):
        if one.get(key) != two.get(key):
            return f"{key}={one.get(key)} there, {key}={two.get(key)} here"
    return ""
