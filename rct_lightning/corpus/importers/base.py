"""What every importer is given and what it is known by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from rct_lightning.corpus.conversation import Conversation, Tally
from rct_lightning.corpus.jsonstream import Damaged, JsonStream
from rct_lightning.corpus.sources import Member
from rct_lightning.corpus.speakers import Speakers

T = TypeVar("T")
UNDER = "conversations"
"""The key under which an export that is one object keeps its list."""
LOOKED_AT = 50
"""Entries of a file that detection looks at before it gives up."""


@dataclass(frozen=True)
class Source:
    """A file to read, and where to account for it.

    Attributes:
        member: The file.
        tally: Where what is left out is counted.
        speakers: The user's map from the beginnings of lines to sides, for files without roles.
        advance: Told how many bytes were read.
    """

    member: Member
    tally: Tally
    speakers: Speakers | None = None
    advance: Callable[[int], object] | None = None

    def records(self, *, under: str | None = None, again: bool = False) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Objects of a JSON file, each with its place: elements of a list, one a line, or a single one.

        Args:
            under: Where the file is one object, the elements of the list under this key are meant.
            again: The file is read a second time: nothing is counted and no progress told.

        Raises:
            Damaged: The file cannot be read from some byte on.
        """
        with self.member.open() as file:
            stream = JsonStream(file, self.member.name, None if again else self.advance)
            for value in _entries(stream, under):
                where = f"{self.member.name}, entry {stream.count}"
                if isinstance(value, dict):
                    yield where, value
                elif not again:
                    self.tally.drop("entries that are no JSON objects", where)
            stream.finish()

    def heads(self) -> Iterator[Mapping[str, Any]]:
        """The first objects of a JSON file; those with a list under ``conversations`` as far as its first element."""
        with self.member.open() as file:
            stream = JsonStream(file, self.member.name)
            values = stream.elements() if stream.peek() == "[" else stream.heads(UNDER)
            yield from (value for value in islice(values, LOOKED_AT) if isinstance(value, dict))


def until_damaged(values: Iterable[T], damage: list[Damaged]) -> Iterator[T]:
    """Values up to where the file is damaged; the damage is kept, to be raised behind what was made of them."""
    try:
        yield from values
    except Damaged as error:
        damage.append(error)


def _entries(stream: JsonStream, under: str | None) -> Iterator[Any]:
    first = stream.peek()
    if first == "[":
        return stream.elements()
    return stream.elements_under(under) if first == "{" and under else stream.documents()


@dataclass(frozen=True)
class Format:
    """One shape of file.

    Attributes:
        name: As ``--format`` has it, and as the rows' ``source``.
        what: What it is, for messages.
        claims: Whether an object of a file is of this shape.
        read: The conversations of a file, one at a time.
    """

    name: str
    what: str
    claims: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Source], Iterator[Conversation]]
