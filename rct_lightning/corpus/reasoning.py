"""Rule for reasoning that leaked into a reply: an assistant that speaks about the user instead of to the user.

Some exports join the model's hidden reasoning and its answer without a separator. No wording is proof, so cues are
weighted. Except for tags and plain statements about "the user", cues count only where such reasoning occurs, in the
first sentences of a reply, and only in sentences that address nobody, that is without "you". A strong cue is enough
alone; weak ones must be combined. English only; reasoning without these wordings is not detected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rct_lightning.corpus.cues import CUES, CUES_ANYWHERE, ENOUGH, MARK, OPENING_CUES, TAG, TAG_HINTS, Cue
from rct_lightning.corpus.exchange import Exchange, excerpt

OPENING_SENTENCES, OPENING_CHARACTERS = 4, 300
"""The beginning of a reply: at most this many sentences, which begin within this many characters."""
LONGEST_SENTENCE = 600
"""Maximum length of a sentence in characters; the rest is not searched for cues."""

_SENTENCE = re.compile(r"\A|(?<!\d)[.!?…:]['\")\]*]*\s+(?=\S)|\n\s*(?=\S)|(?<=[a-z])[.!?:](?=[A-Z][a-z'’]* )")
"""Where a sentence begins; also where one follows without a space."""
_JOINED = re.compile(r"[a-z]{2}[.!?:][A-Z][a-z'’]* ")
"""Two sentences without a space between them, as when an export joins two texts: a weak cue."""
_YOU = re.compile(r"\b(?:you|your|yours|yourself)\b", re.I)
_NUMBERED = re.compile(r"^\d{1,2}[.)] \**")
_QUOTED = re.compile(r"[\"“][^\"”]{0,80}[\"”]")


def reasoning(exchange: Exchange) -> str | None:
    """Find a reply in which the assistant reasons about the user or about what to say."""
    place = _leak(exchange.input, exchange.output)
    return None if place is None else f"reply: {excerpt(exchange.output, *place)}"


def _leak(asked: str, reply: str) -> tuple[int, int] | None:
    """Return start and end of the first sentence or mark with a cue; None unless the cues weigh enough."""
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
    """Return the weight of the heaviest cue that applies to a sentence; 0 if none does."""
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
