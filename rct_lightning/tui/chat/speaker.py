"""The link to the model: questions, events, and the process in which the model runs.

The process is spawned, so that the screen is drawn before any heavy library is imported, and no key waits for one:
importing torch in a thread would hold Python's lock for seconds.
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
"""How a reply ended: at EOS, where a next turn would begin, at the token limit, or because it was stopped."""


@dataclass(frozen=True)
class Question:
    """A question for the model.

    Attributes:
        text: The user's message.
        context: Earlier turns, oldest first; the oldest are dropped if they do not fit.
        seed: The seed, the same for all sides.
        settings: How tokens are sampled.
        sides: The sides that answer, one after the other.
    """

    text: str
    context: tuple[Turn, ...]
    seed: int
    settings: Settings
    sides: tuple[Side, ...] = ("tuned",)


@dataclass(frozen=True)
class Stop:
    """Request to end the current answer within one token."""


@dataclass(frozen=True)
class Close:
    """Request to end the process."""


@dataclass(frozen=True)
class Loaded:
    """The model is ready.

    Attributes:
        model: SHA-256 of the adapter, which identifies it wherever its folder is moved.
        name: Name of its run.
        base: Name of its base.
        device: Device it is on.
    """

    model: str
    name: str
    base: str
    device: str


@dataclass(frozen=True)
class NotLoaded:
    """The model could not be loaded, and why."""

    why: str


@dataclass(frozen=True)
class Said:
    """A piece of a reply."""

    side: Side
    text: str


@dataclass(frozen=True)
class Ended:
    """A reply has ended.

    Attributes:
        side: The side that replied.
        how: How it ended.
        tokens: Number of tokens of the reply.
        turns_cut: Number of oldest turns that did not fit.
        gain: Gain of the reply from the history, nats per token (docs/chat.md); None without a history.
    """

    side: Side
    how: How
    tokens: int
    turns_cut: int
    gain: float | None


@dataclass(frozen=True)
class Done:
    """All sides have answered, or ``failed`` says why not."""

    failed: str = ""


Event = Loaded | NotLoaded | Said | Ended | Done
Tell = Callable[[Event], None]
"""A callback for events, callable from any thread."""


class Speaker(Protocol):
    """Answers questions."""

    def start(self, tell: Tell) -> None:
        """Prepare; ends with :class:`Loaded` or :class:`NotLoaded`."""

    def ask(self, question: Question) -> None:
        """Answer: :class:`Said` and :class:`Ended` for each side, then :class:`Done`."""

    def stop(self) -> None:
        """End the current answer within one token."""

    def close(self) -> None:
        """Release the model."""


class ProcessSpeaker:
    """A run's model in its own process.

    Args:
        run: A run's folder, or ``latest``.
        which: The run's last adapter, or that of its best evaluation.
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
        with redirect_stderr(sys.__stderr__):  # Textual's stream has no descriptor, and spawning inherits it
            process.start()
        self._process = process
        theirs.close()  # so that the end of the process is noticed here
        threading.Thread(target=self._listen, args=(tell,), daemon=True).start()

    def ask(self, question: Question) -> None:
        """Send a question."""
        self._send(question)

    def stop(self) -> None:
        """Request to end the current answer."""
        self._send(Stop())

    def close(self) -> None:
        """Ask the process to end; terminate it if it does not, such as while it is still loading."""
        process, self._process = self._process, None
        if process is not None:
            self._send(Close())
            process.join(SECONDS_TO_END)
            process.terminate()
            process.join(SECONDS_TO_END)

    def _send(self, message: Question | Stop | Close) -> None:
        assert self._connection is not None
        with suppress(OSError):  # the process has ended, which _listen reports
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
