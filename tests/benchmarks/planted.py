"""How many planted faults cleaning finds, and what it wrongly takes for one.

python tests/benchmarks/planted.py            the wordings that no rule was tuned on
python tests/benchmarks/planted.py seen       those that were used while tuning

Recall counts faults found by their own rule; "by another" counts those found by a different one. Precision is the share
of what a rule removed, or of the places a pattern replaced, that was planted for it.
-v lists what was missed and what was wrong.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import to_plant

from rct_lightning.corpus.clean_report import RULES, SCRUBS

ROOT = Path(__file__).parents[2]
LABELS = {kind.label: kind.name for kind in SCRUBS}


@dataclass
class Outcome:
    """Counts of one cleaning, by rule."""

    planted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    otherwise: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    wrongly: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def table(self) -> str:
        """As Markdown."""
        lines = [
            "| rule | planted | found | by another | wrongly | precision | recall |",
            "|---|--:|--:|--:|--:|--:|--:|",
        ]
        for rule in [*(rule.name for rule in RULES), *LABELS.values()]:
            if not self.planted[rule] and not self.wrong[rule]:
                continue
            planted, found, wrong = self.planted[rule], self.found[rule], self.wrong[rule]
            precision = f"{found / (found + wrong):.1%}" if found + wrong else "-"
            recall = f"{found / planted:.1%}" if planted else "-"
            cells = [rule, planted, found, self.otherwise[rule], wrong, precision, recall]
            lines.append(f"| {' | '.join(map(str, cells))} |")
        return "\n".join(lines)


def run(which: to_plant.Which, folder: Path) -> tuple[list[to_plant.Planted], dict[str, dict[str, Any]]]:
    """Plant, clean with the command, and read every row back by its id."""
    planted = to_plant.study(which)
    corpus, names = to_plant.write(planted, folder)
    command = ["from rct_lightning.cli import app; app()", "corpus", "clean", str(corpus.parent), "--names", str(names)]
    subprocess.run([sys.executable, "-c", *command], cwd=ROOT, check=True, capture_output=True, text=True)
    rows: dict[str, dict[str, Any]] = {}
    for name in ("clean", "quarantine"):
        for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            rows[row["id"]] = row
    return planted, rows


def compare(planted: list[to_plant.Planted], rows: dict[str, dict[str, Any]]) -> Outcome:
    """Compare what was planted with what was found."""
    outcome = Outcome()
    copied = {one.original: one for one in planted if one.original}
    for one in planted:
        row = rows[one.row.id]
        rule = row.get("quarantined", {}).get("rule")
        if one.fault:
            outcome.planted[one.fault] += 1
        if one.original and rule != one.fault:  # either of two copies may stay
            rule = rows[one.original].get("quarantined", {}).get("rule")
        if one.secret:
            compare_secret(one, row, outcome)
        elif one.fault and rule == one.fault:
            outcome.found[one.fault] += 1
        elif one.fault:
            outcome.otherwise[one.fault] += rule is not None
            outcome.missed.append(f"{one.fault}, {rule or 'nothing'} found: {one.row.output[:100]!r}")
        innocent = one.fault is None or one.secret is not None
        if rule and innocent and not (one.row.id in copied and copied[one.row.id].fault == rule):
            outcome.wrong[rule] += 1
            outcome.wrongly.append(f"{rule}: {row['quarantined']['reason']}")
        if one.fault is None:
            for label, places in row.get("scrubbed", {}).items():
                outcome.wrong[LABELS[label]] += places
                outcome.wrongly.append(f"{LABELS[label]}: {one.row.id} {one.row.input!r} {one.row.output[:200]!r}")
    return outcome


def compare_secret(one: to_plant.Planted, row: dict[str, Any], outcome: Outcome) -> None:
    """For a row with one piece of personal data, count whether it is gone, and by which placeholder."""
    assert one.fault and one.secret
    labels = Counter({LABELS[label]: places for label, places in row.get("scrubbed", {}).items()})
    left = one.secret in row["input"] or one.secret in row["output"]
    if not left and labels[one.fault]:
        outcome.found[one.fault] += 1
    else:
        outcome.otherwise[one.fault] += not left
        outcome.missed.append(f"{one.fault}: {one.secret} in {(one.row.input + ' ' + one.row.output)[-160:]!r}")
    labels[one.fault] -= 1
    outcome.wrong.update({kind: places for kind, places in labels.items() if places > 0})


def main() -> None:
    """Print the table, and with ``-v`` what was missed and what was wrong."""
    which: to_plant.Which = "seen" if "seen" in sys.argv else "unseen"
    with tempfile.TemporaryDirectory() as folder:
        planted, rows = run(which, Path(folder))
    outcome = compare(planted, rows)
    print(f"{len(planted)} rows, {sum(outcome.planted.values())} faults, wordings: {which}\n\n{outcome.table()}")
    if "-v" in sys.argv:
        print("\nmissed", *outcome.missed, "\nwrong", *outcome.wrongly, sep="\n")


if __name__ == "__main__":
    main()
