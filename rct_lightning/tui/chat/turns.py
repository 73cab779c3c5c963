"""The conversation on the screen. No text here is ever interpreted as Textual's own markup."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from typing import cast

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.utils import EnvType
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Markdown, Static
from textual.widgets.markdown import MarkdownBlock, MarkdownFence

from rct_lightning.tui.chat.export import NAMES, how_made
from rct_lightning.tui.chat.history import Exchange, SavedReply
from rct_lightning.tui.chat.speaker import Side

SECONDS_A_FRAME = 1 / 12
"""Between two draws of new text: the screen's work does not grow with the model's speed."""
SHARE_FOR_DRAWING = 1 / 6
"""Maximum share of the time: a long list takes long to redraw, and a key pressed meanwhile has to wait."""
SECONDS_AFTER_A_KEY, SECONDS_WITHOUT_DRAWING = 0.15, 0.5
"""While the user types, drawing waits for a pause, but for no longer than the second value."""
MOST_BLOCKS = 300
"""Maximum number of paragraphs, items and cells of a reply."""
SHOWN_AS_WRITTEN = ("link", "image", "autolink", "reference", "html_inline", "html_block", "entity")
"""Markdown that would hide a destination, an image's address, a comment, or a control character (``&#8238;``)."""


class Parser(MarkdownIt):
    """Markdown without links, images, HTML and entities: these are shown as written.

    So is the whole text if it has more than :data:`MOST_BLOCKS` blocks, since each becomes a widget: a reply with an
    endless list must not delay the keys.
    """

    def __init__(self) -> None:
        super().__init__("commonmark")
        self.enable(["table", "strikethrough"]).disable(SHOWN_AS_WRITTEN)

    def parse(self, src: str, env: EnvType | None = None) -> list[Token]:
        """Return the tokens of a text."""
        tokens = super().parse(src, env)
        if sum(token.block and token.nesting >= 0 for token in tokens) <= MOST_BLOCKS:
            return tokens
        return [Token("fence", "code", 0, content=src, map=[0, src.count("\n") + 1], block=True)]


class Code(MarkdownFence):
    """Code without highlighting: the language that a reply claims would select the lexer that parses it."""

    @classmethod
    def highlight(cls, code: str, language: str, ansi: bool = False, dark: bool = False) -> Content:
        """Return the code without colours."""
        return Content(code)


class Written(Markdown):
    """A reply rendered as Markdown."""

    DEFAULT_CSS = "Written { padding: 0; margin: 0; }"
    BLOCKS: dict[str, type[MarkdownBlock]] = {**Markdown.BLOCKS, "fence": Code, "code_block": Code}

    def __init__(self, text: str) -> None:
        super().__init__(text, parser_factory=Parser, open_links=False)


class Plain(Static):
    """A text shown literally."""

    DEFAULT_CSS = "Plain { height: auto; }"

    def __init__(self, text: str = "", *, classes: str = "", id: str | None = None) -> None:
        super().__init__(Content(text), markup=False, classes=classes, id=id)

    def put(self, text: str) -> None:
        """Replace the text."""
        self.update(Content(text))


class ReplyView(Vertical):
    """A reply: its speaker, the text as it grows, and how it was made."""

    DEFAULT_CSS = """
    ReplyView { height: auto; width: 1fr; padding: 0 1 0 0; }
    ReplyView .made { color: $text-muted; }
    ReplyView .who { color: $accent; text-style: bold; }
    """

    def __init__(self, side: Side, saved: SavedReply | None = None) -> None:
        super().__init__()
        self.side, self.saved = side, saved
        self.text = saved.text if saved else ""
        self._drawn = len(self.text)
        self._drawing = asyncio.Lock()
        self._begun = self._rested = self._rests_until = 0.0
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Yield name, text, and how it was made."""
        yield Plain(NAMES[self.side], classes="who")
        yield Written(self.text)
        yield Plain(_made(self.saved) if self.saved else "writing ...", classes="made")

    def on_mount(self) -> None:
        """Poll for new text while the reply is being written."""
        if self.saved is None:
            self._timer = self.set_interval(SECONDS_A_FRAME, self._draw)

    def say(self, text: str) -> None:
        """Append text."""
        self.text += text

    def give_way(self) -> None:
        """Postpone drawing after a key press, since another may follow soon."""
        now = time.monotonic()
        if now - self._rested < SECONDS_WITHOUT_DRAWING:
            self._rests_until = max(self._rests_until, now + SECONDS_AFTER_A_KEY)

    async def finish(self, saved: SavedReply) -> None:
        """Show the whole reply, redrawn: an incomplete table or list may have been rendered differently."""
        if self._timer is not None:
            self._timer.stop()
        self.query_one(".made", Plain).put(_made(saved))
        async with self._drawing:
            await self.query_one(Written).update(saved.text)
            self.saved, self.text, self._drawn = saved, saved.text, len(saved.text)

    async def _draw(self) -> None:
        new = self.text[self._drawn :]
        if not new or time.monotonic() < self._rests_until or self._drawing.locked():
            return
        async with self._drawing:
            self._begun, self._rests_until = time.monotonic(), math.inf
            self._drawn = len(self.text)
            await self.query_one(Written).append(new)
        self.call_after_refresh(self._rest)

    def _rest(self) -> None:
        """Pause after a draw: the longer it took, the longer the pause."""
        now = self._rested = time.monotonic()
        self._rests_until = now + (now - self._begun) * (1 / SHARE_FOR_DRAWING - 1)


class ExchangeView(Vertical):
    """The user's message and its replies, side by side if there are two."""

    DEFAULT_CSS = """
    ExchangeView { height: auto; margin: 0 0 1 0; }
    ExchangeView .you { border-left: thick $primary; padding: 0 0 0 1; margin: 0 0 1 0; }
    ExchangeView .sides { layout: horizontal; height: auto; }
    """

    def __init__(self, exchange: Exchange, sides: Sequence[Side] = ()) -> None:
        super().__init__()
        self.exchange = exchange
        self._views = [ReplyView(side) for side in sides] or self._kept()

    def compose(self) -> ComposeResult:
        """Yield the message and its replies."""
        yield Plain(self.exchange.text, classes="you")
        yield Container(*self._views, classes="sides")

    async def answer_again(self, sides: Sequence[Side]) -> None:
        """Replace the replies by new ones."""
        await self._show([ReplyView(side) for side in sides])

    async def put_back(self) -> None:
        """Restore the former replies."""
        await self._show(self._kept())

    def give_way(self) -> None:
        """Postpone drawing while the user types."""
        for view in self._views:
            view.give_way()

    def view(self, side: Side) -> ReplyView:
        """Return the reply of a side."""
        return next(view for view in self._views if view.side == side)

    def _kept(self) -> list[ReplyView]:
        return [ReplyView(cast(Side, reply.side), reply) for reply in self.exchange.replies]

    async def _show(self, views: list[ReplyView]) -> None:
        self._views, place = views, self.query_one(".sides")
        with self.app.batch_update():
            await place.remove_children()
            await place.mount(*views)


def _made(saved: SavedReply) -> str:
    return how_made(saved) if saved.text else f"(nothing) {how_made(saved)}"
