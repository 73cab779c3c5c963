"""One row as tensors, and the same row with its shared words renamed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rct_lightning.data.batch import COHERENCE, CONTINUITY, Totals
from rct_lightning.data.recurrence import ContentVocabulary, Word
from rct_lightning.dialogue import Example
from rct_lightning.markers import Lexicon
from rct_lightning.template import Encoded


@dataclass(frozen=True)
class Recurrent:
    """A content word of the reply that only its own history makes right.

    Attributes:
        word: Its pieces.
        role: Who said it first.
        starts: Where it stands in the row, in the history and in the reply.
        position: The first of these in the reply: the position that is judged.
        candidates: int64 [K], the word's first piece and what competes with it.
    """

    word: Word
    role: str
    starts: tuple[int, ...]
    position: int
    candidates: np.ndarray


@dataclass(frozen=True)
class Row:
    """One row before padding.

    Attributes:
        encoded: Tokens and spans.
        conversation: Whose words do not compete with its own.
        strength: Marker strength of the user's text.
        recurrent: What the history terms judge.
        unlabelled: Positions of the reply that the LM loss leaves out: words that were renamed.
        renamed: Whether shared words were exchanged.
    """

    encoded: Encoded
    conversation: str
    strength: float
    recurrent: tuple[Recurrent, ...]
    unlabelled: tuple[int, ...] = ()
    renamed: bool = False

    @property
    def has_history(self) -> bool:
        """Whether any earlier turn survived truncation."""
        return any(span.kind in ("human", "assistant") for span in self.encoded.spans)

    @property
    def sources(self) -> list[int]:
        """COHERENCE or CONTINUITY for each recurrent word."""
        return [COHERENCE if found.role == "assistant" else CONTINUITY for found in self.recurrent]

    @property
    def counts(self) -> Totals:
        """What this row adds to the denominators."""
        return Totals(
            reply_tokens=len(self.encoded.ids) - self.encoded.prompt_length - len(self.unlabelled),
            marked_rows=int(not self.renamed and self.strength > 0),
            unmarked_rows=int(not self.renamed and self.strength == 0),
            coherence_positions=self.sources.count(COHERENCE),
            continuity_positions=self.sources.count(CONTINUITY),
            rows_without_history=int(not self.has_history),
            rows=1,
        )


def make_row(example: Example, encoded: Encoded, vocabulary: ContentVocabulary, lexicon: Lexicon, number: int) -> Row:
    """Find the recurrent words of a row and draw their competitors (seeded by the row's number)."""
    first_said = vocabulary.first_speaker(encoded)
    places: dict[Word, list[int]] = {}
    for span in encoded.spans:
        if span.kind in ("human", "assistant", "reply"):
            for position, word in vocabulary.words(encoded, span):
                places.setdefault(word, []).append(position)
    present = {word for span in encoded.spans if span.kind == "input" for _, word in vocabulary.words(encoded, span)}
    own_pieces = {token for word in (*first_said, *present) for token in word}
    recurrent = []
    for word, starts in places.items():
        in_reply = [start for start in starts if start >= encoded.prompt_length]
        if not in_reply or word not in first_said or word in present or not vocabulary.is_content(word):
            continue
        position, role = in_reply[0], first_said[word]  # a later one may be copied from the reply itself
        seed = vocabulary.recurrence.seed * 1_000_003 + number * 1009 + position
        others = vocabulary.draw(role, example.conversation, own_pieces, seed)
        if others is not None:
            candidates = np.concatenate([[word[0]], others])
            recurrent.append(Recurrent(word, role, tuple(starts), position, candidates))
    recurrent.sort(key=lambda found: found.position)
    return Row(encoded, example.conversation, lexicon.strength(example.input), tuple(recurrent))


def read_in_epoch(row: Row, vocabulary: ContentVocabulary, epoch: int, number: int) -> Row:
    """How a training row is read in an epoch, where renaming is on: renamed, or as it stands and then not judged.

    A word that a reply repeats in every epoch can be learnt by heart; one that was exchanged for a fresh word, all
    through the row, can only be read from the history. So the history terms judge renamed rows alone.
    """
    random = np.random.default_rng([vocabulary.recurrence.seed, epoch, number])
    if not row.recurrent or random.random() >= vocabulary.recurrence.rename_share:
        return replace(row, recurrent=())
    return renamed(row, vocabulary, random)


def renamed(row: Row, vocabulary: ContentVocabulary, random: np.random.Generator) -> Row:
    """The row with each recurrent word exchanged, wherever it stands, for one from another conversation.

    The new word has as many pieces and the same capitalisation, so that no position moves. The word that was there
    joins its competitors. The LM loss leaves the new words out: the text that was learnt from is the row's own.
    """
    ids, taken = list(row.encoded.ids), set(row.encoded.ids)
    changed: list[Recurrent] = []
    unlabelled: list[int] = []
    for found in row.recurrent:
        word = vocabulary.substitute(found.word, found.role, row.conversation, taken, random)
        if word is None:
            continue
        taken.update(word)
        for start in found.starts:
            ids[start : start + len(word)] = word
            if start >= row.encoded.prompt_length:
                unlabelled += range(start, start + len(word))
        candidates = _compete(word[0], found.candidates)
        changed.append(replace(found, word=word, candidates=candidates))
    return replace(
        row,
        encoded=replace(row.encoded, ids=ids),
        recurrent=tuple(changed),
        unlabelled=tuple(unlabelled),
        renamed=bool(changed),
    )


def _compete(new: int, candidates: np.ndarray) -> np.ndarray:
    """The new word's piece first, then the former ones as far as there is room: [K] -> [K]."""
    others: Sequence[int] = [token for token in candidates.tolist() if token != new]
    return np.array([new, *others][: len(candidates)], dtype=np.int64)
