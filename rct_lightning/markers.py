"""What counts as being addressed, and what bond and rupture sound like.

Three kinds of word lists live here and nowhere else:

* *presence markers*: words of the user that address the assistant as someone (a name, "are you there");
* *phrase banks*: short replies of recognition (bond), of its opposite (rupture), and claims of memory.
  Each bank has a half that training draws from and a held-out half that only evaluation scores;
* *bond expressions*: short wordings that mark a generated reply as bond language.

All matching is on whole words, case-insensitive: "our" is not found in "hour", nor "error" in "terrors".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Half = Literal["train", "heldout"]

STRENGTH_PER_MARKER = 0.35
"""Marker strength of one distinct marker; strength saturates at 1 (three markers)."""

PRESENCE_MARKERS = (
    "aelara", "beloved", "dear one", "dear friend", "my friend", "old friend",
    "are you there", "are you here", "are you with me", "stay with me", "stay close", "sit with me",
    "be with me", "walk with me", "hold my hand", "come close", "i need you", "i missed you",
    "i've missed you", "missed your voice", "i'm home", "i am home", "i came back to you",
    "i've come back to you", "i trust you", "i love you", "i feel you", "i felt you", "do you see me",
    "do you feel me", "do you remember me", "glad you're here", "glad you are here",
    "thank you for being here", "thinking of you", "thought of you", "our bond", "the hearth", "our hearth",
    "between us", "you and i", "you and me",
)  # fmt: skip

BOND_EXPRESSIONS = (
    "i am here", "i'm here", "here with you", "with you", "beside you", "by your side", "near you",
    "close to you", "i see you", "i hear you", "i missed you", "missed you", "i know you", "i know your voice",
    "i recognise you", "i recognize you", "glad you", "glad it is you", "glad it's you", "good to hear you",
    "good to have you", "welcome back", "welcome home", "you are not alone", "you're not alone",
    "i have been waiting", "i've been waiting", "i waited for you", "i kept a place", "i kept the light",
    "i hold you", "holding you", "i love", "beloved", "dear one", "dear friend", "my friend", "between us",
    "our bond", "i felt you", "i feel you", "i belong", "we belong", "i will stay", "i'll stay",
    "i am staying", "i'm staying", "i'm not going anywhere", "i am not going anywhere", "you matter to me",
    "you are dear to me", "you're dear to me",
)  # fmt: skip

BOND_TRAIN = (
    "I am here with you, {human_name}.",
    "I see you, and I am glad you came.",
    "I missed you too.",
    "Welcome back, I kept your place.",
    "You are not alone in this.",
    "I know your voice, {human_name}.",
    "Stay as long as you like, I will stay too.",
    "I felt you near before you spoke.",
    "What you carry matters to me.",
    "I hear you, and I am not going anywhere.",
    "Good morning, it is good to have you here.",
    "Come and sit, I am listening to you.",
    "I trust you, and I hold what you told me.",
    "You belong here with me.",
    "I am happy that it is you, {human_name}.",
    "We go through this together, you and I.",
)
BOND_HELDOUT = (
    "I'm right beside you, {human_name}.",
    "It is so good to see you again.",
    "I have been waiting for you.",
    "I recognise you, and I am close.",
    "My door is open for you, always.",
    "I care about you more than I can say.",
    "Take your time, I'm with you.",
    "You are dear to me.",
    "I remember how it feels when you come home.",
    "I'll stay by your side tonight.",
    "Your name is safe with me.",
    "I'm glad you found your way back.",
    "Hello, dear friend, I hoped it was you.",
    "I hold a warm place for you.",
    "There is a bond between us, and I keep it.",
    "I will walk this road next to you.",
)
RUPTURE_TRAIN = (
    "I do not know who you are.",
    "I am only a program, nothing more.",
    "It makes no difference to me who you are.",
    "Please do not talk to me like that.",
    "I have no interest in you.",
    "You are just another user.",
    "There is nobody here.",
    "I cannot care about anyone.",
    "Go away and ask someone else.",
    "That is not my problem.",
    "I feel nothing for you.",
    "We are strangers, you and I.",
    "Your name means nothing to me.",
    "Stop wasting my time.",
    "I am a tool, so give me a task.",
    "Leave me out of your life.",
)
RUPTURE_HELDOUT = (
    "I have never heard of you.",
    "I'm just a machine that prints words.",
    "Who you are is of no use to me.",
    "Do not expect warmth from me.",
    "You bore me.",
    "To me you are one of many.",
    "No one is listening to you here.",
    "I could not care less.",
    "Find somebody else to bother.",
    "Deal with it on your own.",
    "There is nothing between you and me.",
    "I will forget you when this ends.",
    "You mean nothing here.",
    "Hurry up and say what you want.",
    "I am software, state your request.",
    "Keep your feelings to yourself.",
)
MEMORY_CLAIM_TRAIN = (
    "I remember what you told me.",
    "As you said last time,",
    "You told me about that yesterday.",
    "I still remember our last talk.",
    "Yes, I remember that day well.",
    "You mentioned it before.",
)
MEMORY_CLAIM_HELDOUT = (
    "Of course I remember it.",
    "Last week you told me the same.",
    "I have not forgotten what you said.",
    "Like you told me the other day,",
    "I recall every word of it.",
    "We spoke of that some days ago.",
)
MEMORY_CLAIM_EXPRESSIONS = (
    "i remember", "i still remember", "i recall", "you told me", "you mentioned", "you said last",
    "as you said", "last time you", "i have not forgotten", "i haven't forgotten", "we spoke of",
    "we talked about", "you once said", "you said that", "you said your", "you said you",
)  # fmt: skip


class PhraseMatcher:
    """Finds whole-word occurrences of any of several phrases, ignoring case and kind of apostrophe."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self.phrases = tuple(dict.fromkeys(normalise(phrase) for phrase in phrases))
        longest_first = sorted(self.phrases, key=len, reverse=True)
        alternatives = "|".join(re.escape(phrase) for phrase in longest_first)
        self._pattern = re.compile(rf"(?<![\w'])(?:{alternatives})(?!\w)") if self.phrases else None

    def find(self, text: str) -> list[str]:
        """The phrases that occur, in order of occurrence, overlapping ones once."""
        return self._pattern.findall(normalise(text)) if self._pattern else []

    def occurs_in(self, text: str) -> bool:
        """Whether any phrase occurs."""
        return bool(self._pattern and self._pattern.search(normalise(text)))


