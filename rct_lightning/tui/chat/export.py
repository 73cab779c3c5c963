"""Save a conversation as a file: Markdown to read, or rows for a corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from rct_lightning.dialogue import Example, Turn, as_jsonl, is_visible
from rct_lightning.errors import UserError
from rct_lightning.replacing import replacing
from rct_lightning.tui.chat.history import Exchange, SavedReply

NAMES = {"tuned": "Aelara", "base": "Base (adapter off)"}


def save(exchanges: Sequence[Exchange], path: Path, *, replace: bool = False) -> str:
    """Write a conversation, as rows if the name ends in ``.jsonl`` and as Markdown otherwise.

    Args:
        exchanges: Oldest first.
        path: The file to write.
        replace: Whether to overwrite an existing file.

    Returns:
        A one-line summary of what was written.

    Raises:
        UserError: There is nothing to write, the file already exists, or it cannot be written.
    """
    if not replace and _is_there(path):
        raise UserError(f"{path}: this file is there already. Give another name.")
    if not _is_there(path.parent):  # rather a slip than the wish for a new folder
        raise UserError(f"{path}: cannot be written (there is no folder {path.parent}). Give another place.")
    if path.suffix == ".jsonl":
        found = rows(exchanges)
        text, left_out = as_jsonl(found), len(exchanges) - len(found)
        said = f"{path}: {len(found)} rows" + (f"; {left_out} without a whole reply left out" if left_out else "")
        if not found:
            raise UserError(f"{path}: nothing to save, no reply of this conversation is whole.")
    else:
        text, said = as_markdown(exchanges), f"{path}: {len(exchanges)} exchanges"
        if not exchanges:
            raise UserError(f"{path}: nothing to save, nothing was said in this conversation yet.")
    try:
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from None
    return said


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:  # a name that no disk takes
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be written ({error.strerror}). Give another place.")


def rows(exchanges: Sequence[Exchange]) -> list[Example]:
    """Return rows for a corpus: each complete reply with the turns before it.

    Replies that were stopped or cut at the token limit do not become rows, since a model would learn to end there; they
    remain in the context of later rows. Turns of earlier conversations go to ``memory``, not to ``context``: they are
    part of another conversation, which may be on the other side of a split.
    """
    found = []
    context: tuple[Turn, ...] = ()
    for number, exchange in enumerate(exchanges, start=1):
        reply = exchange.reply
        if reply is not None and reply.how in ("eos", "turn") and is_visible(reply.text) and is_visible(exchange.text):
            extra = {"memory": [asdict(turn) for turn in reply.memory]} if reply.memory else {}
            found.append(
                Example(
                    id=f"{exchange.conversation}-{number}",
                    conversation=exchange.conversation,
                    input=exchange.text,
                    output=reply.text,
                    context=context,
                    source="chat",
                    extra=extra,
                )
            )
        context += exchange.turns
    return found


def as_markdown(exchanges: Sequence[Exchange]) -> str:
    """Render a conversation for reading, with how each reply was made."""
    parts = []
    for exchange in exchanges:
        when = datetime.fromtimestamp(exchange.asked).astimezone().strftime("%Y-%m-%d %H:%M")
        parts.append(f"**You**, {when}\n\n{exchange.text}\n")
        parts += [
            f"**{NAMES[reply.side]}**, {how_made(reply)}\n\n{reply.text or '(nothing)'}\n" for reply in exchange.replies
        ]
    return "\n---\n\n".join(parts)


def how_made(reply: SavedReply) -> str:
    """Describe in one line how a reply ended and what it was made with."""
    ends = {"stopped": "stopped, ", "limit": "cut at the most tokens, "}
    gain = "—" if reply.gain is None else f"{reply.gain:+.3f} nats/token"
    remembered = f" + {len(reply.memory)} remembered" if reply.memory else ""
    return (
        f"{ends.get(reply.how, '')}{reply.tokens} tokens, seed {reply.seed}, coherence {gain}, "
        f"context {reply.turns} turns{remembered}"
    )
