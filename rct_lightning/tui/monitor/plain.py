"""Events as lines, one each, without control characters, for pipes, logs and screen readers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rct_lightning.runs import RunDir
from rct_lightning.sanitize import printable
from rct_lightning.tui.monitor.follow import Follower
from rct_lightning.tui.monitor.state import (
    DEVICE_MEMORY,
    OF_EVALUATIONS,
    OF_STEPS,
    RunState,
    as_figure,
    as_text,
    said,
)
from rct_lightning.tui.monitor.verdict import ENDED, judge
from rct_lightning.tui.monitor.view import Surroundings

BETWEEN_LOOKS = 0.5
"""Seconds."""
SHORT = {"perf/reply_tokens_per_s": "reply_tokens/s", "perf/peak_memory_mib": "MiB", DEVICE_MEMORY: "device_MiB"}


def line_of(event: Mapping[str, Any]) -> str:
    """Render an event in one line: time (UTC), step, kind, and its figures or words."""
    kind = as_text(event["event"])
    if kind in ("step", "eval"):
        lost = event.get("not_finite")
        names = OF_STEPS if kind == "step" else OF_EVALUATIONS
        others = [name for name, value in event.items() if value is None and name not in names]
        found = [(name, as_figure(event[name], lost, name)) for name in (*names, *others) if name in event]
        words = [f"{SHORT.get(name, name)} {said(value)}" for name, value in found if value is not None]
    else:
        words = [f"{name}: {as_text(value)}" for name, value in event.items() if name not in ("time", "event", "step")]
    return _line(as_figure(event.get("time")), f"step {event['step']}", "training" if kind == "step" else kind, *words)


def _line(when: float | None, *words: str) -> str:
    try:
        stamp = datetime.fromtimestamp(when or 0.0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):  # not a valid calendar time
        stamp = "no time"
    return " ".join(printable("  ".join([stamp, *words])).replace("\t", " ").split("\n"))


def follow(
    run: RunDir, surroundings: Surroundings | None = None, wait: Callable[[float], object] = time.sleep
) -> Iterator[str]:
    """Yield a line per event of a run from the first one on, and per change of its condition, until it has ended.

    Args:
        run: The run.
        surroundings: Clock and process lookup.
        wait: Called between two reads with the seconds to wait.

    Raises:
        OSError: The events file exists and cannot be read.
    """
    around = surroundings or Surroundings()
    follower, state, condition = Follower(run.events), RunState(), ""
    while True:
        before = follower.offset
        verdict = judge(run.read_status(), state, around.now(), around.presence)  # before the last events are read
        news = follower.more()
        if news.anew:
            state = RunState()
            yield _line(around.now(), "the run was resumed or begun anew; its events follow from the first one on")
        yield from map(line_of, state.fold(news.lines))
        if news.anew or follower.offset != before:
            continue
        if verdict.condition != condition:
            condition = verdict.condition
            yield _line(around.now(), f"{condition}: {verdict.why}")
        if condition in ENDED:
            return
        wait(BETWEEN_LOOKS)
