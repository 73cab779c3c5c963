"""The way to the model: what is asked, what is told, and the process in which the model lives.

The process is spawned, so that the screen is drawn before any heavy library is imported, and a key never waits for
one: importing torch holds Python's lock for seconds where it is done in a thread.
"""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Literal, Protocol

from rct_lightning.dialogue import Turn
from rct_lightning.runs import WhichAdapter
from rct_lightning.tui.chat.settings import Settings

SECONDS_TO_END = 1.0
Side = Literal["tuned", "base"]
"""The adapter on, or off."""
How = Literal["eos", "turn", "limit", "stopped"]
"""How a reply ended: by EOS, where a next turn would begin, at the most tokens, or because it was stopped."""


@dataclass(frozen=True)
class Question:
    """What is asked of the model.

    Attributes:
        text: The user's.
        context: Earlier turns, oldest first; the oldest are dropped where they do not fit.
        seed: The same for all sides.
        settings: How tokens are chosen.
        sides: Who answers, one after the other.
    """

    text: str
    context: tuple[Turn, ...]
    seed: int
    settings: Settings
    sides: tuple[Side, ...] = ("tuned",)


@dataclass(frozen=True)
class Stop:
    """End the present answer within one token."""


@dataclass(frozen=True)
class Close:
    """Nobody asks any more."""


@dataclass(frozen=True)
class Loaded:
    """The model is ready.

    Attributes:
        model: SHA-256 of the adapter, by which it is remembered wherever its folder goes.
        name: Of its run.
        base: Name of its base.
        device: Where it is.
    """

    model: str
    name: str
    base: str
    device: str


@dataclass(frozen=True)
class NotLoaded:
    """There is no model, and why."""

    why: str


@dataclass(frozen=True)
class Said:
    """A piece of a reply."""

    side: Side
    text: str


@dataclass(frozen=True)
class Ended:
    """A reply is over.

    Attributes:
        side: Whose.
        how: By what.
        tokens: Of the reply.
        turns_cut: The oldest turns that did not fit.
        gain: Nats per token that the history gave it (docs/chat.md); None without a history.
    """

    side: Side
    how: How
    tokens: int
    turns_cut: int
    gain: float | None


@dataclass(frozen=True)
class Done:
    """Everybody has answered, or ``failed`` says why not."""

    failed: str = ""


Event = Loaded | NotLoaded | Said | Ended | Done
Tell = Callable[[Event], None]
"""Takes events, from any thread."""


class Speaker(Protocol):
    """Somebody who answers."""

    def start(self, tell: Tell) -> None:
        """Get ready; ends with :class:`Loaded` or :class:`NotLoaded`."""

    def ask(self, question: Question) -> None:
        """Answer: :class:`Said` and :class:`Ended` for each side, then :class:`Done`."""

    def stop(self) -> None:
        """End the present answer within one token."""

    def close(self) -> None:
        """Nobody asks any more."""


class ProcessSpeaker:
    """A run's model in a process of its own.

    Args:
        run: A run's folder, or ``latest``.
        which: Its last adapter or the one of its best evaluation.
        accelerator: auto, cpu, gpu or mps.
    """

    def __init__(self, run: str = "latest", which: WhichAdapter = "last", accelerator: str = "auto") -> None:
        self._model = (run, which, accelerator)
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    def start(self, tell: Tell) -> None:
        """Start the process and a thread that listens to it."""
        from rct_lightning.tui.chat.serving import serve

        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        process = spawn.Process(target=serve, args=(theirs, *self._model), daemon=True, name="rct-chat-model")
        with redirect_stderr(sys.__stderr__):  # Textual's has no descriptor, and spawning hands it on
            process.start()
        self._process = process
        theirs.close()  # so that its end is seen here
        threading.Thread(target=self._listen, args=(tell,), daemon=True).start()

    def ask(self, question: Question) -> None:
        """Send a question."""
        self._send(question)

    def stop(self) -> None:
        """Send word."""
        self._send(Stop())

    def close(self) -> None:
        """Let the process end; where it is still loading and hears nothing, end it."""
        process, self._process = self._process, None
        if process is not None:
            self._send(Close())
            process.join(SECONDS_TO_END)
            process.terminate()
            process.join(SECONDS_TO_END)

    def _send(self, message: Question | Stop | Close) -> None:
        assert self._connection is not None
        with suppress(OSError):  # it has ended, which _listen tells
            self._connection.send(message)

    def _listen(self, tell: Tell) -> None:
        connection, process = self._connection, self._process
        assert connection is not None and process is not None
        loaded = refused = False
        while True:
            try:
                event = connection.recv()
            except (EOFError, OSError):
                break
            loaded, refused = loaded or isinstance(event, Loaded), isinstance(event, NotLoaded)
            tell(event)
        process.join(2)
        if self._process is None or refused:  # closed, or it had nothing more to say
            return
        why = f"The process of the model ended (exit code {process.exitcode}); perhaps the memory was not enough."
        if loaded:
            tell(Done(why))
        tell(NotLoaded(why))
