"""The corpus schema: one JSON object a line becomes one :class:`Example`.

Every error names the file and the line, so that a person can open the one and go to the other.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

from rct_lightning.errors import UserError
from rct_lightning.reading import check_is_text, kind_of, parse, shown
from rct_lightning.sanitize import printable

Role = Literal["human", "assistant"]
ROLES: tuple[Role, ...] = ("human", "assistant")
TYPES = ("reunion", "presence", "continuity", "refusal", "general")
KNOWN_FIELDS = ("id", "conversation", "input", "output", "context", "type", "has_presence", "source")
OTHER_NAMES = {
    "input": ("prompt", "question", "instruction", "user", "human", "query"),
    "output": ("completion", "answer", "response", "assistant", "reply", "target"),
}
"""What other formats call the two fields that every row needs."""
WHOLE_CONVERSATIONS = ("messages", "conversations", "turns", "mapping")
"""Fields of formats that hold a whole conversation in one row."""
OTHER_ROLES = {"user": "human", "ai": "assistant", "bot": "assistant", "gpt": "assistant", "model": "assistant"}
BEGINNING = 1 << 20
"""Bytes by which a file is judged before its lines are read."""


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
        allow_empty: Take texts that are empty.

    Raises:
        UserError: As for :func:`read_jsonl`, but only when reading comes to the line.
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


def line_from_row(
    row: Mapping[str, Any], number: int, place: str, default_id: str, *, allow_empty: bool = False
) -> Line:
    """A row that was read as JSON, and what it left out.

    Args:
        row: The JSON object.
        number: Of its line.
        place: File and line, for messages.
        default_id: Its id where it has none.
        allow_empty: Take texts that are empty.

    Raises:
        UserError: A field is missing, empty or of another type.
    """
    absent = {name for name in ("id", "conversation") if row.get(name) is None} | {"context"} - set(row)
    return Line(number, _example_from_row(row, place, default_id, allow_empty), frozenset(absent))


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


def read_rows(path: Path, needed: str) -> Iterator[tuple[int, str, Any]]:
    """The JSON values of a file of JSON lines, one after the other.

    Args:
        path: A UTF-8 file; blank lines are skipped.
        needed: What to give in its stead, where it is no such file.

    Yields:
        Number of the line, its place for messages, and its value.

    Raises:
        UserError: The file cannot be read or is something else, or a line is not JSON; names file and line.
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
    """Write rows, one JSON object a line, UTF-8."""
    path.write_text(as_jsonl(examples), encoding="utf-8")


def as_jsonl(examples: Iterable[Example]) -> str:
    """Rows, one JSON object a line."""
    return "".join(json.dumps(example.to_json(), ensure_ascii=False) + "\n" for example in examples)


def check_can_be_split(examples: Sequence[Example], eval_size: int) -> None:
    """Whether conversations can be held out so that both sides have rows.

    Raises:
        UserError: None is small enough, or nothing would be left to train on.
    """
    rows = Counter(example.conversation for example in examples)
    if min(rows.values()) > eval_size or len(examples) <= eval_size:
        raise UserError(
            f"data.eval_size={eval_size}: {len(examples)} rows in {len(rows)} conversation(s) cannot be split so that "
            f"both sides have rows and no conversation is on both. Give data.eval_file, or another data.eval_size."
        )


