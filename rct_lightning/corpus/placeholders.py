"""Rule for texts that an export inserted where it could not export the original."""

from __future__ import annotations

import re

from rct_lightning.corpus.exchange import Exchange, excerpt

LONGEST_MARK, LONGEST_MESSAGE = 250, 120
"""Characters of a line that may be a mark in brackets, or a message of a chat program."""

_THING = (
    r"(?:\w+ ){0,2}(?:block|artifact|attachment|content|feature|file|image|message|preview|video|result|output|"
    r"response|chart|item|element)s?(?: type)?"
)
_NOT_SHOWN = (
    r"(?:(?:is|are|was|were|could|ca)n['’]t|(?:is|are|was|were|could|can) ?not)(?: yet)?(?: be)? (?:yet )?"
    r"(?:supported|available|displayed|shown|loaded)(?: here)?(?: yet)?"
)
_SENTENCE = re.compile(
    rf"\b(?:this|the) {_THING} {_NOT_SHOWN} (?:on (?:your|this|mobile)|in (?:this|your) (?:version|app))"
    rf"|^this {_THING} {_NOT_SHOWN}(?:\.|$)"
    r"|\bviewing (?:\w+ ){1,12}?(?:is|are)(?:n['’]t| not) (?:yet )?supported"
    r"|\bartifacts? (?:is|are)(?:n['’]t| not) (?:yet )?supported"
    r"|\bcontent that (?:can['’]t|can ?not) be (?:displayed|shown)|\bdoes(?:n['’]t| not) support this content"
    r"|\bif this issue persists,? please contact us"
    r"|\bthere was an error generating a response|\b(?:an )?error occurred while generating"
    r"|\bthis content may violate our (?:usage|content) polic",
    re.I | re.M,
)
"""Sentences that are searched anywhere in a text."""
_SENTENCE_HINTS = (
    "support", "available", "displayed", "shown", "loaded", "issue persists", "error generating", "error occurred",
    "may violate our",
)  # fmt: skip

_PICTURE = "image|photo|picture|pic|video|audio|gif|sticker|file|attachment|media"
_MEDIUM = (
    rf"(?:{_PICTURE})s?|voice (?:message|note)|(?:audio|video) message|document|artifact|preview|contact card|"
    r"screenshot|recording|canvas|block|content|comment|message|response|reply|generation|output|thinking|"
    r"tool (?:use|call|result)|conversation"
)
_GONE = (
    r"omitted|deleted|removed|unavailable|available|loaded|displayed|hidden|redacted|expired|interrupted|stopped|cancelled|"
    r"cut off|truncated|attached|missing|unsupported|not supported|not sent|unsent"
)
_STATE = rf"(?:was |has been |is |were |could not be |cannot be |can['’]t be )?(?:not |no longer )?(?:{_GONE})"
_MARK = re.compile(
    rf"[\[<(]\s*(?:(?:\d+|un\w+|no|empty|missing|deleted|removed|see) )*(?:{_MEDIUM}|text|no response)(?: type)?"
    rf"(?: {_STATE}[\w ]{{0,30}})?(?: ?\d+:\d\d|\s*(?:: | of )[^\]>)\n]{{0,120}})?\s*[\])>]"
    rf"|[\[(](?:{_GONE})[\])]|<attached: [^>\n]{{1,120}}>|\[object Object\]"
    r"|!\[[^\]\n]{0,80}\]\((?:attachment|sandbox|file-service):[^)\n]{0,200}\)",
    re.I,
)
"""Marks in brackets, on a line of their own."""
_MARK_IN_A_LINE = re.compile(
    rf"\[(?:{_PICTURE})(?: of |: )[^\]\n]{{1,120}}\](?!\()|[\[<](?:{_PICTURE}) omitted[\]>]", re.I
)
_IN_BRACKETS = re.compile(r"\[[\w .…:]{0,40}\]|<[\w ]{1,40}>|\{\}")
"""Anything in brackets, if it is the whole text."""

