"""Locates exports: files, folders and zip archives as one list of named files, opened one at a time.

Nothing is unpacked to the disk. Only what is imported is read from an archive, as a stream, and the sizes that an
archive claims are checked before a byte of it is decompressed; `zipfile` reads no more of a member than its header
claims.
"""

from __future__ import annotations

import os
import re
import stat
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from rct_lightning.corpus.conversation import Tally
from rct_lightning.errors import UserError

MOST_ENTRIES = 10_000
"""Maximum number of entries of an archive."""
MOST_BYTES = 2 << 30
"""Maximum number of decompressed bytes that are read from an archive."""
MOST_RATIO = 200
"""Maximum number of decompressed bytes per compressed byte; text has 3 to 10."""
RATIO_FROM = 1 << 20
"""Size in bytes above which the ratio is checked; small files may compress better."""

EXPORTS = re.compile(r"conversations(?:-\d+)?\.json|MyActivity\.json|prod-grok-backend\.json", re.I)
"""File names of the exports themselves. If a folder has one, its other files are not read as conversations."""
PRIVATE = re.compile(r"users?\.json|(?:.*[-_. ])?(?:auth|billing)(?:[-_. ].*)?\.json", re.I)
"""Names of files with accounts, sign-ins and payments. They are never opened, even on request."""
READABLE = {".json", ".jsonl", ".ndjson", ".rtf", ".txt", ".md", ".markdown", ".html", ".htm"}
TEXTS = {".rtf", ".txt", ".md", ".markdown"}
MANIFEST = re.compile(r"(?:.*[-_])?manifest\.json", re.I)
SHARD = re.compile(r"conversations-(\d{1,4})\.(?:json|zip)")
MANIFEST_BYTES = 1 << 20
DAMAGE = (OSError, zipfile.BadZipFile, zlib.error, EOFError)
"""What reading a damaged entry of an archive raises."""
PACKED = {".gz", ".tgz", ".tar", ".bz2", ".xz", ".7z", ".rar"}


@dataclass(frozen=True)
class Member:
    """A file to import, on the disk or inside an archive.

    Attributes:
        path: The file on the disk, or the archive that holds it.
        inside: Entries to follow inside the archive: none for a plain file, two for an archive in an archive.
        size: Size in bytes, decompressed.
        asked: Whether the user named this very file: if it cannot be read, that is an error, not just counted.
    """

    path: Path
    size: int
    inside: tuple[str, ...] = ()
    asked: bool = False

    @property
    def name(self) -> str:
        """Its name in messages."""
        return ":".join([str(self.path), *self.inside])

    @property
    def base(self) -> str:
        """Its file name, without folders."""
        return _slashed(self.inside[-1]).rpartition("/")[2] if self.inside else self.path.name

    @property
    def suffix(self) -> str:
        """Suffix of the name, in lower case."""
        return PurePosixPath(self.base).suffix.lower()

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open the file for reading bytes, decompressed as they are read.

        Raises:
            UserError: The file cannot be opened.
        """
        with ExitStack() as stack:
            try:
                file: BinaryIO = stack.enter_context(self.path.open("rb"))
                for entry in self.inside:
                    archive = stack.enter_context(zipfile.ZipFile(file))
                    file = stack.enter_context(archive.open(entry))  # type: ignore[assignment]
            except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, KeyError) as error:
                raise UserError(
                    f"{self.name}: it cannot be opened ({error}). Unpack it with another program."
                ) from None
            yield file

    def read(self, most: int) -> bytes:
        """Return at most so many bytes of its beginning.

        Raises:
            UserError: The file cannot be opened, or is damaged.
        """
        with self.open() as file:
            try:
                return file.read(most)
            except DAMAGE as error:
                raise UserError(f"{self.name}: it is damaged ({error}). Fetch it again, or leave it out.") from None


def _slashed(name: str) -> str:
    """Return the name of an archive's entry with slashes; some programs of Windows write backslashes."""
    return name.replace("\\", "/")


