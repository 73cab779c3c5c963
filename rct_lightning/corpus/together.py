"""Writes files that belong together: either all of them or none."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from rct_lightning.errors import UserError


def unwritable(path: Path, error: OSError) -> UserError:
    """Return the error for a path that cannot be written."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return UserError(f"{path}: it cannot be written: a file stands where a folder is needed. Nothing was changed.")
    return UserError(f"{path}: it cannot be written ({error.strerror or error}). Nothing was changed.")


def put(texts: Mapping[Path, str]) -> None:
    """Write some files of a folder.

    Raises:
        UserError: One of them cannot be written; then none has changed.
    """
    with written_together(list(texts)) as files:
        for file, text in zip(files, texts.values(), strict=True):
            file.write(text)


@contextmanager
def written_together(paths: Sequence[Path]) -> Iterator[list[IO[str]]]:
    """Open text files beside their final places, and move them there when the block ends without an error.

    Args:
        paths: Paths in one folder, which is created if it does not exist.

    Raises:
        UserError: They cannot be written.
    """
    folder = paths[0].parent
    made = not folder.exists()
    files: list[IO[str]] = []
    done = False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            files.append(
                NamedTemporaryFile(
                    "w", dir=folder, prefix=f".{path.name}.", delete=False, encoding="utf-8", newline="\n"
                )
            )
        yield files
        for file in files:
            file.close()
        for file, path in zip(files, paths, strict=True):
            os.replace(file.name, path)
        done = True
    except OSError as error:
        raise unwritable(folder, error) from None
    finally:
        if not done:
            for file in files:
                file.close()
                Path(file.name).unlink(missing_ok=True)
            if made and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
