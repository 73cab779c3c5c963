"""Corpus files: JSON lines, read and written."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from rct_lightning.dialogue.example import Example
from rct_lightning.dialogue.row import Contexts, Line, line_from_row, with_context
from rct_lightning.errors import UserError
from rct_lightning.reading import check_is_text, kind_of, parse
from rct_lightning.replacing import replacing

BEGINNING = 1 << 20
"""Number of bytes at the beginning of a file that are checked before its lines are read."""


def read_jsonl(path: Path, *, rebuild_context: bool = True) -> list[Example]:
    """Read a corpus file.

    Args:
        path: A UTF-8 file with one JSON object per line; blank lines are skipped.
        rebuild_context: Where a row has no ``context`` field and earlier rows share its ``conversation``,
            take those rows as its context.

    Returns:
        The rows in file order, at least one.

    Raises:
        UserError: The file is missing, empty, not UTF-8, or a line is not a valid row.
    """
    lines = read_lines(path)
    return list(with_context(lines) if rebuild_context else (line.example for line in lines))


def read_lines(path: Path, *, allow_empty: bool = False) -> Iterator[Line]:
    """Read a corpus file row by row, for files that are too large to be held in memory.

    Args:
        path: As for :func:`read_jsonl`.
        allow_empty: Accept empty texts.

    Raises:
        UserError: As for :func:`read_jsonl`, but only when reading reaches the line.
    """
    seen: dict[str, int] = {}
    for number, place, row in read_rows(path, "a JSONL file with one dialogue row a line"):
        if not isinstance(row, dict):
            raise UserError(f"{place}: expected a JSON object with 'input' and 'output', found {kind_of(row)}.")
        line = line_from_row(row, number, place, default_id=f"{path.stem}-{number}", allow_empty=allow_empty)
        name = line.example.id
        if name in seen:
            raise UserError(f"{place}: the id {name!r} was used before, in line {seen[name]}. Ids are unique.")
        seen[name] = number
        yield line
    if not seen:
        raise UserError(f"{path}: the file holds no rows. It needs one JSON object a line with 'input' and 'output'.")


def read_rows(path: Path, needed: str) -> Iterator[tuple[int, str, Any]]:
    """Yield the values of a JSON lines file, one by one.

    Args:
        path: A UTF-8 file; blank lines are skipped.
        needed: What kind of file to give instead, for the message if it cannot be opened.

    Yields:
        Line number, place (file and line) for messages, and value.

    Raises:
        UserError: The file cannot be read or is something else, or a line is not JSON; the message names the place.
    """
    with _opened(path, needed) as file:
        beginning = file.read(BEGINNING)
        check_is_text(beginning, str(path))
        _check_is_of_lines(beginning, path)
        file.seek(0)
        for number, raw in enumerate(file, start=1):
            if raw.strip():
                place = f"{path}, line {number}"
                yield number, place, parse(raw.removesuffix(b"\n"), place)


def write_jsonl(path: Path, examples: Iterable[Example]) -> None:
    """Write rows as JSON lines in UTF-8."""
    with replacing(path) as part:
        part.write_text(as_jsonl(examples), encoding="utf-8")


def as_jsonl(examples: Iterable[Example], *, rebuild_context: bool = False) -> str:
    """Return rows as JSON lines.

    Args:
        examples: The rows of a file.
        rebuild_context: Leave out each context that :func:`read_jsonl` rebuilds; False writes them all.
    """
    contexts, lines = Contexts(), []
    for example in examples:
        line = example.to_json(context=not (rebuild_context and contexts.rebuild(example)))
        contexts.add(example)
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return "".join(lines)


def content_hash(path: Path) -> str:
    """SHA-256 of a file, hexadecimal: what a run records of its data."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _opened(path: Path, needed: str) -> BinaryIO:
    try:
        if path.is_file():
            return path.open("rb")
        if path.is_dir():
            what = "is a folder"
        elif path.exists():
            what = "is no regular file"
        elif path.is_symlink():
            what = "is a link that leads nowhere"
        else:
            what = "does not exist"
            beside = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
            alike = difflib.get_close_matches(path.name, beside, n=1)
            what += f"; there is {path.parent / alike[0]}" if alike else ""
            what += "" if path.is_absolute() else f" (as seen from {Path.cwd()})"
    except OSError as error:  # no permission, a name too long for the file system ...
        what = f"cannot be read ({error.strerror or error})"
    raise UserError(f"{path}: {what}. Give {needed}.")


def _check_is_of_lines(content: bytes, path: Path) -> None:
    """Refuse JSON that spans several lines, and lines that end with a carriage return alone, as on old Macs."""
    beginning = content[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if beginning.startswith(b"[") and beginning[1:].lstrip().startswith((b"{", b"[")):
        what = "one JSON list of all rows"
    elif beginning.split(b"\n")[0].strip() == b"{":
        what = "JSON with a row spread over several lines"
    elif b"\r" in content and b"\n" not in content.rstrip():
        raise UserError(f"{path}: its lines end with a carriage return alone. Save it with newlines (LF or CRLF).")
    else:
        return
    raise UserError(
        f"{path}: this is {what}, and here each row has one line (JSON lines). Write each with json.dumps(row) and a "
        f"newline; of a chat export, rct corpus import FILE --out DIR makes rows."
    )
