"""A run's current state, for a single query: every byte is read, but only lines that matter to the answer are parsed.

Nearly all lines of a long run are training steps, and later steps supersede those in the middle. So the beginning and
the end are parsed, and in between whatever is not a step (alerts, evaluations, lines that are not events), and steps
with figures that were not finite. None of these is missed, and all lines are counted.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from rct_lightning.runs import RunDir
from rct_lightning.tui.monitor.follow import Follower
from rct_lightning.tui.monitor.state import RunState

AT_THE_END = 2
"""Chunks at the end of the file, the last of which may be short, that are parsed completely."""
_STEP = rb'\{"time": [0-9.]+, "event": "step", '
_NO_STEP_BEHIND, _NO_STEP = re.compile(rb"\n(?!%b|\Z)" % _STEP), re.compile(rb"(?!%b)" % _STEP)
_EVALUATION = re.compile(rb'\{"time": [0-9.]+, "event": "eval", ')
_NOT_FINITE = b'"not_finite"'


def glance(run: RunDir) -> RunState:
    """Return a run's current state; of a long file, curves lack steps in the middle, and nothing else is missing.

    A figure that the last thousand or so steps lack, though earlier ones had it, counts as unknown.

    Raises:
        OSError: The events file exists and cannot be read.
    """
    follower, state, waiting = Follower(run.events), RunState(), deque[bytes]()
    while True:
        before = follower.offset
        piece, anew = follower.piece()
        if anew:
            state, waiting = RunState(), deque()
        elif follower.offset == before:
            break
        if state.events == 0:
            state.fold(piece.split(b"\n"))
            continue
        waiting.append(piece)
        if len(waiting) > AT_THE_END:
            _fold_midst(state, waiting.popleft())
    for piece in waiting:
        state.fold(piece.split(b"\n"))
    return state


def _fold_midst(state: RunState, piece: bytes) -> None:
    """Parse whatever is not a usual step; of consecutive evaluations, the last."""
    passed, evaluation = piece.count(b"\n"), b""
    for line in _unusual(piece):
        if _EVALUATION.match(line) and _NOT_FINITE not in line:
            evaluation = line
            continue
        passed -= 1 + bool(evaluation)
        state.fold([evaluation, line])
        evaluation = b""
    passed -= bool(evaluation)
    state.fold([evaluation])
    state.events += passed


def _unusual(text: bytes) -> Iterator[bytes]:
    """Yield lines that are not training steps or hold figures that were not finite, in order."""
    begins = {found.end() for found in (_NO_STEP.match(text), *_NO_STEP_BEHIND.finditer(text)) if found}
    at = text.find(_NOT_FINITE)
    while at >= 0:
        begins.add(text.rfind(b"\n", 0, at) + 1)
        at = text.find(_NOT_FINITE, at + 1)
    for begin in sorted(begins):
        yield text[begin : text.find(b"\n", begin)]
