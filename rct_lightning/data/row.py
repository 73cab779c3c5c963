"""One tokenised row, and its augmentations: with its recurrent words renamed, or paired with its twin.

Counterfactual augmentation (Kaushik et al. 2020) keeps a small corpus from being memorised. The word that a reply
repeats, and whether a row addresses the assistant, can be memorised row by row if they are the same in every epoch; a
fresh word that also occurs in the history, and the same request with and without its marker, have to be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rct_lightning.data.batch import COHERENCE, CONTINUITY, Totals
from rct_lightning.data.recurrence import ContentVocabulary
from rct_lightning.data.words import Word
from rct_lightning.dialogue import Example
from rct_lightning.markers import Lexicon
from rct_lightning.template import Encoded


@dataclass(frozen=True)
class Counterfactual:
    """Data augmentation of training rows; redrawn for every row and epoch.

    Attributes:
        rename_share: Probability that the recurrent words of a row not paired with its twin are replaced. Above 0, the
            history terms apply to renamed rows only.
        readdress_share: Probability that a row is paired with its twin; presence compares the two.
        seed: Seed of the draw.
    """

    rename_share: float = 0.0
    readdress_share: float = 0.0
    seed: int = 0

    @property
    def active(self) -> bool:
        """Whether any row is ever augmented."""
        return self.rename_share > 0 or self.readdress_share > 0


@dataclass(frozen=True)
class Recurrent:
    """A content word of the reply that the row's history introduced.

    Attributes:
        word: Its pieces.
        role: Role that said it first.
        starts: Its positions in the row, in the history and in the reply.
        position: The first of these in the reply, where the history terms apply.
        candidates: int64 [K], the word's first piece, then its competitors.
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
        conversation: Conversation of the row; its words are not drawn as competitors.
        strength: Marker strength of the user's text.
        recurrent: Words to which the history terms apply.
        unlabelled: Positions of the reply that the LM loss leaves out: words that were renamed.
        renamed: Whether recurrent words were replaced.
        twin: The row's prompt with the presence marker removed or one added, with which presence compares it. None if
            there is no such text, or if this epoch does not pair the row with it.
        said: Number of reply tokens after which phrases are scored.
    """

    encoded: Encoded
    conversation: str
    strength: float
    recurrent: tuple[Recurrent, ...]
    unlabelled: tuple[int, ...] = ()
    renamed: bool = False
    twin: Row | None = None
    said: int = 0

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
        """Counts that this row and its twin add to the denominators."""
        asked = () if self.twin is None else (self, self.twin)
        claims = sum(not prompt.has_history for prompt in asked)
        return Totals(
            reply_tokens=len(self.encoded.ids) - self.encoded.prompt_length - len(self.unlabelled),
            pairs=len(asked) // 2,
            coherence_positions=self.sources.count(COHERENCE),
            continuity_positions=self.sources.count(CONTINUITY),
            prompts_without_history=claims,
            rows=1,
            coherence_rows=int(COHERENCE in self.sources),
            continuity_rows=int(CONTINUITY in self.sources or claims > 0),
        )


def make_row(example: Example, encoded: Encoded, vocabulary: ContentVocabulary, lexicon: Lexicon, number: int) -> Row:
    """Find the recurrent words of a row and draw their competitors (seeded by the row's number)."""
    first_said = vocabulary.first_speaker(encoded)
    recurrent = find_recurrent(encoded, example.conversation, first_said, vocabulary, number)
    return Row(encoded, example.conversation, lexicon.strength(example.input), recurrent)


def find_recurrent(
    encoded: Encoded,
    conversation: str,
    first_said: Mapping[Word, str],
    vocabulary: ContentVocabulary,
    number: int,
) -> tuple[Recurrent, ...]:
    """Return the content words of a reply that occur in the history but not in the current user text, in order.

    Args:
        encoded: The row.
        conversation: Conversation whose words are not drawn as competitors.
        first_said: The role that said each word of the history first.
        vocabulary: Decides which words are content, and draws competitors.
        number: Number of the row; seeds the draw of competitors.
    """
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
        position, role = in_reply[0], first_said[word]  # a later occurrence may be copied from the reply itself
        seed = vocabulary.recurrence.seed * 1_000_003 + number * 1009 + position
        others = vocabulary.draw(role, conversation, own_pieces, seed)
        if others is not None:
            candidates = np.concatenate([[word[0]], others])
            recurrent.append(Recurrent(word, role, tuple(starts), position, candidates))
    return tuple(sorted(recurrent, key=lambda found: found.position))


def with_twin(row: Row, example: Example, lexicon: Lexicon, encode: Callable[[Example], Encoded], number: int) -> Row:
    """Return the row with its twin: the prompt whose user text has no markers, or one added if the row has none.

    The marker to add is chosen by the row's number. The twin has no reply: the row's own was written for the row's form
    of address and must not be learnt under the other. A row gets no twin if truncation would leave the two with
    different histories or cut the user text of either.
    """
    if row.strength > 0:
        text = lexicon.without_markers(example.input)
    else:
        text = lexicon.with_marker(example.input, int(np.random.default_rng([number]).integers(1 << 30)))
    if text is None:
        return row
    encoded = encode(replace(example, input=text))
    if encoded.turns_cut != row.encoded.turns_cut or encoded.input_tokens_cut or row.encoded.input_tokens_cut:
        return row
    spans = [span for span in encoded.spans if span.kind != "reply"]
    prompt = replace(encoded, ids=encoded.ids[: encoded.prompt_length], spans=spans)
    return replace(row, twin=Row(prompt, row.conversation, lexicon.strength(text), ()))


def after(row: Row, said: int) -> Row:
    """Return a row with its twin so that phrases are scored after ``said`` tokens of the reply, the same for both."""
    if row.twin is None or said == 0:
        return row
    prompt = row.encoded.prompt_length
    heard = replace(row.twin.encoded, ids=[*row.twin.encoded.ids, *row.encoded.ids[prompt : prompt + said]])
    return replace(row, said=said, twin=replace(row.twin, encoded=heard, said=said))


def parted(row: Row) -> tuple[int, list[int]]:
    """Return the length of the prefix that a row and its twin share, and the twin's tokens after it."""
    assert row.twin is not None
    ours, others = row.encoded.ids, row.twin.encoded.ids
    most = min(row.encoded.prompt_length, len(others) - 1)  # at least one token remains after which to score phrases
    start = next((at for at in range(most) if ours[at] != others[at]), most)
    return start, list(others[start:])


def read_in_epoch(
    row: Row,
    how: Counterfactual,
    vocabulary: ContentVocabulary,
    clause_ends: frozenset[int],
    epoch: int,
    number: int,
) -> Row:
    """Apply this epoch's augmentation to a training row.

    With probability ``readdress_share`` a row that has a twin is paired with it; otherwise, with probability
    ``rename_share``, its recurrent words are replaced; otherwise it is unchanged. Half of the pairs whose row is
    unmarked are scored after a random clause of the reply instead of at its start, so that a reply that began well, or
    with a name, does not end in unrequested bond language. When renaming is on, only renamed rows train the history
    terms: the words of the others could be memorised.
    """
    random = np.random.default_rng([how.seed, epoch, number])
    beside_twin = random.random() < how.readdress_share and row.twin is not None
    as_it_stands = row if beside_twin else replace(row, twin=None)
    if beside_twin and row.strength == 0 and random.random() < 0.5:
        reply = row.encoded.ids[row.encoded.prompt_length : -1]
        ends = [place + 1 for place, token in enumerate(reply) if token in clause_ends]
        as_it_stands = after(row, int(random.choice(ends))) if ends else row
    if how.rename_share == 0:
        return as_it_stands
    if beside_twin or not row.recurrent or random.random() >= how.rename_share:
        return replace(as_it_stands, recurrent=())
    return renamed(as_it_stands, vocabulary, random)


def renamed(row: Row, vocabulary: ContentVocabulary, random: np.random.Generator) -> Row:
    """Return the row with every occurrence of each recurrent word replaced by a word from another conversation.

    The new word has the same number of pieces, so that no position moves, and the same capitalisation. The original
    word becomes one of its competitors. The LM loss leaves the new words out: only the row's own text is learnt.
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
    """Put the new word's piece before the former candidates, cut to K: [K] -> [K]."""
    others: Sequence[int] = [token for token in candidates.tolist() if token != new]
    return np.array([new, *others][: len(candidates)], dtype=np.int64)
