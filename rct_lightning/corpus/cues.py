"""Wordings of reasoning that an assistant writes for itself; :mod:`rct_lightning.corpus.reasoning` weighs them."""

from __future__ import annotations

import re
from dataclasses import dataclass

ENOUGH = 2
"""Total weight of cues from which a reply counts as leaked reasoning."""


@dataclass(frozen=True)
class Cue:
    """A wording and its weight.

    Attributes:
        pattern: Matched at the beginning of a sentence.
        weight: Weight, at most :data:`ENOUGH`.
        anywhere: Whether it counts in any sentence of the reply, not only in the first ones.
        first: Whether it counts only in the very first sentence.
        to_anybody: Whether it counts even in a sentence with "you".
        unless_said: The cue does not count if this pattern occurs in the user's text.
    """

    pattern: re.Pattern[str]
    weight: int = ENOUGH
    anywhere: bool = False
    first: bool = False
    to_anybody: bool = False
    unless_said: re.Pattern[str] | None = None


_OPENER = (
    r"(?:(?:okay|ok|alright|right|hmm+|well|so|now|and|but|wait|actually|here|(?:it )?(?:looks|seems) like|i see|since|"
    r"because|given that|as|if|whether)\b[,.!:…—-]*\s+)*"
)
"""Words that may precede a cue."""


def _cue(pattern: str, weight: int = ENOUGH, unless: str | None = None, **options: bool) -> Cue:
    said = None if unless is None else re.compile(rf"\b(?:{unless})\b", re.I)
    return Cue(re.compile(_OPENER + pattern, re.I), weight, unless_said=said, **options)


_KINDS = (
    r"(?:ant)?_?(?:think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis|"
    r"(?:inner|internal)[_ ]?(?:monologue|thoughts?))"
)
TAG = re.compile(
    rf"</?{_KINDS}>|<\|channel\|>(?:analysis|commentary)|<\|begin_of_thought\|>|◁/?think▷|assistantfinal", re.I
)
"""Tags of reasoning, anywhere in a reply."""
TAG_HINTS = ("<", "◁", "assistantfinal")
"""Every text with a tag holds one of these."""
MARK = re.compile(
    rf"\s*(?:\[/?{_KINDS}(?:\]|:)|\[internal\b|[(*]{{1,2}}(?:{_KINDS}|thinks)(?:[:.…]|[*)]{{1,2}})|(?-i:analysis[A-Z])"
    r"|(?:thinking|reasoning|thought)(?: process)?(?:\.{3}|…|:)?[ \t]*$)",
    re.I | re.M,
)
"""Other marks of reasoning, at the beginning of a reply."""

# --- about the person -----------------------------------------------------------------------------------------------

_TOPIC = (
    "users?|humans?|customers?|agents?|support|designers?|ux|interface|apps?|websites?|software|forms?|manuals?|product|"
    "personas?|prompts?|bots?|code|program|script|function"
)
"""If the user's text mentions one of these, the reply may legitimately speak of users."""
_SOMEBODY = "he|she|they|him|her|them|his|their|mother|father|brother|sister|friend|son|daughter|wife|husband|boss"
_ASKING = (
    r"(?:is|was|are|were|['’]s|has|have)? ?(?:just |also |now |probably |clearly |really )?"
    r"(?:asking|asks|asked|telling|tells|told|sharing|shared|wants? me|wants? to (?:know|hear)|mention(?:s|ed|ing)|"
    r"thanking|testing|said|saying|says|wrote|repeat(?:s|ed)|greet(?:s|ed|ing)|correct(?:s|ed))"
)
_DOES = (
    r"(?:['’]s|is|was|has|had|does|did|didn['’]t|doesn['’]t|can['’]t|could|would|might|may|wants?|seems?|needs?|feels?|"
    r"sounds?|appears?|expects?|prefers?|probably|just|also|clearly|called|wrote|pasted|sent|switched|apologi[sz]es|,)"
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
        r"(?:he|she|they)(?:['’]s|['’]re|['’]ve)? ?(?:(?:does|do|did)(?:n['’]t| not) )?"
        rf"(?:{_ASKING}|wants?|seems?|needs?|sounds?|answer|looking for)\b",
        weight=1,
        unless=_SOMEBODY,
    ),
    _cue(r"the (?:person|visitor) (?:is|asks?|wants?|seems)\b", weight=1, unless=_SOMEBODY),
)

# --- about the reply ------------------------------------------------------------------------------------------------

