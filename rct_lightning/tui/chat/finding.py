"""The list of earlier conversations, searched as the user types."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, OptionList
from textual.widgets.option_list import Option

from rct_lightning.errors import UserError
from rct_lightning.tui.chat.history import Found, History
from rct_lightning.tui.chat.turns import Plain

LONGEST = 200
"""Characters of a text shown in the list."""


class Finding(ModalScreen[str | None]):
    """A screen that returns the name of a conversation, or None.

    Args:
        history: The history to search.
        words: Initial search words.
    """

    DEFAULT_CSS = """
    Finding { align: center middle; }
    Finding > Vertical { width: 90%; height: 90%; background: $surface; border: round $primary; }
    Finding OptionList { height: 1fr; border: none; }
    Finding Input { margin: 0 0 1 0; }
    Finding .count { color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back"),
        Binding("down", "move(1)", "Down"),
        Binding("up", "move(-1)", "Up"),
    ]

    def __init__(self, history: History, words: str = "") -> None:
        super().__init__()
        self._history, self._words = history, words
        self.found: Sequence[Found] = ()

    def compose(self) -> ComposeResult:
        """Yield the search input, the results, and their count."""
        with Vertical():
            words = Input(self._words, placeholder="Words to look for", select_on_focus=False, compact=True)
            words.cursor_blink = False
            yield words
            yield OptionList(markup=False, compact=True)
            yield Plain(classes="count")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Search at once."""
        self._look(self._words)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._look(event.value)

    def _look(self, words: str) -> None:
        try:
            self.found = self._history.search(words) if words.strip() else self._history.conversations()
        except UserError as error:
            self.query_one(".count", Plain).put(str(error))
            return
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(Content(_line(found)), id=str(at)) for at, found in enumerate(self.found)])
        if self.found:
            options.highlighted = 0
        what = "Exchanges with these words" if words.strip() else "Conversations"
        self.query_one(".count", Plain).put(f"{what}: {len(self.found)}. Enter opens the marked one.")

    def action_move(self, by: int) -> None:
        """Highlight the next or the previous result; the input keeps the focus."""
        options = self.query_one(OptionList)
        options.action_cursor_down() if by > 0 else options.action_cursor_up()

    @on(Input.Submitted)
    def _entered(self) -> None:
        at = self.query_one(OptionList).highlighted
        if at is not None:
            self.dismiss(self.found[at].conversation)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self.found[event.option_index].conversation)


def _line(found: Found) -> str:
    when = datetime.fromtimestamp(found.asked).astimezone().strftime("%Y-%m-%d %H:%M")
    said, reply = (" ".join(text.split())[:LONGEST] for text in (found.text, found.reply))
    return f"{when}  {said}\n    {reply}"
