"""What makes an exchange unfit to learn from: rules that look at one user text and one reply.

A rule never edits; it says what it saw. Its list of wordings stands beside it, so that a reader can tell what it knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rct_lightning.corpus.overlap import words
from rct_lightning.corpus.reasoning import leaked_reasoning_at
from rct_lightning.sanitize import printable

EXCERPT = 30
"""Characters shown before and after what was seen."""
LONGEST_EXCERPT = 80


@dataclass(frozen=True, slots=True)
class Exchange:
    """A user text and the reply to it."""

    input: str
    output: str

    def sides(self) -> Iterator[tuple[str, str]]:
        """Both texts with what a person calls them."""
        yield "input", self.input
        yield "reply", self.output


@dataclass(frozen=True)
class Rule:
    """A named reason to take a row out.

    Attributes:
        name: As in ``--off NAME``.
        looks_for: For a person, in a line.
        find: What was seen in an exchange, or None. None for rules that compare rows.
        spoils: Whether a context that holds such an exchange is spoiled too.
    """

    name: str
    looks_for: str
    find: Callable[[Exchange], str | None] | None = None
    spoils: bool = False


def excerpt(text: str, start: int, end: int) -> str:
    """What stands at a place and around it, in one line, safe to show."""
    end = min(end, start + LONGEST_EXCERPT)
    cut = text[max(0, start - EXCERPT) : end + EXCERPT]
    before, after = "…" if start > EXCERPT else "", "…" if end + EXCERPT < len(text) else ""
    return f'"{before}{" ".join(printable(cut).split())}{after}"'


# --- too short ------------------------------------------------------------------------------------------------------

LEAST_LETTERS = 3
"""Letters and digits of a reply; "Yes" and "No." are at the limit."""


def too_short(exchange: Exchange) -> str | None:
    """An input without a letter, or a reply that is next to nothing."""
    for side, text in exchange.sides():
        if not text.strip():
            return f"the {side} is empty"
        letters = sum(map(str.isalnum, text)) if len(text) < JUDGED_CHARACTERS else LEAST_LETTERS
        if letters < (1 if side == "input" else LEAST_LETTERS):
            return f"the {side} is {excerpt(text, 0, len(text))}"
    return None


# --- placeholders ---------------------------------------------------------------------------------------------------

_THING = (
    r"(?:\w+ ){0,2}(?:block|artifact|attachment|content|feature|file|image|message|preview|video|result|output|response|chart|"
    r"item|element)s?(?: type)?"
)
_NOT_SHOWN = r"(?:(?:is|are|was|were|could|ca)n['’]t|(?:is|are|was|were|could|can) ?not)(?: yet)?(?: be)? (?:yet )?"
_STOCK = re.compile(
    rf"\b(?:this|the) {_THING} {_NOT_SHOWN}(?:supported|available|displayed|shown|loaded)(?: here)?(?: yet)?"
    r" (?:on (?:your|this|mobile)|in (?:this|your) (?:version|app))"
    rf"|^this {_THING} {_NOT_SHOWN}(?:supported|available|displayed|shown|loaded)(?: here)?(?: yet)?(?:\.|$)"
    r"|\bviewing (?:\w+ ){1,12}?(?:is|are)(?:n['’]t| not) (?:yet )?supported"
    r"|\bartifacts? (?:is|are)(?:n['’]t| not) (?:yet )?supported"
    r"|\bcontent that (?:can['’]t|can ?not) be (?:displayed|shown)|\bdoes(?:n['’]t| not) support this content"
    r"|\bif this issue persists,? please contact us"
    r"|\bthere was an error generating a response|\b(?:an )?error occurred while generating"
    r"|\bthis content may violate our (?:usage|content) polic",
    re.I | re.M,
)
"""Sentences that an export puts where something could not be exported; found anywhere in a text."""
_PICTURE = "image|photo|picture|pic|video|audio|gif|sticker|file|attachment|media"
_MEDIUM = (
    rf"(?:{_PICTURE})s?|voice (?:message|note)|(?:audio|video) message|document|artifact|link|preview|contact card|location|screenshot|"
    r"recording|canvas|block|content|comment|message|response|reply|generation|output|thinking|tool (?:use|call|result)|conversation"
)
_GONE = (
    r"omitted|deleted|removed|unavailable|available|loaded|displayed|hidden|redacted|expired|interrupted|stopped|cancelled|cut off|"
    r"truncated|attached|missing|unsupported|not supported|not sent|unsent"
)
_STATE = rf"(?:was |has been |is |were |could not be |cannot be |can['’]t be )?(?:not |no longer )?(?:{_GONE})"
_MARK = re.compile(
    rf"[\[<(*]\s*(?:(?:\d+|un\w+|no|empty|missing|deleted|removed|see) )*(?:{_MEDIUM}|text|no response)(?: type)?(?: {_STATE}[\w ]{{0,30}})?"
    rf"(?: ?\d+:\d\d|\s*(?:: | of )[^\]>)\n]{{0,120}})?\s*[\])>*]|[\[(](?:{_GONE})[\])]"
    r"|<attached: [^>\n]{1,120}>|!\[[^\]\n]{0,80}\]\((?:attachment|sandbox|file-service):[^)\n]{0,200}\)|\[object Object\]",
    re.I,
)
"""Marks in brackets that stand for something that is not text, on a line of their own."""
_IN_THE_LINE = re.compile(
    rf"\[(?:{_PICTURE})(?: of |: )[^\]\n]{{1,120}}\](?!\()|[\[<](?:{_PICTURE}) omitted[\]>]", re.I
)
"""The same within a line."""
_TRY_AGAIN = r"(?:[.!,] (?:please )?(?:try|wait|contact|reload|refresh)\b.{0,60})?"
_LINE_OF_ITS_OWN = re.compile(
    rf"(?:(?:this |the |your |you )?(?:{_MEDIUM}) {_STATE}(?: here| by [\w ]{{1,20}})?|you deleted this message|unsupported \w+(?: type)?"
    rf"|(?:conversation|message|page|file) not found|(?:no|empty) (?:content|response|reply|message|text)(?: generated)?"
    rf"|(?:message )?(?:failed|unable) to (?:load|fetch|generate|send|process|retrieve|display|connect)\b.{{0,40}}"
    rf"|(?:we|i) (?:could ?n['’]t|could not|can['’]t|were unable to) (?:load|generate|process|find|connect|display)\b.{{0,40}}"
    rf"|(?:an? |there was an? )?(?:\w+ ){{0,2}}(?:error|problem) (?:has )?(?:occurred|generating|loading|processing|"
    rf"while|in (?:message|body) stream)\b.{{0,40}}|error(?: \d{{3}}|: .{{1,60}})|sorry, i encountered an? \w+{_TRY_AGAIN}"
    rf"|(?:network|server|internal|internal server|unknown|unexpected) error{_TRY_AGAIN}"
    rf"|(?:the|our) (?:server|model|service)s? (?:had|has|is|are|encountered|returned) (?:an? error|overloaded|busy|down|unavailable).{{0,60}}"
    rf"|(?:request|connection|session) (?:failed|lost|timed out|expired)\b.{{0,40}}|timed out|service (?:temporarily )?unavailable"
    rf"|[45]\d\d (?:bad request|unauthorized|forbidden|not found|too many requests|internal server error|bad gateway|"
    rf"service unavailable|gateway timeout)|(?:too many requests|rate limit)\b.{{0,60}}|you(?:['’]ve| have) reached (?:your|the) .{{0,20}}limit.{{0,60}}"
    rf"|(?:hmm\W*|oops\W*|sorry\W*)?something (?:went|seems to have gone) wrong(?: while .{{0,60}}|{_TRY_AGAIN})"
    rf"|regenerate(?: response)?|continue generating|copy code|retry|edit message|read aloud|show (?:more|less)|click to view\W.{{0,60}}"
    rf"|(?:\w+['’]s )?(?:response|reply|generation) {_STATE}|(?:stopped|cancelled) (?:by user|generating)|lorem ipsum\W.*)",
    re.I,
)
"""Messages and buttons of a chat program; they count where they are the last line."""
_ALL_THERE_IS = re.compile(
    r"(?:null|none|undefined|nan|n/?a|todo|tbd|redacted|deleted|removed|stopped|blank|interrupted|continue|edit)(?: (?:null|undefined))*",
    re.I,
)
"""What counts only where nothing else is said."""
_BRACKETED = re.compile(r"\[[^\]\n]{0,60}\]|<[^>\n]{1,60}>|\{\}")
_INVISIBLE = "\u200b\u200e\u200f\ufeff \t"


def placeholder(exchange: Exchange) -> str | None:
    """A sentence or mark that stands for something the export does not hold."""
    for side, text in exchange.sides():
        if found := _STOCK.search(text) or _IN_THE_LINE.search(text):
            return f"{side}: {excerpt(text, *found.span())}"
        lines = [line for line in (line.strip(_INVISIBLE) for line in text.splitlines()) if line.strip("`")]
        for number, line in enumerate(lines, start=1):
            if _stands_for_something(line, last=number == len(lines), alone=len(lines) == 1, reply=side == "reply"):
                return f"{side}: {excerpt(line, 0, len(line))}"
    return None


def _stands_for_something(line: str, *, last: bool, alone: bool, reply: bool) -> bool:
    if line[0] in "[<(*!{" and len(line) < 250 and (_MARK.fullmatch(line) or alone and _BRACKETED.fullmatch(line)):
        return True
    if not last or len(line) > 120:
        return False
    bare = line.strip("[]()<>*_`.!… \t")
    if alone and _ALL_THERE_IS.fullmatch(bare):
        return True
    return (alone or reply) and _LINE_OF_ITS_OWN.fullmatch(bare) is not None


# --- wrong speaker --------------------------------------------------------------------------------------------------

_LINE = r"^[ \t>#*_\[-]{0,6}(?:\d{1,2}:\d\d(?::\d\d)?\] ?)?"
_COLON = r"[\]*_]{0,3}[ \t]*:[*_]{0,2}"
_TOKENS = re.compile(
    r"<\|(?:im_start|im_end|start_header_id|eot_id|end_of_turn|user|assistant|system|end)\|>|\[/?INST\]|<(?:start|end)_of_turn>"
    rf"|</?(?:user|human)>|^#{{1,3}} (?:human|user|assistant)[ \t]*$|{_LINE}#{{2,3}} ?(?:human|user|assistant|instruction|response)\s*:|\"role\": ?\"(?:user|human|assistant)\"",
    re.I | re.M,
)
"""Tokens of chat templates: never part of what somebody said."""
_ASKS = rf"(?:human|user|you|me|h|prompt|anonymous){_COLON}|(?:you|human|user) (?:said|asked|wrote){_COLON}"
_ANSWERS = rf"(?:assistant|ai|bot|a|claude|chatgpt|gpt|grok|gemini|aelara|model|response){_COLON}|(?:chatgpt|claude|assistant) said{_COLON}"
_TURN_OF = re.compile(rf"{_LINE}(?:(?P<asks>{_ASKS})|(?P<answers>{_ANSWERS}))", re.I | re.M)
_BEGINS = re.compile(rf"(?:human|user){_COLON} \S+(?: \S+){{3,}}\n", re.I)
_IN_ONE_LINE = re.compile(r"\b(?:Human|User): .{3,600}?\b(?:Assistant|AI): ")
_NEXT_TURN = re.compile(
    rf"(?<=\n){_LINE[1:]}(?:human|user|you (?:said|asked)){_COLON}[ \t]*\n?[ \t]*(?:\S+[ \t]+){{3}}\S", re.I
)
SAME_WORDS = 3
"""A reply of fewer words may be the user's text again: "Good night." """


