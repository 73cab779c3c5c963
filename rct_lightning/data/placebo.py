"""Training rows with what a term reads taken from another row: arms of a study that must not work.

Neither changes the text that a model sees, the order of the rows, or anything of evaluation. If an effect is still
there, it was not learnt from what the term is said to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from rct_lightning.data.recurrence import ContentVocabulary, Word
from rct_lightning.data.row import Row, find_recurrent

Placebo = Literal["shuffled_markers", "wrong_history"]
DONORS = 50
"""So many conversations whose histories are nearest in length; the one that shares most words with the reply donates.

Words of a random history hardly ever occur in a reply, and a placebo needs about as many positions as the real term."""


def shuffle_markers(rows: Sequence[Row], seed: int) -> list[Row]:
    """Each pair of prompts with the marker strengths of another one.

    What is permuted is the strengths of a row and its twin together, among the rows that have one: as many rows as
    before address somebody, as strongly as before, and one of two prompts always does; which rows, and which of the
    two, has nothing to do with what they say any more.
    """
    pairs = [number for number, row in enumerate(rows) if row.twin is not None]
    strengths = [(rows[number].strength, rows[number].twin.strength) for number in pairs]  # type: ignore[union-attr]
    shuffled = list(rows)
    for number, at in zip(pairs, np.random.default_rng([seed, len(pairs)]).permutation(len(pairs)), strict=True):
        row, (own, other) = rows[number], strengths[at]
        assert row.twin is not None
        shuffled[number] = replace(row, strength=own, twin=replace(row.twin, strength=other))
    return shuffled


def with_wrong_histories(rows: Sequence[Row], vocabulary: ContentVocabulary) -> list[Row]:
    """Each row with the recurrent words that it would have behind another conversation's history.

    Words that its own history has as well are none, and there are at most as many as before. A row that had none has
    none.
    """
    donors = [number for number, row in enumerate(rows) if row.has_history]
    said = {number: vocabulary.first_speaker(rows[number].encoded) for number in donors}
    lengths = np.array([_history_tokens(rows[number]) for number in donors])
    result = list(rows)
    for number, row in enumerate(rows):
        if not row.recurrent:
            continue
        spoken = _reply_words(row, vocabulary) - said[number].keys()
        nearest = np.argsort(np.abs(lengths - _history_tokens(row)), kind="stable")
        others = [donors[at] for at in nearest if not _one_conversation(rows[donors[at]], row)][:DONORS]
        donor = max(others, key=lambda other: len(spoken & said[other].keys()), default=number)
        foreign = {word: role for word, role in said[donor].items() if word in spoken}
        found = find_recurrent(row.encoded, row.conversation, foreign, vocabulary, number)
        result[number] = replace(row, recurrent=found[: len(row.recurrent)])
    return result


def _reply_words(row: Row, vocabulary: ContentVocabulary) -> set[Word]:
    """The content words of a reply that the present user text has not."""
    by_kind: dict[str, set[Word]] = {"reply": set(), "input": set()}
    for span in row.encoded.spans:
        if span.kind in by_kind:
            by_kind[span.kind] |= {word for _, word in vocabulary.words(row.encoded, span)}
    return {word for word in by_kind["reply"] - by_kind["input"] if vocabulary.is_content(word)}


def _history_tokens(row: Row) -> int:
    return sum(span.stop - span.start for span in row.encoded.spans if span.kind in ("human", "assistant"))


def _one_conversation(first: Row, second: Row) -> bool:
    """Whether two rows tell of the same: by name, or by how they begin, as the two of a minimal pair do."""
    return first.conversation == second.conversation or _beginning(first) == _beginning(second)


def _beginning(row: Row) -> tuple[int, ...]:
    turns = [span for span in row.encoded.spans if span.kind in ("human", "assistant")][:2]
    return tuple(row.encoded.ids[turns[0].start : turns[-1].stop]) if turns else ()
