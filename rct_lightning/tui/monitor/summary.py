"""A run in words and figures: for a single query, for a program, and for two runs side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rct_lightning.sanitize import printable
from rct_lightning.tui.monitor.state import (
    DEVICE_MEMORY,
    LOSSES,
    MEMORY,
    NAMES,
    SPEED,
    TERMS,
    RunState,
    said,
)
from rct_lightning.tui.monitor.verdict import ENDED, seconds
from rct_lightning.tui.monitor.view import View

GAP = 2
"""Spaces between the columns of a table."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """Return the lines of a table, the first column left-aligned and the others right-aligned.

    Args:
        header: Names of the columns.
        rows: Cells.
        width: Maximum width; if exceeded, the gaps shrink, and then the last columns are dropped.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    count, gap = len(widths), GAP
    while width is not None and count > 1 and sum(widths[:count]) + gap * (count - 1) > width:
        count, gap = (count - 1, GAP) if gap == 1 else (count, 1)
    lines = []
    for first, *others in (header, *rows):
        cells = [f"{cell:>{wide}}" for cell, wide in zip(others, widths[1:], strict=True)]
        lines.append((" " * gap).join([f"{first:<{widths[0]}}", *cells][:count]).rstrip())
    return lines


def newest_figures(state: RunState) -> dict[str, float]:
    """Return the last value of every figure that is shown, by its display name."""
    named = {f"{NAMES[name]}, {phase}": f"{phase}/{name}" for phase in ("train", "eval") for name in LOSSES}
    named |= {"perplexity, eval": "eval/perplexity", "learning rate": "train/lr"}
    named |= {f"norm, {name}": f"train/grad/{name}_norm" for name in ("lm", *TERMS)}
    named |= {f"cosine, {name}": f"train/grad/{name}_cosine_lm" for name in TERMS}
    named |= {f"rows, {name}": f"train/activity/{name}" for name in TERMS}
    named |= {"reply tokens/s": f"train/{SPEED}", "memory, MiB": f"train/{MEMORY}"}
    named |= {"device, MiB": f"train/{DEVICE_MEMORY}"}
    found = {name: state.newest(key) for name, key in named.items()}
    return {name: value for name, value in found.items() if value is not None}


def losses(state: RunState, width: int | None = None) -> list[str]:
    """Tabulate the newest losses: training, evaluation, the base's, and the change from it."""
    rows = []
    for name in LOSSES:
        train, held, base = state.newest(f"train/{name}"), state.newest(f"eval/{name}"), state.base.get(name)
        change = None if held is None or base is None else held - base
        rows.append((NAMES[name], said(train), said(held), said(base), said(change, "+.3g")))
    return table(("", "training", "evaluation", "base", "change"), rows, width)


def terms(state: RunState, width: int | None = None) -> list[str]:
    """Tabulate what each term does: its share of the rows, and its gradient compared with that of the LM loss."""
    rows = []
    for name in ("lm", *TERMS):
        share, norm = state.newest(f"train/activity/{name}"), state.newest(f"train/grad/{name}_norm")
        cosine = state.newest(f"train/grad/{name}_cosine_lm")
        judged = "all" if name == "lm" else "-" if share is None else f"{share:.0%}"
        rows.append((NAMES[name], judged, said(norm, ".3g"), said(cosine, ".2f")))
    return table(("", "rows judged", "gradient norm", "cosine with LM"), rows, width)


def comparison(first: RunState, second: RunState, width: int | None = None) -> list[str]:
    """Tabulate the newest figures of two runs, and the second one's minus the first one's."""
    one, other = newest_figures(first), newest_figures(second)
    rows = [("step", f"{second.step - first.step:+,}", f"{first.step:,}", f"{second.step:,}")]
    for name in [*one, *(name for name in other if name not in one)]:
        here, there = one.get(name), other.get(name)
        difference = None if here is None or there is None else there - here
        rows.append((name, said(difference, "+.3g"), said(here), said(there)))
    return table(("newest figures", "difference", "first", "second"), rows, width)


def progress(view: View) -> list[str]:
    """Return how far the run is and how fast, the most important first."""
    state, left = view.state, seconds_left(view)
    done = f"step {state.step:,}"
    if state.total_steps:
        done += f" of {state.total_steps:,} ({min(state.step / state.total_steps, 1):.0%})"
    speed, memory, device = (state.newest(f"train/{name}") for name in (SPEED, MEMORY, DEVICE_MEMORY))
    found = [
        done,
        "" if left is None else f"{seconds(left)} left",
        "" if state.seconds_per_step is None else f"{seconds(state.seconds_per_step)} a step",
        "" if speed is None else f"{said(speed, ',.0f')} reply tokens/s",
        "" if memory is None else f"{said(memory, ',.0f')} MiB",
        "" if device is None else f"{said(device, ',.0f')} MiB on the device",
    ]
    return [each for each in found if each]


def seconds_left(view: View) -> float | None:
    """Estimate the time left from the pace of the newest steps; None for a run that has ended."""
    return None if view.verdict.condition in ENDED else view.state.seconds_left


