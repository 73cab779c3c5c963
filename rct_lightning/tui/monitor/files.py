"""A run's files other than its events: samples, the guards' findings and checkpoints. Texts are made safe to show."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rct_lightning import checkpoint
from rct_lightning.replacing import PART
from rct_lightning.runs import STEP, RunDir
from rct_lightning.sanitize import printable

MOST_BYTES = 2**16
"""Maximum number of bytes read, from the end, of a file of samples or of findings."""
LONGEST_TEXT = 2000
_STEP = re.compile(r"=== step (\d{1,15}) ===")

Soundness = Literal["whole", "damaged", "unfinished", "unchecked", "adapter"]


@dataclass(frozen=True)
class Sample:
    """A prompt and the replies to it.

    Attributes:
        prompt: One of the fixed prompts.
        base: The base's reply, empty if none was kept.
        greedy: The newest greedy reply.
        sampled: The newest sampled reply.
    """

    prompt: str
    base: str
    greedy: str
    sampled: str


@dataclass(frozen=True)
class Samples:
    """The newest round of replies; ``step`` is None before the first round."""

    step: int | None = None
    rows: tuple[Sample, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A guard's finding before step 0."""

    guard: str
    status: str
    seen: str
    remedy: str


@dataclass(frozen=True)
class Kept:
    """A folder in ``checkpoints/``.

    Attributes:
        name: Name of the folder.
        size: Size in bytes.
        soundness: ``whole``: every byte matches the manifest. ``damaged``: some do not. ``unfinished``: it is being
            written, or was never committed. ``unchecked``: not compared yet. ``adapter``: that of the best evaluation,
            without a manifest.
        changed: When one of its files was last written, in nanoseconds since 1970.
        problem: What is wrong with it.
    """

    name: str
    size: int
    soundness: Soundness
    changed: int = 0
    problem: str = ""


def read_samples(run: RunDir) -> Samples:
    """Read the newest replies with the base's; an incomplete round is shown as far as it is written."""
    base = dict(_pairs(_end_of(run.baseline_generation), "Response"))
    text = _end_of(run.generation_samples)
    step, rounds = None, _STEP.split(text)
    if len(rounds) < 3:
        return Samples()
    step, newest = int(rounds[-2]), rounds[-1]
    sampled = dict(_pairs(newest, "Sampled"))
    rows = [
        Sample(prompt, base.get(prompt, ""), said, sampled.get(prompt, "")) for prompt, said in _pairs(newest, "Greedy")
    ]
    return Samples(step, tuple(rows))


def _pairs(text: str, who: str) -> list[tuple[str, str]]:
    """Return prompts and what ``who`` replied to them."""
    found, prompt = [], ""
    for line in text.split("\n"):
        name, colon, words = line.partition(": ")
        if colon and name == "Prompt":
            prompt = printable(words)[:LONGEST_TEXT]
        elif colon and name == who and prompt:
            found.append((prompt, printable(words)[:LONGEST_TEXT]))
    return found


def read_findings(run: RunDir) -> tuple[Finding, ...]:
    """Read the guards' findings; empty if there are none, or the file is not one of theirs."""
    try:
        found = json.loads(_end_of(run.checks))
    except (ValueError, RecursionError):
        return ()
    names = ("guard", "status", "seen", "remedy")
    return tuple(
        Finding(*(printable(each[name])[:LONGEST_TEXT] for name in names))
        for each in (found if isinstance(found, list) else [])
        if isinstance(each, dict) and all(isinstance(each.get(name), str) for name in names)
    )


def list_kept(run: RunDir) -> tuple[Kept, ...]:
    """List ``checkpoints/``, newest first; nothing is compared with its manifest yet."""
    try:
        folders = [path for path in run.checkpoints.iterdir() if path.is_dir()]
    except OSError:
        return ()
    named = [(path, path.name.removeprefix(".").removesuffix(PART)) for path in folders]
    known = [(path, int(name.rpartition("-")[2])) for path, name in named if STEP.fullmatch(name)]
    known.sort(key=lambda pair: (pair[1], pair[0].name), reverse=True)
    return tuple(_kept(path) for path, _ in known)


def _kept(folder: Path) -> Kept:
    found = []
    for path in folder.glob("*"):
        with suppress(OSError):  # removed meanwhile
            found.append(path.stat())
    size, changed = sum(each.st_size for each in found), max((each.st_mtime_ns for each in found), default=0)
    return Kept(folder.name, size, _soundness(folder), changed)


def _soundness(path: Path) -> Soundness:
    if path.name.startswith("."):
        return "unfinished"
    if path.name.startswith("best-"):
        return "adapter"
    return "unchecked" if (path / checkpoint.MARKER).is_file() else "unfinished"


def checked(run: RunDir, kept: Kept) -> Kept | None:
    """Compare a checkpoint with its manifest, byte by byte; return None if it was removed meanwhile."""
    if kept.soundness != "unchecked":
        return kept
    folder = run.checkpoints / kept.name
    try:
        checkpoint.check(folder)
    except checkpoint.CheckpointError as error:
        if not (folder / checkpoint.MARKER).is_file():  # removed while it was read, its marker first
            return None
        problem = printable(str(error).removeprefix(f"{folder}: "))
        return replace(kept, soundness="damaged", problem=problem)
    return replace(kept, soundness="whole")


def _end_of(path: Path) -> str:
    """Return the end of a file, empty if it cannot be read."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - MOST_BYTES, 0))
            return file.read(MOST_BYTES).decode("utf-8", errors="replace")
    except OSError:
        return ""
