"""Conversion of conversations to rows; no other module derives rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from rct_lightning.corpus.conversation import Conversation, Tally, Utterance
from rct_lightning.corpus.fields import iso
from rct_lightning.dialogue import Example, Turn
from rct_lightning.sanitize import printable


def examples(conversation: Conversation, tally: Tally) -> Iterator[Example]:
    """Yield a row for every answered user turn, with all of the conversation before it as context.

    Consecutive turns of one side are merged. Turns that have no counterpart are left out and counted: assistant turns
    before the first user turn, replies to a message that is not text, and a last user turn without an answer.

    Args:
        conversation: A conversation; its ready-made rows are passed on unchanged.
        tally: Where omissions are counted.

    Yields:
        Rows with the ids ``<conversation>-1``, ``-2``, …; none if no turn is answered.
    """
    if conversation.rows:
        yield from conversation.rows
        return
    where = f"{conversation.source} conversation {conversation.id}"
    turns = take_turns(conversation.turns, tally, where)
    if len(turns) % 2:
        tally.drop("user turns without an answer", where)
    if len(turns) < 2:
        tally.drop("conversations without an answered turn", where)
    about: dict[str, Any] = {}
    if conversation.title and printable(conversation.title).strip():
        about["title"] = printable(conversation.title).strip()
    if conversation.reconstructed:
        about["reconstructed"] = True
    said: tuple[Turn, ...] = ()
    for number, (human, assistant) in enumerate(zip(turns[::2], turns[1::2], strict=False), start=1):
        time = next((t for t in (human.time, assistant.time, conversation.time) if t is not None), None)
        yield Example(
            id=f"{conversation.id}-{number}",
            conversation=conversation.id,
            input=human.content,
            output=assistant.content,
            context=said,
            source=conversation.source,
            extra=about if time is None else {"time": iso(time)} | about,
        )
        said += (Turn("human", human.content), Turn("assistant", assistant.content))


def take_turns(turns: Iterable[Utterance], tally: Tally, where: str) -> list[Utterance]:
    """Return the turns merged so that sides alternate and the user begins; turns with empty text are dropped."""
    taken: list[Utterance] = []
    unheard = False  # the last user turn was not text: a reply to it would seem to answer an earlier turn
    for role, group in groupby(turns, key=lambda turn: turn.role):
        run = [Utterance(role, tidy(turn.content), turn.time) for turn in group]
        spoken = [turn for turn in run if turn.content]
        tally.drop("messages without text", where, len(run) - len(spoken))
        if role == "human":
            unheard = not spoken
        elif unheard:
            tally.drop("replies to a message without text", where, len(spoken))
            continue
        elif not taken:
            tally.drop("assistant turns before the first user turn", where, len(spoken))
            continue
        if taken and taken[-1].role == role:
            spoken.insert(0, taken.pop())
        if spoken:
            tally.change("messages merged with the one before, of the same side", where, len(spoken) - 1)
            content = "\n\n".join(turn.content for turn in spoken)
            taken.append(Utterance(role, content, spoken[0].time))
    return taken


def tidy(content: str) -> str:
    """Return the text with Unix line ends, without NUL characters and without surrounding white space."""
    if "\r" in content:
        content = content.replace("\r\n", "\n").replace("\r", "\n")
    return content.replace("\0", "").strip()