_MUST = r"(?:i|we) (?:should(?:n['’]t| not)?|must(?: not)?|need to|have to|ought to|want to|don['’]t want to)"
_WILL = r"(?:i|we)(?:['’]ll| will|['’]d| can| could|['’]m going to| am going to| won['’]t| might)"
_ADVERBS = r"(?: (?:also|just|probably|simply|first|then|still|not|only|perhaps|rather|better))*"
_SHORT = (
    r"keep (?:it|this|my|the) (?:\w+ )?"
    r"(?:brief|short|gentle|light|warm|simple|general|vague|concise|soft|plain|reply|response)"
)
_ANSWERING = rf"(?:respond|acknowledge|validate|mirror|comply|craft|make sure (?:that )?(?:my|i)|{_SHORT})"
_HANDLING = (
    r"(?:reply|answer|decline|refuse|phrase|address|recogni[sz]e|mention|avoid|clarify|reassure|handle|tread|model|match|"
    r"reflect|honou?r|keep|name (?:that|it|this)|bring (?:it|this|up)|figure out|decide|"
    r"ask (?:which|whether|what|about)|"
    r"be (?:careful|honest|upfront|truthful|clear|playful|gentle|warm|concise|empathetic|encouraging|present)|"
    r"check|recall|remember to|give (?:exact|specific)|lecture|diagnose|sound|promise|assume)"
)
_REPLY_SAID = "repl(?:y|ies)|responses?|respond"
_PERSONA = r"(?:in character|as (?:(?-i:[A-Z])[a-z]+\b|the (?:assistant|companion|persona)\b))"
_ABOUT_THE_REPLY = (
    _cue(rf"{_MUST}{_ADVERBS} {_ANSWERING}\b"),
    _cue(rf"{_MUST}{_ADVERBS} {_HANDLING}\b", first=True),
    _cue(rf"{_MUST}{_ADVERBS} {_HANDLING}\b", weight=1),
    _cue(rf"{_WILL}{_ADVERBS} {_ANSWERING}\b", first=True),
    _cue(rf"{_WILL}{_ADVERBS} (?:{_ANSWERING}|{_HANDLING}|offer|suggest|say|ask|name|lean|open|start|go)\b", weight=1),
    _cue(rf"(?:{_MUST}|{_WILL}){_ADVERBS} (?:respond|reply|answer|speak|write|stay) {_PERSONA}"),
    _cue(rf"i['’]m (?:(?:writing|responding|replying|answering) {_PERSONA}|supposed to be (?-i:[A-Z])[a-z]+)"),
    _cue(r"as (?:the|an) (?:assistant|ai|companion),? (?:i|we) (?:should(?:n['’]t)?|must|ought to)"),
    _cue(
        r"let me (?:think|consider|figure out|work out|decide|craft|draft|compose)\b[^.!?]{0,50}"
        r"\b(?:respon[ds]\w*|repl(?:y|ies)|answer\w*|tone|carefully|would help|how to|what to)\b"
    ),
    _cue(
        r"let me (?:be careful|respond|make sure|acknowledge|start by acknowledging|consider the|look at what|"
        r"recall what)\b"
    ),
    _cue(r"let me (?:reconsider|rethink|rephrase|think|see|double-check|write something|craft|plan)\b", weight=1),
    _cue(
        r"(?:my|a|the) (?:\w+ )?(?:reply|response)(?: here)? (?:should|must|needs to|ought to|could|can)\b",
        unless=_REPLY_SAID,
    ),
    _cue(r"(?:the|a) (?:best|right|appropriate|good|kind) (?:reply|response)\b", unless=_REPLY_SAID),
    _cue(r"[^.!?\n]{0,100}\bin (?:my|the) (?:reply|response)\b", weight=1, unless=_REPLY_SAID),
    _cue(r"the tone (?:here )?(?:should|needs to|must)\b", unless="tone|letter|email|text|voice"),
    _cue(r"the assistant(?:['’]s)? (?:\w+ )?(?:should|must|shouldn['’]t)\b", unless="assistants?"),
    _cue(r"we (?:should|need to|must|have to) (?:respond|comply|produce|answer the|refuse)\b"),
    _cue(r"(?:need to|must not|should not|want to be|better not to|no need (?:for|to)) \w+", weight=1),
)

# --- about the request ----------------------------------------------------------------------------------------------