def wrong_speaker(exchange: Exchange) -> str | None:
    """A reply that holds turns of the user, or is the user's text."""
    reply = exchange.output
    found = _TOKENS.search(reply) or (":" in reply and (_NEXT_TURN.search(reply) or _IN_ONE_LINE.search(reply)))
    if found:
        return f"reply: {excerpt(reply, *found.span())}"
    turns = list(_TURN_OF.finditer(reply))
    if {turn.lastgroup for turn in turns} == {"asks", "answers"} or _BEGINS.match(reply):
        return f"reply: {excerpt(reply, *turns[0].span())}"
    if len(reply) < 3 * len(exchange.input) + 100:
        said = words(reply)
        if len(said) >= SAME_WORDS and said == words(exchange.input):
            return f"the reply is the input: {excerpt(reply, 0, len(reply))}"
    return None


# --- leaked reasoning -----------------------------------------------------------------------------------------------


def reasoning(exchange: Exchange) -> str | None:
    """A reply in which the assistant thinks about the user, or about what to say, instead of saying it."""
    found = leaked_reasoning_at(exchange.input, exchange.output)
    return None if found is None else f"reply: {excerpt(exchange.output, *found)}"


# --- noise ----------------------------------------------------------------------------------------------------------

LEAST_SHARE_OF_LETTERS = 0.45
"""Of the characters that are no spaces; programs have about 0.7, tables of numbers under 0.2."""
JUDGED_CHARACTERS = 60
UNBROKEN = 100
"""ASCII characters without a space; no word of a language is so long, an address of the web may be."""
FEWEST_DIFFERENT = 0.12
"""Different words over words, in a text of forty or more."""
JUDGED_WORDS = 40
_UNBROKEN = re.compile(rf"[!-~]{{{UNBROKEN},}}")
_RULES_AND_TABLES = set("|-:=+_*#~.")
_RUN = re.compile(r"([^\W\d_])\1{29}")
_GARBLED = re.compile(r"[ÃÂ][\u0080-\u00bf\u0152-\u2122]|â€[\u0080-\u2122]?|[ÐÑ][\u0080-\u00bf]|ï¿½|ðŸ")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


