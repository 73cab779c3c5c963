"""Reasoning that leaked into a reply: an assistant that speaks about the person it should be speaking to.

Some exports join the model's hidden reasoning and its answer without a mark between them. No wording is proof, so cues are
weighed. Enough is a tag or a heading; a sentence that begins with "the user", unless the person spoke of users; a plan
for the reply ("I should acknowledge …"), unless the sentence speaks to somebody ("you"). Weaker signs need each other.
English only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

ENOUGH = 2
"""Weight of the cues that makes a reply leaked reasoning."""
OPENING = 700
"""Characters of a reply in which weak cues count: leaked reasoning comes first."""


@dataclass(frozen=True)
class Cue:
    """A wording and its weight.

    Attributes:
        pattern: Matched at the beginning of a sentence.
        weight: Up to :data:`ENOUGH`.
        to_anybody: Counts even in a sentence with "you".
        unless_said: Does not count where this occurs in the user's text.
    """

    pattern: re.Pattern[str]
    weight: int = ENOUGH
    to_anybody: bool = False
    unless_said: re.Pattern[str] | None = None


_OPENER = (
    r"(?:(?:okay|ok|alright|right|hmm+|well|so|now|and|but|first|wait|actually|here|(?:it )?(?:looks|seems) like|since|because|"
    r"given that|as|if|what|whether)\b[,.!:…—-]*\s+)*"
)


def _cue(pattern: str, weight: int = ENOUGH, *, to_anybody: bool = False, unless: str | None = None) -> Cue:
    said = None if unless is None else re.compile(rf"\b(?:{unless})\b", re.I)
    return Cue(re.compile(_OPENER + pattern, re.I), weight, to_anybody, said)


_KINDS = (
    r"(?:ant)?_?(?:think|thinks|thinking|thoughts?|reason|reasoning|reflection|scratchpad|analysis|planning|deliberation|"
    r"(?:inner|internal)[_ ]?(?:monologue|thoughts?))"
)
_TAG = re.compile(
    rf"</?{_KINDS}>|\[/?{_KINDS}(?:\]|:)|\[internal\b|[(*]{_KINDS}:|<\|channel\|>(?:analysis|commentary)|assistantfinal"
    r"|\A(?-i:analysis[A-Z])|◁/?think▷|^[*_]{0,2}(?:thinking|reasoning|thought)[*_]{0,2}\.{0,3}:?[*_]{0,2}[ \t]*$",
    re.I | re.M,
)
"""Tags and marks of reasoning, anywhere in a reply."""

_TOPIC = "users?|humans?|customers?|apps?|products?|forms?|websites?|software|personas?|prompts?|models?|ux|ui"
"""Where a person speaks of these, an answer may speak of users."""
_SOMEBODY = "he|she|they|him|her|them|his|their|mother|father|brother|sister|friend|son|daughter|wife|husband|boss"
_SAYS = "is|was|has|had|wants?|seems?|asks?|asked|asking|says?|said|saying|needs?|mentions?|mentioned|would|might|may|wrote|sounds?"
_ABOUT_THE_USER = (
    _cue(r"(?:the|this) (?:user|human)(?:['’]s)?\b(?! (?:manual|guide|interface|name|account|group))", unless=_TOPIC),
    _cue(rf"(?:user|human)(?:['’]s)? (?:{_SAYS})\b", unless=_TOPIC),
    _cue(r"[^.!?]{0,80}\bthe (?:user|human)(?:['’]s)?\b", unless=_TOPIC),
    _cue(
        r"(?:he|she|they)(?:['’]s|['’]re|['’]ve| is| are| was| has| have)? (?:just )?(?:(?:does|do)(?:n['’]t| not) )?"
        rf"(?:telling|sharing|testing|mentioning|trying|thanking|addressed|told|repeats?|want|{_SAYS})\b",
        weight=1,
        unless=_SOMEBODY,
    ),
    _cue(r"the (?:person|visitor) (?:is|asks?|wants?|seems)\b", weight=1, unless=_SOMEBODY),
)

_PLAN = (
    r"(?:i|we)(?:['’]ll| will|['’]d(?: better| like to| rather)?| should(?:n['’]t| not)?| must(?: not)?| need to| want to"
    r"| have to| ought to| could| can|['’]m going to| am going to| think i(?: should|['’]ll| will)| won['’]t)(?: \w+){0,2}? "
)
_SHORT = (
    r"keep (?:it|this|my|the) (?:\w+ )?(?:brief|short|gentle|light|warm|simple|general|vague|concise|soft|plain|reply)"
)
_ANSWERING = (
    "respond|reply|answer|acknowledge|validate|mirror|decline|refuse|comply|phrase|craft|rephrase|"
    rf"make sure (?:that )?my|{_SHORT}"
)
_DOING = (
    "address|recogni[sz]e|recall|mention|open with|start (?:by|with)|begin (?:by|with)|end with|follow|match|reflect|avoid|"
    "be (?:careful|honest|upfront|truthful|clear|playful|gentle|warm|supportive|concise|empathetic|encouraging)|offer|"
    "suggest|check|weigh|figure out|welcome|greet|point out|assume|clarify|reassure|sound"
)
_REPLY = "reply|response|answer|draft|wording"
_ABOUT_THE_REPLY = (
    _cue(rf"{_PLAN}(?:{_ANSWERING})\b"),
    _cue(rf"{_PLAN}(?:{_DOING})\b", weight=1),
    _cue(rf"{_PLAN}(?:\w+ )?(?:in character|as (?:aelara|the (?:assistant|companion|persona)))\b"),
    _cue(
        r"let me (?:think|consider|figure out|work out|decide|craft|write|draft|compose|recall|check|start by|respond|reply)\b"
        r"[^.!?]{0,60}\b(?:how|what|which|respon[ds]\w*|repl(?:y|ies)|answer\w*|draft|tone|acknowledg\w+|carefully)\b"
    ),
    _cue(r"let me (?:reconsider|rethink|rephrase|think|double-check)", weight=1),
    _cue(rf"(?:my|(?:a|the|one) (?:best|right|good|better|possible|ideal))(?: \w+)? (?:{_REPLY})(?: here)? \w+"),
    _cue(
        r"(?:the|my) (?:best|right|kindest|safest) (?:approach|move|way|course)(?: here)?(?: \w+){0,3} (?:is|would be) to\b"
    ),
    _cue(rf"(?:i|we) (?:think|believe|assume)\b[^.!?]{{0,40}}\b(?:{_REPLY}|approach)\b"),
    _cue(r"the assistant(?:['’]s)? (?:\w+ )?(?:should|must|needs?|has to|shouldn['’]t)\b", unless="assistants?"),
)

_ABOUT_THE_REQUEST = (
    _cue(
        r"(?:this|it|that)(?:['’]s| is| looks like| seems(?: to be)?) an? (?:\w+ ){0,2}(?:request|message|follow-up|prompt)\b"
    ),
    _cue(r"i(?:['’]m| am) being asked\b"),
    _cue(r"(?:the|this) prompt (?:is|asks?|contains?|mentions?|wants?|says?)\b", unless=_TOPIC),
    _cue(
        r"(?:the|this) (?:question|message|request|conversation)(?: here| so far)? (?:is|asks?|has been|mentions?)\b",
        weight=1,
    ),
    _cue(r"(?:short|long|brief|simple|follow-up|emotional) (?:message|question|request|text)\b", weight=1),
    _cue(r"looking (?:back )?(?:at|through) (?:the|our) (?:conversation|history)", weight=1),
    _cue(
        r"(?:according to|per|based on) (?:my|the|these) (?:\w+ )?(?:instructions|guidelines|system prompt|persona|policy|rules)"
        r"\b[^.!?]*\b(?:i|we|my)\b"
    ),
    _cue(
        r"(?:the |my )?(?:system (?:prompt|message|instructions?)|developer message|persona) (?:says?|tells|asks|wants|requires)\b",
        unless=_TOPIC,
    ),
)

_HEADINGS = (
    _cue(r"(?:thought|reasoned|thinking) for (?:\d+|a few|a couple of|several|some) (?:seconds?|minutes?)"),
    _cue(
        r"(?:my )?(?:thinking|reasoning|thoughts?|analysis|internal monologue|inner (?:monologue|thoughts?|voice)|"
        r"chain of thought|(?:thinking|thought) process|note to self|draft (?:reply|response|answer))\s*:",
        to_anybody=True,
    ),
    _cue(
        r"(?:considering|assessing|analy[sz]ing|weighing|interpreting|evaluating|understanding|crafting|formulating|planning|"
        r"drafting|thinking about|reflecting on|identifying) (?:(?:the|a|an|my|how|what|her|his|their) )?(?:\w+ ){0,2}?"
        r"(?:users?['’]?s?|request|message|response|reply|emotional|tone|intent|prompt|respond|answer|needs?)\b"
    ),
    _cue(r"(?:tone|goal|length|style|register|plan|step 1|avoid)\s*:", weight=1, to_anybody=True),
    _cue(r"(?:greet|acknowledge|recogni[sz]e|recall|validate|mirror|reply|respond)\b(?! (?:me|us)\b)", weight=1),
    _cue(r"no need (?:for|to)\b", weight=1),
    Cue(re.compile(r"(?:okay|ok|alright|hmm+|wait)[,.!…—-]+ ", re.I), weight=1),
)
CUES = _ABOUT_THE_USER + _ABOUT_THE_REPLY + _ABOUT_THE_REQUEST + _HEADINGS

_SENTENCE = re.compile(r"\A|[.!?…:]['\")\]*]*\s+(?=\S)|\n\s*(?=\S)|(?<=[a-z])[.!?:](?=[A-Z][a-z'’]* )")
"""Where a sentence begins; also where one follows without a space."""
_JOINED = re.compile(r"[a-z]{2}[.!?:][A-Z][a-z'’]* ")
_YOU = re.compile(r"\b(?:you|your|yours|yourself)\b", re.I)
_QUOTED = re.compile(r"[\"“][^\"”]{0,80}[\"”]")


def leaked_reasoning_at(asked: str, reply: str) -> tuple[int, int] | None:
    """Where a reply is reasoning that should not be in it.

    Args:
        asked: The user's text.
        reply: The assistant's.

    Returns:
        Start and end of the first cue, or None.
    """
    if tag := _TAG.search(reply):
        return tag.span()
    weight, first = 1 if _JOINED.search(reply, 0, OPENING) else 0, None
    for start, end in _sentences(reply):
        heaviest = _weight(reply[start:end], asked)
        if heaviest and (heaviest >= ENOUGH or start < OPENING):
            first = first or (start, end)
            weight += heaviest
            if weight >= ENOUGH:
                return first
    return None


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    starts = [match.end() for match in _SENTENCE.finditer(text)]
    return zip(starts, [*starts[1:], len(text)], strict=True)


def _weight(sentence: str, asked: str) -> int:
    """Of the heaviest cue."""
    bare = sentence.lstrip("*_-#>(\"'“ ")
    to_somebody = _YOU.search(_QUOTED.sub("", sentence)) is not None
    return max(
        (
            cue.weight
            for cue in CUES
            if (cue.to_anybody or not to_somebody)
            and cue.pattern.match(bare)
            and not (cue.unless_said and cue.unless_said.search(asked))
        ),
        default=0,
    )