def find(paths: Iterable[Path], tally: Tally, *, leave_out: Collection[Path] = ()) -> list[Member]:
    """Find the files to import under some paths; within a folder, sorted by name.

    Args:
        paths: Files, folders or zip archives.
        tally: Where files that are not read are counted.
        leave_out: Resolved paths that are skipped inside folders: the files of the corpus to write.

    Raises:
        UserError: A path does not exist or may not be read, or an archive breaks a limit.
    """
    found: list[Member] = []
    for path in paths:
        if path.is_dir():
            found += _in_folder(path, tally, leave_out)
        elif path.exists() and not path.is_file():
            raise UserError(
                f"{path}: this is a pipe or a device, and an export is read more than once. Save it to a file first."
            )
        elif not path.is_file():
            raise UserError(
                f"{path}: there is no such file or folder. Give an export as it was downloaded, or unpacked."
            )
        elif PRIVATE.fullmatch(path.name):
            raise UserError(f"{path}: by its name it holds an account and no conversations. It is never opened.")
        elif path.suffix.lower() in PACKED:
            raise UserError(f"{path}: only zip archives are read. Unpack it and give the folder.")
        elif _is_zip(path):
            found += _in_archive(path, tally)
        else:
            found.append(Member(path, path.stat().st_size, asked=True))
    return found


def _is_zip(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return path.suffix.lower() == ".zip" or file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    except OSError as error:
        raise UserError(f"{path}: it cannot be read ({error.strerror}).") from None


def _in_folder(root: Path, tally: Tally, leave_out: Collection[Path]) -> list[Member]:
    found = []
    for folder, inner, names in os.walk(root, onerror=_refuse_folder):
        here = Path(folder)
        for name in inner:
            if (here / name).is_symlink():
                tally.drop("links inside a folder (not followed)", str(here / name))
        inner[:] = sorted(one for one in inner if not one.startswith("."))
        plain = []
        for name in names:
            path = here / name
            if path.is_symlink():
                tally.drop("links inside a folder (not followed)", str(path))
            elif path.resolve() in leave_out:
                tally.drop("files of the corpus that is written to", str(path))
            elif path.is_file():
                plain.append(name)
        chosen, archives = _choose(plain, str(here), tally, partial(_in_folder_begins, here))
        found += [Member(here / name, (here / name).stat().st_size) for name in chosen]
        for name in archives:
            found += _in_archive(here / name, tally)
    return found


def _refuse_folder(error: OSError) -> None:
    what = f"{error.filename}: this folder cannot be read ({error.strerror})"
    raise UserError(f"{what}. Look at its permissions, or give the others by name.")


def _in_folder_begins(folder: Path, name: str) -> str:
    with (folder / name).open("rb") as file:
        return file.read(MANIFEST_BYTES).decode("utf-8", "replace")


def _in_archive_begins(
    archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], holder: Member, left: list[int], name: str
) -> str:
    info = members[name]
    _check(info, Member(holder.path, info.file_size, (*holder.inside, info.filename)), left)
    with archive.open(info) as file:
        return file.read(MANIFEST_BYTES).decode("utf-8", "replace")


def _choose(names: Iterable[str], where: str, tally: Tally, read: Callable[[str], str]) -> tuple[list[str], list[str]]:
    """Return the files of one folder to read and the archives to open; ``read`` returns the beginning of a file."""
    names = sorted(name for name in names if not name.startswith("."))
    exports = [name for name in names if EXPORTS.fullmatch(name)]
    chosen, archives, listed = [], [], ""
    for name in names:
        place, suffix = f"{where}/{name}", PurePosixPath(name).suffix.lower()
        if PRIVATE.fullmatch(name):
            tally.drop("files with an account's data (never opened)", place)
        elif MANIFEST.fullmatch(name):
            listed += read(name)
        elif suffix == ".zip":
            archives.append(name)
        elif suffix not in READABLE:
            tally.drop("files of other kinds", place)
        elif exports and name not in exports:
            tally.drop("files beside an export that are none themselves", place)
        else:
            chosen.append(name)
    _count_missing(names, listed, where, tally)
    return chosen, archives


