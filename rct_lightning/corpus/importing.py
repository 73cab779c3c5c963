"""``rct corpus import``: converts exports to rows and reports what was left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rct_lightning.corpus import pairs
from rct_lightning.corpus.conversation import Conversation, Tally
from rct_lightning.corpus.folder import CorpusDir
from rct_lightning.corpus.importers import Format, Source, choose
from rct_lightning.corpus.jsonstream import Damaged
from rct_lightning.corpus.rowfile import RowFile
from rct_lightning.corpus.sources import Member, find
from rct_lightning.corpus.speakers import read_speakers
from rct_lightning.errors import UserError
from rct_lightning.sanitize import printable


@dataclass
class FileReport:
    """What was read from one file."""

    name: str
    format: str
    conversations: int = 0
    rows: int = 0


@dataclass
class Report:
    """What an import read and left out.

    Attributes:
        files: What each file held, before versions of the same conversation were dropped.
        conversations: Conversations that were written.
        rows: Rows that were written.
        tally: What was left out or altered, by reason.
    """

    files: list[FileReport] = field(default_factory=list)
    conversations: int = 0
    rows: int = 0
    tally: Tally = field(default_factory=Tally)

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``import.json``."""
        files = [vars(one) | {"name": printable(one.name)} for one in self.files]
        return {"conversations": self.conversations, "rows": self.rows, "files": files} | self.tally.to_json()


def import_corpus(
    paths: Sequence[Path],
    out: CorpusDir,
    *,
    format_name: str | None = None,
    speakers: Path | None = None,
    force: bool = False,
    salvage: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Report:
    """Read exports and write ``imported.jsonl`` and ``import.json``, both or neither.

    Args:
        paths: Files, folders and zip archives.
        out: The corpus folder to write to.
        format_name: Read every file as this format instead of detecting it.
        speakers: A speaker map for transcripts.
        force: Replace rows that were imported before.
        salvage: Keep what precedes the damage in a damaged file instead of refusing the file.
        progress: Called with the number of bytes read so far and the total.

    Returns:
        The report, as it was written.

    Raises:
        UserError: Something cannot be read or written, or the import yields no row.
    """
    if out.imported.exists() and not force:
        raise UserError(
            f"{out.imported}: there are imported rows already. --force replaces them, or choose another --out."
        )
    report = Report()
    who = read_speakers(speakers) if speakers is not None else None
    sources = [Source(one, report.tally, who) for one in find(paths, report.tally, leave_out=_resolved(out.files))]
    chosen = [(source, one) for source in sources if (one := choose(source, format_name)) is not None]
    advance = _advance([source.member for source, _ in chosen], progress)
    with RowFile(out.imported, report.tally) as rows:
        for source, one in chosen:
            source = replace(source, advance=advance)
            told = FileReport(source.member.name, one.name)
            report.files.append(told)
            for conversation in _guarded(source, one, salvage):
                found = list(pairs.examples(conversation, report.tally))
                told.conversations += 1
                told.rows += len(found)
                rows.add(conversation, found, source.member.name)
        report.conversations, report.rows = len(rows.index), rows.count
        if not report.rows:
            raise UserError(_nothing(paths, report, format_name))
        rows.replace(out.import_report, report.to_json())
    return report


def _resolved(paths: Iterable[Path]) -> set[Path]:
    return {path.resolve() for path in paths}


def _advance(
    members: Iterable[Member], progress: Callable[[int, int], object] | None
) -> Callable[[int], object] | None:
    if progress is None:
        return None
    total, done = sum(member.size for member in members), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return advance


def _guarded(source: Source, one: Format, salvage: bool) -> Iterator[Conversation]:
    """Yield the conversations of a file; at damage, raise an error or, with ``salvage``, stop."""
    try:
        yield from one.read(source)
    except Damaged as error:
        if not salvage:
            raise UserError(f"{error} Fetch the export again, or keep what stands before with --salvage.") from None
        source.tally.drop("damaged files of which the rest was not read", str(error))


def _nothing(paths: Sequence[Path], report: Report, format_name: str | None) -> str:
    reasons = report.tally.to_json()["dropped"]
    counted = "; ".join(f"{one['count']} {what} ({one['where'][0]})" for what, one in list(reasons.items())[:5])
    where = ", ".join(map(str, paths))
    left_out = f" Left out: {counted}." if counted else ""
    read = "in what was read" if report.files else "here, since no file of it is an export"
    remedy = "Give the export itself, or name its --format."
    if format_name is not None:
        remedy = f"Everything was read as --format {format_name}; leave that out, and the format is found."
    return f"{where}: there is no answered user turn {read}.{left_out} {remedy}"
