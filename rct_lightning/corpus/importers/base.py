"""The input of every importer, and the description of a format."""

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
"""The key under which an export that is a single object keeps its list."""
LOOKED_AT = 50
"""Number of entries of a file that are checked to detect its format."""


@dataclass(frozen=True)
class Source:
    """A file to read, with the tally and the settings for reading it.

    Attributes:
        member: The file.
        tally: Where omissions are counted.
        speakers: The user's map from the beginnings of lines to sides, for files without roles.
        advance: Called with the number of bytes that were read.
    """

    member: Member
    tally: Tally
    speakers: Speakers | None = None
    advance: Callable[[int], object] | None = None

    def records(self, *, under: str | None = None, again: bool = False) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield the objects of a JSON file, each after its place: elements of a list, JSON lines, or a single object.

        Args:
            under: If the file is a single object, yield the elements of the list under this key instead.
            again: Whether the file is read another time: nothing is counted and no progress is reported.

        Raises:
            Damaged: The file cannot be read beyond some byte.
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
    """Yield the values before the damage; append the damage to the list, to be raised after they are processed."""
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
        name: Value of ``--format``, and of the rows' ``source``.
        what: Description for messages.
        claims: Returns whether an object of a file has this shape.
        read: Yields the conversations of a file, one at a time.
    """

    name: str
    what: str
    claims: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Source], Iterator[Conversation]]
