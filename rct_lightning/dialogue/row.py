"""Conversion of one JSON object to an :class:`Example`; errors name fields that are missing or named differently."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rct_lightning.dialogue.example import ROLES, Example, Turn, after
from rct_lightning.errors import UserError
from rct_lightning.reading import kind_of, shown
from rct_lightning.sanitize import printable

KNOWN_FIELDS = ("id", "conversation", "input", "output", "context", "type", "has_presence", "source")
OTHER_NAMES = {
    "input": ("prompt", "question", "instruction", "user", "human", "query"),
    "output": ("completion", "answer", "response", "assistant", "reply", "target"),
}
"""Names that other formats use for the two required fields."""
WHOLE_CONVERSATIONS = ("messages", "conversations", "turns", "mapping")
"""Fields that hold a whole conversation per row in other formats."""
OTHER_ROLES = {"user": "human", "ai": "assistant", "bot": "assistant", "gpt": "assistant", "model": "assistant"}


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a corpus file, and the fields that its line lacks.

    Attributes:
        number: Line number, counted from 1.
        example: The row, with the context given in the line.
        absent: The names among ``id``, ``conversation`` and ``context`` that the line lacks.
    """

    number: int
    example: Example
    absent: frozenset[str]


def line_from_row(
    row: Mapping[str, Any], number: int, place: str, default_id: str, *, allow_empty: bool = False
) -> Line:
    """Convert a row that was read as JSON.

    Args:
        row: The JSON object.
        number: Its line number.
        place: File and line, for messages.
        default_id: The id to use if the row has none.
        allow_empty: Accept empty texts.

    Raises:
        UserError: A field is missing, empty or of another type.
    """
    absent = {name for name in ("id", "conversation") if row.get(name) is None} | {"context"} - set(row)
    return Line(number, _example_from_row(row, place, default_id, allow_empty), frozenset(absent))


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
    """Suggest which field of a row is probably the missing one."""
    if any(isinstance(row.get(name), list | dict) for name in WHOLE_CONVERSATIONS):
        return " This row holds a whole conversation: rct corpus import FILE --out DIR makes rows of it."
    others = [name for name in row if name not in KNOWN_FIELDS]
    alike = [name for name in others if name.strip().lower() in (missing, *OTHER_NAMES[missing])]
    alike += difflib.get_close_matches(missing, others, n=1, cutoff=0.7)
    if alike:
        return f" Rename {shown(alike[0])} to '{missing}'."
    return f" It has {', '.join(shown(name, 30) for name in list(row)[:5])}." if row else ""


def turns(value: Any, place: str, *, allow_empty: bool = False) -> tuple[Turn, ...]:
    """Return the turns of a ``context`` field.

    Raises:
        UserError: It is not a list of turns with a role and a text; the message names the place.
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


def is_visible(text: str) -> bool:
    """Return whether a text has any visible character: not only blanks and zero-width characters."""
    return any(map(str.isalnum, text)) or bool(printable(text).strip())


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


class Contexts:
    """What the rows of a file make the context of the next row of each conversation, if that row states none.

    Readers rebuild contexts by it, and writers leave out by it what a reader rebuilds: written out, the contexts of a
    conversation of n exchanges hold n/2 times what was said. Rows are added in the order of the file.
    """

    def __init__(self) -> None:
        self._spoken: dict[str, tuple[Turn, ...]] = {}

    def next(self, conversation: str) -> tuple[Turn, ...]:
        """Return the context of the next row of a conversation; empty if it has no row yet."""
        return self._spoken.get(conversation, ())

    def rebuild(self, example: Example) -> bool:
        """Return whether a reader finds the context of a row if it is left out."""
        return self.next(example.conversation) == example.context

    def add(self, example: Example) -> None:
        """Take in a row as it is read, with its context."""
        self._spoken[example.conversation] = after(example)


def with_context(lines: Iterable[Line]) -> Iterator[Example]:
    """Yield the rows; a row without a ``context`` field gets the earlier rows of its conversation as its context."""
    contexts = Contexts()
    for line in lines:
        example = line.example
        if "context" in line.absent and (context := contexts.next(example.conversation)):
            example = replace(example, context=context)
        contexts.add(example)
        yield example
