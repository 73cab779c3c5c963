"""The folder in which a corpus is built: what each step reads and writes. No other module spells out these names."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from rct_lightning.dialogue import content_hash
from rct_lightning.errors import UserError


@dataclass(frozen=True)
class CorpusDir:
    """Paths inside the folder of a corpus.

    Each step reads what the previous one wrote: import, clean, split, audit.
    """

    root: Path

    @property
    def imported(self) -> Path:
        """Rows as they were imported."""
        return self.root / "imported.jsonl"

    @property
    def import_report(self) -> Path:
        """Report of the import: what was read, and what was left out and why."""
        return self.root / "import.json"

    @property
    def clean(self) -> Path:
        """Rows that passed every rule."""
        return self.root / "clean.jsonl"

    @property
    def quarantine(self) -> Path:
        """Rows that failed a rule, each with rule and reason."""
        return self.root / "quarantine.jsonl"

    @property
    def clean_report(self) -> Path:
        """Report of the cleaning: what each rule found."""
        return self.root / "clean.json"

    @property
    def train(self) -> Path:
        """Training rows."""
        return self.root / "train.jsonl"

    @property
    def eval(self) -> Path:
        """Evaluation rows."""
        return self.root / "eval.jsonl"

    @property
    def split_report(self) -> Path:
        """Report of the split: of which rows, and how they were split."""
        return self.root / "split.json"

    @property
    def audit(self) -> Path:
        """The audit's page as ``.md``; the ``.html`` is beside it."""
        return self.root / "audit.md"

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the steps write, without the audit's ``.html``."""
        return (
            self.imported,
            self.import_report,
            self.clean,
            self.quarantine,
            self.clean_report,
            self.train,
            self.eval,
            self.split_report,
            self.audit,
        )

    def existing(self, *candidates: Path) -> Path:
        """Return the first of some of these files that exists.

        Raises:
            UserError: None of them is; or it is the clean rows, and other rows have been imported since.
        """
        if not self.root.is_dir():
            what = "it is a file" if self.root.exists() else "there is no such folder"
            raise UserError(f"{self.root}: {what}. Give the folder that `rct corpus import` wrote.")
        for path in candidates:
            if path.is_file():
                if path == self.clean:
                    self._check_clean()
                return path
        names, where = " or ".join(path.name for path in candidates), self.root
        begins = f"`rct corpus import PATH --out {shlex.quote(str(where))}`"
        raise UserError(f"{where}: the folder holds no {names}. {begins} begins one.")

    def source_of_other_split(self) -> Path | None:
        """Return the file whose rows were split, if it has other rows since; None if not, or if that is not known."""
        return next((path for path in (self.clean, self.imported) if self._has_changed(path, self.split_report)), None)

    def _check_clean(self) -> None:
        """Clean rows are of those that are imported, as far as their account can tell."""
        if self._has_changed(self.imported, self.clean_report):
            raise UserError(
                f"{self.clean}: it was made of other rows than {self.imported.name} holds now. `rct corpus clean "
                f"{self.root} --force` cleans those; to go on with the old ones, move {self.imported.name} away."
            )

    @staticmethod
    def _has_changed(source: Path, report: Path) -> bool:
        """Return whether a report was made of this file, and of other content than it has now."""
        try:
            account = json.loads(report.read_bytes())
            known = account["source"] == source.name and account["sha256"]
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return False
        return bool(known) and source.is_file() and content_hash(source) != known
