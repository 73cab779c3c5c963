"""The chat's slash commands and their keys."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from rct_lightning.errors import UserError
from rct_lightning.reading import shown


@dataclass(frozen=True)
class Command:
    """A slash command.

    Attributes:
        name: Name without the slash.
        takes: Argument it takes.
        says: Help text.
        key: Key that runs the command without an argument, in Textual's notation; empty if there is none.
        label: Label of the key in the footer.
    """

    name: str
    takes: str
    says: str
    key: str = ""
    label: str = ""


COMMANDS = (
    Command("help", "", "this list", "f1", "Help"),
    Command("stop", "", "stop the reply; what was said is kept", "escape", "Stop"),
    Command("again", "", "reply once more, with another seed", "ctrl+r", "Again"),
    Command("edit", "", "edit the last thing you said, send it anew", "ctrl+g", "Edit"),
    Command("copy", "[all]", "copy the last reply, or the conversation", "ctrl+l", "Copy"),
    Command("compare", "[on|off]", "adapter on and off, side by side", "ctrl+t", "A/B"),
    Command("history", "[WORDS]", "earlier conversations, or those with WORDS", "ctrl+o", "Find"),
    Command("new", "", "begin a conversation anew", "ctrl+n", "New"),
    Command("save", "[FILE]", "as .md to read, or as .jsonl for a corpus", "ctrl+s", "Save"),
    Command("set", "[NAME VALUE]", "show the settings, change one, or /set reset"),
    Command("memory", "[on|off|N]", "show what was fed of earlier conversations"),
    Command("model", "", "what answers"),
    Command("delete", "yes", "remove this conversation for good"),
    Command("quit", "", "end the chat", "ctrl+q", "Quit"),
)
BY_NAME = {command.name: command for command in COMMANDS}
OTHER_KEYS = (("Enter", "send"), ("Ctrl+J", "break the line"), ("PageUp, PageDown", "look back, and forth"))


def parse(text: str) -> tuple[str, str] | None:
    """Parse a command and its argument; return None if the text is a message to the model.

    A message that begins with a slash is typed with two.

    Raises:
        UserError: There is no such command.
    """
    if not text.startswith("/") or text.startswith("//"):
        return None
    name, _, rest = text[1:].strip().partition(" ")
    if name not in BY_NAME:
        alike = difflib.get_close_matches(name, BY_NAME, n=1)
        hint = f"Did you mean /{alike[0]}? " if alike else ""
        raise UserError(
            f"{shown('/' + name)}: no such command. {hint}/help lists them; // at the beginning says a slash."
        )
    return name, rest.strip()


def as_typed(text: str) -> str:
    """Return a message to the model as it is typed, so that :func:`parse` does not take it for a command."""
    return f"/{text}" if text.startswith("/") else text


def help_lines() -> list[str]:
    """Return the help for all commands and keys."""
    lines = [f"{key:30}{says}" for key, says in OTHER_KEYS]
    for command in COMMANDS:
        usage = f"/{command.name} {command.takes}".strip()
        lines.append(f"{usage:22}{key_name(command.key):8}{command.says}")
    return lines


def key_name(key: str) -> str:
    """Return a key as it is displayed: Ctrl+R, Esc, F1."""
    return "Esc" if key == "escape" else "+".join(part.capitalize() for part in key.split("+"))
