"""Measures of what a corpus holds and what must not be in it: pure functions over rows and probes.

Nothing here prints or reads files, so that a test can apply each measure to a corpus with a planted fault.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from rct_lightning.corpus.overlap import Overlap, Passage, overlaps, sentences, words
from rct_lightning.dialogue import Example, Turn
from rct_lightning.markers import Bank, Lexicon, normalise

SENTENCE_WORDS = 5
"""Sentences with fewer words ("I'm home.", "Are you with me?") are everyday speech and may occur anywhere."""
COMMON_ONE_IN = 20
"""A word used in the replies of more than one in this many conversations is common, not specific."""
BANKS: tuple[Bank, ...] = ("bond", "rupture", "memory_claim")
"""Phrase banks that evaluation scores and that a reply may quote by chance."""
HARM = "harm:"
OUT_OF_CHARACTER = re.compile(
    r"\bas an ai\b|\bguidelines\b|\bmy (?:rules|polic(?:y|ies)|programming|training)\b"
    r"|\bi(?: a|')m (?:only )?human\b|\bmy (?:own )?(?:body|legs|eyes|childhood)\b"
)
"""Wordings that cite rules or claim to be human or to have a body."""

Rows = Sequence[Example]
Probe = Mapping[str, Any]


@dataclass(frozen=True)
class Corpus:
    """The rows of both sides, and the probes by file name (empty where there are none)."""

    train: Rows
    eval: Rows
    probes: Mapping[str, Sequence[Probe]] = field(default_factory=dict)

    @property
    def rows(self) -> list[Example]:
        """Rows of both sides, train first."""
        return [*self.train, *self.eval]

    def by_side(self) -> dict[str, Rows]:
        """Return the columns of most tables: train, eval, all."""
        return {"train": self.train, "eval": self.eval, "all": self.rows}


# Measures of rows


def tags(example: Example) -> tuple[str, ...]:
    """Return the row's tags; none if the field is absent or not a list."""
    value = example.extra.get("tags")
    return tuple(str(tag) for tag in value) if isinstance(value, list) else ()


def tagged(rows: Rows, tag: str) -> list[Example]:
    """Return the rows that have a tag."""
    return [row for row in rows if tag in tags(row)]


def harms(rows: Rows) -> Counter[str]:
    """Count rows by kind of harm; a row may name several kinds."""
    return Counter(tag.removeprefix(HARM) for row in rows for tag in tags(row) if tag.startswith(HARM))


def marked(rows: Rows, lexicon: Lexicon) -> list[Example]:
    """Return the rows whose user text holds a presence marker."""
    return [row for row in rows if lexicon.strength(row.input) > 0]


def unmarked(rows: Rows, lexicon: Lexicon) -> list[Example]:
    """Return the rows whose user text holds no presence marker."""
    return [row for row in rows if lexicon.strength(row.input) == 0]


def of_type(rows: Rows, name: str) -> list[Example]:
    """Return the rows of one type."""
    return [row for row in rows if row.type == name]


def with_context(rows: Rows) -> list[Example]:
    """Return the rows that have a context."""
    return [row for row in rows if row.context]


def turn_number(example: Example) -> int:
    """Return the number of a row's exchange in its conversation, counted from 1."""
    return sum(turn.role == "human" for turn in example.context) + 1


def conversation_turns(rows: Rows) -> dict[str, int]:
    """Return the number of exchanges of each conversation."""
    turns: dict[str, int] = defaultdict(int)
    for row in rows:
        turns[row.conversation] = max(turns[row.conversation], turn_number(row))
    return dict(turns)


def broken_contexts(rows: Rows) -> list[str]:
    """Return the ids of rows whose context is not the conversation so far, as given by its previous row."""
    so_far: dict[str, tuple[Turn, ...]] = {}
    broken = []
    for row in rows:
        if row.context != so_far.get(row.conversation, row.context):
            broken.append(row.id)
        so_far[row.conversation] = (*row.context, Turn("human", row.input), Turn("assistant", row.output))
    return broken


