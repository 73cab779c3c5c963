"""What is audited, and what is computed of it once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rct_lightning.corpus import measures as measure
from rct_lightning.corpus.labels import Labels
from rct_lightning.corpus.leakage import Leakage, Tie, leakage, ties
from rct_lightning.corpus.truncation import Lengths
from rct_lightning.dialogue import Example
from rct_lightning.markers import Half

Quotes = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Sides:
    """What is audited.

    Attributes:
        train: Rows to learn from; all rows where they were not split yet.
        held: Rows to measure with; none where they were not split yet.
        labels: Rules of types, and what counts as a marker.
        lengths: Tokens of both sides, train first.
    """

    train: Sequence[Example]
    held: Sequence[Example]
    labels: Labels
    lengths: Lengths

    @cached_property
    def rows(self) -> list[Example]:
        """Both sides, train first."""
        return [*self.train, *self.held]

    @cached_property
    def marked(self) -> list[bool]:
        """Whether the user's text of each row carries a marker."""
        return [self.labels.lexicon.strength(row.input) > 0 for row in self.rows]

    @cached_property
    def ties(self) -> list[Tie]:
        """What rows have in common."""
        return ties(self.rows)

    @cached_property
    def leakage(self) -> Leakage:
        """What the sides have in common."""
        return leakage(self.train, self.held, self.ties)

    @cached_property
    def quotes(self) -> tuple[Quotes, Quotes]:
        """Phrases of the banks in replies of train and eval, as (row id, phrase)."""
        every = [phrase for half in ("train", "heldout") for phrase in self.phrases(half)]
        return measure.phrases_said(self.train, every), measure.phrases_said(self.held, every)

    def phrases(self, half: Half) -> set[str]:
        """Phrases of one half of the banks that evaluation scores."""
        return {phrase for bank in measure.BANKS for phrase in self.labels.lexicon.phrases(bank, half)}
