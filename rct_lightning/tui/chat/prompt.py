"""The text area that the user types in."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from rct_lightning.sanitize import printable


class Prompt(TextArea):
    """Several lines that grow with the text; Enter sends, Ctrl+J inserts a line break.

    Pasted text is sanitised: it may come from anyone, and it is displayed.
    """

    DEFAULT_CSS = "Prompt { height: auto; min-height: 3; max-height: 10; }"
    BINDINGS: ClassVar[list[BindingType]] = [  # before TextArea's own, which would insert a line break on Enter
        Binding("enter", "send", "Send", show=False, priority=True),
        Binding("ctrl+j,shift+enter,alt+enter", "newline", "Break the line", show=False, priority=True),
        Binding("pageup", "app.page(-1)", "Up", show=False, priority=True),
        Binding("pagedown", "app.page(1)", "Down", show=False, priority=True),
    ]

    class Sent(Message):
        """A text was submitted."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self) -> None:
        super().__init__(placeholder="Enter sends, Ctrl+J breaks the line, /help", highlight_cursor_line=False)
        self.cursor_blink = False  # nothing on the screen moves while the user is idle

    def action_send(self) -> None:
        """Submit the text; it stays until it is accepted.

        Textual resolves such a binding when the key arrives but inserts letters later, when their turn comes; deferring
        the submission too keeps letters that were typed quickly before Enter.
        """
        self.call_later(self._send)

    def _send(self) -> None:
        if self.text.strip():
            self.post_message(self.Sent(self.text))

    def action_newline(self) -> None:
        """Insert a line break, after the letters that were typed before it."""
        self.call_later(self._break)

    def _break(self) -> None:
        self.replace("\n", *self.selection, maintain_selection_offset=False)

    def put(self, text: str) -> None:
        """Set a text to continue from."""
        self.text = text
        self.move_cursor(self.document.end)

    def on_paste(self, event: events.Paste) -> None:
        """Insert the printable part of a paste."""
        event.prevent_default()
        event.stop()
        self.replace(printable(event.text), *self.selection, maintain_selection_offset=False)
