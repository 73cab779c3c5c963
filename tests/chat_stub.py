"""A chat whose model is a script: what it says is known, and it speaks only when told to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import count
from pathlib import Path

from screens import as_text
from textual.pilot import Pilot

from rct_lightning.tui.chat.app import ChatApp
from rct_lightning.tui.chat.history import History
from rct_lightning.tui.chat.session import Session
from rct_lightning.tui.chat.settings import Settings
from rct_lightning.tui.chat.speaker import Done, Ended, How, Loaded, NotLoaded, Question, Said, Side, Tell
from rct_lightning.tui.chat.turns import ReplyView

NOON = 1_767_268_800.0  # 2026-01-01, 12:00 UTC
MODEL = Loaded("5f" * 32, "2026-01-01_nano", "data/nano", "cpu")
REPLIES = ("I am here. **The kettle** is warm.", "Yes, I remember the lantern.")


class Script:
    """A speaker that gives replies in order, starting over after the last.

    Args:
        replies: Texts, or lists of pieces.
        model: The model that it reports as loaded, or NotLoaded.
        at_once: Give each reply as soon as it is asked for; otherwise the test calls :meth:`say` and :meth:`end`.
    """

    def __init__(
        self,
        replies: Sequence[str | Iterable[str]] = REPLIES,
        model: Loaded | NotLoaded | None = MODEL,
        *,
        at_once: bool = True,
    ) -> None:
        self.replies, self.model, self.at_once = replies, model, at_once
        self.questions: list[Question] = []
        self.stopped = self.closed = 0
        self.tell: Tell = lambda event: None

    def start(self, tell: Tell) -> None:
        self.tell = tell
        if self.model is not None:
            tell(self.model)

    def ask(self, question: Question) -> None:
        self.questions.append(question)
        if self.at_once:
            reply = self.replies[(len(self.questions) - 1) % len(self.replies)]
            for side in question.sides:
                self.say(*([reply] if isinstance(reply, str) else reply), side=side)
                self.end(side=side)
            self.done()

    def say(self, *pieces: str, side: Side = "tuned") -> None:
        for piece in pieces:
            self.tell(Said(side, piece))

    def end(self, how: How = "eos", *, side: Side = "tuned", gain: float | None = None, turns_cut: int = 0) -> None:
        if gain is None and len(self.questions[-1].context) > turns_cut:
            gain = 0.125
        self.tell(Ended(side, how, 9, turns_cut, gain))

    def done(self, failed: str = "") -> None:
        self.tell(Done(failed))

    def stop(self) -> None:
        self.stopped += 1
        if self.questions:
            self.end("stopped")
            self.done()

    def close(self) -> None:
        self.closed += 1


def fixed_session(path: Path | None = None, settings: Settings | None = None, prefix: str = "chat") -> Session:
    """A session with fixed clock, seeds and names: one minute per exchange from noon on."""
    minutes, seeds, names = count(), count(1), count(1)
    return Session(
        History(path),
        settings,
        clock=lambda: NOON + 60 * next(minutes),
        new_seed=lambda: next(seeds),
        new_name=lambda: f"{prefix}-{next(names)}",
    )


def converse(
    session: Session, *texts: str, replies: Sequence[str | Iterable[str]] = REPLIES, model: Loaded = MODEL
) -> None:
    """Return exchanges as the screen would create them: the user's messages, each answered completely."""
    session.model = model
    for number, text in enumerate(texts):
        question = session.ask(text)
        for side in question.sides:
            reply = replies[number % len(replies)]
            for piece in [reply] if isinstance(reply, str) else reply:
                session.said(Said(side, piece))
            session.ended(Ended(side, "eos", 9, 0, 0.125 if question.context else None))
        session.done(Done())


def make_chat(speaker: Script | None = None, session: Session | None = None, notice: str = "") -> ChatApp:
    """The chat with a scripted model; nothing in it moves by itself."""
    app = ChatApp(speaker or Script(), session or fixed_session(), notice)
    app.animation_level = "none"
    return app


def drive(app: ChatApp, steps: Callable[[Pilot[None]], Awaitable[None]], size: tuple[int, int] = (80, 24)) -> None:
    """Run the application without a terminal and drive it with ``steps``."""

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await until(lambda: app.focused is app.prompt)
            await steps(pilot)

    asyncio.run(run())


async def until(condition: Callable[[], object]) -> None:
    """Let the application work until a condition holds; never for a fixed time."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("this has not come about")


async def settled(pilot: Pilot[None]) -> str:
    """Return the screen, once nothing on it changes and no reply waits to be drawn."""
    await until(lambda: all(view.saved for view in pilot.app.query(ReplyView)))
    seen = ""
    while seen != (seen := as_text(pilot.app)):
        await pilot.pause()
    return seen
