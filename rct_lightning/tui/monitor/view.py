"""A run at one moment: its events, its status and its other files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rct_lightning.identity import Presence, presence
from rct_lightning.runs import RunDir
from rct_lightning.tui.monitor.files import (
    Finding,
    Kept,
    Samples,
    checked,
    list_kept,
    read_findings,
    read_samples,
)
from rct_lightning.tui.monitor.follow import Follower
from rct_lightning.tui.monitor.glance import glance
from rct_lightning.tui.monitor.state import RunState
from rct_lightning.tui.monitor.verdict import Verdict, judge

AT_A_TIME = 64
"""Lines folded in at a time, which takes a few milliseconds."""


@dataclass(frozen=True)
class Surroundings:
    """What a verdict depends on besides the run; tests replace it.

    Attributes:
        now: Returns the current time in seconds since 1970.
        presence: Looks up whether the process of a status exists.
    """

    now: Callable[[], float] = time.time
    presence: Callable[[Mapping[str, Any]], Presence] = presence


@dataclass(frozen=True)
class View:
    """What is shown of a run.

    Attributes:
        run: The run's directory.
        state: State from its events.
        verdict: Whether it is alive.
        samples: The newest replies.
        findings: The guards' findings before step 0.
        kept: Its checkpoints.
        read: Share of its events that were read; below 1 the curves show only part of them.
    """

    run: RunDir
    state: RunState
    verdict: Verdict
    samples: Samples
    findings: tuple[Finding, ...]
    kept: tuple[Kept, ...]
    read: float = 1.0


def whole_view(run: RunDir, surroundings: Surroundings | None = None) -> View:
    """View a run now, with every event read and every checkpoint compared, however long that takes.

    Raises:
        OSError: A file exists and cannot be read.
    """
    state = glance(run)
    found = (checked(run, kept) for kept in list_kept(run))
    return _view(run, state, surroundings or Surroundings(), tuple(kept for kept in found if kept is not None))


class Watch:
    """Follows a run: each look reads what has changed since the last one.

    A long file is skimmed first, so that the newest state and the outlines of the curves are available at once; then
    all of it is read in a background thread into a separate state, which replaces the first one when it has caught up.
    Checkpoints are compared with their manifests in another thread.

    Args:
        run: The run.
        surroundings: Clock and process lookup.
    """

    def __init__(self, run: RunDir, surroundings: Surroundings | None = None) -> None:
        self.run, self.surroundings = run, surroundings or Surroundings()
        self._compared: dict[Kept, Kept | None] = {}
        self._comparing: threading.Thread | None = None
        self._history: History | None = None
        self._begin()

    def _begin(self) -> None:
        self.close()
        self._follower, self._state = Follower(self.run.events), RunState()
        self._state.fold(self._follower.skim())
        if self._follower.skimmed:
            self._history = History(self.run)
            threading.Thread(target=_read, args=(self._history,), daemon=True).start()

    def look(self) -> View:
        """Return the current view of the run.

        Raises:
            OSError: The events file exists and cannot be read.
        """
        news = self._follower.more()
        if news.anew:
            self._begin()
        else:
            self._state.fold(news.lines)
        if self._history is not None and self._history.done:
            self._follower, self._state, self._history = self._history.follower, self._history.state, None
        share = 1.0 if self._history is None else min(self._history.share, 0.99)
        return _view(self.run, self._state, self.surroundings, self._kept(), share)

    def close(self) -> None:
        """Stop the background thread."""
        if self._history is not None:
            self._history.stop = True
            self._history = None

    def _kept(self) -> tuple[Kept, ...]:
        """Return the checkpoints as far as they were compared; one is compared at a time, the newest first."""
        listed = list_kept(self.run)
        self._compared = {kept: found for kept, found in self._compared.copy().items() if kept in listed}
        waiting = [kept for kept in listed if kept.soundness == "unchecked" and kept not in self._compared]
        if waiting and (self._comparing is None or not self._comparing.is_alive()):
            self._comparing = threading.Thread(target=self._compare, args=(waiting[0],), daemon=True)
            self._comparing.start()
        found = (self._compared.get(kept, kept) for kept in listed)
        return tuple(kept for kept in found if kept is not None)

    def _compare(self, kept: Kept) -> None:
        self._compared[kept] = checked(self.run, kept)


class History:
    """All events of a run, read into a state.

    Attributes:
        state: The state read so far.
        follower: The follower, with its position.
        done: Whether everything was read.
        stop: Set it to stop reading.
    """

    def __init__(self, run: RunDir) -> None:
        self.follower, self.state = Follower(run.events), RunState()
        self.stop = self.done = False

    @property
    def share(self) -> float:
        """Share of the file that was read."""
        return self.follower.offset / max(self.follower.size, 1)

    def read(self, rest: float = 0.0) -> None:
        """Read until there is nothing new.

        Args:
            rest: Seconds to sleep after every few lines, so that other threads of this process get their turn.
        """
        while not self.stop and not self.done:
            before = self.follower.offset
            news = self.follower.more()
            if news.anew:
                self.state = RunState()
            for start in range(0, len(news.lines), AT_A_TIME):
                self.state.fold(news.lines[start : start + AT_A_TIME])
                if rest:
                    time.sleep(rest)
            self.done = not news.anew and self.follower.offset == before


def _read(history: History) -> None:
    with suppress(OSError):  # the skimmed state stays on the screen
        history.read(rest=0.0005)


def _view(run: RunDir, state: RunState, surroundings: Surroundings, kept: tuple[Kept, ...], read: float = 1.0) -> View:
    verdict = judge(run.read_status(), state, surroundings.now(), surroundings.presence)
    return View(run, state, verdict, read_samples(run), read_findings(run), kept, read)
