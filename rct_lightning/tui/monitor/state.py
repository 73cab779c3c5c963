"""A run's state from its events, in bounded memory: folded in line by line, keeping only what is shown."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from rct_lightning.runs import event_of
from rct_lightning.sanitize import printable
from rct_lightning.tui.monitor.curve import Curve

TERMS = ("presence", "coherence", "continuity")
LOSSES = ("lm", *TERMS, "total")
NAMES = {"lm": "LM loss", "total": "total loss"} | {term: term for term in TERMS}
"""Display names of the losses."""
NORMS = tuple(f"grad/{name}_norm" for name in ("lm", *TERMS))
COSINES = tuple(f"grad/{name}_cosine_lm" for name in TERMS)
ACTIVITY = tuple(f"activity/{name}" for name in TERMS)
SPEED, MEMORY, DEVICE_MEMORY = "perf/reply_tokens_per_s", "perf/peak_memory_mib", "perf/peak_device_memory_mib"
OF_STEPS = {
    name: f"train/{name}"
    for name in (*LOSSES, "lr", *NORMS, *COSINES, *ACTIVITY, SPEED, MEMORY, DEVICE_MEMORY)
}  # fmt: skip
OF_EVALUATIONS = {name: f"eval/{name}" for name in (*LOSSES, "perplexity")}
"""Figures that are shown, and the curves that they belong to."""
ALERTS_KEPT, NOTES_KEPT, NAMES_KEPT, PACES_KEPT = 100, 50, 40, 40
LONGEST_TEXT = 2000
"""Maximum number of characters of a text in an event."""
LAST_STEP = 10**15


@dataclass(frozen=True)
class Alert:
    """A health rule's alert, in its own words."""

    step: int
    rule: str
    seen: str
    means: str
    remedy: str
    fatal: bool

    def line(self) -> str:
        """Return the alert as one paragraph."""
        fatal = " It ended the run." if self.fatal else ""
        return f"{self.rule}, step {self.step}: {self.seen}. {self.means} {self.remedy}{fatal}"


@dataclass
class NotFinite:
    """A figure that was NaN or infinite: how often, and the step and value of the last time."""

    count: int = 0
    step: int = 0
    what: str = ""