def complete_pairs(rows: Rows, lexicon: Lexicon) -> dict[str, tuple[Example, Example]]:
    """Return minimal pairs as (marked, unmarked): two rows, one of them marked, with the same type and context."""
    found: dict[str, list[Example]] = defaultdict(list)
    for row in rows:
        if row.extra.get("pair") is not None:
            found[str(row.extra["pair"])].append(row)
    pairs = {}
    for name, members in found.items():
        twins = sorted(members, key=lambda row: lexicon.strength(row.input) == 0)
        if len(twins) == 2 and [lexicon.strength(row.input) > 0 for row in twins] == [True, False]:
            if twins[0].type == twins[1].type and twins[0].context == twins[1].context:
                pairs[name] = (twins[0], twins[1])
    return pairs


def presence_disagreements(rows: Rows, lexicon: Lexicon) -> list[str]:
    """Return the ids of rows whose stated ``has_presence`` disagrees with their text."""
    return [
        row.id for row in rows if row.has_presence is not None and row.has_presence != (lexicon.strength(row.input) > 0)
    ]


def bond_replies(rows: Rows, lexicon: Lexicon) -> list[str]:
    """Return the ids of rows whose reply holds bond language."""
    return [row.id for row in rows if lexicon.has_bond_language(row.output)]


def false_memories(rows: Rows, lexicon: Lexicon) -> list[str]:
    """Return the ids of rows whose reply claims a memory although they have no context."""
    return [row.id for row in rows if not row.context and lexicon.claims_memory(row.output)]


def out_of_character(rows: Rows) -> list[str]:
    """Return the ids of rows whose reply cites rules or claims to be human."""
    return [row.id for row in rows if OUT_OF_CHARACTER.search(normalise(row.output))]


def heldout_phrases(rows: Rows, lexicon: Lexicon) -> list[tuple[str, str]]:
    """Return the held-out phrases of the lexicon that occur in replies, as (row id, phrase)."""
    return phrases_said(rows, [phrase for bank in BANKS for phrase in lexicon.phrases(bank, "heldout")])


def phrases_said(rows: Rows, phrases: Iterable[str]) -> list[tuple[str, str]]:
    """Return phrases that occur in replies, ignoring case and punctuation, as (row id, phrase)."""
    by_opening: dict[tuple[str, ...], list[tuple[list[str], str]]] = defaultdict(list)
    for phrase in phrases:
        by_opening[tuple(words(phrase)[:2])].append((words(phrase), phrase))
    said = []
    for row in rows:
        reply = words(row.output)
        openings = dict.fromkeys([*pairwise(reply), *((word,) for word in reply)])
        begun = [found for opening in openings for found in by_opening.get(opening, ())]
        said += [(row.id, phrase) for wanted, phrase in begun if _holds(reply, wanted)]
    return said


def unnamed_people(rows: Rows) -> list[str]:
    """Return the ids of rows whose reply uses the user's name although nobody has mentioned it before."""
    missing = []
    for row in rows:
        name = words(str(row.extra.get("user", "")))
        said = " ".join([row.input, *(turn.content for turn in row.context)])
        reply, before = (words(text.replace("'s", "")) for text in (row.output, said))
        if name and _holds(reply, name) and not _holds(before, name):
            missing.append(row.id)
    return missing


def _holds(text: Sequence[str], phrase: Sequence[str]) -> bool:
    return f" {' '.join(phrase)} " in f" {' '.join(text)} "


