"""ShareGPT: ``{"conversations": [{"from": …, "value": …}], "system": …}``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rct_lightning.corpus.conversation import Conversation
from rct_lightning.corpus.fields import mapping, sequence
from rct_lightning.corpus.importers.base import UNDER, Format, Source
from rct_lightning.corpus.importers.turns import conversation, utterances


def claims(record: Mapping[str, Any]) -> bool:
    """Return whether an object has this shape."""
    return any("from" in mapping(turn) and "value" in mapping(turn) for turn in sequence(record.get(UNDER)))


def read(source: Source) -> Iterator[Conversation]:
    """Yield one conversation per object."""
    for where, record in source.records():
        turns = utterances(record.get(UNDER), "from", "value", source.tally, where)
        source.tally.drop("system prompts", where, bool(record.get("system")))
        yield from conversation(record, FORMAT.name, turns, source.tally, where)


FORMAT = Format("sharegpt", 'ShareGPT: {"conversations": [{"from": …, "value": …}]}', claims, read)