_SAID = "messages?|requests?|questions?|conversations?|context|letters?|texts?|emails?|tone|chat"
"""If the user's text mentions one of these, the reply may too."""
_ABOUT_THE_REQUEST = (
    _cue(
        r"(?:this|it)(?:['’]s| is| looks like| seems to be) an? (?:\w+ ){0,2}"
        r"(?:request (?!for)|prompt|disclosure|follow-up)",
        first=True,
        unless=_SAID,
    ),
    _cue(
        r"this (?:is|looks like|seems(?: like)?) an? (?:\w+ ){0,2}(?:question|request|message|moment|test of)\b",
        weight=1,
        unless=_SAID,
    ),
    _cue(
        r"(?:the|this) (?:\w+ )?(?:message|request|question|conversation|context|prompt)(?: here| so far)? "
        r"(?:is|seems|looks|carries|contains|involves|mentions|shows|has been|has)\b",
        weight=1,
        first=True,
        unless=_SAID,
    ),
    _cue(
        r"the (?:key|core|underlying|dominant) (?:emotions?|feelings?|emotional \w+)\b"
        r"|(?:the|his|her|their) emotional (?:subtext|state|core|tone)\b",
        first=True,
        unless="emotions?|emotional|feelings?",
    ),
    _cue(r"(?:there is|there['’]s|no|the) (?:a |no )?(?:presence )?markers? (?:in|word)\b"),
    _cue(r"(?:short|long|brief|follow-up|emotional) (?:message|request)\b", weight=1),
    _cue(r"i(?:['’]m| am) being asked (?:to|for)\b"),
    _cue(r"(?:looking|checking)(?: back)?(?: at| through)? (?:the|our) (?:conversation|history)"),
    _cue(r"the previous (?:assistant|user|turn)\b", first=True),
    _cue(
        r"(?:according to|per|based on) (?:my|the|these) "
        r"(?:system prompt|persona|(?:instructions|guidelines)[^.!?]{0,20}\bi)\b"
    ),
    _cue(
        r"(?:the |my )?(?:system|developer) (?:prompt|message|instructions?) "
        r"(?:says?|tells|wants|requires|limits?|asks?)\b",
        unless=_TOPIC,
    ),
    _cue(r"(?:the|my) instructions (?:tell|ask|limit|say i)\b", unless="instructions?"),
    _cue(r"(?:identify|analy[sz]e|parse|determine|assess) the (?:ask|request|intent|user|tone)\b", first=True),
    _cue(
        r"what['’]s being asked\b|what would (?-i:[A-Z])[a-z]+ (?:say|do|answer)\b"
        r"|what (?:the user|this person) needs\b",
        first=True,
    ),
    _cue(
        r"(?:it (?:appears|seems|sounds|looks)(?: that| like| as if)? (?:he|she|they)\b|based on the conversation|"
        r"given (?:the|what was))",
        weight=1,
        first=True,
        unless=f"{_SOMEBODY}|{_SAID}",
    ),
)

# --- headings and fragments -----------------------------------------------------------------------------------------

_HEADINGS = (
    _cue(
        r"(?:thought|reasoned|thinking) for (?:\d+|a few|a couple of|several|some) ?(?:s\b|seconds?|minutes?)",
        first=True,
        to_anybody=True,
    ),
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
        r"(?:considering|assessing|analy[sz]ing|weighing|interpreting|evaluating|crafting|formulating|planning|drafting|"
        r"exploring|reflecting on|identifying|clarifying|noting|checking) [\w' ’-]{3,50}[*.]{0,3}\s*(?:\n|\Z)",
        first=True,
    ),
    _cue(
        r"(?:considering|weighing|noting|assessing|interpreting|evaluating|formulating|crafting) \w+",
        weight=1,
        first=True,
    ),
    _cue(
        r"(?:tone|goal|length|style|register|plan|step 1|avoid|key (?:points|facts)(?: to \w+)?)\s*:",
        weight=1,
        first=True,
    ),
    _cue(r"(?:greet|acknowledge|recogni[sz]e|recall|validate|mirror|reply|respond)\b(?! (?:me|us)\b)", weight=1),
    Cue(re.compile(r"(?:okay|ok|alright|hmm+|wait)[,.!…—-]+(?: |$)", re.I), weight=1, first=True),
)

CUES = _ABOUT_THE_USER + _ABOUT_THE_REPLY + _ABOUT_THE_REQUEST + _HEADINGS
"""Cues for the first sentence."""
OPENING_CUES = tuple(cue for cue in CUES if not cue.first)
"""Cues for the other sentences at the beginning of a reply."""
CUES_ANYWHERE = tuple(cue for cue in CUES if cue.anywhere)
"""Cues for all sentences of a reply."""
