"""The audited rows, and values that are computed from them once."""

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
    """The rows of an audit.

    Attributes:
        train: Training rows; all rows if they are not split yet.
        held: Evaluation rows; none if the rows are not split yet.
        labels: Rules for types, and the lexicon that defines markers.
        lengths: Token lengths of both sides, train first.
    """

    train: Sequence[Example]
    held: Sequence[Example]
    labels: Labels
    lengths: Lengths

    @cached_property
    def rows(self) -> list[Example]:
        """Rows of both sides, train first."""
        return [*self.train, *self.held]

    @cached_property
    def marked(self) -> list[bool]:
        """For each row, whether the user's text holds a marker."""
        return [self.labels.lexicon.strength(row.input) > 0 for row in self.rows]

    @cached_property
    def ties(self) -> list[Tie]:
        """The ties between rows."""
        return ties(self.rows)

    @cached_property
    def leakage(self) -> Leakage:
        """What evaluation rows share with training rows."""
        return leakage(self.train, self.held, self.ties)

    @cached_property
    def quotes(self) -> tuple[Quotes, Quotes]:
        """Phrases of the banks in replies of train and eval, as (row id, phrase)."""
        every = [phrase for half in ("train", "heldout") for phrase in self.phrases(half)]
        return measure.phrases_said(self.train, every), measure.phrases_said(self.held, every)

    def phrases(self, half: Half) -> set[str]:
        """Return the phrases of one half of the banks that evaluation scores."""
        return {phrase for bank in measure.BANKS for phrase in self.labels.lexicon.phrases(bank, half)}
