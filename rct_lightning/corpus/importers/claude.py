"""Claude's export: ``conversations.json``, a list of conversations with ``chat_messages`` that form a tree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rct_lightning.corpus.conversation import Conversation, Tally, Utterance, conversation_id
from rct_lightning.corpus.fields import instant, mapping, role, sequence, text
from rct_lightning.corpus.importers.base import Format, Source
from rct_lightning.corpus.importers.tree import Node, newest_path

ROOT = "00000000-0000-4000-8000-000000000000"
PLACEHOLDER = re.compile(
    r"(?:```\w{0,20}\s{0,4})?(?:This block is not supported on your current device yet\."
    r"|Viewing artifacts created via the Analysis Tool web feature preview isn.t yet supported on mobile\.)"
    r"(?:\s{0,4}```)?"
)
"""Text that the export inserts in place of a tool's block."""
BEGINNINGS = ("This block is not supported", "Viewing artifacts created")


def claims(record: Mapping[str, Any]) -> bool:
    """Return whether an object is one of Claude's conversations."""
    return "chat_messages" in record


def read(source: Source) -> Iterator[Conversation]:
    """Yield the conversations of an export, each on its newest branch."""
    for where, record in source.records():
        messages = [message for message in sequence(record.get("chat_messages")) if isinstance(message, dict)]
        if not messages:
            source.tally.drop("conversations without messages", where)
            continue
        path = newest_path(_nodes(messages), source.tally, where)
        source.tally.drop("messages on other branches", where, len(messages) - len(path))
        said = [_said(messages[index], source.tally, where) for index in path]
        turns = tuple(turn for turn in said if turn is not None)
        yield Conversation(
            id=conversation_id(record.get("uuid"), FORMAT.name, turns),
            source=FORMAT.name,
            turns=turns,
            title=text(record.get("name")) or None,
            time=instant(record.get("created_at")),
        )


def _nodes(messages: Sequence[Mapping[str, Any]]) -> list[Node]:
    """Return the nodes of the tree; a message without the parent key follows the previous one in the file."""
    nodes: list[Node] = []
    for index, message in enumerate(messages):
        own = text(message.get("uuid")) or f"#{index}"
        parent = message.get("parent_message_uuid")
        if "parent_message_uuid" not in message:
            parent = nodes[-1].id if nodes else None
        elif parent == ROOT or not isinstance(parent, str):
            parent = None
        nodes.append(Node(own, parent, instant(message.get("created_at"))))
    return nodes


def _said(message: Mapping[str, Any], tally: Tally, where: str) -> Utterance | None:
    side = role(message.get("sender"))
    if side is None:
        tally.drop("messages of neither side (system, tools, unknown)", where)
        return None
    content = _content(message, tally, where)
    if any(begin in content for begin in BEGINNINGS):  # a substring search is much cheaper than a regex
        content, count = PLACEHOLDER.subn("", content)
        tally.drop("placeholders of blocks that the export leaves out", where, count)
    attached = len(sequence(message.get("attachments"))) + len(sequence(message.get("files")))
    tally.drop("attachments and files", where, attached)
    return Utterance(side, content, instant(message.get("created_at")))


def _content(message: Mapping[str, Any], tally: Tally, where: str) -> str:
    """Return the text of the text blocks; the message's ``text`` only if there are no other blocks and no block text.

    ``text`` joins thinking and answer, so it is unusable if there are blocks of other types.
    """
    spoken, others = [], 0
    for block in sequence(message.get("content")):
        kind = mapping(block).get("type")
        if kind == "text" and isinstance(block.get("text"), str):
            spoken.append(block["text"])
        else:
            others += 1
            tally.drop(f"blocks that are no text ({_kind(kind)})", where)
    joined = "\n\n".join(part for part in spoken if part)
    return joined if joined or others else text(message.get("text"))


def _kind(kind: Any) -> str:
    known = ("thinking", "redacted_thinking", "tool_use", "tool_result", "text")
    return kind if kind in known else "of another kind"


FORMAT = Format("claude", "Claude: conversations.json", claims, read)
