"""ShareGPT: ``{"conversations": [{"from": …, "value": …}], "system": …}``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rct_lightning.corpus.conversation import Conversation, conversation_id
from rct_lightning.corpus.fields import instant, mapping, sequence, text
from rct_lightning.corpus.importers.base import UNDER, Format, Source
from rct_lightning.corpus.importers.messages import IDS
from rct_lightning.corpus.importers.turns import TIMES, TITLES, first, utterances


def claims(record: Mapping[str, Any]) -> bool:
    """Whether an object is of this shape."""
    return any("from" in mapping(turn) and "value" in mapping(turn) for turn in sequence(record.get(UNDER)))


def read(source: Source) -> Iterator[Conversation]:
    """One conversation for each object."""
    for where, record in source.records():
        turns = utterances(record.get(UNDER), "from", "value", source.tally, where)
        source.tally.drop("system prompts", where, bool(record.get("system")))
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


FORMAT = Format("sharegpt", 'ShareGPT: {"conversations": [{"from": …, "value": …}]}', claims, read)
