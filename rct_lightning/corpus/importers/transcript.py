"""Transcripts without roles: plain text, Markdown and RTF, with the user's map of speakers."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from rct_lightning.corpus.conversation import Conversation, Utterance, conversation_id
from rct_lightning.corpus.importers.base import Format, Source
from rct_lightning.corpus.speakers import EXAMPLE, Speakers
from rct_lightning.errors import UserError

LARGEST = 32 << 20
"""Maximum size of a transcript in bytes; it is read as a whole."""
RTF = b"{\\rtf"


def claims(record: Mapping[str, Any]) -> bool:
    """Return False: no JSON object is a transcript."""
    return False


def read(source: Source) -> Iterator[Conversation]:
    """Yield one conversation for the whole file.

    Raises:
        UserError: There is no map, no line begins with a speaker of it, or the file is not readable text.
    """
    file = source.member.name
    if source.speakers is None:
        raise UserError(f"{file}: a transcript does not say who speaks. Give --speakers FILE: {EXAMPLE}.")
    lines = _lines(source)
    turns = tuple(_turns(lines, source.speakers, source))
    if not turns and not source.member.asked:
        source.tally.drop("text files in which no line begins with a speaker of the map", file)
        return
    if not turns:
        shown = next((line.strip()[:60] for line in lines if line.strip()), "")
        raise UserError(
            f"{file}: no line begins with a speaker of the map; its first one is {shown!r}. A map is {EXAMPLE}."
        )
    stem = PurePosixPath(source.member.base).stem
    name = conversation_id(stem, FORMAT.name, turns, local=True)
    yield Conversation(name, FORMAT.name, turns, title=stem, local=frozenset({name}))


def _turns(lines: list[str], speakers: Speakers, source: Source) -> Iterator[Utterance]:
    side, spoken = "before", [""]
    for number, line in enumerate([*lines, None], start=1):
        begins = speakers.of(line) if line is not None else ("end", "")
        if begins is None:
            spoken.append(str(line))
            continue
        content = "\n".join(spoken).strip()
        where = f"{source.member.name}, before line {number}"
        if side == "human" or side == "assistant":
            yield Utterance(side, content)  # type: ignore[arg-type]
        elif content:
            source.tally.drop(
                "parts before the first speaker" if side == "before" else "parts that the map skips", where
            )
        side, spoken = begins[0], [begins[1]]


def _lines(source: Source) -> list[str]:
    name = source.member.name
    if source.member.size > LARGEST:
        raise UserError(f"{name}: over {LARGEST >> 20} MiB are no transcript of one conversation. Split the file.")
    raw = source.member.read(LARGEST + 1)
    if source.advance is not None:
        source.advance(len(raw))
    content = _rtf(raw, name) if raw.lstrip().startswith(RTF) else _decoded(raw, name)
    return content.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n").split("\n")


def _decoded(raw: bytes, name: str) -> str:
    encoding = "utf-16" if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name}: byte {error.start + 1:,} is not UTF-8 ({error.reason}). Save the file as UTF-8."
        ) from None


def _rtf(raw: bytes, name: str) -> str:
    """Return the text of an RTF file; the library returns surrogate pairs beyond U+FFFF, which are joined here."""
    from striprtf.striprtf import rtf_to_text

    if not raw.rstrip(b"\0 \t\r\n").endswith(b"}"):
        raise UserError(f"{name}, byte {len(raw):,}: the file ends before its last group is closed: it was cut.")
    try:
        halves = rtf_to_text(raw.decode("cp1252", "replace"), errors="replace")
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:  # on malformed files
        raise UserError(f"{name}: not readable as RTF ({error}). Save it as plain text in UTF-8.") from None
    return halves.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


FORMAT = Format("transcript", "text, Markdown or RTF, with --speakers", claims, read)
