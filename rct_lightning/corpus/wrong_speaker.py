"""Rule for replies in which the user speaks: a pasted transcript, a template's tokens, the user's text itself."""

from __future__ import annotations

import re

from rct_lightning.corpus.exchange import Exchange, excerpt
from rct_lightning.corpus.overlap import words

SAME_WORDS = 3
"""A reply of fewer words may repeat the user's text, as in "Good night." """

_LINE = r"^[ \t>#*_\[-]{0,6}(?:\d{1,2}:\d\d(?::\d\d)?\] ?)?"
"""What may precede a role at the beginning of a line: Markdown marks, a time."""
_COLON = r"[\]*_]{0,3}[ \t]*:[*_]{0,2}"
_TOKENS = re.compile(
    r"<\|(?:im_start|im_end|start_header_id|eot_id|end_of_turn|user|assistant|system|end)\|>|\[/?INST\]"
    r"|<(?:start|end)_of_turn>|</(?:user|human)>|\"role\": ?\"(?:user|human|assistant)\""
    rf"|{_LINE}#{{2,3}} ?(?:human|user|assistant|instruction|response)\s*:|^#{{1,3}} (?:human|user|assistant)[ \t]*$",
    re.I | re.M,
)
"""What chat templates put between turns; never part of an utterance."""
_TOKEN_HINTS = ("<|", "INST]", "_of_turn", "</", '"role"', "##", "# ")
_ASKS = rf"(?:human|user|you|me|h|prompt|anonymous){_COLON}|(?:you|human|user) (?:said|asked|wrote){_COLON}"
_NAMES = "assistant|ai|bot|a|claude|chatgpt|gpt|grok|gemini|aelara|model|response"
_ANSWERS = rf"(?:{_NAMES}){_COLON}|(?:chatgpt|claude|assistant) said{_COLON}"
_TURN_OF = re.compile(rf"{_LINE}(?:(?P<asks>{_ASKS})|(?P<answers>{_ANSWERS}))", re.I | re.M)
"""A role at the beginning of a line; one side alone may be part of a text, both make it a transcript."""
_NEXT_TURN = re.compile(
    rf"(?<=\n)(?:{_LINE[1:]}(?:human|you (?:said|asked)){_COLON}|user[ \t]?:)[ \t]*\n?[ \t]*(?:\S+[ \t]+){{3}}\S", re.I
)
"""The user's next turn, of four words or more: "User: postgres" is a setting."""
_FIRST_TURN = re.compile(rf"(?:human|user){_COLON} \S+(?: \S+){{3,}}\n", re.I)
_IN_ONE_LINE = re.compile(r"\b(?:Human|User): .{3,600}?\b(?:Assistant|AI): ")


def wrong_speaker(exchange: Exchange) -> str | None:
    """Find a reply that holds turns of the user, or that is the user's text."""
    reply = exchange.output
    place = _turn_in(reply)
    if place is not None:
        return f"reply: {excerpt(reply, *place)}"
    if len(reply) < 3 * len(exchange.input) + 100:
        said = words(reply)
        if len(said) >= SAME_WORDS and said == words(exchange.input):
            return f"the reply is the input: {excerpt(reply)}"
    return None


def _turn_in(reply: str) -> tuple[int, int] | None:
    if any(hint in reply for hint in _TOKEN_HINTS) and (found := _TOKENS.search(reply)):
        return found.span()
    if ":" not in reply:
        return None
    found = (
        _IN_ONE_LINE.search(reply) or _FIRST_TURN.match(reply) or ("\n" in reply and _NEXT_TURN.search(reply)) or None
    )
    if found:
        return found.span()
    turns = list(_TURN_OF.finditer(reply))
    return turns[0].span() if {turn.lastgroup for turn in turns} == {"asks", "answers"} else None
