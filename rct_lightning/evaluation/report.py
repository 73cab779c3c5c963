"""The report of an evaluation: a table for the console, a page with figures, and everything as plain numbers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rct_lightning.evaluation.endpoints import SIDES, Comparison
from rct_lightning.evaluation.setting import Setting
from rct_lightning.evaluation.verdict import Judged, Sentence, judge, verdict
from rct_lightning.page import write_files, write_page
from rct_lightning.runs import METRICS_FILE, REPORT_NAME, RunDir

PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Report:
    """A comparison ready to be shown."""

    comparison: Comparison

    @cached_property
    def judged(self) -> list[Judged]:
        """Every endpoint in figures, computed once: table, page and numbers are made from these."""
        return judge(self.comparison)

    @cached_property
    def verdict(self) -> tuple[Sentence, Sentence]:
        """The two sentences of the verdict."""
        return verdict(self.judged)

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Return endpoint, base, tuned, change with its interval, and verdict, per endpoint."""
        return [
            (each.key, f"{each.base.mean:.3f}", f"{each.tuned.mean:.3f}", str(each.change), each.word)
            for each in self.judged
        ]

    def table(self) -> str:
        """Return the endpoints as aligned text."""
        header = ("endpoint", "base", "tuned", "change [95% interval]", "")
        rows = [header, *self.rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        )

    def metrics(self) -> dict[str, Any]:
        """Return everything as plain numbers, item by item."""
        endpoints: dict[str, Any] = {}
        for each in self.judged:
            estimates = {"base": each.base, "tuned": each.tuned}
            endpoints[each.key] = {
                "meaning": each.endpoint.meaning,
                "better": each.better,
                **{side: vars(estimates[side]) | {"values": _round(each.endpoint.values[side])} for side in SIDES},
                "change": vars(each.change),
                "verdict": each.word,
                "groups": each.endpoint.groups,
                "weights": each.endpoint.weights,
            }
        return {
            "verdict": [sentence.text for sentence in self.verdict],
            "endpoints": endpoints,
        }


def fingerprint(files: Iterable[Path], *settings: object) -> str:
    """Return the SHA-256 of what an evaluation is made from: files, settings, and this package's own code."""
    digest = hashlib.sha256(repr(settings).encode())
    own = [path for path in sorted(PACKAGE.rglob("*")) if path.suffix in (".py", ".html")]
    for path in [*files, *own]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def stands(folder: Path, made_from: str) -> bool:
    """Return whether the report in a folder was made from the same inputs."""
    try:
        found = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and bool(made_from) and found.get("made_from") == made_from


def write_report(report: Report, run: RunDir, folder: Path, setting: Setting) -> Path:
    """Write report.html, report.md, figures/ and metrics.json into a folder; return the path of the HTML.

    Raises:
        UserError: The files cannot be written.
    """
    from rct_lightning.evaluation.report_page import page_of  # draws

    write_page(folder, REPORT_NAME, page_of(report, run, setting))
    metrics = {"made_from": setting.made_from, "evaluated_on": dict(setting.evaluated_on), **report.metrics()}
    # last: if it exists, the rest does too
    write_files({folder / METRICS_FILE: (json.dumps(metrics, indent=1) + "\n").encode()})
    return folder / f"{REPORT_NAME}.html"


def _round(values: Any) -> list[float]:
    return [round(float(value), 6) for value in values]
