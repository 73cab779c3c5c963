"""Training state on disk: written atomically, verified when read, and never executed.

A checkpoint is a directory of tensors (safetensors) and JSON. It is written next to its final location, listed with
SHA-256 sums in a manifest, moved into place in one step and then marked as committed. The process may be killed at any
point: a directory that has no marker, or does not match its manifest, is not a checkpoint.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rct_lightning.errors import UserError
from rct_lightning.reading import read_object, shown
from rct_lightning.replacing import replacing
from rct_lightning.runs import STEP

if TYPE_CHECKING:  # checkpoints are verified without importing torch
    import torch

TENSORS, STATE, MANIFEST, MARKER = "tensors.safetensors", "state.json", "manifest.json", "COMMITTED"
FAULT = "RCT_FAULT_AT"
"""Environment variable set by tests: the point at which this process is killed, or the disk is full."""

Tree = Any
"""Dicts, lists, tuples, numbers, strings, None and tensors."""


class CheckpointError(Exception):
    """A checkpoint cannot be written or read; the message says which and why."""


def write(folder: Path, state: Mapping[str, Tree]) -> None:
    """Write a checkpoint; an existing one of this name is replaced.

    Args:
        folder: Its location; the parent directory is created if missing.
        state: What to save.

    Raises:
        CheckpointError: It could not be written. Other checkpoints are unchanged, and nothing incomplete is left.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors: dict[str, torch.Tensor] = {}
    described = json.dumps(_describe(state, tensors)).encode()
    needed = len(described) + sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    try:
        with replacing(folder) as part:
            part.mkdir()
            _fault("begun")
            save_file(tensors, part / TENSORS)
            _fault("tensors")
            (part / STATE).write_bytes(described)
            _fault("state")
            manifest = {name: _sum(part / name) for name in (TENSORS, STATE)}
            (part / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
            for name in (TENSORS, STATE, MANIFEST):
                _sync(part / name)
            _sync(part)
            _fault("written")
            remove(folder)
        _sync(folder.parent)
        _fault("moved")
        with replacing(folder / MARKER) as marker:
            marker.write_text(_sum(folder / MANIFEST) + "\n", encoding="ascii")
            _sync(marker)
        _sync(folder)
        _fault("committed")
    except (OSError, SafetensorError) as error:
        if folder.is_dir() and not (folder / MARKER).is_file():
            shutil.rmtree(folder, ignore_errors=True)
        raise CheckpointError(
            f"{folder}: this checkpoint of {needed:,} bytes could not be written ({_reason(error)}). Earlier ones are "
            f"as they were. Free some space, or write elsewhere with hydra.run.dir=DIR."
        ) from error


def check(folder: Path) -> None:
    """Compare every byte of a checkpoint with its manifest, without loading it.

    Raises:
        CheckpointError: It is damaged or was never finished.
    """
    for name in (MARKER, MANIFEST, STATE, TENSORS):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder}: {name} is missing, so this checkpoint is not whole.")
    try:
        manifest = read_object(folder / MANIFEST)
        if (folder / MARKER).read_text(encoding="ascii").strip() != _sum(folder / MANIFEST):
            raise CheckpointError(f"{folder}: {MANIFEST} is not the one that was committed.")
        for name in (STATE, TENSORS):
            if manifest.get(name) != _sum(folder / name):
                raise CheckpointError(f"{folder}: {name} is not what was written (its SHA-256 sum differs).")
        if list(json.loads((folder / STATE).read_bytes())) != ["map"]:
            raise ValueError(f"{STATE} is no state")
    except (OSError, ValueError, TypeError, RecursionError, UserError) as error:
        raise CheckpointError(f"{folder}: this checkpoint cannot be read ({_reason(error)}).") from error


def read(folder: Path) -> dict[str, Tree]:
    """Return a checkpoint's state, after :func:`check`.

    Raises:
        CheckpointError: It is damaged, was never finished, or does not contain the state of a run.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check(folder)
    try:
        state = _restore(json.loads((folder / STATE).read_bytes()), load_file(folder / TENSORS))
        if not isinstance(state, dict):
            raise TypeError("it is no table of names")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: this checkpoint cannot be read ({_reason(error)}).") from error
    return state


def committed(parent: Path) -> list[Path]:
    """Return the committed checkpoints in a directory, newest first by the number in their names."""
    found = [path for path in parent.glob("step-*") if STEP.fullmatch(path.name) and (path / MARKER).is_file()]
    return sorted(found, key=step_of, reverse=True)


def step_of(folder: Path) -> int:
    """Return the optimizer step after which a checkpoint was taken."""
    return int(folder.name.split("-")[1])


def remove(folder: Path) -> None:
    """Remove a checkpoint, its marker first, so that a partly removed one does not count."""
    (folder / MARKER).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _describe(tree: Tree, tensors: dict[str, torch.Tensor]) -> Tree:
    """Return the tree as JSON; tensors are collected in ``tensors`` and replaced by their names."""
    import torch

    if isinstance(tree, torch.Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = tree.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(tree, Mapping):
        return {"map": [[_key(key), _describe(value, tensors)] for key, value in tree.items()]}
    if isinstance(tree, list | tuple):
        return {type(tree).__name__: [_describe(value, tensors) for value in tree]}
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise TypeError(f"a checkpoint holds tensors, numbers, text and what is made of them, not {type(tree).__name__}")


def _key(key: Any) -> str | int:
    if type(key) not in (str, int):
        raise TypeError(f"keys are text or whole numbers, not {type(key).__name__}")
    return key


def _restore(tree: Tree, tensors: Mapping[str, torch.Tensor]) -> Tree:
    if not isinstance(tree, dict):
        return tree
    ((kind, value),) = tree.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "map":
        return {key: _restore(each, tensors) for key, each in value}
    if kind in ("list", "tuple"):
        items: Iterator[Tree] = (_restore(each, tensors) for each in value)
        return list(items) if kind == "list" else tuple(items)
    raise ValueError(f"{shown(kind)} is no kind of state")


def _sum(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Flush a file to disk, or a directory on systems that support it."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except PermissionError:  # a directory, on Windows
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'nothing more is known'}"


def _fault(place: str) -> None:
    """Kill this process, or raise a full disk, if a test asks for it at this point."""
    wanted = os.environ.get(FAULT, "")
    if wanted == f"kill:{place}":
        os.kill(os.getpid(), 9)
    if wanted == f"full:{place}":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
