"""Reads lists of turns with a role and a text each, as in data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rct_lightning.corpus.conversation import Conversation, Tally, Utterance, conversation_id
from rct_lightning.corpus.fields import instant, mapping, role, sequence, text

IDS = ("id", "conversation_id", "conversation", "uuid")
TIMES = ("timestamp", "create_time", "created_at", "time")
TITLES = ("title", "name")
SPOKEN = ("text", "input_text", "output_text")
"""Types of the parts that are text; the last two as in OpenAI's Responses API."""


def conversation(
    record: Mapping[str, Any], format_name: str, turns: tuple[Utterance, ...], tally: Tally, where: str
) -> Iterator[Conversation]:
    """Yield the conversation of an object of a data set; one without turns is only counted."""
    if not turns:
        tally.drop("conversations without messages", where)
        return
    name = conversation_id(first(record, IDS), format_name, turns, local=True)
    yield Conversation(
        id=name,
        source=format_name,
        turns=turns,
        title=text(first(record, TITLES)) or None,
        time=instant(first(record, TIMES)),
        local=frozenset({name}),
    )


def utterances(turns: Any, who: str, what: str, tally: Tally, where: str) -> tuple[Utterance, ...]:
    """Return the turns of the two sides.

    Args:
        turns: A list of objects.
        who: The key of the role.
        what: The key of the text: a string, or a list of strings and of objects of a type in :data:`SPOKEN`.
        tally: Where turns of other roles are counted.
        where: The conversation, for the report.
    """
    found = []
    for turn in sequence(turns):
        side = role(mapping(turn).get(who))
        if side is None:
            tally.drop("messages of neither side (system, tools, unknown)", where)
            continue
        time = next((at for key in TIMES if (at := instant(turn.get(key))) is not None), None)
        found.append(Utterance(side, plain(turn.get(what), tally, where), time))
    return tuple(found)


def plain(content: Any, tally: Tally, where: str) -> str:
    """Return the text of a content field, which is a string or a list of parts."""
    if isinstance(content, str):
        return content
    spoken = []
    for part in sequence(content):
        words = part if isinstance(part, str) else mapping(part).get("text")
        if isinstance(words, str) and mapping(part).get("type", "text") in SPOKEN:
            spoken.append(words)
        else:
            tally.drop("pictures, sounds and files inside messages", where)
    return "\n\n".join(part for part in spoken if part)


def first(record: Any, keys: Sequence[str]) -> Any:
    """Return the value under the first of some keys that is present and not empty."""
    return next((value for key in keys if (value := record.get(key)) not in (None, "")), None)
