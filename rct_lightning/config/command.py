"""Code that runs between the command line and a task: error reports, clean-up after them, and directory names."""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rct_lightning.config.explaining import check_arguments, explain_composition_error, explain_unwritable
from rct_lightning.config.helping import help_page
from rct_lightning.config.targets import looked_at
from rct_lightning.console import EXIT_CODE, accept_any_character, show, tell
from rct_lightning.errors import Interrupted, JobFailed, UserError
from rct_lightning.identity import alone_in

SWEEP_RECORD = "multirun.yaml"
"""The file that Hydra writes into a multirun's directory."""

JOB_NAME_LENGTH = 120
"""Maximum length in characters of a multirun job's directory name; file systems allow 255 bytes."""

T_co = TypeVar("T_co")
_stood: set[Path] = set()
_named: list[Path] = []
"""Folders that existed before this process's command ran, and the run directories that its command line names."""


def refusing(task: Callable[[DictConfig], T_co]) -> Callable[[DictConfig], T_co]:
    """Decorate a Hydra task so that a user error prints one paragraph on stderr, exits with 2 and leaves no files.

    Hydra creates a job's directory before the job can refuse its configuration or turn out to have nothing to train; an
    unused directory is removed again.
    """

    @functools.wraps(task)
    def run(cfg: DictConfig) -> T_co:
        try:
            return task(cfg)
        except UserError as error:
            if in_multirun():
                tell(error)
                error.told = True
                raise  # Hydra continues with the other jobs and re-raises it after the last one
            _refuse(error)
        except Interrupted as ended:
            print(f"Stopped: {ended}", file=sys.stderr)
            raise SystemExit(ended.exit_code) from None
        finally:
            if HydraConfig.initialized():
                runtime = HydraConfig.get().runtime
                _remove_empty(Path(runtime.output_dir), Path(runtime.cwd))

    return run


def in_multirun() -> bool:
    """Return whether this process runs a job of a multirun."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def run_command(main: Callable[[], Any], after_multirun: Callable[[Path], bool] | None = None) -> None:
    """Call a Hydra entry point, and report Hydra's own errors in the same way as :func:`refusing`.

    Args:
        main: The entry point.
        after_multirun: Reports how the jobs in a multirun's directory ended and returns False if one of them failed.
            None if the command supports no multirun.
    """
    accept_any_character()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # otherwise Hydra prints and exits itself
    script, composed = Path(inspect.unwrap(main).__code__.co_filename), list[DictConfig]()
    unbroken = True
    try:
        if hasattr(main, "__wrapped__"):  # decorated by Hydra, which reads the command line
            typed = check_arguments(sys.argv[1:])
            _remember_folders(sys.argv[1:])
            from rct_lightning.config.sweeper import register_sweepers

            register_sweepers()
            if typed.help and not (typed.config_name or typed.config_path or typed.config_dir):
                overrides = () if typed.multirun else typed.overrides
                with looked_at():
                    show(help_page(script, sys.modules[main.__module__].__doc__ or "", overrides))
                return
            if typed.multirun and after_multirun is None:
                raise UserError(
                    f"{script.name} has no multirun. Leave -m out; study=DIR takes every run of a multirun."
                )
        with looked_at() as composed:
            try:
                main()
            finally:
                unbroken = _ended(composed, after_multirun)
        if not unbroken:
            raise JobFailed
    except JobFailed:
        raise SystemExit(1) from None
    except UserError as error:
        if not error.told:  # a multirun's job is reported when it is refused
            tell(error)
        raise SystemExit(EXIT_CODE if unbroken else 1) from None
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        _refuse(explain_unwritable(error))
    except Exception as error:
        explained = None if _of_the_task(error) else explain_composition_error(error, script.parent / "conf")
        if explained is None:
            raise
        for cfg in composed:  # a multirun's directory exists before its first job is composed
            with suppress(OmegaConfBaseException):
                _remove_empty(Path(cfg.hydra.sweep.dir), Path.cwd())
        _refuse(explained)


def _ended(composed: Sequence[DictConfig], after_multirun: Callable[[Path], bool] | None) -> bool:
    """Report how a multirun ended, even after an error; return whether none of its jobs failed."""
    folders = set()
    for cfg in composed:  # each has its own timestamp, and the multirun's is one of them
        with suppress(OmegaConfBaseException):
            if cfg.hydra.mode == RunMode.MULTIRUN:
                folders.add(Path(cfg.hydra.sweep.dir))
    unbroken = True
    for folder in filter(Path.is_dir, folders):
        unbroken &= after_multirun is None or after_multirun(folder)
        _remove_empty(folder, Path.cwd())
    return unbroken


def _of_the_task(error: Exception) -> bool:
    """Return whether an error was raised by the task, and not by Hydra before it called the task."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code.co_filename == __file__ and frame.f_code.co_name == "run" for frame, _ in frames)


def _refuse(error: UserError) -> NoReturn:
    tell(error)
    raise SystemExit(EXIT_CODE)


def _remember_folders(arguments: Sequence[str]) -> None:
    """Record which folders on the path of a run directory exist already; Hydra creates the others."""
    _stood.update(folder for folder in [Path("logs").absolute()] if folder.is_dir())
    for argument in arguments:
        if argument.startswith(("hydra.run.dir=", "hydra.sweep.dir=")):
            named = Path(argument.split("=", 1)[1].strip("'\"")).absolute()
            _named.append(named)
            _stood.update(folder for folder in (named, *named.parents) if folder.is_dir())


def _remove_empty(output: Path, typed_in: Path) -> None:
    """Remove a directory to which nothing was written, and the empty parent folders that were created for it.

    Hydra writes its record of a sweep before any job starts; a directory that holds only this record counts as empty.
    """
    output = typed_in / output
    for folder in (output, *output.parents):
        made = folder == output or "logs" in folder.parts or any(folder in named.parents for named in _named)
        if folder in (typed_in, *_stood) or not made or not folder.is_dir():
            return
        if any(entry.name != SWEEP_RECORD for entry in folder.iterdir()):
            return
        with alone_in(folder) as alone:
            if not alone:  # another process has begun a run here, and not written to it yet
                return
            (folder / SWEEP_RECORD).unlink(missing_ok=True)
            folder.rmdir()


def as_override(key: str, value: str) -> str:
    """Return a setting as it can be typed in a shell, quoted where Hydra or the shell would misread it."""
    if re.fullmatch(r"[\w./+-]+", value, re.ASCII):
        return f"{key}={value}"
    escaped = value.replace('"', '\\"')
    return shlex.quote(f'{key}="{escaped}"')


def job_directory(overrides: str) -> str:
    """Return the directory name of a multirun's job: its settings, short enough and in characters that need no quotes.

    >>> job_directory("loss.lambda=0.3,seed=1")
    'loss.lambda-0.3_seed-1'
    """
    overrides = overrides or "run"  # a multirun that varies nothing
    name = re.sub(r"[^\w.+-]+", "-", overrides.replace(",", "_"), flags=re.ASCII)
    if len(name) <= JOB_NAME_LENGTH and re.fullmatch(r"[\w.+=,-]+", overrides, re.ASCII):
        return name
    digest = hashlib.sha256(overrides.encode()).hexdigest()[:8]  # keeps names apart that were cut or altered
    return f"{name[: JOB_NAME_LENGTH - 9]}_{digest}"


OmegaConf.register_new_resolver("job_directory", job_directory, replace=True)
