"""``{"messages": [{"role": …, "content": …}]}``, the shape of chat data sets and of many programs that keep chats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rct_lightning.corpus.conversation import Conversation, conversation_id
from rct_lightning.corpus.fields import instant, mapping, sequence, text
from rct_lightning.corpus.importers.base import Format, Source
from rct_lightning.corpus.importers.turns import TIMES, TITLES, first, utterances

IDS = ("id", "conversation_id", "conversation", "uuid")


def claims(record: Mapping[str, Any]) -> bool:
    """Whether an object is of this shape."""
    turns = sequence(record.get("messages"))
    return any("role" in mapping(turn) and "content" in mapping(turn) for turn in turns)


def read(source: Source) -> Iterator[Conversation]:
    """One conversation for each object."""
    for where, record in source.records():
        turns = utterances(record.get("messages"), "role", "content", source.tally, where)
        if not turns:
            source.tally.drop("conversations without messages", where)
            continue
        yield Conversation(
            id=conversation_id(first(record, IDS), FORMAT.name, turns, local=True),
            source=FORMAT.name,
            turns=turns,
            title=text(first(record, TITLES)) or None,
            time=instant(first(record, TIMES)),
        )


FORMAT = Format("messages", 'messages: {"messages": [{"role": …, "content": …}]}', claims, read)
