"""Grok's export: ``prod-grok-backend.json``, with doubly wrapped objects, times in three formats, several roots."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rct_lightning.corpus.conversation import Conversation, Tally, Utterance, conversation_id
from rct_lightning.corpus.fields import instant, mapping, role, sequence, text
from rct_lightning.corpus.importers.base import UNDER, Format, Source
from rct_lightning.corpus.importers.tree import Node, newest_path

NEITHER = {"system", "tool", "function", ""}
"""Senders that are neither side; every unknown name is a model's."""
RENDERED = re.compile(r"[ \t]?<grok:render\b[^<>]{0,1000}>.{0,2000}?</grok:render>", re.S)


def claims(record: Mapping[str, Any]) -> bool:
    """Return whether an object is the export, or one of its conversations."""
    inner = sequence(record.get(UNDER))
    one = mapping(inner[0]) if inner else record
    return isinstance(one.get("conversation"), dict) and isinstance(one.get("responses"), list)


def read(source: Source) -> Iterator[Conversation]:
    """Yield the conversations of an export, each on the branch that ends at its ``leaf_response_id``."""
    for where, record in source.records(under=UNDER):
        about = mapping(record.get("conversation"))
        responses = [_unwrapped(entry) for entry in sequence(record.get("responses"))]
        messages = [message for message in responses if message]
        source.tally.drop("messages that are no JSON objects", where, len(responses) - len(messages))
        if not messages:
            source.tally.drop("conversations without messages", where)
            continue
        nodes = [
            Node(_id(message.get("_id")) or f"#{index}", _id(message.get("parent_response_id")), _time(message))
            for index, message in enumerate(messages)
        ]
        path = newest_path(nodes, source.tally, where, _id(about.get("leaf_response_id")))
        source.tally.drop("messages on other branches", where, len(messages) - len(path))
        said = [_said(messages[index], source.tally, where) for index in path]
        turns = tuple(turn for turn in said if turn is not None)
        yield Conversation(
            id=conversation_id(_id(about.get("id")), FORMAT.name, turns),
            source=FORMAT.name,
            turns=turns,
            title=text(about.get("title")) or None,
            time=instant(about.get("create_time")),
        )


def _unwrapped(entry: Any) -> Mapping[str, Any]:
    inner = mapping(entry).get("response")
    return inner if isinstance(inner, dict) else {}


def _id(value: Any) -> str | None:
    """Return an id as a string; a Mongo dump writes ``{"$oid": …}``."""
    value = value.get("$oid") if isinstance(value, dict) else value
    return value if isinstance(value, str) and value else None


def _time(message: Mapping[str, Any]) -> float | None:
    return instant(message.get("create_time"))


def _said(message: Mapping[str, Any], tally: Tally, where: str) -> Utterance | None:
    sender = text(message.get("sender")).strip().lower()
    if sender in NEITHER:
        tally.drop("messages of neither side (system, tools, unknown)", where)
        return None
    tally.drop("attachments and files", where, len(sequence(message.get("file_attachments"))))
    content = text(message.get("message"))
    if "<grok:render" in content:
        content, count = RENDERED.subn("", content)
        tally.change("citation marks taken out", where, count)
    return Utterance(role(sender) or "assistant", content, _time(message))


FORMAT = Format("grok", "Grok: prod-grok-backend.json", claims, read)