@dataclass
class RunState:
    """Everything from a run's events that is shown.

    Attributes:
        curves: By ``train/NAME`` and ``eval/NAME``; the two are never mixed.
        base: Figures of the first evaluation, that of the base.
        step: Step of the newest event.
        total_steps: Optimizer steps of the whole run, once they are known.
        begun: Time of the first event, in seconds since 1970.
        heard: Time of the newest event.
        ended: Whether training finished as planned.
        error: What the run said when it failed or was interrupted.
        alerts: The newest alerts, oldest first.
        alert_count: Number of all alerts.
        notes: Other incidents: a resumption, a checkpoint that failed.
        best: Step, metric and value of the best evaluation.
        not_finite: Figures that were not finite, by ``train/NAME`` and ``eval/NAME``.
        events: Number of events.
        unreadable: Number of lines that are not events.
    """

    curves: dict[str, Curve] = field(default_factory=dict)
    base: dict[str, float] = field(default_factory=dict)
    step: int = 0
    total_steps: int | None = None
    begun: float | None = None
    heard: float | None = None
    ended: bool = False
    error: str = ""
    alerts: deque[Alert] = field(default_factory=lambda: deque(maxlen=ALERTS_KEPT))
    alert_count: int = 0
    notes: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=NOTES_KEPT))
    best: tuple[int, str, float] | None = None
    not_finite: dict[str, NotFinite] = field(default_factory=dict)
    events: int = 0
    unreadable: int = 0
    _paces: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=PACES_KEPT))

    def fold(self, lines: Iterable[bytes]) -> list[dict[str, Any]]:
        """Fold in some lines; return their events."""
        found = []
        for line in lines:
            event = event_of(line) if line.strip() else {}
            if not event or not 0 <= event["step"] <= LAST_STEP:
                self.unreadable += event is None or bool(event)
                continue
            self.take_in(event)
            found.append(event)
        return found

    def take_in(self, event: Mapping[str, Any]) -> None:
        """Fold in the next event."""
        self.events += 1
        self.step = event["step"]
        time = as_figure(event.get("time"))
        if time is not None and math.isfinite(time):
            self.heard = time
            self.begun = time if self.begun is None else self.begun
        told = _TOLD.get(event["event"])
        if told is not None:
            told(self, event)

    def newest(self, name: str) -> float | None:
        """Return a curve's last value."""
        curve = self.curves.get(name)
        return None if curve is None else curve.newest

    @property
    def seconds_per_step(self) -> float | None:
        """Mean over the newest logged steps, including evaluations in between; None before the second of them."""
        if len(self._paces) < 2:
            return None
        (since, first), (until, last) = self._paces[0], self._paces[-1]
        return (until - since) / (last - first) if last > first and until >= since else None

    @property
    def usual_step(self) -> float | None:
        """Seconds per step: the median over the newest logged ones, which evaluations do not affect."""
        pairs = zip(self._paces, list(self._paces)[1:], strict=False)
        found = [(until - since) / (last - first) for (since, first), (until, last) in pairs if last > first]
        return max(median(found), 0.0) if found else None

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the pace of the newest steps."""
        pace = self.seconds_per_step
        if pace is None or self.total_steps is None or self.ended:
            return None
        return max(self.total_steps - self.step, 0) * pace

    # --- events by their names ---------------------------------------------------------------------------------------

    def _start(self, event: Mapping[str, Any]) -> None:
        self._paces.clear()

    def _fit(self, event: Mapping[str, Any]) -> None:
        self._paces.clear()
        total = event.get("total_steps")
        self.total_steps = total if type(total) is int and 0 < total <= LAST_STEP else None
        self.ended, self.error = False, ""

    def _step(self, event: Mapping[str, Any]) -> None:
        self._add("train", OF_STEPS, event)
        time = as_figure(event.get("time"))
        if time is not None and math.isfinite(time):
            self._paces.append((time, event["step"]))

    def _eval(self, event: Mapping[str, Any]) -> None:
        if not self.base:
            found = {name: as_figure(event[name]) for name in OF_EVALUATIONS if name in event}
            self.base = {name: value for name, value in found.items() if value is not None}
        self._add("eval", OF_EVALUATIONS, event)

    def _trained(self, event: Mapping[str, Any]) -> None:
        self.ended = True

    def _alert(self, event: Mapping[str, Any]) -> None:
        said = {name: as_text(event.get(name)) or "?" for name in ("rule", "seen", "means", "remedy")}
        self.alert_count += 1
        self.alerts.append(Alert(event["step"], **said, fatal=event.get("fatal") is True))

    def _failed(self, event: Mapping[str, Any]) -> None:
        self.error = as_text(event.get("error"))

    def _best(self, event: Mapping[str, Any]) -> None:
        value = as_figure(event.get("value"))
        if value is not None:
            self.best = (event["step"], as_text(event.get("metric")), value)

    def _resumed(self, event: Mapping[str, Any]) -> None:
        self._note(event, "resumed behind this step")

    def _halved(self, event: Mapping[str, Any]) -> None:
        self._note(event, f"memory was not enough; micro-batches are read in {as_text(event.get('parts'))} parts")

    def _checkpoint_failed(self, event: Mapping[str, Any]) -> None:
        self._note(event, as_text(event.get("error")))

    def _note(self, event: Mapping[str, Any], text: str) -> None:
        self.notes.append((event["step"], text))

    def _add(self, phase: str, names: Mapping[str, str], event: Mapping[str, Any]) -> None:
        """Add an event's figures to the curves; ``names`` maps their names in the event to the curves' names."""
        step, lost, curves = event["step"], event.get("not_finite"), self.curves
        for name, key in names.items():
            if name not in event:
                continue
            value = event[name]
            if value.__class__ is not float:
                value = as_figure(value, lost, name)
                if value is None:
                    continue
            if key not in curves:
                curves[key] = Curve()
            curves[key].add(step, value)
            if value - value != 0:
                self._lost(key, step, value)
        if None in event.values():
            for name in [name for name, value in event.items() if value is None and name not in names]:
                self._lost(f"{phase}/{printable(name)[:80]}", step, as_figure(None, lost, name))

    def _lost(self, name: str, step: int, value: float | None) -> None:
        if name in self.not_finite or len(self.not_finite) < NAMES_KEPT:
            lost = self.not_finite.setdefault(name, NotFinite())
            lost.count, lost.step, lost.what = lost.count + 1, step, said(value)


_TOLD: dict[str, Callable[[RunState, Mapping[str, Any]], None]] = {
    "start": RunState._start,
    "fit": RunState._fit,
    "step": RunState._step,
    "eval": RunState._eval,
    "trained": RunState._trained,
    "alert": RunState._alert,
    "failed": RunState._failed,
    "interrupted": RunState._failed,
    "best": RunState._best,
    "resumed": RunState._resumed,
    "halved": RunState._halved,
    "checkpoint_failed": RunState._checkpoint_failed,
}
"""Handlers by event name; other events are only counted."""


def as_figure(value: Any, lost: Any = None, name: str = "") -> float | None:
    """Return a figure as a float: NaN for null, infinite if the event says so, None for anything else.

    Args:
        value: The value in the event.
        lost: The event's ``not_finite``.
        name: Name of the figure.
    """
    if value.__class__ is float:
        return value
    if value is None:
        infinite = {"Infinity": math.inf, "-Infinity": -math.inf}
        return infinite.get(str(lost.get(name)), math.nan) if isinstance(lost, dict) else math.nan
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return None


def said(value: float | None, digits: str = ".4g") -> str:
    """Format a figure for display: NaN and infinity by name, a dash if there is none."""
    if value is None:
        return "-"
    if math.isnan(value):
        return "NaN"
    return f"{value:{digits}}" if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


def as_text(value: Any) -> str:
    """Return a text of an event, safe to show, or a number; otherwise an empty string."""
    if isinstance(value, str):
        return printable(value)[:LONGEST_TEXT]
    if isinstance(value, float):
        return said(value)
    return str(value) if isinstance(value, int) and abs(value) < 1e15 else ""
