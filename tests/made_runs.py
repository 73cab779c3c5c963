"""Synthetic run directories as training leaves them: every figure is a function of its step, every time is fixed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

BEGUN = 1_750_000_000.0
"""Time of the first event, in seconds since 1970."""
PROCESS = {"pid": 4321, "host": "here", "pid_namespace": None, "process_started": "boot 77"}
PROMPTS = ("Good morning, Aelara.", "What are you?")


def step(at: int, **changes: Any) -> dict[str, Any]:
    """A training event; gradients were measured at every fiftieth step."""
    figures: dict[str, Any] = {
        "lm": 2.0 + 500 / (at + 100), "presence": 400 / (at + 50), "coherence": 8.0 - at / 100, "continuity": 7.5,
        "total": 9.0 - at / 200, "lr": 0.002 * (1 - at / 400), "activity/presence": 0.5, "activity/coherence": 0.25,
        "activity/continuity": 0.125, "perf/reply_tokens_per_s": 420.0 + at % 30, "perf/peak_memory_mib": 1200.0 + at,
    }  # fmt: skip
    if at % 50 == 0:
        figures |= {"grad/lm_norm": 2.0 - at / 300, "grad/presence_norm": 3.0, "grad/presence_cosine_lm": -0.1}
    return {"time": BEGUN + 10 + at, "event": "step", "step": at, **figures, **changes}


def evaluation(at: int, **changes: Any) -> dict[str, Any]:
    """An evaluation."""
    figures = {"lm": 2.2 + 500 / (at + 100), "presence": 6.0, "total": 9.5 - at / 200, "perplexity": 40.0}
    return {"time": BEGUN + 10.5 + at, "event": "eval", "step": at, **figures, **changes}


def alert(at: int, **changes: Any) -> dict[str, Any]:
    """An alert of a health rule."""
    words = {
        "rule": "rising",
        "seen": "the loss rose",
        "means": "It learns by heart.",
        "remedy": "Stop.",
        "fatal": False,
    }
    return {"time": BEGUN + 10.6 + at, "event": "alert", "step": at, **words, **changes}


def told(last: int = 200) -> list[dict[str, Any]]:
    """Return the events of a run of 400 steps up to some step."""
    found = [
        {"time": BEGUN, "event": "start", "step": 0},
        evaluation(0),
        {"time": BEGUN + 10, "event": "fit", "step": 0, "total_steps": 400},
    ]
    for at in range(10, last + 1, 10):
        found.append(step(at))
        if at % 100 == 0:
            found.append(evaluation(at))
    return found


def lines(events: Iterable[dict[str, Any]]) -> bytes:
    """Return the events as they are in the file."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def make_run(root: Path, events: Iterable[dict[str, Any]] | None = None, state: str = "running", **status: Any) -> Path:
    """Make a run's directory with events, samples, checks and a status.

    Args:
        root: The directory.
        events: Those of :func:`told` by default.
        state: State in the status; empty for no status.
        status: Other entries of the status, overriding what a run writes.
    """
    root.mkdir(parents=True)
    (root / "config.yaml").write_text("{}\n", encoding="utf-8")
    (root / "events.jsonl").write_bytes(lines(told() if events is None else events))
    if state:
        known = {"state": state, "step": 200, "heartbeat": BEGUN + 220, **PROCESS} | status
        (root / "status.json").write_text(json.dumps(known), encoding="utf-8")
    write_samples(root, {prompt: "I hear you, and I am here." for prompt in PROMPTS})
    checks = [
        {"guard": "labels", "status": "ok", "seen": "labels decode to the reply", "remedy": ""},
        {"guard": "markers", "status": "warn", "seen": "2% of the rows are marked", "remedy": "Give more."},
    ]
    (root / "checks.json").write_text(json.dumps(checks), encoding="utf-8")
    return root


def write_samples(root: Path, replies: dict[str, str], at: int = 200) -> None:
    """Write a round of samples and the base's."""
    base = [f"Prompt: {prompt}\nResponse: The house stood by the river.\n" for prompt in replies]
    (root / "baseline_generation.txt").write_text("\n".join(base), encoding="utf-8", errors="replace")
    rounds = [f"=== step {number} ===" for number in (0, at)]
    said = [f"Prompt: {prompt}\nGreedy: {reply}\nSampled: {reply}\n" for prompt, reply in replies.items()]
    text = "\n".join([rounds[0], "Prompt: x\nGreedy: y\nSampled: z\n", rounds[1], *said])
    (root / "generation_samples.txt").write_text(text, encoding="utf-8", errors="replace")
