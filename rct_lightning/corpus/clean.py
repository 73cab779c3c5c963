"""``rct corpus clean``: writes usable rows, quarantined rows with a reason each, and a report."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rct_lightning.corpus.clean_report import RULES, SCRUBS, Report, Settings
from rct_lightning.corpus.folder import CorpusDir
from rct_lightning.corpus.passes import Cleaning
from rct_lightning.corpus.together import written_together
from rct_lightning.dialogue import content_hash
from rct_lightning.errors import UserError


def check_names(off: Iterable[str]) -> frozenset[str]:
    """Check and return the names of rules and kinds that are to be turned off.

    Raises:
        UserError: There is no such rule or kind.
    """
    known = [rule.name for rule in RULES] + [kind.name for kind in SCRUBS]
    for name in off:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            meant = f"Did you mean {near[0]!r}? " if near else ""
            raise UserError(f"--off {name}: there is no such rule. {meant}The rules are {', '.join(known)}.")
    return frozenset(off)


def clean_corpus(
    source: Path, out: CorpusDir, settings: Settings, *, force: bool = False, tell: Callable[[str], object] = bool
) -> Report:
    """Read rows; write ``clean.jsonl``, ``quarantine.jsonl`` and ``clean.json``, either all or none.

    Args:
        source: A JSONL file.
        out: Where to write.
        settings: How to clean.
        force: Replace what was written before.
        tell: Called with a description of each stage.

    Returns:
        The report, as it was written.

    Raises:
        UserError: Something cannot be read or written, or no row passes.
    """
    targets = [out.clean, out.quarantine, out.clean_report]
    _check_targets(source, targets, force)
    cleaning = Cleaning(source, settings)
    tell("looking for personal data")
    cleaning.survey()
    tell("judging rows")
    cleaning.judge()
    if not cleaning.report.clean:
        counted = ", ".join(f"{name} {count}" for name, count in cleaning.report.quarantined.most_common())
        raise UserError(
            f"{source}: none of the {cleaning.report.rows} rows passes ({counted}). `rct corpus clean --explain` lists "
            "the rules; --off NAME turns one off."
        )
    tell("writing")
    with written_together(targets) as (clean, quarantine, account):
        cleaning.write(clean, quarantine)
        whole = {"source": source.name, "sha256": content_hash(source)} | cleaning.report.to_json(settings)
        account.write(json.dumps(whole, indent=1) + "\n")
    return cleaning.report


def _check_targets(source: Path, targets: Sequence[Path], force: bool) -> None:
    folder = targets[0].parent
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: this is a file. Give a folder as --out.")
    for target in targets:
        if target.exists() and source.exists() and target.samefile(source):
            raise UserError(f"{source}: cleaning would write over the rows it reads. Give another folder as --out.")
        if target.exists() and not force:
            raise UserError(f"{target}: it is there already. --force replaces it, or choose another --out.")


def rows_of(source: Path, out: Path | None) -> tuple[Path, CorpusDir]:
    """Return the file to clean and the folder to write to.

    Args:
        source: A corpus folder or a JSONL file.
        out: A folder; None for the folder of the rows.

    Raises:
        UserError: The folder holds no imported rows.
    """
    if source.is_dir() or (not source.exists() and not source.suffix):
        folder = CorpusDir(source)
        return folder.existing(folder.imported), CorpusDir(out or source)
    return source, CorpusDir(out or source.parent)


@contextmanager
def telling() -> Iterator[Callable[[str], object]]:
    """Show the current stage on a terminal; yield the function that sets it."""
    if not sys.stderr.isatty():
        yield bool
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as status:
        yield status.update