def _count_missing(names: Iterable[str], manifest: str, where: str, tally: Tally) -> None:
    """Count missing parts of an export: named in its manifest, or gaps in the numbering."""
    there = {int(found[1]) for name in names if (found := SHARD.fullmatch(name))}
    wanted = {int(number) for number in SHARD.findall(manifest)} or set(range(max(there, default=-1) + 1))
    for number in sorted(wanted - there):
        tally.drop("parts of an export that are not there", f"{where}/conversations-{number:03d}")


def _in_archive(path: Path, tally: Tally) -> list[Member]:
    try:
        with path.open("rb") as file:
            return list(_entries(file, Member(path, 0), tally, [MOST_BYTES]))
    except (*DAMAGE, NotImplementedError) as error:
        raise UserError(
            f"{path}: the archive cannot be read ({error}). It was cut or damaged: fetch it again."
        ) from None


def _entries(file: BinaryIO, holder: Member, tally: Tally, left: list[int]) -> Iterator[Member]:
    """Yield the entries of an archive to read; ``left`` holds the number of bytes that may still be decompressed."""
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        if len(infos) > MOST_ENTRIES:
            raise UserError(
                f"{holder.name}: the archive has {len(infos):,} entries, more than {MOST_ENTRIES:,}. Unpack it "
                "yourself and give the folder."
            )
        folders: dict[str, dict[str, zipfile.ZipInfo]] = defaultdict(dict)
        for info in infos:
            if _is_plain(info, holder, tally):
                parent, _, name = _slashed(info.filename).rpartition("/")
                folders[parent][name] = info
        for parent, members in sorted(folders.items()):
            begins = partial(_in_archive_begins, archive, members, holder, left)
            chosen, archives = _choose(members, f"{holder.name}:{parent}", tally, begins)
            for name in [*chosen, *archives]:
                info = members[name]
                member = Member(holder.path, info.file_size, (*holder.inside, info.filename))
                _check(info, member, left)
                if name in chosen:
                    yield member
                elif holder.inside:
                    tally.drop("archives inside an archive inside an archive", member.name)
                else:
                    with archive.open(info) as inner:
                        yield from _entries(inner, member, tally, left)  # type: ignore[arg-type]


def _is_plain(info: zipfile.ZipInfo, holder: Member, tally: Tally) -> bool:
    """Return whether an entry is a regular file with a harmless name."""
    if info.is_dir() or info.filename.startswith("__MACOSX/"):
        return False
    parts = re.split(r"[/\\]", info.filename)
    where = f"{holder.name}:{info.filename}"
    if ".." in parts or not parts[0] or parts[0].endswith(":"):
        tally.drop("archive entries whose name leaves the archive", where)
        return False
    if stat.S_ISLNK(info.external_attr >> 16):
        tally.drop("links inside an archive (not followed)", where)
        return False
    return True


def _check(info: zipfile.ZipInfo, member: Member, left: list[int]) -> None:
    if info.flag_bits & 1:
        raise UserError(f"{member.name}: it is encrypted. Unpack the archive yourself and give the folder.")
    if info.file_size > RATIO_FROM and info.file_size > MOST_RATIO * max(info.compress_size, 1):
        raise UserError(
            f"{member.name}: it claims {info.file_size:,} bytes from {info.compress_size:,}, more than {MOST_RATIO} "
            "for one. That is no text; the archive is not read."
        )
    left[0] -= info.file_size
    if left[0] < 0:
        raise UserError(
            f"{member.name}: the archive holds more than {MOST_BYTES >> 30} GiB to read. Unpack it yourself and give "
            "the folder."
        )
