"""Between the command line and a task: Hydra's refusals explained, settings as they are typed, names of directories."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rct_lightning.config.schema import hint, known_keys
from rct_lightning.console import EXIT_CODE, tell
from rct_lightning.errors import Interrupted, UserError

SWEEP_RECORD = "multirun.yaml"
"""What Hydra writes into a multirun's directory."""

JOB_NAME_LENGTH = 120
"""Characters of the name of a multirun's job directory at most; file systems stop at 255 bytes."""

T_co = TypeVar("T_co")


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
            if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
                tell(error)
                raise  # Hydra goes on with the other jobs, and raises it again behind the last
            _refuse(error)
        except Interrupted as ended:
            print(f"Stopped: {ended}", file=sys.stderr)
            raise SystemExit(ended.exit_code) from None
        finally:
            if HydraConfig.initialized():
                _remove_empty(Path(HydraConfig.get().runtime.output_dir))

    return run


def run_command(main: Callable[[], Any]) -> None:
    """Call a Hydra entry point; what Hydra itself refuses is explained in the same way as by :func:`refusing`."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # otherwise Hydra prints and exits itself
    try:
        main()
    except HydraException as error:
        _refuse(explain_composition_error(error))
    except OmegaConfBaseException as error:
        _refuse(UserError(f"{error.full_key or 'the configuration'}: {str(error).splitlines()[0]}. See conf/."))
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        _refuse(UserError(f"{error.filename}: {error.strerror}. hydra.run.dir=DIR writes a run elsewhere."))
    except UserError:
        raise SystemExit(EXIT_CODE) from None  # of a job of a multirun: told when it was refused


def _refuse(error: UserError) -> NoReturn:
    tell(error)
    raise SystemExit(EXIT_CODE)


def _remove_empty(output: Path) -> None:
    """Remove a directory in which nothing was written, and its empty parents inside ``logs``; never where one is.

    A multirun's directory holds Hydra's own record of the sweep before any job starts; alone, it records nothing.
    """
    for folder in (output, *output.parents):
        if folder.name == "logs" or folder == Path.cwd() or not folder.is_dir():
            return
        if any(entry.name != SWEEP_RECORD for entry in folder.iterdir()):
            return
        (folder / SWEEP_RECORD).unlink(missing_ok=True)
        folder.rmdir()
        if "logs" not in folder.parts:
            return


def explain_composition_error(error: Exception) -> UserError:
    """Hydra's refusal of a command line as one paragraph with the nearest name."""
    text = str(error).strip()
    if isinstance(error, OverrideParseException):
        return UserError(
            f"{error.override}: not a readable setting ({text.splitlines()[0]}). Write key=value; a value with spaces "
            f"or any of = , : {{ }} [ ] ( ) in it needs quotes of both kinds: 'key=\"value\"'."
        )
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        key = unknown.group(1)
        return UserError(f"{key}: there is no such key.{hint(key, known_keys())} See conf/ or python train.py --help.")
    append = re.search(r"Could not append to config\. An item is already at '([^']+)'", text)
    if append:
        return UserError(f"+{append.group(1)}: the key exists already; give it without the plus sign.")
    first = text.splitlines()[0] if text else type(error).__name__
    options = [line.strip() for line in text.splitlines()[1:] if re.fullmatch(r"\t\S+|\s{2,}\S+", line)]
    available = f" Available: {', '.join(sorted(options))}." if options else ""
    return UserError(f"{first.rstrip('.')}.{available}")


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
    name = re.sub(r"[^\w.+-]+", "-", overrides.replace(",", "_"), flags=re.ASCII)
    if len(name) <= JOB_NAME_LENGTH and re.fullmatch(r"[\w.+=,-]+", overrides, re.ASCII):
        return name
    digest = hashlib.sha256(overrides.encode()).hexdigest()[:8]  # what was cut or replaced still tells jobs apart
    return f"{name[: JOB_NAME_LENGTH - 9]}_{digest}"


OmegaConf.register_new_resolver("job_directory", job_directory, replace=True)
