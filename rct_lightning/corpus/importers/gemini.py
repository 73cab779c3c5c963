"""Gemini's activity in Google Takeout: ``MyActivity.json``, single prompts with their answers, newest first.

The file does not mark conversations. Prompts that follow each other within half an hour are joined to one, which is
marked as reconstructed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from rct_lightning.corpus.conversation import Conversation, Utterance
from rct_lightning.corpus.fields import instant, mapping, sequence, text
from rct_lightning.corpus.importers.base import Format, Source, until_damaged
from rct_lightning.corpus.importers.html import html_text
from rct_lightning.corpus.jsonstream import Damaged
from rct_lightning.errors import UserError

GAP = 30 * 60
"""Seconds without a prompt after which a new conversation begins."""
PROMPTED = "Prompted"
SHARED = 0.9
"""Least share of answered entries that must begin with the same words to detect "Prompted" in another language."""
FEWEST = 3
"""Least number of answered entries for this detection."""
SURVEYED = 10_000
"""Answered entries that are looked at for them."""
ATTACHED = re.compile(r"Attached (\d{1,3}) files?\b")
PRODUCTS = ("gemini", "bard")
AS_JSON = (
    "On the page of Google Takeout choose My Activity and there Gemini Apps alone, set the format of activity records "
    "to JSON, and import the MyActivity.json of that export"
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One entry: its time, the prompt and the answer."""

    time: float
    asked: str
    answered: str


def claims(record: Mapping[str, Any]) -> bool:
    """Return whether an object is an entry of Gemini's activity."""
    named = [record.get("header"), *sequence(record.get("products"))]
    ours = any(product in one.lower() for one in named if isinstance(one, str) for product in PRODUCTS)
    return "title" in record and ours


def read(source: Source) -> Iterator[Conversation]:
    """Yield the conversations, separated by time, in the order of the file if it is sorted, else oldest first."""
    order, verb = _survey(source)
    damage: list[Damaged] = []
    prompts: Iterable[Prompt] = until_damaged(_prompts(source, verb), damage)
    if order == "mixed":
        prompts = sorted(prompts, key=lambda prompt: prompt.time)
    sitting: list[Prompt] = []
    for prompt in prompts:
        if sitting and abs(prompt.time - sitting[-1].time) > GAP:
            yield _conversation(sitting[::-1] if order == "newest first" else sitting)
            sitting = []
        sitting.append(prompt)
    if sitting:
        yield _conversation(sitting[::-1] if order == "newest first" else sitting)
    if damage:
        raise damage[0]


def _conversation(sitting: list[Prompt]) -> Conversation:
    """Return prompts, oldest first, as a conversation; its id is the time of the first one, stable across exports."""
    turns: list[Utterance] = []
    for prompt in sitting:
        turns += [Utterance("human", prompt.asked, prompt.time), Utterance("assistant", prompt.answered, prompt.time)]
    began = datetime.fromtimestamp(sitting[0].time, UTC).strftime("%Y%m%dT%H%M%S")
    name = f"{FORMAT.name}-{began}{round(sitting[0].time % 1 * 1e6):06d}"
    return Conversation(name, FORMAT.name, tuple(turns), reconstructed=True)


def _prompts(source: Source, verb: str) -> Iterator[Prompt]:
    for where, record in source.records():
        asked, time, answer = text(record.get("title")), instant(record.get("time")), _answer(record)
        if not claims(record):
            source.tally.drop("entries of other products", where)
        elif not _begins(asked, verb):
            source.tally.drop("entries that are no prompts", where)
        elif time is None:
            source.tally.drop("prompts without a time", where)
        elif not answer:
            source.tally.drop("prompts without an answer", where)
        else:
            source.tally.drop("attachments and files", where, _attached(record))
            yield Prompt(time, _words_after(asked, verb), answer)


def _answer(record: Mapping[str, Any]) -> str:
    parts = (html_text(text(mapping(item).get("html"))) for item in sequence(record.get("safeHtmlItem")))
    return "\n\n".join(part for part in parts if part)


def _attached(record: Mapping[str, Any]) -> int:
    """Files beside a prompt: its subtitles say how many there are and name each after a dash."""
    named = [text(mapping(one).get("name")).strip() for one in sequence(record.get("subtitles"))]
    said = [int(found[1]) for name in named if (found := ATTACHED.match(name))]
    return max(sum(name.startswith("-") for name in named), *said, len(sequence(record.get("attachedFiles"))))


def _begins(title: str, verb: str) -> bool:
    count = len(verb.split())
    return title.split(None, count)[:count] == verb.split()


def _words_after(title: str, verb: str) -> str:
    rest = title.split(None, len(verb.split()))
    return rest[-1] if len(rest) > len(verb.split()) else ""


def _survey(source: Source) -> tuple[str, str]:
    """Return the order of the entries (newest first, oldest first or mixed), and the words with which prompts begin.

    Raises:
        UserError: No entry can be recognised as a prompt.
    """
    times: list[float] = []
    beginnings: list[list[str]] = []
    english = False
    damage: list[Damaged] = []
    for _, record in until_damaged(source.records(again=True), damage):
        if not claims(record):
            continue
        time, words = instant(record.get("time")), text(record.get("title")).split(None, 6)[:6]
        times += [time] if time is not None else []
        english = english or words[:1] == [PROMPTED]
        if not english and words and sequence(record.get("safeHtmlItem")) and len(beginnings) < SURVEYED:
            beginnings.append(words)
    order = "mixed"
    if all(a >= b for a, b in pairwise(times)):
        order = "newest first"
    elif all(a <= b for a, b in pairwise(times)):
        order = "oldest first"
    verb = PROMPTED if english else _shared(beginnings)
    if not verb and damage:
        raise damage[0]
    if not verb:
        raise UserError(
            f"{source.member.name}: no entry begins with {PROMPTED!r}, and there is no other beginning that they "
            "share, so prompts cannot be told from other activity. Set the language of the Google account to English "
            "and export again."
        )
    return order, verb


def _shared(beginnings: list[list[str]]) -> str:
    """Return the longest beginning, in words, that nearly all titles share."""
    shared: tuple[str, ...] = ()
    if len(beginnings) >= FEWEST:
        for count in range(1, 6):
            found = Counter(tuple(words[:count]) for words in beginnings if len(words) > count).most_common(1)
            if not found or found[0][1] < SHARED * len(beginnings):
                break
            shared = found[0][0]
    return " ".join(shared)


FORMAT = Format("gemini", "Gemini: MyActivity.json of Google Takeout", claims, read)
