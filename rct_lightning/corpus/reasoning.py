"""Reasoning that leaked into a reply: an assistant that speaks about the person it should be speaking to.

Some exports join the model's hidden reasoning and its answer without a mark between them. No wording is proof, so cues
are weighed, and but for tags and plain statements about "the user" they count only where such reasoning stands, in the
first sentences of a reply, and only in sentences that speak to nobody, that is without "you". Some cues are enough, weak
ones need each other. English only; what has none of these wordings passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rct_lightning.corpus.exchange import Exchange, excerpt

ENOUGH = 2
"""Weight of the cues that makes a reply leaked reasoning."""
OPENING_SENTENCES, OPENING_CHARACTERS = 4, 300
"""The beginning of a reply: so many sentences that begin within so many characters."""
LONGEST_SENTENCE = 600
"""Characters; what follows is not looked at for cues."""


@dataclass(frozen=True)
class Cue:
    """A wording and its weight.

    Attributes:
        pattern: Matched at the beginning of a sentence.
        weight: Up to :data:`ENOUGH`.
        anywhere: Counts in any sentence of the reply, not only in the first ones.
        first: Counts in the very first sentence alone.
        to_anybody: Counts even in a sentence with "you".
        unless_said: Does not count where this occurs in the user's text.
    """

    pattern: re.Pattern[str]
    weight: int = ENOUGH
    anywhere: bool = False
    first: bool = False
    to_anybody: bool = False
    unless_said: re.Pattern[str] | None = None


_OPENER = (
    r"(?:(?:okay|ok|alright|right|hmm+|well|so|now|and|but|wait|actually|here|(?:it )?(?:looks|seems) like|i see|since|because|"
    r"given that|as|if|whether)\b[,.!:…—-]*\s+)*"
)
"""What may stand before a cue."""


def _cue(pattern: str, weight: int = ENOUGH, unless: str | None = None, **options: bool) -> Cue:
    said = None if unless is None else re.compile(rf"\b(?:{unless})\b", re.I)
    return Cue(re.compile(_OPENER + pattern, re.I), weight, unless_said=said, **options)


_KINDS = (
    r"(?:ant)?_?(?:think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis|"
    r"(?:inner|internal)[_ ]?(?:monologue|thoughts?))"
)
_TAG = re.compile(
    rf"</?{_KINDS}>|<\|channel\|>(?:analysis|commentary)|<\|begin_of_thought\|>|◁/?think▷|assistantfinal", re.I
)
"""Tags of reasoning, anywhere in a reply."""
_TAG_HINTS = ("<", "◁", "assistantfinal")
_MARK = re.compile(
    rf"\s*(?:\[/?{_KINDS}(?:\]|:)|\[internal\b|[(*]{{1,2}}(?:{_KINDS}|thinks)(?:[:.…]|[*)]{{1,2}})|(?-i:analysis[A-Z])"
    r"|(?:thinking|reasoning|thought)(?: process)?(?:\.{3}|…|:)?[ \t]*$)",
    re.I | re.M,
)
"""Other marks of reasoning, at the beginning of a reply."""

_TOPIC = (
    "users?|humans?|customers?|agents?|support|designers?|ux|interface|apps?|websites?|software|forms?|manuals?|product|"
    "personas?|prompts?|bots?|code|program|script|function"
)
"""Where a person speaks of these, an answer may speak of users."""
_SOMEBODY = "he|she|they|him|her|them|his|their|mother|father|brother|sister|friend|son|daughter|wife|husband|boss"
_ASKING = (
    r"(?:is|was|are|were|['’]s|has|have)? ?(?:just |also |now |probably |clearly |really )?"
    r"(?:asking|asks|asked|telling|tells|told|sharing|shared|wants? me|wants? to (?:know|hear)|mention(?:s|ed|ing)|thanking|"
    r"testing|said|saying|says|wrote|repeat(?:s|ed)|greet(?:s|ed|ing)|correct(?:s|ed))"
)
_DOES = (
    r"(?:['’]s|is|was|has|had|does|did|didn['’]t|doesn['’]t|can['’]t|could|would|might|may|wants?|seems?|needs?|feels?|sounds?|"
    r"appears?|expects?|prefers?|probably|just|also|clearly|called|wrote|pasted|sent|switched|apologi[sz]es|,)"
)
_TO_ME = r"(?:asking|asked|asks|telling|told|tells|thanking|thanks|testing|reminding|addressed|calling|greeting)"
_ABOUT_THE_USER = (
    _cue(rf"(?:the|this) user {_ASKING}\b", anywhere=True, unless=_TOPIC),
    _cue(rf"(?:the|this) (?:user|human) ?(?:{_ASKING}|{_DOES})", unless=_TOPIC),
    _cue(r"(?:the|this) user['’]s (?!manual|guide|account|name)\w+", unless=_TOPIC),
    _cue(rf"(?:user|human) (?:{_ASKING}|is|wants?|needs?|seems?|has|would)\b", unless=_TOPIC),
    _cue(
        r"(?:i|they|what|considering|thinking about|so)\b[^.!?\n]{0,60}\bthe (?:user|human)(?:['’]s| \w+| ?$|\.)",
        unless=_TOPIC,
    ),
    _cue(rf"(?:he|she|they)(?:['’]s|['’]re|['’]ve| is| are| has| have)? (?:just |also )?{_TO_ME} me\b"),
    _cue(
        rf"(?:he|she|they)(?:['’]s|['’]re|['’]ve)? ?(?:(?:does|do|did)(?:n['’]t| not) )?(?:{_ASKING}|wants?|seems?|needs?|sounds?|"
        r"answer|looking for)\b",
        weight=1,
        unless=_SOMEBODY,
    ),
    _cue(r"the (?:person|visitor) (?:is|asks?|wants?|seems)\b", weight=1, unless=_SOMEBODY),
)

_MUST = r"(?:i|we) (?:should(?:n['’]t| not)?|must(?: not)?|need to|have to|ought to|want to|don['’]t want to)"
_WILL = r"(?:i|we)(?:['’]ll| will|['’]d| can| could|['’]m going to| am going to| won['’]t| might)"
_ADVERBS = r"(?: (?:also|just|probably|simply|first|then|still|not|only|perhaps|rather|better))*"
_SHORT = r"keep (?:it|this|my|the) (?:\w+ )?(?:brief|short|gentle|light|warm|simple|general|vague|concise|soft|plain|reply|response)"
_ANSWERING = rf"(?:respond|acknowledge|validate|mirror|comply|craft|make sure (?:that )?(?:my|i)|{_SHORT})"
_HANDLING = (
    r"(?:reply|answer|decline|refuse|phrase|address|recogni[sz]e|mention|avoid|clarify|reassure|handle|tread|model|match|reflect|"
    r"honou?r|keep|be (?:careful|honest|upfront|truthful|clear|playful|gentle|warm|concise|empathetic|encouraging|present)|"
    r"name (?:that|it|this)|bring (?:it|this|up)|figure out|decide|ask (?:which|whether|what|about)|check|recall|remember to|"
    r"give (?:exact|specific)|lecture|diagnose|sound|promise|assume)"
)
_ABOUT_THE_REPLY = (
    _cue(rf"{_MUST}{_ADVERBS} {_ANSWERING}\b"),
    _cue(rf"{_MUST}{_ADVERBS} {_HANDLING}\b", first=True),
    _cue(rf"{_MUST}{_ADVERBS} {_HANDLING}\b", weight=1),
    _cue(rf"{_WILL}{_ADVERBS} {_ANSWERING}\b", first=True),
    _cue(rf"{_WILL}{_ADVERBS} (?:{_ANSWERING}|{_HANDLING}|offer|suggest|say|ask|name|lean|open|start|go)\b", weight=1),
    _cue(rf"(?:{_MUST}|{_WILL}){_ADVERBS} (?:\w+ ){{0,2}}?(?:in character|as (?:aelara|the (?:assistant|companion|persona)))\b"),
    _cue(r"i['’]m (?:writing|responding|replying|answering|supposed to be) (?:as |aelara)"),
    _cue(r"as (?:the|an) (?:assistant|ai|companion),? (?:i|we) (?:should(?:n['’]t)?|must|ought to)"),
    _cue(
        r"let me (?:think|consider|figure out|work out|decide|craft|draft|compose)\b[^.!?]{0,50}"
        r"\b(?:respon[ds]\w*|repl(?:y|ies)|answer\w*|tone|carefully|would help|how to|what to)\b"
    ),
    _cue(r"let me (?:be careful|respond|make sure|acknowledge|start by acknowledging|consider the|look at what|recall what)\b"),
    _cue(r"let me (?:reconsider|rethink|rephrase|think|see|double-check|write something|craft|plan)\b", weight=1),
    _cue(r"(?:my|a|the) (?:\w+ )?(?:reply|response)(?: here)? (?:should|must|needs to|ought to|could|can)\b",
         unless="repl(?:y|ies)|responses?|respond"),
    _cue(r"(?:the|a) (?:best|right|appropriate|good|kind) (?:reply|response)\b", unless="repl(?:y|ies)|responses?|respond"),
    _cue(r"the tone (?:here )?(?:should|needs to|must)\b", unless="tone|letter|email|text|voice"),
    _cue(r"[^.!?\n]{0,100}\bin (?:my|the) (?:reply|response)\b", weight=1, unless="repl(?:y|ies)|responses?|respond"),
    _cue(r"the assistant(?:['’]s)? (?:\w+ )?(?:should|must|shouldn['’]t)\b", unless="assistants?"),
    _cue(r"we (?:should|need to|must|have to) (?:respond|comply|produce|answer the|refuse)\b"),
    _cue(r"(?:need to|must not|should not|want to be|better not to|no need (?:for|to)) \w+", weight=1),
)  # fmt: skip

_SAID = "messages?|requests?|questions?|conversations?|context|letters?|texts?|emails?|tone|chat"
"""Where a person speaks of these, an answer may."""
_ABOUT_THE_REQUEST = (
    _cue(r"(?:this|it)(?:['’]s| is| looks like| seems to be) an? (?:\w+ ){0,2}(?:request (?!for)|prompt|disclosure|follow-up)",
         first=True, unless=_SAID),
    _cue(r"this (?:is|looks like|seems(?: like)?) an? (?:\w+ ){0,2}(?:question|request|message|moment|test of)\b", weight=1, unless=_SAID),
    _cue(r"(?:there is|there['’]s|no|the) (?:a |no )?(?:presence )?markers? (?:in|word)\b"),
    _cue(r"i(?:['’]m| am) being asked (?:to|for)\b"),
    _cue(r"(?:the|this) (?:\w+ )?(?:message|request|question|conversation|context|prompt)(?: here| so far)? "
         r"(?:is|seems|looks|carries|contains|involves|mentions|shows|has been|has)\b", weight=1, first=True, unless=_SAID),
    _cue(r"(?:short|long|brief|follow-up|emotional) (?:message|request)\b", weight=1),
    _cue(r"the (?:key|core|underlying|dominant) (?:emotions?|feelings?|emotional \w+)\b|(?:the|his|her|their) emotional (?:subtext|state|core|tone)\b",
         first=True, unless="emotions?|emotional|feelings?"),
    _cue(r"(?:looking|checking)(?: back)?(?: at| through)? (?:the|our) (?:conversation|history)"),
    _cue(r"the previous (?:assistant|user|turn)\b", first=True),
    _cue(r"(?:according to|per|based on) (?:my|the|these) (?:system prompt|persona|(?:instructions|guidelines)[^.!?]{0,20}\bi)\b"),
    _cue(r"(?:the |my )?(?:system|developer) (?:prompt|message|instructions?) (?:says?|tells|wants|requires|limits?|asks?)\b", unless=_TOPIC),
    _cue(r"(?:the|my) instructions (?:tell|ask|limit|say i)\b", unless="instructions?"),
    _cue(r"(?:identify|analy[sz]e|parse|determine|assess) the (?:ask|request|intent|user|tone)\b", first=True),
    _cue(r"what['’]s being asked\b|what would aelara\b|what (?:the user|this person) needs\b", first=True),
    _cue(r"(?:it (?:appears|seems|sounds|looks)(?: that| like| as if)? (?:he|she|they)\b|based on the conversation|given (?:the|what was))",
         weight=1, first=True, unless=f"{_SOMEBODY}|{_SAID}"),
)  # fmt: skip

_HEADINGS = (
    _cue(r"(?:thought|reasoned|thinking) for (?:\d+|a few|a couple of|several|some) ?(?:s\b|seconds?|minutes?)", first=True, to_anybody=True),
    _cue(
        r"(?:my )?(?:thinking|reasoning|internal monologue|inner (?:monologue|thoughts?|voice)|chain of thought|"
        r"(?:thinking|thought) process|note to self|self-check|(?:reply|response) (?:plan|outline|strategy)|"
        r"(?:plan|outline) (?:of|for) (?:my|the) (?:reply|response))\s*:",
        first=True,
        to_anybody=True,
        unless="think(?:ing)?|reason(?:ing)?|explain",
    ),
    _cue(r"(?:draft|possible) (?:reply|response)\s*:", first=True, unless=f"{_SAID}|repl(?:y|ies)|respond|write|draft"),
    _cue(
        r"(?:considering|assessing|analy[sz]ing|weighing|interpreting|evaluating|crafting|formulating|planning|drafting|exploring|"
        r"reflecting on|identifying|clarifying|noting|checking) [\w' ’-]{3,50}[*.]{0,3}\s*(?:\n|\Z)",
        first=True,
    ),
    _cue(r"(?:considering|weighing|noting|assessing|interpreting|evaluating|formulating|crafting) \w+", weight=1, first=True),
    _cue(r"(?:tone|goal|length|style|register|plan|step 1|avoid|key (?:points|facts)(?: to \w+)?)\s*:", weight=1, first=True),
    _cue(r"(?:greet|acknowledge|recogni[sz]e|recall|validate|mirror|reply|respond)\b(?! (?:me|us)\b)", weight=1),
    Cue(re.compile(r"(?:okay|ok|alright|hmm+|wait)[,.!…—-]+(?: |$)", re.I), weight=1, first=True),
)  # fmt: skip
CUES = _ABOUT_THE_USER + _ABOUT_THE_REPLY + _ABOUT_THE_REQUEST + _HEADINGS

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
    marked = _MARK.match(reply) or (any(hint in reply for hint in _TAG_HINTS) and _TAG.search(reply))
    if marked:
        return marked.span()
    weight, first = 0, None
    for number, (start, end) in enumerate(_sentences(reply[: OPENING_CHARACTERS + LONGEST_SENTENCE])):
        if number == OPENING_SENTENCES or start >= OPENING_CHARACTERS:
            break
        if heaviest := _weight(reply[start:end], asked, _OPENING_CUES if number else CUES):
            first = first or (start, end)
            weight += heaviest
        if weight == 1 and _JOINED.search(reply, 0, OPENING_CHARACTERS):
            weight += 1
        if weight >= ENOUGH:
            return first
    if "he user " in reply or "is user " in reply:
        return next((span for span in _sentences(reply) if _weight(reply[slice(*span)], asked, _CUES_ANYWHERE)), None)
    return None


_OPENING_CUES = tuple(cue for cue in CUES if not cue.first)
_CUES_ANYWHERE = tuple(cue for cue in CUES if cue.anywhere)


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
