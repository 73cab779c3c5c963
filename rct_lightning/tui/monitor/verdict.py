"""Whether a run is alive: judged by its status, its process and its heartbeat, and never guessed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rct_lightning.identity import Presence
from rct_lightning.sanitize import printable
from rct_lightning.tui.monitor.state import RunState

Condition = Literal["running", "stalled", "crashed", "stopped", "finished", "unknown"]
ENDED: tuple[Condition, ...] = ("crashed", "stopped", "finished")
QUIET_STEPS, LEAST_QUIET, QUIET_AT_FIRST = 20, 60.0, 600.0
"""A run is stalled after a silence of this many of its usual steps and at least this many seconds. Before the first
logged step (a large base is evaluated and sampled) it is stalled after the last number of seconds."""


@dataclass(frozen=True)
class Verdict:
    """Whether a run is alive, and why.

    Attributes:
        condition: The condition in one word.
        why: The reason in a sentence.
        silent: Seconds since the last sign of life; None if there never was one.
        patience: Seconds of silence after which a running run is called stalled.
    """

    condition: Condition
    why: str
    silent: float | None
    patience: float


def judge(
    status: Mapping[str, Any], state: RunState, now: float, presence: Callable[[Mapping[str, Any]], Presence]
) -> Verdict:
    """Judge the condition of a run.

    Args:
        status: Contents of its status.json, empty if there is none.
        state: State from its events.
        now: Seconds since 1970.
        presence: Looks up whether the process of a status exists.
    """
    silent, patience = _silence(status, state, now), patience_with(state)
    written = status.get("state")
    if written == "running":
        condition, why = _of_process(presence(status), status, silent, patience)
    elif isinstance(written, str) and written in _ENDS:
        condition, why = _ENDS[written]
        why = f"{why} {state.error}".strip() if written in ("failed", "interrupted") else why
    else:
        condition, why = (
            "unknown",
            "It has written no status that can be read." if not status else "Its status says nothing known.",
        )
    return Verdict(condition, why, silent, patience)


def patience_with(state: RunState) -> float:
    """Return the seconds of silence after which a running run is called stalled."""
    usual = state.usual_step
    return QUIET_AT_FIRST if usual is None or state.ended else max(LEAST_QUIET, QUIET_STEPS * usual)


_ENDS: dict[str, tuple[Condition, str]] = {
    "finished": ("finished", "It came to its end and wrote its adapter."),
    "stopped": ("stopped", "A health rule ended it; see its alerts."),
    "interrupted": ("stopped", ""),
    "failed": ("crashed", ""),
}


def _of_process(
    found: Presence, status: Mapping[str, Any], silent: float | None, patience: float
) -> tuple[Condition, str]:
    heard = "nothing was heard of it" if silent is None else f"last heard {seconds(silent)} ago"
    host, pid = printable(str(status.get("host")))[:60], status.get("pid")
    match found:
        case "gone":
            return "crashed", f"Its process {pid} is gone and wrote no end; {heard}."
        case "elsewhere":
            return "unknown", f"It runs on {host}, or in another container, which cannot be seen from here; {heard}."
        case "unknown":
            return "unknown", f"Which process runs it is not known; {heard}."
        case "suspended":
            return "stalled", f"Its process {pid} was suspended by a signal; {heard}."
    if silent is not None and silent > patience:
        return "stalled", f"Its process {pid} is there, but {heard}, which is more than {seconds(patience)}."
    return "running", f"Its process {pid} is there; {heard}."


def _silence(status: Mapping[str, Any], state: RunState, now: float) -> float | None:
    """Return the seconds since the newest sign of life: a heartbeat or an event."""
    beat = status.get("heartbeat")
    signs = [sign for sign in (beat, state.heard) if isinstance(sign, int | float) and abs(sign) < 1e15]
    return max(now - max(signs), 0.0) if signs else None


def seconds(value: float | None) -> str:
    """Format a duration: 0.85 s, 12 s, 3 min 20 s, 5 h 3 min, 2 d 4 h; a dash if there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    if value < 10:
        return f"{value:.2g} s"
    whole = round(value)
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {name}"
    return f"{whole} s"
