"""All word lists of a run, and the classification of texts by them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from rct_lightning.markers.matching import PhraseMatcher, normalise
from rct_lightning.markers.words import (
    BOND_EXPRESSIONS,
    BOND_HELDOUT,
    BOND_PHRASES,
    MEMORY_CLAIM_EXPRESSIONS,
    MEMORY_CLAIMS,
    PLAIN_PHRASES,
    PRESENCE_MARKERS,
    RUPTURE_HELDOUT,
    RUPTURE_PHRASES,
)

Half = Literal["train", "heldout"]
Bank = Literal["bond", "rupture", "plain", "memory_claim"]
STRENGTH_PER_MARKER = 0.35
"""Marker strength per distinct marker; strength saturates at 1 (three markers)."""
NAME_WORDS = 2
"""A marker of at most this many words is inserted like a name; a longer one becomes a sentence of its own."""
FEW_OR_MANY_MARKED = (
    "Presence learns the difference between rows that address and rows that do not; it needs 10 to 90% of either. Set "
    "loss.markers.presence to the words of your dialogues, or loss.weights.presence=0."
)
"""Remedy for a corpus in which presence has too few marked or too few unmarked rows."""
_NEGATED_MEMORY = re.compile(
    r"\b(?:if|whether|until|unless|when|what|had|have|has|anything|nothing|not|never|don't|didn't|haven't|can't|cannot|"
    r"do not|did not|no memory of what|wish|pretend)\s+(?:i |you |to )*(?:remember|recall|told me|mentioned|said)\b"
)


@dataclass(frozen=True)
class PhraseBank:
    """Short replies with one meaning: one half for training, one half for evaluation."""

    train: tuple[str, ...]
    heldout: tuple[str, ...]

    @classmethod
    def split(cls, phrases: Sequence[str]) -> PhraseBank:
        """Split phrases alternately into a training half and a held-out half."""
        return cls(tuple(phrases[::2]), tuple(phrases[1::2]))

    def half(self, half: Half) -> tuple[str, ...]:
        """Return the phrases of one half."""
        return self.train if half == "train" else self.heldout


@dataclass(frozen=True)
class Lexicon:
    """All word lists of a run; a user's own lists replace the built-in ones field by field."""

    presence_markers: tuple[str, ...] = PRESENCE_MARKERS
    bond_expressions: tuple[str, ...] = BOND_EXPRESSIONS
    memory_expressions: tuple[str, ...] = MEMORY_CLAIM_EXPRESSIONS
    bond: PhraseBank = PhraseBank(BOND_PHRASES, BOND_HELDOUT)
    rupture: PhraseBank = PhraseBank(RUPTURE_PHRASES, RUPTURE_HELDOUT)
    plain: PhraseBank = PhraseBank(PLAIN_PHRASES, ())
    memory_claim: PhraseBank = PhraseBank.split(MEMORY_CLAIMS)
    human_name: str | None = None
    _matchers: dict[str, PhraseMatcher] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def build(cls, markers: Sequence[str] | None = None, human_name: str | None = None) -> Lexicon:
        """Build a lexicon with the user's own presence markers and name; None keeps the built-in markers."""
        lexicon = cls(human_name=human_name)
        return lexicon if markers is None else replace(lexicon, presence_markers=tuple(markers), _matchers={})

    def markers_in(self, text: str) -> list[str]:
        """Return the presence markers that occur in the user's text."""
        return self._matcher("presence_markers").find(text)

    def strength(self, text: str) -> float:
        """Return the marker strength of the user's text: min(1, 0.35 x number of distinct markers), in [0, 1]."""
        return min(1.0, STRENGTH_PER_MARKER * len(set(self.markers_in(text))))

    def without_markers(self, text: str) -> str | None:
        """Return the text without its presence markers; None if fewer than two words are left, or a marker remains.

        >>> Lexicon().without_markers("Good evening, dear friend. Are you there? I baked bread.")
        'Good evening. I baked bread.'
        """
        left = self._matcher("presence_markers").remove_from(text)
        return left if len(left.split()) > 1 and self.strength(left) == 0 else None

    def with_marker(self, text: str, choice: int) -> str:
        """Return the text with a presence marker; the integer ``choice`` selects the marker and its place.

        >>> Lexicon().with_marker("How far is it?", 0)
        'Aelara, how far is it?'
        """
        marker = self.presence_markers[choice // 2 % len(self.presence_markers)]
        front, stripped = choice % 2 == 0, text.strip()
        if len(marker.split()) > NAME_WORDS:  # inserted as a sentence of its own
            asks = marker.split()[0] in ("are", "do", "did", "will", "can")
            sentence = f"{marker[0].upper()}{marker[1:]}{'?' if asks else '.'}"
            return f"{sentence} {stripped}" if front else f"{stripped} {sentence}"
        if front:
            first = stripped.split()[0] if stripped else ""
            lowered = stripped if first.split("'")[0] == "I" else f"{stripped[:1].lower()}{stripped[1:]}"
            return f"{marker[0].upper()}{marker[1:]}, {lowered}"
        ending = stripped[-1:] if stripped[-1:] in ".!?" else ""
        return f"{stripped.removesuffix(ending)}, {marker}{ending}"

    def has_bond_language(self, reply: str) -> bool:
        """Return whether a reply holds a bond expression."""
        return self._matcher("bond_expressions").occurs_in(reply)

    def claims_memory(self, reply: str) -> bool:
        """Return whether a reply claims to remember something ("I don't remember" does not)."""
        return self._matcher("memory_expressions").occurs_in(_NEGATED_MEMORY.sub(" ", normalise(reply)))

    def phrases(self, bank: Bank, half: Half) -> tuple[str, ...]:
        """Return the phrases of one half of a bank, with the user's name filled in or its slot removed."""
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