_TRY_AGAIN = r"(?:[.!,] (?:please )?(?:try|wait|contact|reload|refresh)\b.{0,60})?"
_ERROR = (
    r"(?:an? |there was an? )?(?:\w+ ){0,2}(?:error|problem) (?:has )?(?:occurred|generating|loading|processing|while|"
    r"in (?:message|body) stream)\b.{0,40}"
    rf"|error(?: \d{{3}}|: .{{1,60}})|sorry, i encountered an? \w+{_TRY_AGAIN}"
    rf"|(?:network|server|internal|internal server|unknown|unexpected) error{_TRY_AGAIN}"
    rf"|(?:hmm\W*|oops\W*|sorry\W*)?something (?:went|seems to have gone) wrong(?: while .{{0,60}}|{_TRY_AGAIN})"
    r"|(?:message )?(?:failed|unable) to (?:load|fetch|generate|send|process|retrieve|display|connect)\b.{0,40}"
    r"|(?:we|i) (?:could ?n['’]t|could not|can['’]t|were unable to) (?:load|generate|process|connect|display)\b.{0,40}"
    r"|(?:the|our) (?:server|model|service)s? (?:had|has|is|are|encountered|returned) "
    r"(?:an? error|overloaded|busy|down|unavailable).{0,60}"
    r"|(?:request|connection|session) (?:failed|lost|timed out|expired)\b.{0,40}|timed out"
    r"|service (?:temporarily )?unavailable|(?:too many requests|rate limit)\b.{0,60}"
    r"|you(?:['’]ve| have) reached (?:your|the) .{0,20}limit.{0,60}"
    r"|[45]\d\d (?:bad request|unauthorized|forbidden|not found|too many requests|internal server error|bad gateway|"
    r"service unavailable|gateway timeout)"
)
_MESSAGE = re.compile(
    rf"(?:{_ERROR}"
    rf"|(?:this |the |your |you )?(?:{_MEDIUM}) {_STATE}(?: here| by [\w ]{{1,20}})?|you deleted this message"
    rf"|(?:\w+['’]s )?(?:response|reply|generation) {_STATE}|(?:stopped|cancelled) (?:by user|generating)"
    r"|unsupported \w+(?: type)?|(?:conversation|message|page|file) not found"
    r"|(?:no|empty) (?:content|response|reply|message|text)(?: generated)?"
    r"|regenerate(?: response)?|continue generating|copy code|retry|edit message|read aloud|show (?:more|less)"
    r"|click to view\W.{0,60}|lorem ipsum\W.*)",
    re.I,
)
"""Messages and buttons of a chat program, if they are the last line."""
_NOTHING = re.compile(
    r"(?:null|none|undefined|nan|n/?a|todo|tbd|redacted|deleted|removed|stopped|blank|interrupted|continue|edit)"
    r"(?: (?:null|undefined))*",
    re.I,
)
"""Words that count only if they are the whole text."""
_INVISIBLE = "\u200b\u200e\u200f\ufeff \t"


def placeholder(exchange: Exchange) -> str | None:
    """Find a sentence, mark or message that stands for something the export does not hold."""
    for side, text in exchange.sides():
        if place := _within(text):
            return f"{side}: {excerpt(text, *place)}"
        lines = [line for line in (line.strip(_INVISIBLE) for line in text.splitlines()) if line.strip("`")]
        alone = len(lines) == 1
        for line in lines:
            if line[0] in "[<(!{" and _is_mark(line, alone):
                return f"{side}: {excerpt(line)}"
        if lines and (alone or side == "reply") and _is_message(lines[-1], alone):
            return f"{side}: {excerpt(lines[-1])}"
    return None


def _within(text: str) -> tuple[int, int] | None:
    found = _SENTENCE.search(text) if any(hint in text.lower() for hint in _SENTENCE_HINTS) else None
    if not found and ("[" in text or "omitted>" in text):
        found = _MARK_IN_A_LINE.search(text)
    return found.span() if found else None


def _is_mark(line: str, alone: bool) -> bool:
    return len(line) < LONGEST_MARK and bool(_MARK.fullmatch(line) or (alone and _IN_BRACKETS.fullmatch(line)))


def _is_message(line: str, alone: bool) -> bool:
    bare = line.strip("[]()<>*_`.!… \t")
    return len(line) <= LONGEST_MESSAGE and bool(_MESSAGE.fullmatch(bare) or (alone and _NOTHING.fullmatch(bare)))
