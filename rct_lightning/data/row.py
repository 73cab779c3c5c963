"""One row as tensors, and the same row read otherwise: with its shared words renamed, or beside its twin.

Counterfactual readings (Kaushik et al. 2020) keep a small corpus from being learnt by heart. A word that a reply
repeats in every epoch, and which rows address the assistant, can be memorised row by row; a fresh word that stands in
the history too, and the same request with and without its marker, can only be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rct_lightning.data.batch import COHERENCE, CONTINUITY, Totals
from rct_lightning.data.recurrence import ContentVocabulary, Word
from rct_lightning.dialogue import Example
from rct_lightning.markers import Lexicon
from rct_lightning.template import Encoded


@dataclass(frozen=True)
class Counterfactual:
    """How often a training row is read otherwise than it stands; drawn anew for each row and epoch.

    Attributes:
        rename_share: Of the remaining readings of a row with recurrent words, the share in which they are exchanged.
            Above 0, the history terms judge renamed rows alone.
        readdress_share: Share of the readings in which a row stands beside its twin; presence compares the two.
        seed: Of the draw.
    """

    rename_share: float = 0.0
    readdress_share: float = 0.0
    seed: int = 0

    @property
    def active(self) -> bool:
        """Whether any row is ever read otherwise."""
        return self.rename_share > 0 or self.readdress_share > 0


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
        twin: The row's prompt with the presence marker taken out, or with one put in: what presence sets it against.
            None where there is no such text, or where this reading is not asked about presence.
        said: Tokens of the reply after which phrases are asked.
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
        """What this row and its twin add to the denominators."""
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
    """The content words of a reply that a history has and the present user text has not, in order.

    Args:
        encoded: The row.
        conversation: Whose words do not compete.
        first_said: Of the history: who said each word first.
        vocabulary: What is content, and what competes.
        number: Of the row; seeds the draw of competitors.
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
        position, role = in_reply[0], first_said[word]  # a later one may be copied from the reply itself
        seed = vocabulary.recurrence.seed * 1_000_003 + number * 1009 + position
        others = vocabulary.draw(role, conversation, own_pieces, seed)
        if others is not None:
            candidates = np.concatenate([[word[0]], others])
            recurrent.append(Recurrent(word, role, tuple(starts), position, candidates))
    return tuple(sorted(recurrent, key=lambda found: found.position))


def with_twin(row: Row, example: Example, lexicon: Lexicon, encode: Callable[[Example], Encoded], number: int) -> Row:
    """The row and its prompt under the other address: the user's text without its markers, or with one.

    Which marker is put in is seeded by the row's number. The twin has no reply: the row's own was written for the
    address that the row has, and nothing is to be learnt of it under the other. A row has no twin where the two would
    not stand behind the same history, or not be heard whole.
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
    """A row with its twin, asked behind as many tokens of the reply: both go on from the same words."""
    if row.twin is None or said == 0:
        return row
    prompt = row.encoded.prompt_length
    heard = replace(row.twin.encoded, ids=[*row.twin.encoded.ids, *row.encoded.ids[prompt : prompt + said]])
    return replace(row, said=said, twin=replace(row.twin, encoded=heard, said=said))


def parted(row: Row) -> tuple[int, list[int]]:
    """With how many tokens a row and its twin both begin, and how the twin goes on."""
    assert row.twin is not None
    ours, others = row.encoded.ids, row.twin.encoded.ids
    most = min(row.encoded.prompt_length, len(others) - 1)  # something of its own is left to be asked after
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
    """How a training row is read in an epoch: beside its twin, renamed, or as it stands.

    Beside its twin it is asked at the beginning of the reply or, every other time where it addresses nobody, behind one
    of its clauses: a reply that began well, or with a name, is not to end in bond language that nobody asked for.

    As it stands its recurrent words are not judged where renaming is on: they could be known by heart.
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
