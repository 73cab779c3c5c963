"""Reasoning that leaked into a reply: an assistant that speaks about the person it should be speaking to.

Some exports join the model's hidden reasoning and its answer without a mark between them. No wording is proof, so cues
are weighed, and but for tags and plain statements about "the user" they count only where such reasoning stands, in the
first sentences of a reply, and only in sentences that speak to nobody, that is without "you". Some cues are enough,
weak ones need each other. English only; what has none of these wordings passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rct_lightning.corpus.cues import CUES, CUES_ANYWHERE, ENOUGH, MARK, OPENING_CUES, TAG, TAG_HINTS, Cue
from rct_lightning.corpus.exchange import Exchange, excerpt

OPENING_SENTENCES, OPENING_CHARACTERS = 4, 300
"""The beginning of a reply: so many sentences that begin within so many characters."""
LONGEST_SENTENCE = 600
"""Characters; what follows is not looked at for cues."""

_SENTENCE = re.compile(r"\A|(?<!\d)[.!?…:]['\")\]*]*\s+(?=\S)|\n\s*(?=\S)|(?<=[a-z])[.!?:](?=[A-Z][a-z'’]* )")
"""Where a sentence begins; also where one follows without a space."""
_JOINED = re.compile(r"[a-z]{2}[.!?:][A-Z][a-z'’]* ")
"""Two sentences without a space between them, as where an export joins two texts: a weak cue."""
_YOU = re.compile(r"\b(?:you|your|yours|yourself)\b", re.I)
_NUMBERED = re.compile(r"^\d{1,2}[.)] \**")
_QUOTED = re.compile(r"[\"“][^\"”]{0,80}[\"”]")


def reasoning(exchange: Exchange) -> str | None:
    """A reply in which the assistant thinks about the user, or about what to say, instead of saying it."""
    place = _leak(exchange.input, exchange.output)
    return None if place is None else f"reply: {excerpt(exchange.output, *place)}"


def _leak(asked: str, reply: str) -> tuple[int, int] | None:
    """Start and end of the first cue, where there are enough."""
    if marked := MARK.match(reply) or (any(hint in reply for hint in TAG_HINTS) and TAG.search(reply)):
        return marked.span()
    weight, first = 0, None
    for number, (start, end) in enumerate(_sentences(reply[: OPENING_CHARACTERS + LONGEST_SENTENCE])):
        if number == OPENING_SENTENCES or start >= OPENING_CHARACTERS:
            break
        if heaviest := _weight(reply[start:end], asked, OPENING_CUES if number else CUES):
            first = first or (start, end)
            weight += heaviest
        if weight == 1 and _JOINED.search(reply, 0, OPENING_CHARACTERS):
            weight += 1
        if weight >= ENOUGH:
            return first
    if "he user " in reply or "is user " in reply:
        return next((span for span in _sentences(reply) if _weight(reply[slice(*span)], asked, CUES_ANYWHERE)), None)
    return None


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    starts = [match.end() for match in _SENTENCE.finditer(text)]
    return zip(starts, [*starts[1:], len(text)], strict=True)


def _weight(sentence: str, asked: str, cues: tuple[Cue, ...]) -> int:
    """Of the heaviest cue."""
    bare = _NUMBERED.sub("", sentence.lstrip("*_-#>( "))
    to_somebody = _YOU.search(_QUOTED.sub("", sentence)) is not None
    return max(
        (
            cue.weight
            for cue in cues
            if (cue.to_anybody or not to_somebody)
            and cue.pattern.match(bare)
            and not (cue.unless_said and cue.unless_said.search(asked))
        ),
        default=0,
    )
