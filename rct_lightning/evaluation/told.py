"""A run's own records, read defensively: missing or damaged ones count as not kept, and the report says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rct_lightning.errors import UserError
from rct_lightning.reading import parse, read_object
from rct_lightning.runs import RunDir


@dataclass(frozen=True)
class Told:
    """The records in a run's directory besides its adapter.

    Attributes:
        environment: Versions, device, commit and data hashes of the training; empty if not kept.
        findings: Findings of the guards, as (guard, status, seen, remedy); None if not kept.
        events: The run's events; None if not kept.
        curves: Loss terms by step and phase.
        step: The last optimizer step; None if unknown.
        state: finished, stopped, ...; empty if unknown.
    """

    environment: Mapping[str, Any] = field(default_factory=dict)
    findings: list[tuple[str, str, str, str]] | None = None
    events: list[dict[str, Any]] | None = None
    curves: list[dict[str, Any]] = field(default_factory=list)
    step: int | None = None
    state: str = ""

    @classmethod
    def of(cls, run: RunDir) -> Told:
        """Read the records of a run."""
        status = run.read_status()
        step, state = status.get("step"), status.get("state")
        return cls(
            kept(run.environment),
            _findings(run),
            _events(run),
            run.read_loss_components(),
            step if type(step) is int else None,
            state if isinstance(state, str) else "",
        )

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that rules raised during training."""
        return [event for event in self.events or [] if event["event"] == "alert"]

    @property
    def began(self) -> str:
        """When training began, in UTC; empty if unknown."""
        times = [event["time"] for event in self.events or [] if isinstance(event.get("time"), int | float)]
        try:
            return f"{datetime.fromtimestamp(min(times), UTC):%Y-%m-%d %H:%M} UTC" if times else ""
        except (OverflowError, OSError, ValueError):  # a number that is not a valid time
            return ""

    def last(self, phase: str) -> dict[str, Any]:
        """Return the last losses of a phase; empty if there are none."""
        rows = [row for row in self.curves if row["phase"] == phase]
        return rows[-1] if rows else {}


def text_of(value: Any) -> str:
    """Render a value of untrusted JSON in words."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {text_of(each)}" for name, each in value.items())
    return "unknown" if value is None else str(value)


def kept(path: Path, *, strict: bool = True) -> dict[str, Any]:
    """Read a JSON object; empty if it is missing or unreadable (see :func:`reading.read_object`)."""
    try:
        return read_object(path, strict=strict)
    except UserError:
        return {}


def _findings(run: RunDir) -> list[tuple[str, str, str, str]] | None:
    try:
        found = parse(run.checks.read_bytes(), str(run.checks))
    except (OSError, UserError):
        return None
    if not isinstance(found, list):
        return None
    names = ("guard", "status", "seen", "remedy")
    rows = [[str(each.get(name, "")) for name in names] for each in found if isinstance(each, dict)]
    return [(guard, status, seen, remedy) for guard, status, seen, remedy in rows]


def _events(run: RunDir) -> list[dict[str, Any]] | None:
    try:
        return run.read_events()
    except UserError:
        return None
