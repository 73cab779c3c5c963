"""Files that are there whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from errno import EISDIR
from pathlib import Path

from rct_lightning.dialogue import Example
from rct_lightning.errors import UserError


def as_jsonl(rows: Iterable[Example]) -> str:
    """Rows, one JSON object a line."""
    return "".join(json.dumps(row.to_json(), ensure_ascii=False) + "\n" for row in rows)


def put(texts: Mapping[Path, str]) -> None:
    """Write some files: each beside its place first, all of them moved there when all are written.

    Raises:
        UserError: One of them cannot be written; then none of them has changed.
    """
    beside = {path: path.with_name(f".{path.name}.part") for path in texts}
    try:
        for path, text in texts.items():
            if path.is_dir():
                raise IsADirectoryError(EISDIR, "a folder of this name is in the way", str(path))
            path.parent.mkdir(parents=True, exist_ok=True)
            beside[path].write_text(text, encoding="utf-8")
        for path, written in beside.items():
            os.replace(written, path)
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be written ({error.strerror}). Give another folder.") from None
    finally:
        for written in beside.values():
            with suppress(OSError):  # it was moved, or never came to be
                written.unlink()
