"""The file of imported rows while it is written: one version of each conversation, moved into place when complete."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from rct_lightning.corpus.conversation import Conversation, Tally
from rct_lightning.corpus.together import unwritable
from rct_lightning.dialogue import Example, Turn
from rct_lightning.errors import UserError

COPY = 1 << 20
"""Bytes copied at once."""


class RowFile:
    """Writes rows as they come to a file beside the final place, and keeps one version of each conversation.

    If a conversation occurs again, the newer version is kept, or the longer one if both are equally new. The bytes of
    the other version are left out when the file is moved into place.
    """

    def __init__(self, path: Path, tally: Tally) -> None:
        self.path, self.tally = path, tally
        self.index: dict[str, tuple[tuple[float, int], int, int, int]] = {}
        """For each conversation: rank, first byte, byte after the last, number of rows."""
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

    def add(self, conversation: Conversation, rows: Sequence[Example]) -> None:
        """Write the rows of a conversation, unless a version of at least the same rank was written before.

        Raises:
            UserError: A conversation of ready-made rows occurs twice with different rows, or writing failed.
        """
        if not rows:
            return
        name, rank = rows[0].conversation, conversation.rank
        before = self.index.get(name)
        lines = b"".join(self._lines(rows, name))
        if before is not None:
            if conversation.rows and not self._is(before, lines):
                raise UserError(
                    f"The conversation {name!r} comes twice, with other rows. Rename one of them, or import one file."
                )
            self.tally.drop(
                "conversations that are there in a newer or longer version", f"{conversation.source} {name}"
            )
            if rank <= before[0]:
                return
            self._dead.append(before[1:3])
            self.count -= before[3]
        for row in conversation.rows:
            if self._ready.setdefault(row.id, name) != name:
                raise _same_id(row.id)
        try:
            self._file.write(lines)
        except OSError as error:
            raise unwritable(self.path, error) from None
        self.index[name] = (rank, self._end, self._end + len(lines), len(rows))
        self._end += len(lines)
        self.count += len(rows)

    def _lines(self, rows: Sequence[Example], name: str) -> Iterator[bytes]:
        """Yield rows as JSON lines, without a context that is just the conversation so far: readers rebuild it.

        With the contexts, a conversation of n exchanges would be written about n/2 times.
        """
        so_far: tuple[Turn, ...] = ()
        for row in rows:
            line = row.to_json() if row.context != so_far else _without_context(row)
            so_far = (*row.context, Turn("human", row.input), Turn("assistant", row.output))
            written = json.dumps(line, ensure_ascii=False) + "\n"
            try:
                yield written.encode("utf-8")
            except UnicodeEncodeError:
                self.tally.change("rows with half a character (now U+FFFD)", f"conversation {name}")
                yield written.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8")

    def _is(self, written: tuple[tuple[float, int], int, int, int], lines: bytes) -> bool:
        self._file.seek(written[1])
        same = self._file.read(written[2] - written[1]) == lines
        self._file.seek(0, os.SEEK_END)
        return same

    def _refuse_same_ids(self) -> None:
        """Refuse a ready-made id that equals a derived one; within each of the two kinds ids are unique already."""
        own = set(self._ready.values())
        for row_id in self._ready:
            name, _, number = row_id.rpartition("-")
            if name in self.index and name not in own and number.isdecimal() and len(number) < 10:
                if 1 <= int(number) <= self.index[name][3]:
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


def _without_context(row: Example) -> dict[str, Any]:
    whole = Example(
        row.id, row.conversation, row.input, row.output, (), row.type, row.has_presence, row.source, row.extra
    )
    line = whole.to_json()
    del line["context"]
    return line


def _beside(path: Path) -> IO[bytes]:
    return tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False)


def _same_id(row_id: str) -> UserError:
    return UserError(f"Two rows have the id {row_id!r}. Import the files into two folders, or rename one of the rows.")
