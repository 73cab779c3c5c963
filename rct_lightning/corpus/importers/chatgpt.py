"""ChatGPT's export: ``conversations.json`` or ``conversations-000.json`` …, a ``mapping`` of nodes that form a tree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from rct_lightning.corpus.conversation import Conversation, Tally, Utterance, conversation_id
from rct_lightning.corpus.fields import instant, mapping, role, sequence, text
from rct_lightning.corpus.importers.base import Format, Source
from rct_lightning.corpus.importers.tree import Node, newest_path

CITATION = re.compile("[ \t]?(?:\ue200[^\ue200\ue201]{0,4000}\ue201|【[^【】\n]{0,300}†[^【】\n]{0,300}】)")
STRAY = re.compile("\ue200\\w+(?:\ue202[^\\s\ue200-\ue206]*)+|[\ue200-\ue206]")
"""What is left of a mark without its end, or a part of one."""
MARKS = "\ue200\ue201\ue202\ue203\ue204\ue205\ue206【"
NO_DIALOGUE = {
    "code",
    "execution_output",
    "thoughts",
    "reasoning_recap",
    "user_editable_context",
    "tether_quote",
    "tether_browsing_display",
    "system_error",
}


def claims(record: Mapping[str, Any]) -> bool:
    """Return whether an object is one of ChatGPT's conversations."""
    return "mapping" in record


def read(source: Source) -> Iterator[Conversation]:
    """Yield the conversations of an export, each on the branch that its owner sees."""
    for where, record in source.records():
        nodes = {key: node for key, node in mapping(record.get("mapping")).items() if isinstance(node, dict)}
        if not nodes:
            source.tally.drop("conversations without messages", where)
            continue
        keys = list(nodes)
        leaf = record.get("current_node")
        path = newest_path(_tree(nodes), source.tally, where, leaf if isinstance(leaf, str) else None)
        seen = [keys[index] for index in path]
        elsewhere = nodes.keys() - set(seen)
        others = sum(role(mapping(_message(nodes[key]).get("author")).get("role")) is not None for key in elsewhere)
        source.tally.drop("messages on other branches", where, others)
        said = [_said(_message(nodes[key]), source.tally, where) for key in seen if _message(nodes[key])]
        turns = tuple(turn for turn in said if turn is not None)
        yield Conversation(
            id=conversation_id(record.get("id") or record.get("conversation_id"), FORMAT.name, turns),
            source=FORMAT.name,
            turns=turns,
            title=text(record.get("title")) or None,
            time=instant(record.get("create_time")),
        )


def _message(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(node.get("message"))


def _tree(nodes: Mapping[str, Mapping[str, Any]]) -> list[Node]:
    """Return the nodes of the tree; the parent of a node that names none is the one that lists it as a child."""
    by_child = {
        child: key for key, node in nodes.items() for child in sequence(node.get("children")) if isinstance(child, str)
    }
    tree = []
    for key, node in nodes.items():
        parent = node.get("parent")
        if not isinstance(parent, str):
            parent = by_child.get(key)
        tree.append(Node(key, parent, instant(_message(node).get("create_time"))))
    return tree


def _said(message: Mapping[str, Any], tally: Tally, where: str) -> Utterance | None:
    """Return the message as an utterance, or None if it is not part of the dialogue."""
    side = role(mapping(message.get("author")).get("role"))
    content = mapping(message.get("content"))
    kind = text(content.get("content_type"))
    to = message.get("recipient")
    if mapping(message.get("metadata")).get("is_visually_hidden_from_conversation") or _weightless(message):
        why = "hidden messages"
    elif side is None:
        why = "messages of neither side (system, tools, unknown)"
    elif side == "assistant" and isinstance(to, str) and to != "all":
        why = "messages to tools"
    elif kind in NO_DIALOGUE:
        why = f"messages that are no dialogue ({kind})"
    else:
        return Utterance(side, _text(content, kind, tally, where), instant(message.get("create_time")))
    tally.drop(why, where)
    return None


def _weightless(message: Mapping[str, Any]) -> bool:
    weight = message.get("weight")
    return isinstance(weight, int | float) and weight == 0


def _text(content: Mapping[str, Any], kind: str, tally: Tally, where: str) -> str:
    """Return texts and transcriptions of a message, without citations; empty for unknown kinds of content."""
    if kind not in ("text", "multimodal_text", ""):
        tally.drop("messages that are no dialogue (of another kind)", where)
        return ""
    spoken = []
    for part in sequence(content.get("parts")):
        if isinstance(part, str):
            spoken.append(part)
        elif mapping(part).get("content_type") == "audio_transcription" and isinstance(part.get("text"), str):
            spoken.append(part["text"])
        else:
            tally.drop("pictures, sounds and files inside messages", where)
    joined = "\n\n".join(part for part in spoken if part)
    if any(mark in joined for mark in MARKS):  # a substring search is much cheaper than a regex
        joined, count = CITATION.subn(_visible, joined)
        tally.change("citation marks taken out", where, count)
        joined = STRAY.sub("", joined)
    return joined


def _visible(found: re.Match[str]) -> str:
    """Return what a mark shows in the text: the name of an entity, the label of a link, nothing of a citation."""
    blank, _, mark = found.group().partition("\ue200")
    kind, _, rest = mark.rstrip("\ue201").partition("\ue202")
    shown: Any = ""
    if kind == "url":
        shown = rest.split("\ue202")[0]
    elif kind == "entity":
        with suppress(ValueError, LookupError, TypeError):
            shown = json.loads(rest)[1]
    return f"{blank}{shown}" if shown and isinstance(shown, str) else ""


FORMAT = Format("chatgpt", "ChatGPT: conversations.json, conversations-000.json …", claims, read)