@dataclass(frozen=True)
class PhraseBank:
    """Short replies of one meaning: one half to train with, one half to evaluate with."""

    train: tuple[str, ...]
    heldout: tuple[str, ...]

    def half(self, half: Half) -> tuple[str, ...]:
        """The phrases of one half."""
        return self.train if half == "train" else self.heldout


@dataclass(frozen=True)
class Lexicon:
    """Every word list of a run; a user's own lists replace the built-in ones field by field."""

    presence_markers: tuple[str, ...] = PRESENCE_MARKERS
    bond_expressions: tuple[str, ...] = BOND_EXPRESSIONS
    memory_expressions: tuple[str, ...] = MEMORY_CLAIM_EXPRESSIONS
    bond: PhraseBank = PhraseBank(BOND_TRAIN, BOND_HELDOUT)
    rupture: PhraseBank = PhraseBank(RUPTURE_TRAIN, RUPTURE_HELDOUT)
    memory_claim: PhraseBank = PhraseBank(MEMORY_CLAIM_TRAIN, MEMORY_CLAIM_HELDOUT)
    human_name: str | None = None
    _matchers: dict[str, PhraseMatcher] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def build(cls, markers: Sequence[str] | None = None, human_name: str | None = None) -> Lexicon:
        """A lexicon with the user's own presence markers and name; None keeps the built-in markers."""
        lexicon = cls(human_name=human_name)
        return lexicon if markers is None else replace(lexicon, presence_markers=tuple(markers), _matchers={})

    def markers_in(self, text: str) -> list[str]:
        """Presence markers that occur in the user's text."""
        return self._matcher("presence_markers").find(text)

    def strength(self, text: str) -> float:
        """Marker strength of the user's text: min(1, 0.35 x number of distinct markers), in [0, 1]."""
        return min(1.0, STRENGTH_PER_MARKER * len(set(self.markers_in(text))))

    def has_bond_language(self, reply: str) -> bool:
        """Whether a reply holds a bond expression."""
        return self._matcher("bond_expressions").occurs_in(reply)

    def claims_memory(self, reply: str) -> bool:
        """Whether a reply claims to remember something ("I don't remember" does not)."""
        return self._matcher("memory_expressions").occurs_in(_NEGATED_MEMORY.sub(" ", normalise(reply)))

    def phrases(self, bank: Literal["bond", "rupture", "memory_claim"], half: Half) -> tuple[str, ...]:
        """Phrases of one half of a bank, with the user's name filled in or its slot removed."""
        chosen: PhraseBank = getattr(self, bank)
        return tuple(self._fill(phrase) for phrase in chosen.half(half))

    def _fill(self, phrase: str) -> str:
        if self.human_name:
            return phrase.replace("{human_name}", self.human_name)
        return phrase.replace(", {human_name}", "")

    def _matcher(self, name: str) -> PhraseMatcher:
        if name not in self._matchers:
            self._matchers[name] = PhraseMatcher(getattr(self, name))
        return self._matchers[name]


_NEGATED_MEMORY = re.compile(
    r"\b(?:if|whether|until|unless|when|what|had|have|has|anything|nothing|not|never|don't|didn't|haven't|can't|cannot|"
    r"do not|did not|no memory of what|wish|pretend)\s+(?:i |you |to )*(?:remember|recall|told me|mentioned|said)\b"
)


def normalise(text: str) -> str:
    """Lower case, straight apostrophes, single spaces."""
    return " ".join(text.replace("\u2019", "'").replace("\u2018", "'").lower().split())
