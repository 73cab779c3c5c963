"""Between the command line and a task: refusals, what they leave behind, and names of directories."""

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
from rct_lightning.console import EXIT_CODE, show, tell
from rct_lightning.errors import Interrupted, JobFailed, UserError

SWEEP_RECORD = "multirun.yaml"
"""What Hydra writes into a multirun's directory."""

JOB_NAME_LENGTH = 120
"""Characters of the name of a multirun's job directory at most; file systems stop at 255 bytes."""

T_co = TypeVar("T_co")
_stood: set[Path] = set()
_named: list[Path] = []
"""Of this process's command line: folders that were there before, and run directories that it names."""


def refusing(task: Callable[[DictConfig], T_co]) -> Callable[[DictConfig], T_co]:
    """Decorator of a Hydra task: a user's mistake is one paragraph on stderr, exit code 2, and leaves nothing behind.

    Hydra makes a job's directory before the job can refuse its configuration or turn out to train nothing; an unused
    one is taken away again.
    """

    @functools.wraps(task)
    def run(cfg: DictConfig) -> T_co:
        try:
            return task(cfg)
        except UserError as error:
            if in_multirun():
                tell(error)
                error.told = True
                raise  # Hydra goes on with the other jobs, and raises it again behind the last
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
    """Whether this is a job of a multirun."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def run_command(main: Callable[[], Any], after_multirun: Callable[[Path], bool] | None = None) -> None:
    """Call a Hydra entry point; what Hydra itself refuses is explained in the same way as by :func:`refusing`.

    Args:
        main: The entry point.
        after_multirun: Says how the jobs in a multirun's directory ended; False where one of them broke. None where the
            command has no multirun.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # otherwise Hydra prints and exits itself
    script, composed = Path(inspect.unwrap(main).__code__.co_filename), list[DictConfig]()
    unbroken = True
    try:
        if hasattr(main, "__wrapped__"):  # made by Hydra, which reads the command line
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
        if not error.told:  # of a job of a multirun: when it was refused
            tell(error)
        raise SystemExit(EXIT_CODE if unbroken else 1) from None
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        _refuse(explain_unwritable(error))
    except Exception as error:
        explained = None if _of_the_task(error) else explain_composition_error(error, script.parent / "conf")
        if explained is None:
            raise
        for cfg in composed:  # a multirun's directory is there before its first job is composed
            with suppress(OmegaConfBaseException):
                _remove_empty(Path(cfg.hydra.sweep.dir), Path.cwd())
        _refuse(explained)


def _ended(composed: Sequence[DictConfig], after_multirun: Callable[[Path], bool] | None) -> bool:
    """Say how a multirun ended, whichever way it did; whether none of its jobs broke."""
    folders = set()
    for cfg in composed:  # each has a clock of its own, and that of the multirun is one of them
        with suppress(OmegaConfBaseException):
            if cfg.hydra.mode == RunMode.MULTIRUN:
                folders.add(Path(cfg.hydra.sweep.dir))
    unbroken = True
    for folder in filter(Path.is_dir, folders):
        unbroken &= after_multirun is None or after_multirun(folder)
        _remove_empty(folder, Path.cwd())
    return unbroken


def _of_the_task(error: Exception) -> bool:
    """Whether an error comes from the task, not from Hydra on its way there."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_code.co_filename == __file__ and frame.f_code.co_name == "run" for frame, _ in frames)


def _refuse(error: UserError) -> NoReturn:
    tell(error)
    raise SystemExit(EXIT_CODE)


def _remember_folders(arguments: Sequence[str]) -> None:
    """Note which folders on the way to a run directory are there already: Hydra makes those that are not."""
    _stood.update(folder for folder in [Path("logs").absolute()] if folder.is_dir())
    for argument in arguments:
        if argument.startswith(("hydra.run.dir=", "hydra.sweep.dir=")):
            named = Path(argument.split("=", 1)[1].strip("'\"")).absolute()
            _named.append(named)
            _stood.update(folder for folder in (named, *named.parents) if folder.is_dir())


def _remove_empty(output: Path, typed_in: Path) -> None:
    """Remove a directory in which nothing was written, and the empty ones above it that were made on the way to it.

    A multirun's directory holds Hydra's own record of the sweep before any job starts; alone, it records nothing.
    """
    output = typed_in / output
    for folder in (output, *output.parents):
        made = folder == output or "logs" in folder.parts or any(folder in named.parents for named in _named)
        if folder in (typed_in, *_stood) or not made or not folder.is_dir():
            return
        if any(entry.name != SWEEP_RECORD for entry in folder.iterdir()):
            return
        (folder / SWEEP_RECORD).unlink(missing_ok=True)
        folder.rmdir()


def as_override(key: str, value: str) -> str:
    """A setting as it can be typed into a shell, quoted where Hydra or the shell would misread it."""
    if re.fullmatch(r"[\w./+-]+", value, re.ASCII):
        return f"{key}={value}"
    escaped = value.replace('"', '\\"')
    return shlex.quote(f'{key}="{escaped}"')


def job_directory(overrides: str) -> str:
    """The directory's name of a multirun's job: its settings, in letters that need no quotes, not too long for a disk.

    >>> job_directory("loss.lambda=0.3,seed=1")
    'loss.lambda-0.3_seed-1'
    """
    overrides = overrides or "run"  # of a multirun with nothing to vary
    name = re.sub(r"[^\w.+-]+", "-", overrides.replace(",", "_"), flags=re.ASCII)
    if len(name) <= JOB_NAME_LENGTH and re.fullmatch(r"[\w.+=,-]+", overrides, re.ASCII):
        return name
    digest = hashlib.sha256(overrides.encode()).hexdigest()[:8]  # what was cut or replaced still tells jobs apart
    return f"{name[: JOB_NAME_LENGTH - 9]}_{digest}"


OmegaConf.register_new_resolver("job_directory", job_directory, replace=True)
