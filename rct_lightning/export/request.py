"""An export request, validated here before anything heavy is imported."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from rct_lightning.errors import UserError
from rct_lightning.runs import RunDir, WhichAdapter
from rct_lightning.untrusted import check_adapter, load_template

Dtype = Literal["fp32", "fp16", "bf16"]
NAME_ON_THE_HUB = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


@dataclass(frozen=True)
class Push:
    """Where to upload a folder on the hub."""

    name: str
    private: bool


@dataclass(frozen=True)
class Request:
    """A valid export request.

    Attributes:
        run: The run to export.
        to: The folder to create.
        merge: Whether to export one merged model instead of an adapter.
        dtype: Number format of a merged model's weights.
        which: The last adapter, or that of the best evaluation.
        push: Where to upload the folder; None, the default, keeps it local.
    """

    run: RunDir
    to: Path
    merge: bool = False
    dtype: Dtype = "fp32"
    which: WhichAdapter = "last"
    push: Push | None = None

    @property
    def adapter(self) -> Path:
        """The folder of the run's adapter."""
        return self.run.trained_adapter(self.which)


def make_request(
    run: RunDir, to: Path, *, merge: bool, dtype: str | None, which: str, push: str | None, private: bool
) -> Request:
    """Build a request from the command line's values.

    Raises:
        UserError: Something requested does not exist, or something is already where the export is to go.
    """
    if dtype is not None and dtype not in get_args(Dtype):
        raise UserError(f"--dtype {dtype}: there is no such number format here. Use {', '.join(get_args(Dtype))}.")
    if dtype is not None and not merge:
        raise UserError(f"--dtype {dtype}: an adapter is kept as it was trained. Add --merge, or leave --dtype out.")
    if which not in get_args(WhichAdapter):
        raise UserError(f"--adapter {which}: a run keeps its last and its best adapter. Use last or best.")
    if private and push is None:
        raise UserError(
            "--private: nothing leaves this machine without --push OWNER/NAME. Add it, or leave --private out."
        )
    request = Request(
        run,
        to,
        merge,
        dtype or "fp32",  # type: ignore[arg-type]
        which,  # type: ignore[arg-type]
        None if push is None else Push(push, private),
    )
    check_adapter(request.adapter)
    load_template(request.adapter)
    check_place(to)
    if request.push is not None:
        _check_push(request.push)
    return request


def check_place(to: Path) -> None:
    """Check that a folder can be created there.

    Raises:
        UserError: Something is already there.
    """
    if Path.cwd().is_relative_to(to.resolve()):
        raise UserError(f"--to {to}: the command is typed in this folder, so it cannot be replaced. Give a new folder.")
    try:
        if to.is_dir() and not any(to.iterdir()):
            return
        taken = to.exists() or to.is_symlink()
    except OSError as error:
        raise UserError(f"--to {to}: cannot be looked at ({error.strerror}). Give another folder.") from None
    if taken:
        what = "this folder is not empty" if to.is_dir() else "this is no folder"
        raise UserError(f"--to {to}: {what}, and nothing is written over. Give a new folder.")
    above = next(path for path in to.absolute().parents if path.exists())
    if not above.is_dir():
        raise UserError(f"--to {to}: {above} is a file, and no folder can be made in it. Give a new folder.")


def _check_push(push: Push) -> None:
    from huggingface_hub import get_token

    if NAME_ON_THE_HUB.fullmatch(push.name) is None:
        raise UserError(f"--push {push.name}: this is no name on the hub. Give OWNER/NAME.")
    if not get_token():
        raise UserError(
            f"--push {push.name}: there is no token for the hub on this machine, and nothing was exported. Log in with "
            f"'hf auth login', or set HF_TOKEN."
        )