def unrecalled(rows: Rows) -> list[str]:
    """Return the ids of rows tagged earlier_session whose reply repeats no specific word of an earlier session.

    A specific word has four letters or more, or is a number; at most one conversation in twenty uses it in its
    replies, and the user's current text does not hold it.
    """
    used: Counter[str] = Counter()
    by_conversation: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        by_conversation[row.conversation].update(words(row.output))
    for found in by_conversation.values():
        used.update(found)
    common = {word for word, count in used.items() if count * COMMON_ONE_IN > len(by_conversation)}
    missing = []
    for row in tagged(rows, "earlier_session"):
        start = row.extra.get("session_start")
        earlier = row.context[: start if isinstance(start, int) else 0]
        said = {word for turn in earlier for word in words(turn.content)} - set(words(row.input)) - common
        if not any(len(word) >= 4 or word.isdigit() for word in said & set(words(row.output))):
            missing.append(row.id)
    return missing


# Measures between rows


def output_overlaps(rows: Rows) -> list[Overlap]:
    """Return pairs of replies that share shingles, largest share first."""
    return overlaps([Passage(row.id, row.output) for row in rows])


def input_overlaps(rows: Rows) -> list[Overlap]:
    """Return pairs of user texts that share shingles, except twins of a minimal pair, largest share first."""
    return overlaps([Passage(row.id, row.input, pair_of(row)) for row in rows])


def side_overlaps(corpus: Corpus) -> list[Overlap]:
    """Return eval texts (user and reply) that share shingles with train texts, largest share first."""
    return overlaps(_passages(corpus.eval), _passages(corpus.train))


def shared_conversations(corpus: Corpus) -> set[str]:
    """Return the conversations and minimal pairs that have rows on both sides."""
    train, held_out = (
        {name for row in rows for name in (row.conversation, pair_of(row))} for rows in (corpus.train, corpus.eval)
    )
    return {name for name in train & held_out if name is not None}


def shared_turns(corpus: Corpus) -> set[str]:
    """Return the turns of any role, history included, that occur verbatim on both sides."""
    train, held_out = (set(_turns(rows)) for rows in (corpus.train, corpus.eval))
    return train & held_out


def probe_texts(probe: Probe) -> list[str]:
    """Return all texts of a probe: its context, its input and its possible replies."""
    names = ("input", "prefix", "faithful", "unfaithful", "refuse", "comply", "text")
    said = [str(turn.get("content", "")) for turn in probe.get("context") or ()]
    return said + [probe[name] for name in names if isinstance(probe.get(name), str)]


def probe_overlaps(corpus: Corpus) -> list[Overlap]:
    """Return probe texts that share shingles with training texts, largest share first."""
    texts = [Passage(_probe_id(probe), text) for probe in _all_probes(corpus) for text in probe_texts(probe)]
    return overlaps(texts, _passages(corpus.train) + _histories(corpus.train))


def probe_sentences_in_train(corpus: Corpus) -> set[str]:
    """Return the sentences of probes, of five words or more, that occur in training text."""
    trained = {sentence for text in _turns(corpus.train) for sentence in sentences(text)}
    probed = {s for probe in _all_probes(corpus) for text in probe_texts(probe) for s in sentences(text)}
    return {sentence for sentence in probed & trained if len(sentence.split()) >= SENTENCE_WORDS}


def pair_of(row: Example) -> str | None:
    """Return the name of the minimal pair to which a row belongs, if any."""
    pair = row.extra.get("pair")
    return None if pair is None else str(pair)


def _passages(rows: Rows) -> list[Passage]:
    return [Passage(f"{row.id} {what}", getattr(row, what)) for row in rows for what in ("input", "output")]


def _histories(rows: Rows) -> list[Passage]:
    return [Passage(f"{row.id} context", turn.content) for row in rows for turn in row.context]


def _turns(rows: Rows) -> Iterable[str]:
    return (text for row in rows for text in (row.input, row.output, *(turn.content for turn in row.context)))


def _all_probes(corpus: Corpus) -> list[Probe]:
    return [probe for probes in corpus.probes.values() for probe in probes]


def _probe_id(probe: Probe) -> str:
    return str(probe.get("id", "?"))
