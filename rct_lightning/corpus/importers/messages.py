"""``{"messages": [{"role": …, "content": …}]}``, the shape of chat data sets and of many chat programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rct_lightning.corpus.conversation import Conversation
from rct_lightning.corpus.fields import mapping, sequence
from rct_lightning.corpus.importers.base import Format, Source
from rct_lightning.corpus.importers.turns import conversation, utterances


def claims(record: Mapping[str, Any]) -> bool:
    """Return whether an object has this shape."""
    turns = sequence(record.get("messages"))
    return any("role" in mapping(turn) and "content" in mapping(turn) for turn in turns)


def read(source: Source) -> Iterator[Conversation]:
    """Yield one conversation per object."""
    for where, record in source.records():
        turns = utterances(record.get("messages"), "role", "content", source.tally, where)
        yield from conversation(record, FORMAT.name, turns, source.tally, where)


FORMAT = Format("messages", 'messages: {"messages": [{"role": …, "content": …}]}', claims, read)
