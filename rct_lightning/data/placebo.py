"""Training rows where the input of one term is taken from another row: arms of a study that must not work.

Neither placebo changes the text that a model sees, the order of the rows, or anything in evaluation. If the effect is
still there, it was not learnt from what the term is meant to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from rct_lightning.data.recurrence import ContentVocabulary
from rct_lightning.data.row import Row, find_recurrent
from rct_lightning.data.words import Word

Placebo = Literal["shuffled_markers", "wrong_history"]
DONORS = 50
"""Number of rows with histories nearest in length; the one that shares most words with the reply becomes the donor.

Words of a random history hardly ever occur in a reply, and a placebo needs about as many positions as the real term."""


def shuffle_markers(rows: Sequence[Row], seed: int) -> list[Row]:
    """Return the rows with the marker strengths permuted among pairs of prompts.

    The strengths of a row and its twin are moved together, among the rows that have a twin. So the same number of rows
    is marked, with the same strengths, and in each pair one of the two prompts is; but which rows, and which of the
    two, no longer depends on their text.
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
    """Return the rows with the recurrent words that they would have after another conversation's history.

    Words that also occur in the row's own history are excluded, and a row gets at most as many as it had before.
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
    """Return the content words of a reply that do not occur in the current user text."""
    by_kind: dict[str, set[Word]] = {"reply": set(), "input": set()}
    for span in row.encoded.spans:
        if span.kind in by_kind:
            by_kind[span.kind] |= {word for _, word in vocabulary.words(row.encoded, span)}
    return {word for word in by_kind["reply"] - by_kind["input"] if vocabulary.is_content(word)}


def _history_tokens(row: Row) -> int:
    return sum(span.stop - span.start for span in row.encoded.spans if span.kind in ("human", "assistant"))


def _one_conversation(first: Row, second: Row) -> bool:
    """Return whether two rows share a conversation: by name, or by their first turns, like those of a minimal pair."""
    return first.conversation == second.conversation or _beginning(first) == _beginning(second)


def _beginning(row: Row) -> tuple[int, ...]:
    turns = [span for span in row.encoded.spans if span.kind in ("human", "assistant")][:2]
    return tuple(row.encoded.ids[turns[0].start : turns[-1].stop]) if turns else ()
