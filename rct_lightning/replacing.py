"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PART = ".part"
"""Suffix of what is still being written."""


def part_of(path: Path) -> Path:
    """Return where a file or folder is written until it is complete: beside its place, under a hidden name."""
    return path.with_name(f".{path.name}{PART}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write a file or a folder to; what is there when the block ends takes the place of ``path``.

    A reader of ``path`` finds the old file or the new one, never a part of it. A folder cannot replace another in one
    step: between the two there is a moment without either. Only one process may write to ``path`` at a time. What a
    killed process left is removed by the next one that writes there.

    Args:
        path: The file or folder; the folder that holds it is created if missing.

    Raises:
        OSError: It could not be written. As after any other exception in the block, nothing of the new is left, and
            what was at ``path`` is unchanged, except for an old folder that could be removed only in part.
    """
    part = part_of(path)
    _remove(part)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        if part.is_dir():
            _remove(path)
        os.replace(part, path)
    finally:
        _remove(part)  # it was moved, or is incomplete


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it is there and can be removed."""
    with suppress(OSError):  # what is done next fails then, and says why
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
