"""Read a growing file as it grows: complete lines only, and from its beginning again if it was replaced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, NamedTuple

CHUNK = 2**20
"""Bytes read at a time; a longer line is not an event and is skipped."""
HEAD, SAMPLES, SAMPLE, TAIL = 2**16, 256, 2**13, 2**18
"""Bytes at the beginning, number of places in between, bytes read at each of them, bytes at the end: see ``skim``."""
REMEMBERED = 128
"""Number of bytes before the current position that are compared to tell whether the file is still the same."""


class News(NamedTuple):
    """Newly appended lines.

    Attributes:
        lines: Complete lines, without their line ends.
        anew: Whether the file was replaced or truncated: what was read before is void, and these lines are the file's
            first.
    """

    lines: list[bytes]
    anew: bool = False


class Follower:
    """Reads a file's new lines at every call, one chunk at most in memory.

    An incomplete last line is left for later. A resumed run truncates its file and appends again, so before each read
    the bytes before the current position are compared with what they were.

    Args:
        path: The file; it need not exist yet.

    Attributes:
        offset: Number of bytes read.
        size: Size of the file at the last call.
        skimmed: Whether lines in between were skipped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.skimmed = False
        self._begin()

    def _begin(self) -> None:
        self.offset, self._before = 0, b""
        self._file: tuple[int, int] | None = None
        self._inside = False  # whether the position is within a line that is skipped

    def more(self) -> News:
        """Return the next lines, at most a chunk of them.

        Raises:
            OSError: The file exists and cannot be read.
        """
        text, anew = self.piece()
        return News(text.split(b"\n")[:-1], anew)

    def piece(self) -> tuple[bytes, bool]:
        """Return the next lines as raw bytes, at most a chunk, and whether they start over from the file's beginning.

        Raises:
            OSError: The file exists and cannot be read.
        """
        if not self.path.is_file():  # opening a pipe would wait for its writer
            gone = self.offset > 0
            self._begin()
            return b"", gone
        with self.path.open("rb") as file:
            anew = self._is_another(file)
            if anew:
                self._begin()
            self._look_at(file)
            file.seek(self.offset)
            return self._whole_lines(file.read(CHUNK)), anew

    def skim(self) -> list[bytes]:
        """Return some lines of a long file in order, all of a short one: its beginning, lines in between, its end.

        Later calls continue from there.

        Raises:
            OSError: The file exists and cannot be read.
        """
        if not self.path.is_file():
            return []
        with self.path.open("rb") as file:
            self._look_at(file)
            if self.size <= CHUNK:
                return self._whole_lines(file.read(CHUNK)).split(b"\n")[:-1]
            self.skimmed = True
            lines = file.read(HEAD).split(b"\n")[:-1]
            stretch = self.size - TAIL - HEAD
            places = min(SAMPLES, stretch // SAMPLE)  # no place overlaps the next
            for number in range(places):
                file.seek(HEAD + stretch * number // places)
                lines += file.read(SAMPLE).split(b"\n")[1:-1][:1]
            self.offset, self._inside = self.size - TAIL, True
            file.seek(self.offset)
            return lines + self._whole_lines(file.read(TAIL)).split(b"\n")[:-1]

    def _look_at(self, file: BinaryIO) -> None:
        found = _stat(file)
        self._file, self.size = found[:2], found[2]

    def _is_another(self, file: BinaryIO) -> bool:
        device, number, size = _stat(file)
        if self._file is not None and (self._file != (device, number) or size < self.offset):
            return self.offset > 0
        file.seek(self.offset - len(self._before))
        return file.read(len(self._before)) != self._before

    def _whole_lines(self, chunk: bytes) -> bytes:
        end = chunk.rfind(b"\n") + 1
        if end == 0 and len(chunk) < CHUNK:  # an incomplete line, or nothing
            return b""
        taken = chunk[: end or len(chunk)]
        self.offset += len(taken)
        self._before = (self._before + taken[-REMEMBERED:])[-REMEMBERED:]
        lines = taken if end else b""
        if self._inside and end:
            lines = lines[lines.find(b"\n") + 1 :]
        self._inside = end == 0
        return lines


def _stat(file: BinaryIO) -> tuple[int, int, int]:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size
