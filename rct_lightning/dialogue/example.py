"""The units of a corpus: a user turn, the reply to learn, and the turns before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["human", "assistant"]
ROLES: tuple[Role, ...] = ("human", "assistant")
TYPES = ("reunion", "presence", "continuity", "refusal", "general")


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance of a dialogue."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Example:
    """A user turn, the reply to learn, and the turns before them.

    Attributes:
        id: Unique within its file.
        conversation: Rows that share it belong to one conversation and must stay on one side of a split.
        input: The user's text.
        output: The assistant's reply.
        context: Earlier turns, oldest first; empty where the conversation begins here.
        type: One of :data:`TYPES`, or None if the file gives none.
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

    def to_json(self, *, context: bool = True) -> dict[str, Any]:
        """Return the row as it is written to a file: known fields first, absent ones left out.

        Args:
            context: Write the context; False leaves it to the reader, who rebuilds it from the rows before.
        """
        row: dict[str, Any] = {
            "id": self.id,
            "conversation": self.conversation,
            "input": self.input,
            "output": self.output,
        }
        if context:
            row["context"] = [{"role": turn.role, "content": turn.content} for turn in self.context]
        for name in ("type", "has_presence", "source"):
            if getattr(self, name) is not None:
                row[name] = getattr(self, name)
        return row | dict(self.extra)


def after(example: Example) -> tuple[Turn, ...]:
    """Return the context of the row that follows: the context of this row and its own exchange."""
    return (*example.context, Turn("human", example.input), Turn("assistant", example.output))
