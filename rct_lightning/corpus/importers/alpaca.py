"""Alpaca: ``{"instruction": …, "input": …, "output": …, "system": …, "history": [[question, answer], …]}``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rct_lightning.corpus.conversation import Conversation, Utterance, conversation_id
from rct_lightning.corpus.fields import sequence, text
from rct_lightning.corpus.importers.base import Format, Source
from rct_lightning.corpus.importers.turns import IDS, first


def claims(record: Mapping[str, Any]) -> bool:
    """Return whether an object has this shape."""
    return "instruction" in record and "output" in record


def read(source: Source) -> Iterator[Conversation]:
    """Yield one conversation per object: its history, then instruction and input, then the output."""
    for where, record in source.records():
        turns: list[Utterance] = []
        for exchange in sequence(record.get("history")):
            said = sequence(exchange)
            if len(said) == 2 and all(isinstance(one, str) for one in said):
                turns += [Utterance("human", said[0]), Utterance("assistant", said[1])]
            else:
                source.tally.drop("exchanges of a history that are no pair of texts", where)
        asked = [part for key in ("instruction", "input") if (part := text(record.get(key)).strip())]
        turns += [Utterance("human", "\n\n".join(asked)), Utterance("assistant", text(record.get("output")))]
        source.tally.drop("system prompts", where, bool(record.get("system")))
        name = conversation_id(first(record, IDS), FORMAT.name, turns, local=True)
        yield Conversation(name, FORMAT.name, tuple(turns), local=frozenset({name}))


FORMAT = Format("alpaca", 'Alpaca: {"instruction": …, "input": …, "output": …}', claims, read)
