"""The folder in which a corpus is built: what each step reads and writes. No other module spells out these names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
            self.audit,
        )

    def existing(self, *candidates: Path) -> Path:
        """Return the first of some of these files that exists.

        Raises:
            UserError: None of them exists.
        """
        if not self.root.is_dir():
            what = "it is a file" if self.root.exists() else "there is no such folder"
            raise UserError(f"{self.root}: {what}. Give the folder that `rct corpus import` wrote.")
        for path in candidates:
            if path.is_file():
                return path
        names, where = " or ".join(path.name for path in candidates), self.root
        raise UserError(f"{where}: the folder holds no {names}. `rct corpus import PATH --out {where}` begins one.")
