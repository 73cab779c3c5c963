"""The corpus schema: one JSON object a line becomes one :class:`Example`.

Every error names the file and the line, so that a person can open the one and go to the other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from rct_lightning.errors import UserError

Role = Literal["human", "assistant"]
ROLES: tuple[Role, ...] = ("human", "assistant")
TYPES = ("reunion", "presence", "continuity", "refusal", "general")
KNOWN_FIELDS = ("id", "conversation", "input", "output", "context", "type", "has_presence", "source")


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance of a dialogue."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Example:
    """A user turn, the reply to learn, and what was said before them.

    Attributes:
        id: Unique within its file.
        conversation: Rows that share it belong to one conversation and must stay on one side of a split.
        input: The user's text.
        output: The assistant's reply.
        context: Earlier turns, oldest first; empty where the conversation begins here.
        type: One of :data:`TYPES`, or None where the file does not say.
        has_presence: The file's own claim about markers. Never used by a loss; the audit compares it.
        source: Where the row comes from.
        extra: Every other field of the row, kept as it was.
    """

    id: str
    conversation: str
    input: str
    output: str
    context: tuple[Turn, ...] = ()
    type: str | None = None
    has_presence: bool | None = None
    source: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The row as it stands in a file: known fields first, absent ones left out."""
        row: dict[str, Any] = {
            "id": self.id,
            "conversation": self.conversation,
            "input": self.input,
            "output": self.output,
            "context": [{"role": turn.role, "content": turn.content} for turn in self.context],
        }
        for name in ("type", "has_presence", "source"):
            if getattr(self, name) is not None:
                row[name] = getattr(self, name)
        return row | dict(self.extra)


def read_jsonl(path: Path, *, rebuild_context: bool = True) -> list[Example]:
    """Read a corpus file.

    Args:
        path: A UTF-8 file with one JSON object a line; blank lines are skipped.
        rebuild_context: Where a row has no ``context`` field and earlier rows share its ``conversation``,
            take those rows as its context.

    Returns:
        The rows in file order, at least one.

    Raises:
        UserError: The file is missing, empty, not UTF-8, or a line is not a valid row.
    """
    lines = read_lines(path)
    return list(with_context(lines) if rebuild_context else (line.example for line in lines))


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a corpus file and what its line left out.

    Attributes:
        number: Of the line, from 1.
        example: The row, its context as the line has it.
        absent: Those of ``id``, ``conversation`` and ``context`` that the line does not have.
    """

    number: int
    example: Example
    absent: frozenset[str]


def read_lines(path: Path, *, allow_empty: bool = False) -> Iterator[Line]:
    """Read a corpus file row by row, for what is too large to be held whole.

    Args:
        path: As for :func:`read_jsonl`.
        allow_empty: Take rows whose input or output is empty.

    Raises:
        UserError: As for :func:`read_jsonl`, but only when reading comes to the line.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UserError(f"{path}: {what}. Give a JSONL file with one dialogue row a line.")
    seen: dict[str, int] = {}
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            if not raw.strip():
                continue
            place = f"{path}, line {number}"
            row = _parse_line(raw, place)
            example = _example_from_row(row, place, default_id=f"{path.stem}-{number}", allow_empty=allow_empty)
            if example.id in seen:
                raise UserError(
                    f"{place}: the id {example.id!r} was used before, in line {seen[example.id]}. Ids are unique."
                )
            seen[example.id] = number
            absent = {name for name in ("id", "conversation") if row.get(name) is None} | {"context"} - set(row)
            yield Line(number, example, frozenset(absent))
    if not seen:
        raise UserError(f"{path}: the file holds no rows. It needs one JSON object a line with 'input' and 'output'.")


def with_context(lines: Iterable[Line]) -> Iterator[Example]:
    """The rows; where one has no ``context``, the earlier ones of its conversation are its context."""
    spoken: dict[str, tuple[Turn, ...]] = {}
    for line in lines:
        example = line.example
        if "context" in line.absent and example.conversation in spoken:
            example = replace(example, context=spoken[example.conversation])
        spoken[example.conversation] = after(example)
        yield example


