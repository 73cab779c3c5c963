"""Several runs as one page: settings that differ, endpoints, losses, alerts; one column per run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from rct_lightning.evaluation.compare import (
    EvaluatedRun,
    differing,
    endpoints_of,
    rules_of,
    why_not_comparable,
)
from rct_lightning.evaluation.endpoints import GROUPS, group_of
from rct_lightning.evaluation.told import text_of
from rct_lightning.evaluation.verdict import TONES
from rct_lightning.page import Block, Cell, Page, Paragraph, Section, Table

LONGEST = 60
"""Characters of a setting's value that are shown."""
NONE = Cell("-", "", "quiet")


def page_of(runs: Sequence[EvaluatedRun]) -> Page:
    """Return the comparison as a page.

    Args:
        runs: Two or more; the rows and probes of the others are compared with those of the first.
    """
    told = (
        "Every run was compared with its own base. The figure is the tuned model's mean, with its change from the base "
        "and what that is called: better or WORSE where the 95% interval of the change lies on one side of zero. "
        "Intervals of single runs do not say whether two runs differ: python evaluate.py study=DIR does, over seeds."
    )
    sections = [
        Section("Runs", [_runs(runs)]),
        Section("Settings that differ", [_settings(runs)]),
        Section("Endpoints", _endpoints(runs)),
        Section("Losses", [_losses(runs)]),
        Section("Alerts while training", [_alerts(runs)]),
    ]
    return Page(f"{len(runs)} runs side by side", [*_warnings(runs), Paragraph(told)], sections)


def _warnings(runs: Sequence[EvaluatedRun]) -> list[Block]:
    """Return warnings about what cannot be compared, and why."""
    found: list[Block] = []
    for number, run in enumerate(runs, 1):
        reasons = why_not_comparable(run, runs[0])
        if reasons:
            said = f"Run {number}* was evaluated on {' and '.join(reasons)} than run 1"
            found.append(Paragraph(f"{said}: their endpoints are not comparable.", "bad"))
    if len({str(run.settings.get("model.name_or_path")) for run in runs}) > 1:
        said = "The runs have different bases: losses are a token of their own tokenizers, and cannot be compared."
        found.append(Paragraph(said, "bad"))
    return found


def _runs(runs: Sequence[EvaluatedRun]) -> Table:
    rows = [
        [
            str(number),
            str(run.run.root),
            run.told.state or "unknown",
            text_of(run.told.step),
            "unknown" if run.told.events is None else str(len(run.told.alerts)),
        ]
        for number, run in enumerate(runs, 1)
    ]
    return Table(
        "In the order in which they were given.", ["run", "directory", "state", "steps", "alerts"], rows, "lllrr"
    )


def _settings(runs: Sequence[EvaluatedRun]) -> Block:
    keys = differing(runs)
    if not keys:
        return Paragraph("None: the runs were configured alike.")
    return _columns("All other settings are the same.", "setting", runs, keys, lambda run, key: _shown(run, key), "l")


def _shown(run: EvaluatedRun, key: str) -> str:
    text = text_of(run.settings[key]) if run.settings.get(key) is not None else "-"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _endpoints(runs: Sequence[EvaluatedRun]) -> list[Block]:
    blocks: list[Block] = []
    for group, (title, explanation) in GROUPS.items():
        keys = [key for key in endpoints_of(runs) if group_of(key) == group]
        if keys:
            table = _columns(f"{title}: tuned, and change from the base.", "endpoint", runs, keys, _cell)
            blocks.append(Section(title, [Paragraph(explanation), table]))
    return blocks


def _cell(run: EvaluatedRun, key: str) -> Cell:
    found = run.endpoints.get(key)
    if found is None:
        return NONE
    return Cell(f"{found.tuned.mean:.3f}", f"{found.change.mean:+.3f} {found.word}".strip(), TONES[found.word])


def _losses(runs: Sequence[EvaluatedRun]) -> Table:
    kinds = [(phase, name) for phase in ("eval", "train") for name in _names(runs)]
    keys = [f"{phase} {name}" for phase, name in kinds]
    places = dict(zip(keys, kinds, strict=True))

    def cell(run: EvaluatedRun, key: str) -> str | Cell:
        phase, name = places[key]
        row = run.told.last(phase)
        return f"{row[name]:.3f}" if name in row else NONE

    return _columns("The last row of loss_components.csv of either phase.", "loss", runs, keys, cell)


def _names(runs: Sequence[EvaluatedRun]) -> list[str]:
    """Return the loss columns that any run has."""
    rows = [run.told.last(phase) for run in runs for phase in ("eval", "train")]
    return [name for name in dict.fromkeys(key for row in rows for key in row) if name.endswith("_loss")]


def _alerts(runs: Sequence[EvaluatedRun]) -> Block:
    counts = {id(run): Counter(rules_of(run)) for run in runs}
    rules = sorted(set().union(*counts.values()))
    if not rules:
        return Paragraph("None.")

    def cell(run: EvaluatedRun, rule: str) -> str | Cell:
        return str(counts[id(run)][rule]) if counts[id(run)][rule] else NONE

    return _columns("How often a rule spoke (docs/guards.md).", "rule", runs, rules, cell)


def _columns(
    caption: str,
    name: str,
    runs: Sequence[EvaluatedRun],
    keys: Sequence[str],
    cell: Callable[[EvaluatedRun, str], str | Cell],
    side: str = "r",
) -> Table:
    """Return a table with one row per key and one column per run."""
    marks = ["*" if why_not_comparable(run, runs[0]) else "" for run in runs]
    header = [name, *(f"run {number}{mark}" for number, mark in enumerate(marks, 1))]
    rows = [[key.rpartition("/")[2], *(cell(run, key) for run in runs)] for key in keys]
    return Table(caption, header, rows, "l" + side * len(runs))
