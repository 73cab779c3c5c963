"""Where the user types."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from rct_lightning.sanitize import printable


class Prompt(TextArea):
    """Several lines that grow with the text; Enter sends, Ctrl+J breaks the line.

    What is pasted passes the sanitiser: a pasted text is somebody's, and is shown.
    """

    DEFAULT_CSS = "Prompt { height: auto; min-height: 3; max-height: 10; }"
    BINDINGS: ClassVar[list[BindingType]] = [  # before TextArea, which would take Enter for a line's end
        Binding("enter", "send", "Send", show=False, priority=True),
        Binding("ctrl+j,shift+enter,alt+enter", "newline", "Break the line", show=False, priority=True),
        Binding("pageup", "app.page(-1)", "Up", show=False, priority=True),
        Binding("pagedown", "app.page(1)", "Down", show=False, priority=True),
    ]

    class Sent(Message):
        """Something is to be sent."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self) -> None:
        super().__init__(placeholder="Enter sends, Ctrl+J breaks the line, /help", highlight_cursor_line=False)
        self.cursor_blink = False  # nothing moves while nobody does anything

    def action_send(self) -> None:
        """Hand the text over; it stays until it is taken.

        Textual looks for such a binding when a key arrives, and letters are put in when their turn comes: of what is
        typed faster than that, those before Enter are waited for.
        """
        self.call_later(self._send)

    def _send(self) -> None:
        if self.text.strip():
            self.post_message(self.Sent(self.text))

    def action_newline(self) -> None:
        """Break the line, behind the letters that were typed before."""
        self.call_later(self._break)

    def _break(self) -> None:
        self.replace("\n", *self.selection, maintain_selection_offset=False)

    def put(self, text: str) -> None:
        """Have a text to go on from."""
        self.text = text
        self.move_cursor(self.document.end)

    def on_paste(self, event: events.Paste) -> None:
        """Take the printable part."""
        event.prevent_default()
        event.stop()
        self.replace(printable(event.text), *self.selection, maintain_selection_offset=False)