def after(example: Example) -> tuple[Turn, ...]:
    """The context of what follows a row: its own, and its exchange."""
    return (*example.context, Turn("human", example.input), Turn("assistant", example.output))


def write_jsonl(path: Path, examples: Iterable[Example]) -> None:
    """Write rows, one JSON object a line, UTF-8."""
    text = "".join(json.dumps(example.to_json(), ensure_ascii=False) + "\n" for example in examples)
    path.write_text(text, encoding="utf-8")


def content_hash(path: Path) -> str:
    """SHA-256 of a file, hexadecimal: what a run records of its data."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _parse_line(raw: bytes, place: str) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8-sig" if raw.startswith(b"\xef\xbb\xbf") else "utf-8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{place}: byte {error.start + 1} is not UTF-8 ({error.reason}). Save the file as UTF-8."
        ) from None
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError):
            what = f"{error.msg} at column {error.colno}"
        else:  # Python's own limit on the digits of a number, or on nesting
            what = "nested too deeply" if isinstance(error, RecursionError) else "a number has too many digits"
        raise UserError(f"{place}: not valid JSON ({what}). Each line must hold one complete JSON object.") from None
    if not isinstance(row, dict):
        raise UserError(f"{place}: expected a JSON object with 'input' and 'output', found {_kind(row)}.")
    if b"\\u" in raw and _has_lone_surrogate(row):
        raise UserError(f"{place}: an escape \\ud800 to \\udfff stands alone; it is half a character. Remove it.")
    return row


def _has_lone_surrogate(row: dict[str, Any]) -> bool:
    try:
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _example_from_row(row: Mapping[str, Any], place: str, default_id: str, allow_empty: bool) -> Example:
    for name in ("input", "output"):
        if name not in row:
            raise UserError(
                f"{place}: the row has no '{name}'. Every row needs 'input' (the user) and 'output' (the reply)."
            )
    text = {name: _text(row[name], f"{place}, field '{name}'") for name in ("input", "output")}
    for name, value in text.items():
        if not value.strip() and not allow_empty:
            raise UserError(f"{place}: '{name}' is empty. Remove the row or fill it in.")
    row_id = _optional_text(row, "id", place) or default_id
    presence = row.get("has_presence")
    if presence is not None and not isinstance(presence, bool):
        raise UserError(f"{place}, field 'has_presence': expected true or false, found {_kind(presence)}.")
    return Example(
        id=row_id,
        conversation=_optional_text(row, "conversation", place) or row_id,
        input=text["input"],
        output=text["output"],
        context=_turns([] if row.get("context") is None else row["context"], place),
        type=_optional_text(row, "type", place),
        has_presence=presence,
        source=_optional_text(row, "source", place),
        extra={name: value for name, value in row.items() if name not in KNOWN_FIELDS},
    )


def _turns(value: Any, place: str) -> tuple[Turn, ...]:
    if not isinstance(value, list):
        raise UserError(f"{place}, field 'context': expected a list of turns, found {_kind(value)}.")
    turns = []
    for index, item in enumerate(value):
        where = f"{place}, context[{index}]"
        if not isinstance(item, dict) or "role" not in item or "content" not in item:
            raise UserError(f"{where}: expected an object with 'role' and 'content', found {_kind(item)}.")
        if item["role"] not in ROLES:
            raise UserError(f"{where}: the role must be 'human' or 'assistant', found {item['role']!r}.")
        turns.append(Turn(item["role"], _text(item["content"], where)))
    return tuple(turns)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise UserError(f"{where}: expected text, found {_kind(value)}.")
    return value


def _optional_text(row: Mapping[str, Any], name: str, place: str) -> str | None:
    value = row.get(name)
    return None if value is None else _text(value, f"{place}, field '{name}'")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true/false", type(None): "null"}
    return names.get(type(value), "a number")