def noise(exchange: Exchange) -> str | None:
    """Text that is no language: encoded data, tables of numbers, broken encodings, one word over and over."""
    for side, text in exchange.sides():
        if seen := _noise_in(text):
            return f"{side}: {seen}"
    return None


def _noise_in(text: str) -> str | None:
    for token in _UNBROKEN.finditer(text):
        if (
            not set(token.group()) <= _RULES_AND_TABLES
            and "://" not in token.group()
            and not token.group().startswith("www.")
        ):
            return f"{len(token.group())} characters without a space, {excerpt(text, *token.span())}"
    if run := _RUN.search(text):
        return f"one letter over and over, {excerpt(text, *run.span())}"
    if text.count("\ufffd") >= max(3, len(text) / 200) or len(_CONTROL.findall(text)) >= 3:
        return f"replacement or control characters, {excerpt(text, 0, len(text))}"
    if len(garbled := _GARBLED.findall(text)) >= 3:
        return f"a broken encoding ({garbled[0]!r} and the like)"
    letters, dense = sum(map(str.isalpha, text)), len(text) - sum(map(text.count, " \n\t"))
    if len(text) >= JUDGED_CHARACTERS and letters < LEAST_SHARE_OF_LETTERS * dense:
        return f"{letters / dense:.0%} of the characters are letters, {excerpt(text, 0, len(text))}"
    found = text.split()
    if len(found) >= JUDGED_WORDS and len({word.lower() for word in found}) < FEWEST_DIFFERENT * len(found) ** 0.9:
        return f"few words over and over, {excerpt(text, 0, len(text))}"
    return None


EXCHANGE_RULES = (
    Rule("too-short", "an empty side, an input without a letter, a reply of one or two letters", too_short),
    Rule(
        "placeholder", 'text of the export\'s own: "This block is not supported …", "[image]"', placeholder, spoils=True
    ),
    Rule("reasoning", "the assistant thinking about the user instead of speaking to them", reasoning, spoils=True),
    Rule("wrong-speaker", "a reply that holds turns of the user, or is the user's text", wrong_speaker, spoils=True),
    Rule("noise", "encoded data, tables of numbers, broken encodings, one word over and over", noise, spoils=True),
)
"""In the order in which they are asked; a row is counted for the first that speaks."""
