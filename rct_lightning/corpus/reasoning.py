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
        opening: Counts in the first sentence alone.
        unless_said: Does not count where this occurs in the user's text.
    """

    pattern: re.Pattern[str]
    weight: int = ENOUGH
    to_anybody: bool = False
    opening: bool = False
    unless_said: re.Pattern[str] | None = None


_OPENER = (
    r"(?:(?:okay|ok|alright|right|hmm+|well|so|now|and|but|first|wait|actually|here|(?:it )?(?:looks|seems) like|since|because|"
    r"given that|as|if|what|whether)\b[,.!:…—-]*\s+)*"
)


def _cue(
    pattern: str, weight: int = ENOUGH, *, to_anybody: bool = False, opening: bool = False, unless: str | None = None
) -> Cue:
    said = None if unless is None else re.compile(rf"\b(?:{unless})\b", re.I)
    return Cue(re.compile(_OPENER + pattern, re.I), weight, to_anybody, opening, said)


_KINDS = (
    r"(?:ant)?_?(?:think|thinks|thinking|thoughts?|reason|reasoning|reflection|scratchpad|analysis|planning|deliberation|"
    r"(?:inner|internal)[_ ]?(?:monologue|thoughts?))"
)
_TAG = re.compile(
    rf"</?{_KINDS}>|\[/?{_KINDS}(?:\]|:)|\[internal\b|[(*]{_KINDS}:|<\|channel\|>(?:analysis|commentary)|assistantfinal"
    r"|\A(?-i:analysis[A-Z])|◁/?think▷|^[*_]{2}(?:thinking|reasoning|thoughts?)[*_]{2}|^(?:thinking|reasoning|thought)\.{3}$",
    re.I | re.M,
)
"""Tags and marks of reasoning, anywhere in a reply."""

_TOPIC = (
    "users?|humans?|customers?|agents?|support|designers?|ux|interface|apps?|websites?|software|forms?|manuals?|product|"
    "personas?|prompts?"
)
"""Where a person speaks of these, an answer may speak of users."""
_SOMEBODY = "he|she|they|him|her|them|his|their|mother|father|brother|sister|friend|son|daughter|wife|husband|boss"
_SAYS = (
    "is|was|has|had|wants?|seems?|asks?|asked|asking|says?|said|saying|needs?|mentions?|mentioned|would|might|may|wrote|"
    "sounds?|feels?|appears?|probably|just|also|clearly|likely"
)
_TO_ME = (
    "asking|asked|asks|telling|told|tells|thanking|thanks|testing|reminding|trusting|addressed|calling|greeting|sharing"
)
_ABOUT_THE_USER = (
    _cue(r"(?:the|this) (?:user|human)(?:['’]s)?\b(?! (?:manual|guide|interface|name|account|group))", unless=_TOPIC),
    _cue(rf"(?:user|human)(?:['’]s)? (?:{_SAYS}|greets?|corrects?)\b", unless=_TOPIC),
    _cue(r"[^.!?]{0,80}\bthe (?:user|human)(?:['’]s)?\b", unless=_TOPIC),
    _cue(rf"(?:he|she|they)(?:['’]s|['’]re|['’]ve| is| are| has| have)? (?:just |also )?(?:{_TO_ME}) (?:with )?me\b"),
    _cue(
        rf"(?:he|she|they)(?:['’]s|['’]re|['’]ve| is| are| was| has| have)? (?:just )?(?:(?:does|do|did)(?:n['’]t| not) )?"
        rf"(?:{_TO_ME}|mentioning|trying|repeats?|want|answer|{_SAYS})\b",
        weight=1,
        unless=_SOMEBODY,
    ),
    _cue(r"the (?:person|visitor) (?:is|asks?|wants?|seems)\b", weight=1, unless=_SOMEBODY),
)

_SHOULD = (
    r"(?:i|we)(?:['’]ll| will|['’]d(?: better| like to| rather)?| should(?:n['’]t| not)?| must(?: not)?| need to| want to"
    r"| have to| ought to| could| can|['’]m going to| am going to| think i(?: should|['’]ll| will)| won['’]t)(?: \w+){0,2}? "
)
_SHORT = (
    r"keep (?:it|this|my|the) (?:\w+ )?(?:brief|short|gentle|light|warm|simple|general|vague|concise|soft|plain|reply)"
)
_ANSWERING = rf"respond|reply|answer|acknowledge|validate|mirror|decline|refuse|comply|phrase|craft|rephrase|make sure (?:that )?my|{_SHORT}"
_DOING = (
    "address|recogni[sz]e|recall|mention|name that|open with|start (?:by|with)|begin (?:by|with)|end with|follow|match|reflect|"
    "avoid|offer|suggest|check|weigh|figure out|welcome|greet|point out|assume|clarify|reassure|sound|model|connect|ask|be "
    "(?:careful|honest|upfront|truthful|clear|playful|gentle|warm|supportive|concise|empathetic|encouraging|plain)"
)
_REPLY = "reply|response|answer|draft|wording"
_ABOUT_THE_REPLY = (
    _cue(rf"{_SHOULD}(?:{_ANSWERING})\b"),
    _cue(rf"{_SHOULD}(?:{_DOING})\b", weight=1),
    _cue(rf"{_SHOULD}(?:\w+ )?(?:in character|as (?:aelara|the (?:assistant|companion|persona)))\b"),
    _cue(r"i['’]m (?:writing|responding|replying|answering|speaking) as\b"),
    _cue(r"as (?:the|an) (?:assistant|ai|companion|language model),? (?:i|we) (?:should|must|ought|need|have)"),
    _cue(
        r"let me (?:think|consider|figure out|work out|decide|craft|write|draft|compose|recall|check|start by|respond|reply)\b"
        r"[^.!?]{0,60}\b(?:how|what|which|respon[ds]\w*|repl(?:y|ies)|answer\w*|draft|tone|acknowledg\w+|carefully)\b"
    ),
    _cue(r"let me (?:reconsider|rethink|rephrase|think|double-check|write)", weight=1),
    _cue(rf"(?:my|(?:a|the|one) (?:best|right|better|possible|ideal))(?: \w+)? (?:{_REPLY})(?: here)? \w+"),
    _cue(
        r"(?:the|a|my) (?:reply|response|tone|register)(?: here)? (?:should|could|must|needs to|ought to|has to|can)\b"
    ),
    _cue(r"[^.!?]{0,120}\b(?:in|with) (?:my|the|this) (?:reply|response)\b"),
    _cue(
        r"(?:the|my) (?:best|right|kindest|safest) (?:approach|move|way|course)(?: here)?(?: \w+){0,3} (?:is|would be) to\b"
    ),
    _cue(rf"(?:i|we) (?:think|believe|assume)\b[^.!?]{{0,40}}\b(?:{_REPLY}|approach)\b"),
    _cue(r"the assistant(?:['’]s)? (?:\w+ )?(?:should|must|needs?|has to|shouldn['’]t)\b", unless="assistants?"),
    _cue(r"(?:need to|must not|should not|want to|better to|better not to|don['’]t) \w+", weight=1),
)

_ABOUT_THE_REQUEST = (
    _cue(
        r"(?:this|it|that)(?:['’]s| is| looks like| seems(?: to be)?) an? (?:\w+ ){0,2}"
        r"(?:request|message|follow-up|prompt|(?:continuity|factual|trick|simple|open|direct|follow-up) question)\b"
    ),
    _cue(r"(?:there is|there['’]s|there are|no|the) (?:a |no )?(?:presence )?markers?\b"),
    _cue(r"i(?:['’]m| am) being asked\b"),
    _cue(r"(?:the|this) prompt (?:is|asks?|contains?|mentions?|wants?|says?)\b", unless=_TOPIC),
    _cue(
        r"(?:the|this) (?:question|message|request|conversation)(?: here| so far)? (?:is|asks?|has been|mentions?)\b",
        weight=1,
    ),
    _cue(r"(?:short|long|brief|simple|follow-up|emotional) (?:message|question|request|text)\b", weight=1),
    _cue(r"(?:the|his|her|their) emotional \w+", weight=1),
    _cue(r"(?:looking|checking)(?: back)?(?: at| through)? (?:the|our) (?:conversation|history)"),
    _cue(
        r"(?:according to|per|based on) (?:my|the|these) (?:\w+ )?(?:instructions|guidelines|system prompt|persona|policy|rules)"
        r"\b[^.!?]*\b(?:i|we|my)\b"
    ),
    _cue(
        r"(?:the |my )?(?:system|developer) (?:prompt|message|instructions?)(?: \w+)? (?:me|that|to|is|for|persona)\b",
        unless=_TOPIC,
    ),
    _cue(
        r"(?:the|my) (?:system prompt|instructions|persona|developer message) (?:says?|tells?|asks?|wants|requires?|limits?)\b",
        unless=_TOPIC,
    ),
    _cue(
        r"(?:identify|analy[sz]e|check|parse|determine|assess|understand|review) the "
        r"(?:ask|request|history|message|question|intent|emotion\w*|tone|user)\b"
    ),
)

_HEADINGS = (
    _cue(
        r"(?:thought|reasoned|thinking) for (?:\d+|a few|a couple of|several|some) (?:seconds?|minutes?)",
        to_anybody=True,
    ),
    _cue(
        r"(?:my )?(?:thinking|reasoning|thoughts?|analysis|internal monologue|inner (?:monologue|thoughts?|voice)|"
        r"chain of thought|(?:thinking|thought) process|note to self|self-check|"
        r"(?:draft|possible|suggested|final) (?:reply|response|answer)|(?:reply|response)(?: (?:plan|outline|draft|strategy)| \(.{1,20}\))|"
        r"(?:plan|outline|structure|goal) (?:of|for) (?:my|the|this) (?:reply|response|answer))\s*:",
        to_anybody=True,
    ),
    _cue(
        r"(?:considering|assessing|analy[sz]ing|weighing|interpreting|evaluating|understanding|crafting|formulating|planning|"
        r"drafting|thinking about|reflecting on|identifying) (?:(?:the|a|an|my|how|what|her|his|their) )?(?:\w+ ){0,2}?"
        r"(?:users?['’]?s?|request|message|response|reply|emotional|tone|intent|prompt|respond|answer|needs?|refusal)\b"
    ),
    _cue(r"(?:considering|weighing|noting|assessing|interpreting|evaluating|formulating) \w+", weight=1),
    _cue(
        r"(?:tone|goal|length|style|register|plan|step 1|avoid|(?:key )?points(?: to \w+)?)\s*:",
        weight=1,
        to_anybody=True,
    ),
    _cue(r"(?:greet|acknowledge|recogni[sz]e|recall|validate|mirror|reply|respond)\b(?! (?:me|us)\b)", weight=1),
    _cue(r"no need (?:for|to)\b", weight=1),
    Cue(re.compile(r"(?:okay|ok|alright|hmm+|wait)[,.!…—-]+ ", re.I), weight=1),
)
_SAID = "messages?|requests?|questions?|conversations?|context|disclosure|letters?|texts?|emails?|tone"
"""Where a person speaks of these, an answer may."""
_OPENINGS = (
    _cue(
        r"(?:i|we)(?:['’]d better| should(?:n['’]t| not)?| must(?: not)?| need to| have to| ought to| want to| don['’]t want to"
        r"|['’]m supposed to) (?!think|say|hope|imagine|love|like|thank)\w+",
        opening=True,
    ),
    _cue(
        r"(?:the|this|his|her|their) (?:\w+ )?(?:message|request|question|conversation|context|disclosure|tone)(?: here| so far)? "
        r"(?:is|seems|looks|sounds|feels|carries|contains|involves|mentions|shows|has|asks|reads|calls)\b",
        opening=True,
        unless=_SAID,
    ),
    _cue(
        r"(?:the|his|her|their) (?:key|core|main|underlying|emotional|real) (?:\w+ )?"
        r"(?:emotions?|needs?|feelings?|points?|issue|subtext|core|question|ask)\b",
        opening=True,
        unless=_SAID,
    ),
    _cue(r"the (?:previous|earlier|last) (?:assistant|user|human|turn|reply|response)\b", opening=True, unless=_SAID),
    _cue(
        r"(?:a|an|the) (?:\w+, )?(?:short|gentle|warm|brief|kind|simple|appropriate|honest|right|best)(?: \w+)? "
        r"(?:reply|response|answer|refusal|welcome|greeting)\b",
        opening=True,
        unless=f"{_SAID}|answer|reply|response",
    ),
    _cue(
        r"(?:based on|given|judging by|going by|from) (?:the|our|what)\b[^.!?]{0,40}"
        r"\b(?:conversation|context|history|tone|message|earlier|above|said)\b",
        opening=True,
    ),
    _cue(r"my (?:instinct|goal|aim|inclination|intention|task|job)(?: here)? is\b", opening=True),
    _cue(
        r"let me (?:be careful|respond|reply|plan|make sure|look (?:at|back)|write (?:something|this|a)|consider|check|craft|recall)\b",
        opening=True,
    ),
    _cue(r"what(?: is|['’]s|['’]d| would| does| do| should)(?: be)? (?:he|she|they|aelara|being asked|helpful|help|needed)\b",
         opening=True),
    _cue(r"this (?:calls for|seems like a test|is about|feels like|is an? (?:\w+ ){1,2}(?:disclosure|moment|confession|greeting))\b",
         opening=True, unless=_SAID),
    _cue(
        r"it (?:appears|seems|sounds|looks)(?: that| like| as if)? (?:he|she|they)(?:['’]\w+)?\b", weight=1, opening=True,
        unless=_SOMEBODY,
    ),
    _cue(r"(?:hm+|okay|ok|alright|right)[.,!…—-]+$", weight=1, opening=True),
)  # fmt: skip
"""What an answer to a person does not begin with, unless it says "you"."""
CUES = _ABOUT_THE_USER + _ABOUT_THE_REPLY + _ABOUT_THE_REQUEST + _HEADINGS + _OPENINGS

_SENTENCE = re.compile(r"\A|(?<!\d)[.!?…:]['\")\]*]*\s+(?=\S)|\n\s*(?=\S)|(?<=[a-z])[.!?:](?=[A-Z][a-z'’]* )")
"""Where a sentence begins; also where one follows without a space."""
_JOINED = re.compile(r"[a-z]{2}[.!?:][A-Z][a-z'’]* ")
_YOU = re.compile(r"\b(?:you|your|yours|yourself)\b", re.I)
_NUMBERED = re.compile(r"^\d{1,2}[.)] \**")
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
        heaviest = _weight(reply[start:end], asked, opening=not reply[:start].strip())
        if heaviest and (heaviest >= ENOUGH or start < OPENING):
            first = first or (start, end)
            weight += heaviest
            if weight >= ENOUGH:
                return first
    return None


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    starts = [match.end() for match in _SENTENCE.finditer(text)]
    return zip(starts, [*starts[1:], len(text)], strict=True)


def _weight(sentence: str, asked: str, opening: bool) -> int:
    """Of the heaviest cue."""
    bare = _NUMBERED.sub("", sentence.lstrip("*_-#>( "))
    to_somebody = _YOU.search(_QUOTED.sub("", sentence)) is not None
    return max(
        (
            cue.weight
            for cue in CUES
            if (opening or not cue.opening)
            and (cue.to_anybody or not to_somebody)
            and cue.pattern.match(bare)
            and not (cue.unless_said and cue.unless_said.search(asked))
        ),
        default=0,
    )