def warnings(view: View) -> list[str]:
    """Return what needs attention, each in a few words."""
    state = view.state
    guards = sum(finding.status != "ok" for finding in view.findings)
    damaged = [kept.name for kept in view.kept if kept.soundness == "damaged"]
    lost_names = list(state.not_finite)
    others = f" and {len(lost_names) - 1} more" * (len(lost_names) > 1)
    found = [
        f"not finite: {lost_names[0]}{others}" if lost_names else "",
        f"{state.alert_count} alert{'s' * (state.alert_count != 1)}" if state.alert_count else "",
        f"damaged: {', '.join(damaged)}" if damaged else "",
        f"{guards} check{'s' * (guards != 1)} before step 0 warned" if guards else "",
        f"{state.unreadable} unreadable lines" if state.unreadable else "",
    ]
    return [each for each in found if each]


def lost(state: RunState) -> list[str]:
    """Describe each figure that was not finite in a sentence."""
    return [
        f"{name} was not finite {found.count} time{'s' * (found.count != 1)}, last {found.what} at step {found.step:,}"
        for name, found in state.not_finite.items()
    ]


def checkpoints(view: View) -> list[str]:
    """Describe the checkpoints, one line each."""
    words = {
        "whole": "whole: every byte is as it was written",
        "damaged": "damaged:",
        "unfinished": "unfinished: being written, or its writer was killed; it is not used",
        "unchecked": "being compared with its manifest",
        "adapter": "the adapter of the best evaluation",
    }
    return [
        f"{kept.name}, {kept.size / 2**20:,.1f} MiB: {words[kept.soundness]} {kept.problem}".rstrip()
        for kept in view.kept
    ]


def as_text(view: View) -> str:
    """Summarise a run as text, for a single query."""
    state, verdict = view.state, view.verdict
    best = state.best
    lines = [
        f"{printable(str(view.run.root))}: {verdict.condition}. {verdict.why}",
        ", ".join(progress(view)),
        *([f"best evaluation: {best[1]} {said(best[2])} at step {best[0]:,}"] if best else []),
        "",
        *losses(state),
        "",
        *terms(state),
        "",
        *(lost(state)),
        *([] if state.events or state.unreadable else [f"no events: {view.run.events.name} is empty or not there"]),
        *([f"unreadable lines of events: {state.unreadable}"] if state.unreadable else []),
        f"alerts: {state.alert_count or 'none'}",
        *(f"  {alert.line()}" for alert in state.alerts),
        f"checks before step 0: {_checks(view)}",
        *(f"  {found.guard}: {found.seen}. {found.remedy}" for found in view.findings if found.status != "ok"),
        f"checkpoints: {len(view.kept) or 'none'}",
        *(f"  {line}" for line in checkpoints(view)),
    ]
    return "\n".join(lines)


def _checks(view: View) -> str:
    good = sum(finding.status == "ok" for finding in view.findings)
    return f"{good} of {len(view.findings)} ok" if view.findings else "none were noted"


def as_json(view: View) -> dict[str, Any]:
    """Describe a run for a program, with the keys of docs/monitor.md; non-finite figures become None and are listed."""
    state, verdict = view.state, view.verdict
    named = newest_by_key(state)
    found: dict[str, Any] = {
        "run": printable(str(view.run.root)),
        "condition": verdict.condition,
        "why": verdict.why,
        "silent_s": verdict.silent,
        "patience_s": verdict.patience,
        "step": state.step,
        "total_steps": state.total_steps,
        "begun": state.begun,
        "heard": state.heard,
        "seconds_per_step": state.seconds_per_step,
        "seconds_left": seconds_left(view),
        "train": named["train"],
        "eval": named["eval"],
        "base": dict(state.base),
        "best": None if state.best is None else dict(zip(("step", "metric", "value"), state.best, strict=True)),
        "samples": asdict(view.samples),
        "alert_count": state.alert_count,
        "alerts": [asdict(alert) for alert in state.alerts],
        "notes": [{"step": step, "text": text} for step, text in state.notes],
        "error": state.error,
        "checks": [asdict(finding) for finding in view.findings],
        "checkpoints": [
            {"name": kept.name, "bytes": kept.size, "state": kept.soundness, "problem": kept.problem}
            for kept in view.kept
        ],
        "was_not_finite": {name: asdict(each) for name, each in state.not_finite.items()},
        "events": state.events,
        "unreadable_lines": state.unreadable,
    }
    return without_lost(found)


def newest_by_key(state: RunState) -> dict[str, dict[str, float]]:
    """Return the newest figures of training and evaluation by their event names."""
    named: dict[str, dict[str, float]] = {"train": {}, "eval": {}}
    for key, curve in state.curves.items():
        phase, _, name = key.partition("/")
        if curve.newest is not None:
            named[phase][name] = curve.newest
    return named


def both(first: View, second: View) -> dict[str, Any]:
    """Describe two runs, with the second one's newest figures minus the first one's."""
    one, other = newest_by_key(first.state), newest_by_key(second.state)
    difference = {
        phase: {name: value - one[phase][name] for name, value in figures.items() if name in one[phase]}
        for phase, figures in other.items()
    }
    return {"runs": [as_json(first), as_json(second)]} | without_lost({"difference": difference})


def without_lost(value: Mapping[str, Any]) -> dict[str, Any]:
    """Replace NaN and infinity, which JSON lacks, by None, and list their places in ``not_finite``."""
    places: list[str] = []

    def plain(found: Any, place: str) -> Any:
        if isinstance(found, Mapping):
            return {name: plain(each, f"{place}.{name}" if place else name) for name, each in found.items()}
        if isinstance(found, list | tuple):
            return [plain(each, f"{place}[{at}]") for at, each in enumerate(found)]
        if isinstance(found, float) and not math.isfinite(found):
            places.append(place)
            return None
        return found

    return {**plain(value, ""), "not_finite": places}
