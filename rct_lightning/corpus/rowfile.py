"""The file of imported rows while it is written: one version of each conversation, moved into place when complete."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

from rct_lightning.corpus.conversation import Conversation, Tally
from rct_lightning.corpus.together import unwritable
from rct_lightning.dialogue import Contexts, Example
from rct_lightning.errors import UserError

COPY = 1 << 20
"""Bytes copied at once."""


class Written(NamedTuple):
    """A conversation in the file: its rank among versions, first byte, byte after the last, rows, and origin."""

    rank: tuple[float, int]
    first: int
    after: int
    rows: int
    origin: str


class RowFile:
    """Writes rows as they come to a file beside the final place, and keeps one version of each conversation.

    Where a conversation comes again, the newer version stays, of two as new the longer one. The other's bytes are left
    out when the file is put in its place. Where ids are local, a conversation comes again only where one of the two is
    the beginning of the other; else it gets an id of its own.
    """

    def __init__(self, path: Path, tally: Tally) -> None:
        self.path, self.tally = path, tally
        self.index: dict[str, Written] = {}
        """What was written, by the id of the conversation."""
        self.count = 0
        self._dead: list[tuple[int, int]] = []
        self._ready: dict[str, str] = {}  # conversation of each ready-made row, by the row's id
        self._end = 0

    def __enter__(self) -> RowFile:
        self._made = not self.path.parent.exists()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _beside(self.path)
        except OSError as error:
            raise unwritable(self.path, error) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()
        Path(self._file.name).unlink(missing_ok=True)
        if kind is not None and self._made:
            try:
                self.path.parent.rmdir()
            except OSError:  # another process wrote something there
                pass

    def add(self, conversation: Conversation, rows: Sequence[Example], origin: str) -> None:
        """Write the rows of a conversation, unless a version that ranks higher was written before.

        Args:
            conversation: Where the rows come from.
            rows: All that was made of it.
            origin: The file in which it stands, for the account.

        Raises:
            UserError: A conversation of ready-made rows occurs twice with different rows, or writing failed.
        """
        if not rows:
            return
        rank = conversation.rank
        if conversation.local:
            rows = self._told_apart(conversation, rows)
            rank = (0.0, len(rows))  # of two versions one is the beginning of the other
        name = rows[0].conversation
        before = self.index.get(name)
        lines, halved = _lines(rows)
        self.tally.change("rows with half a character (now U+FFFD)", f"conversation {name}", halved)
        if before is not None:
            if conversation.rows and not self._is(before, lines):
                raise UserError(
                    f"The conversation {name!r} comes twice, with other rows: in {before.origin} and in {origin}. "
                    f"Rename one of them, or import one file."
                )
            worse, better = (origin, before.origin) if rank <= before.rank else (before.origin, origin)
            self.tally.drop(
                "conversations that are there in a newer or longer version",
                f"{worse}, {conversation.source} {name}, kept as it is in {better}",
            )
            if rank <= before.rank:
                return
            self._dead.append((before.first, before.after))
            self.count -= before.rows
        for row in rows if conversation.rows else ():
            if self._ready.setdefault(row.id, name) != name:
                raise _same_id(row.id)
        try:
            self._file.write(lines)
        except OSError as error:
            raise unwritable(self.path, error) from None
        self.index[name] = Written(rank, self._end, self._end + len(lines), len(rows), origin)
        self._end += len(lines)
        self.count += len(rows)

    def _told_apart(self, conversation: Conversation, rows: Sequence[Example]) -> Sequence[Example]:
        """The rows under ids that nothing else has of what was written before.

        An id that is taken is followed by a hash of what is said up to where the two part: a longer version of this
        conversation parts there too.
        """
        own = name = rows[0].conversation
        ready, local = bool(conversation.rows), conversation.local
        if name not in self.index and local.isdisjoint(self._ready):
            return rows
        said = _said(_lines(rows)[0], ready)
        while name in self.index and own in local:
            other = _said(self._bytes(self.index[name]), ready)
            parting = next((n for n, (a, b) in enumerate(zip(said, other, strict=False)) if a != b), None)
            if parting is None:  # one is the beginning of the other
                break
            name = f"{own}-{_digest(said[: parting + 1])}"
        if not ready:
            return [replace(row, id=f"{name}-{n}", conversation=name) for n, row in enumerate(rows, start=1)]
        taken = {row_id for row_id in local if self._ready.get(row_id, name) != name}
        return [
            replace(row, id=f"{row.id}-{_digest([one])}" if row.id in taken else row.id, conversation=name)
            for row, one in zip(rows, said, strict=True)
        ]

    def _bytes(self, written: Written) -> bytes:
        self._file.seek(written.first)
        lines = self._file.read(written.after - written.first)
        self._file.seek(0, os.SEEK_END)
        return lines

    def _is(self, written: Written, lines: bytes) -> bool:
        return self._bytes(written) == lines

    def _refuse_same_ids(self) -> None:
        """Refuse a ready-made id that equals a derived one; within each of the two kinds ids are unique already."""
        own = set(self._ready.values())
        for row_id in self._ready:
            name, _, number = row_id.rpartition("-")
            if name in self.index and name not in own and number.isdecimal() and len(number) < 10:
                if 1 <= int(number) <= self.index[name].rows:
                    raise _same_id(row_id)

    def replace(self, account_path: Path, account: Mapping[str, Any]) -> None:
        """Move the rows and the report into place.

        Raises:
            UserError: Two rows have the same id, or writing failed.
        """
        self._refuse_same_ids()
        try:
            self._file.flush()
            if self._dead:
                self._leave_out_dead()
            with _beside(account_path) as file:
                file.write(json.dumps(account, indent=1).encode() + b"\n")
            os.replace(self._file.name, self.path)
            os.replace(file.name, account_path)
        except OSError as error:
            raise unwritable(self.path, error) from None

    def _leave_out_dead(self) -> None:
        old = self._file
        self._file = _beside(self.path)
        begin = 0
        for first, after in [*sorted(self._dead), (self._end, self._end)]:
            old.seek(begin)
            left = first - begin
            while left:
                piece = old.read(min(left, COPY))
                self._file.write(piece)
                left -= len(piece)
            begin = after
        self._file.flush()
        old.close()
        Path(old.name).unlink()


def _lines(rows: Sequence[Example]) -> tuple[bytes, int]:
    """Rows as JSON lines, and in how many half a character became U+FFFD.

    A context that is just the conversation so far is left out: readers rebuild it. With it, a conversation of n
    exchanges would be written n/2 times.
    """
    contexts, lines, halved = Contexts(), [], 0
    for row in rows:
        written = json.dumps(row.to_json(context=not contexts.rebuild(row)), ensure_ascii=False) + "\n"
        contexts.add(row)
        try:
            lines.append(written.encode("utf-8"))
        except UnicodeEncodeError:
            halved += 1
            lines.append(written.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8"))
    return b"".join(lines), halved


def _said(lines: bytes, whole: bool) -> list[str]:
    """What each of some lines says: question and answer, or all but the ids of a ready-made row."""
    rows = [json.loads(line) for line in lines.splitlines()]
    if whole:
        rows = [{key: value for key, value in row.items() if key not in ("id", "conversation")} for row in rows]
    return [json.dumps(row if whole else (row["input"], row["output"])) for row in rows]


def _digest(said: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:12]


def _beside(path: Path) -> IO[bytes]:
    return tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False)


def _same_id(row_id: str) -> UserError:
    return UserError(f"Two rows have the id {row_id!r}. Import the files into two folders, or rename one of the rows.")