def content_hash(path: Path) -> str:
    """SHA-256 of a file, hexadecimal: what a run records of its data."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
    except OSError as error:  # no permission, a name too long for the disk ...
        what = f"cannot be read ({error.strerror or error})"
    raise UserError(f"{path}: {what}. Give {needed}.")


def _check_is_of_lines(content: bytes, path: Path) -> None:
    """Tell by its beginning JSON that is spread over a file, or lines that end in the manner of old Macs."""
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
        f"newline."
    )


def _example_from_row(row: Mapping[str, Any], place: str, default_id: str, allow_empty: bool) -> Example:
    for name in ("input", "output"):
        if name not in row:
            raise UserError(
                f"{place}: the row has no '{name}'. Every row needs 'input' (the user) and 'output' (the reply)."
                f"{_what_it_has(row, name)}"
            )
    text = {name: _text(row[name], f"{place}, field '{name}'") for name in ("input", "output")}
    for name, value in text.items():
        if not is_visible(value) and not allow_empty:
            also = ", or move 'instruction' there" if name == "input" and row.get("instruction") else ""
            raise UserError(f"{place}: '{name}' is empty. Remove the row or fill it in{also}.")
    row_id = _optional_text(row, "id", place) or default_id
    presence = row.get("has_presence")
    if presence is not None and not isinstance(presence, bool):
        raise UserError(
            f"{place}, field 'has_presence': expected true or false, found {kind_of(presence)}. Leave it out: it is "
            f"counted from the text."
        )
    return Example(
        id=row_id,
        conversation=_optional_text(row, "conversation", place) or row_id,
        input=text["input"],
        output=text["output"],
        context=turns([] if row.get("context") is None else row["context"], place, allow_empty=allow_empty),
        type=_optional_text(row, "type", place),
        has_presence=presence,
        source=_optional_text(row, "source", place),
        extra={name: value for name, value in row.items() if name not in KNOWN_FIELDS},
    )


def _what_it_has(row: Mapping[str, Any], missing: str) -> str:
    """Which field of a row is probably the one that is missing."""
    if any(isinstance(row.get(name), list | dict) for name in WHOLE_CONVERSATIONS):
        return " This row holds a whole conversation: rct corpus import FILE --out DIR makes rows of it."
    others = [name for name in row if name not in KNOWN_FIELDS]
    alike = [name for name in others if name.strip().lower() in (missing, *OTHER_NAMES[missing])]
    alike += difflib.get_close_matches(missing, others, n=1, cutoff=0.7)
    if alike:
        return f" Rename {shown(alike[0])} to '{missing}'."
    return f" It has {', '.join(shown(name, 30) for name in list(row)[:5])}." if row else ""


def is_visible(text: str) -> bool:
    """Whether there is anything to see: neither blanks alone nor characters without width."""
    return any(map(str.isalnum, text)) or bool(printable(text).strip())


def turns(value: Any, place: str, *, allow_empty: bool = False) -> tuple[Turn, ...]:
    """The turns of a ``context`` field.

    Raises:
        UserError: It is no list of turns with a role and a text; names the place.
    """
    if not isinstance(value, list):
        raise UserError(
            f"{place}, field 'context': expected a list of turns, found {kind_of(value)}. A turn is "
            f'{{"role": "human" or "assistant", "content": "..."}}.'
        )
    found = []
    for index, item in enumerate(value):
        where = f"{place}, context[{index}]"
        if not isinstance(item, dict) or "role" not in item or "content" not in item:
            raise UserError(f"{where}: expected an object with 'role' and 'content', found {kind_of(item)}.")
        role = item["role"]
        if role not in ROLES:
            lower = role.strip().lower() if isinstance(role, str) else ""
            ours = lower if lower in ROLES else OTHER_ROLES.get(lower)
            remedy = f"Write '{ours}'" if ours else "Leave turns of others out"
            raise UserError(f"{where}: the role must be 'human' or 'assistant', found {shown(role)}. {remedy}.")
        content = _text(item["content"], where)
        if not allow_empty and not is_visible(content):
            raise UserError(f"{where}: 'content' is empty. Remove the turn or fill it in.")
        found.append(Turn(role, content))
    return tuple(found)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        remedy = ""
        if type(value) in (int, float):
            remedy = f' Put it in quotes: "{shown(value)}".'
        elif isinstance(value, list):
            remedy = " Join its parts to one text."
        raise UserError(f"{where}: expected text, found {kind_of(value)}.{remedy}")
    return value


def _optional_text(row: Mapping[str, Any], name: str, place: str) -> str | None:
    value = row.get(name)
    return None if value is None else _text(value, f"{place}, field '{name}'")
