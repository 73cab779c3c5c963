import re
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import EVAL_ROWS, ROWS, write_rows

from rct_lightning.data import (
    COHERENCE,
    CONTINUITY,
    IGNORE,
    Batch,
    Counterfactual,
    Recurrence,
    RelationalDataModule,
    RelationalDataset,
)
from rct_lightning.data.batch import Totals
from rct_lightning.data.recurrence import ContentVocabulary
from rct_lightning.data.row import Recurrent, Row
from rct_lightning.data.sampler import LengthBucketedSampler, TokenBudgetSampler
from rct_lightning.dialogue import read_jsonl
from rct_lightning.errors import UserError
from rct_lightning.markers import Lexicon
from rct_lightning.template import DialogueTemplate

ALL = range(len(ROWS))


@pytest.fixture(scope="module")
def data(make_data: Any) -> Any:
    """Training rows as in the corpus."""
    return make_data(counterfactual=None)


def same(a: Batch, b: Batch) -> bool:
    pairs = [(getattr(a, field.name), getattr(b, field.name)) for field in fields(Batch)]
    return all(torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y for x, y in pairs)


def recurrent(batch: Batch, row: int = 0) -> list[tuple[int, int]]:
    """Return (token, source) of the recurrent positions of a row."""
    mine = (batch.recurrent_row == row).tolist()
    at, source = batch.recurrent_position.tolist(), batch.recurrent_source.tolist()
    return [(int(batch.input_ids[row, at[i]]), source[i]) for i in range(len(mine)) if mine[i]]


def whole_word(text: str, tokenizer: Any) -> tuple[int, ...]:
    return tuple(tokenizer(f" {text}", add_special_tokens=False)["input_ids"])


def alike(a: str, b: str, tokenizer: Any) -> bool:
    return whole_word(a, tokenizer)[0] == whole_word(b, tokenizer)[0]


# --- labels and padding ---------------------------------------------------------------------------------------------


def test_labels_are_the_reply_and_its_eos_and_nothing_else(data: Any, tokenizer: Any) -> None:
    batch = data.train_set.collate(ALL)
    for row, example in enumerate(data.train_set.examples):
        places = torch.nonzero(batch.labels[row] != IGNORE).flatten()
        start = int(batch.prompt_length[row])
        assert places.tolist() == list(range(start, start + len(places))), "labels are one stretch after the prompt"
        labels = batch.labels[row, places]
        assert torch.equal(labels, batch.input_ids[row, places])
        assert labels[-1] == tokenizer.eos_token_id, "stopping is learnt"
        assert tokenizer.decode(labels[:-1]) == f" {example.output}"
        assert tokenizer.decode(batch.input_ids[row, :start]).endswith(f"Human: {example.input}\nAssistant:")


def test_padding_is_masked_by_attention_and_differs_from_eos(data: Any, tokenizer: Any) -> None:
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    batch = data.train_set.collate(ALL)
    lengths = batch.attention_mask.sum(1)
    assert batch.input_ids.shape[1] % 8 == 0
    for row, length in enumerate(lengths.tolist()):
        assert length == data.train_set.lengths[row]
        assert batch.attention_mask[row, :length].all() and not batch.attention_mask[row, length:].any()
        assert (batch.input_ids[row, length:] == tokenizer.pad_token_id).all()
        assert (batch.labels[row, length:] == IGNORE).all()
    assert len(set(lengths.tolist())) > 4, "rows of one length would hide a wrong mask"


def test_padding_is_told_by_length_and_never_by_token(data: Any, first_token: Any) -> None:
    rows, pad = data.train_set.rows, first_token("is")  # a token that occurs in the rows themselves
    odd = RelationalDataset(
        data.train_set.examples, [row.encoded for row in rows], data.vocabulary, Lexicon(), pad_id=pad
    )
    usual, found = data.train_set.collate(ALL), odd.collate(ALL)
    assert (usual.labels == pad).any(), "the token is in no reply, so nothing is tested"
    assert torch.equal(found.attention_mask, usual.attention_mask)
    assert torch.equal(found.labels, usual.labels)


def test_dtypes_and_shapes_are_those_the_batch_states(data: Any) -> None:
    batch = data.train_set.collate(ALL)
    rows, positions = len(ROWS), len(batch.recurrent_row)
    assert batch.strength.dtype == torch.float32 and batch.has_history.dtype == torch.bool
    assert all(
        getattr(batch, name).dtype == torch.int64
        for name in "input_ids attention_mask labels prompt_length recurrent_row recurrent_position "
        "recurrent_source candidates index".split()
    )
    assert batch.candidates.shape == (positions, 6)
    assert len(batch) == rows == len(batch.strength) == len(batch.has_history) == len(batch.prompt_length)
    moved = batch.to("cpu")
    assert same(moved, batch)


def test_a_batch_without_recurrent_positions_keeps_its_shapes(data: Any, at: Any) -> None:
    batch = data.train_set.collate(at("marked", "short"))
    assert batch.candidates.shape == (0, 6) and batch.candidates.dtype == torch.int64
    assert batch.recurrent_row.shape == batch.recurrent_position.shape == batch.recurrent_source.shape == (0,)


def test_strength_and_history_come_from_the_text(data: Any) -> None:
    batch = data.train_set.collate(ALL)
    strength = dict(zip(ROWS, batch.strength.tolist(), strict=True))
    assert strength["marked"] == strength["long"] == pytest.approx(0.7)
    assert strength["both_marked"] == pytest.approx(0.35)
    assert [name for name, value in strength.items() if value == 0] == [
        "unmarked", "both", "not_recurrent", "asked_again", "short",
    ]  # fmt: skip
    history = dict(zip(ROWS, batch.has_history.tolist(), strict=True))
    assert history == {name: "context" in row for name, row in ROWS.items()}


def test_the_files_own_claim_of_presence_is_not_believed(make_data: Any) -> None:
    rows = ROWS | {"liar": {"input": "Is it raining?", "output": "No.", "has_presence": True}}
    assert make_data(rows).train_set.rows[-1].strength == 0


# --- recurrent positions --------------------------------------------------------------------------------------------


def test_what_the_user_and_the_assistant_said_first_is_found(data: Any, at: Any, first_token: Any) -> None:
    found = recurrent(data.train_set.collate(at("both")))
    assert (first_token("Bramble"), CONTINUITY) in found
    assert (first_token("lantern"), COHERENCE) in found
    marked = recurrent(data.train_set.collate(at("both_marked")))
    assert (first_token("Lisbon"), CONTINUITY) in marked
    assert (first_token("violin"), COHERENCE) in marked


@pytest.mark.parametrize(
    ("first", "last", "source"), [("human", "assistant", CONTINUITY), ("assistant", "human", COHERENCE)]
)
def test_the_source_is_who_said_it_first(make_data: Any, first_token: Any, first: str, last: str, source: int) -> None:
    context = [(first, "A copper kettle."), (last, "The kettle is old.")]
    row = {"context": context, "input": "What now?", "output": "Fill the kettle."}
    rows = {name: row for name, row in ROWS.items() if name != "marked"} | {"kettle": row}  # "marked" has one too
    batch = make_data(rows).train_set.collate([len(rows) - 1])
    assert dict(recurrent(batch))[first_token("kettle")] == source


def test_words_of_the_present_input_are_not_recurrent(data: Any, at: Any, first_token: Any) -> None:
    assert recurrent(data.train_set.collate(at("asked_again"))) == []
    assert first_token("baker") in data.train_set.rows[at("asked_again")[0]].encoded.ids


def test_only_the_first_of_several_occurrences_counts(data: Any, at: Any, first_token: Any) -> None:
    batch = data.train_set.collate(at("both"))
    for word in ("Bramble", "lantern"):
        reply = batch.labels[0].tolist()
        places = [i for i, token in enumerate(reply) if token == first_token(word)]
        assert len(places) == 2, "the row was written to say it twice"
        assert [p for p in batch.recurrent_position.tolist() if p in places] == places[:1]


def test_rows_without_history_have_no_recurrent_positions(data: Any, at: Any) -> None:
    batch = data.train_set.collate(at("marked", "unmarked", "short", "not_recurrent"))
    assert len(batch.recurrent_row) == 0


def test_common_words_are_not_content(data: Any, tokenizer: Any) -> None:
    assert not data.vocabulary.is_content(whole_word("the", tokenizer)), "it is in most conversations"
    assert data.vocabulary.is_content(whole_word("lantern", tokenizer))


class PlainVocabulary(ContentVocabulary):
    """The straightforward implementation: sorted lists of words and names instead of numbers."""

    def __init__(self, examples: Any, encoded: Any, tokenizer: Any, recurrence: Recurrence) -> None:
        super().__init__(examples, encoded, tokenizer, recurrence)
        self.used: dict[str, set[tuple[str, Any]]] = {"human": set(), "assistant": set()}
        for example, row in zip(examples, encoded, strict=True):
            for span in row.spans:
                role = {"input": "human", "reply": "assistant"}.get(span.kind, span.kind)
                if role in self.used:
                    self.used[role] |= {(example.conversation, word) for _, word in self.words(row, span)}
        among = Counter(word for _, word in set.union(*self.used.values()))
        most = max(1.0, recurrence.max_document_frequency * len({example.conversation for example in examples}))
        self.common = {word for word, count in among.items() if count > most}

    def is_content(self, word: Any) -> bool:
        return word not in self.common

    def draw(self, role: str, conversation: str, excluded: set[int], seed: int) -> Any:
        pool = sorted({(owner, word[0]) for owner, word in self.used[role] if self.is_content(word)})
        random, chosen = np.random.default_rng(seed), dict[int, None]()
        for _ in range(8):
            for at in random.integers(len(pool), size=2 * self.recurrence.num_candidates):
                if pool[at][0] != conversation and pool[at][1] not in excluded:
                    chosen[pool[at][1]] = None
                    if len(chosen) == self.recurrence.num_candidates:
                        return np.array(list(chosen))
        return None

    def substitute(self, word: Any, role: str, conversation: str, taken: set[int], random: Any) -> Any:
        def kind(other: Any) -> tuple[int, bool]:
            return len(other), bool(self.pieces.capital[other[0]])

        alike = sorted(use for use in self.used[role] if self.is_content(use[1]) and kind(use[1]) == kind(word))
        places = random.integers(len(alike), size=16) if alike else ()
        fits = (alike[at][1] for at in places if alike[at][0] != conversation and taken.isdisjoint(alike[at][1]))
        return next(fits, None)


def test_numbers_draw_what_words_and_names_do(tokenizer: Any) -> None:
    examples = read_jsonl(Path(__file__).parents[1] / "data" / "relational" / "train.jsonl")[:200]
    encoded = [DialogueTemplate().encode(example, tokenizer, 512) for example in examples]
    substituted = 0
    for frequency in (0.02, 0.2):
        ways = [
            kind(examples, encoded, tokenizer, Recurrence(frequency)) for kind in (ContentVocabulary, PlainVocabulary)
        ]
        numbers, plain = ways
        words = [word for _, word in sorted(plain.used["human"])[::97]] + [(7, 7, 7, 7, 7, 7, 7)]
        assert {numbers.is_content(word) for word in words} == {True, False}
        for seed, (word, example) in enumerate(zip(words, examples[:: 200 // len(words)], strict=False)):
            for role in ("human", "assistant"):
                for owner in (example.conversation, "another"):
                    assert numbers.is_content(word) == plain.is_content(word)
                    drawn = [way.draw(role, owner, {word[0]}, seed).tolist() for way in ways]
                    assert drawn[0] == drawn[1] and len(set(drawn[0])) == 31
                    given = word, role, owner, set(word)
                    new = [way.substitute(*given, np.random.default_rng(seed)) for way in ways]
                    assert new[0] == new[1]
                    substituted += new[0] is not None
    assert substituted > 20
    assert numbers.substitute(words[-1], "human", "another", set(), np.random.default_rng(0)) is None


def test_words_are_found_whole(data: Any, tokenizer: Any) -> None:
    example = data.train_set.examples[0]
    row = data.train_set.rows[0].encoded
    span = next(span for span in row.spans if span.kind == "input")
    spoken = [tokenizer.decode(list(word)).strip() for _, word in data.vocabulary.words(row, span)]
    assert spoken == [part for part in re.findall(r"\w+", example.input) if f" {part}" in f" {example.input}"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- the copper lantern\n- some oil\tand\r\nOn the sill", "the copper lantern some oil the sill"),
        ("a lantern\u2014and oil\u2026 yes", "lantern oil yes"),
        ("the \u201clantern\u201d is my lantern\u2019s glow", "is my lantern glow"),
        ("one caf\u00e9 and Zo\u00eb, na\u00efve", "caf\u00e9 and Zo\u00eb na\u00efve"),
        ("the d\u043b\u0430\u043c\u043f\u0430 is d\u706f", "d\u043b\u0430\u043c\u043f\u0430 is d\u706f"),
        ("a lantern\U0001f56f\ufe0f caf\u00e9\U0001f56f now", "lantern caf\u00e9 now"),
        ("a 12 \ufffd b2 and 1\u00bd", "12 b2 and 1\u00bd"),
    ],
    ids=["line breaks", "dashes and dots", "quotes", "accents", "other scripts", "emoji", "numbers"],
)
def test_words_end_where_letters_and_digits_do(data: Any, tokenizer: Any, text: str, words: str) -> None:
    """This tokenizer spells a line break with a letter, and what is not ASCII with several tokens."""
    ids = tokenizer(text)["input_ids"]
    found = list(data.vocabulary.pieces.words(ids, 0, len(ids)))
    assert [tokenizer.decode(list(word)) for _, word in found] == [f" {word}" for word in words.split()]
    assert all(tuple(ids[position : position + len(word)]) == word for position, word in found)


def test_words_that_share_only_their_first_piece_are_not_recurrent(make_data: Any, tokenizer: Any) -> None:
    words = "lantern lizard lemonade lobster lavender locket ladder lighthouse leopard lilac lagoon lentil".split()
    pairs = [(a, b) for a in words for b in words if a != b and alike(a, b, tokenizer)]
    assert pairs, "no two of these words begin with the same piece, so nothing is tested"
    said, replied = pairs[0]
    row = {
        "context": [("human", f"We keep one {said} there.")],
        "input": "What now?",
        "output": f"Bring the {replied}.",
    }
    same_word = row | {"output": f"Bring the {said}."}
    data = make_data(ROWS | {"other": row, "same": same_word})
    assert recurrent(data.train_set.collate([len(ROWS)])) == []
    assert len(recurrent(data.train_set.collate([len(ROWS) + 1]))) == 1


def test_a_word_that_training_never_saw_is_content(data: Any, first_token: Any) -> None:
    trained_on = {token for row in data.train_set.rows for token in row.encoded.ids}
    assert first_token("horse") not in trained_on and first_token("butterfly") not in trained_on
    batch = data.eval_set.collate([1])
    assert (first_token("horse"), CONTINUITY) in recurrent(batch)
    assert (first_token("butterfly"), COHERENCE) in recurrent(batch)


def test_candidates_are_the_label_and_words_of_the_same_role_in_other_conversations(data: Any) -> None:
    spoken: dict[tuple[int, str], set[str]] = {}
    for example, row in zip(data.train_set.examples, data.train_set.rows, strict=True):
        for span in row.encoded.spans:
            role = {"human": CONTINUITY, "input": CONTINUITY, "assistant": COHERENCE, "reply": COHERENCE}.get(span.kind)
            for token in row.encoded.ids[span.start : span.stop]:
                spoken.setdefault((token, role), set()).add(example.conversation)
    checked = 0
    for part in (data.train_set, data.eval_set):
        batch = part.collate(range(len(part)))
        for at in range(len(batch.recurrent_row)):
            row, place = int(batch.recurrent_row[at]), int(batch.recurrent_position[at])
            label, *others = batch.candidates[at].tolist()
            assert label == batch.labels[row, place], "the first column is the label"
            assert len({label, *others}) == 6, "candidates are distinct"
            mine = part.examples[row].conversation
            own = set(part.rows[row].encoded.ids[: part.rows[row].encoded.prompt_length])
            for token in others:
                assert token not in own, "a word of one's own history or of the present input is no wrong answer"
                assert spoken[token, int(batch.recurrent_source[at])] - {mine}
            checked += 1
    assert checked > 8


def test_what_the_same_conversation_says_elsewhere_is_no_candidate(make_data: Any, tokenizer: Any) -> None:
    words = "apple river candle winter stone bread garden horse mirror silence thunder pencil basket island"
    later = {"conversation": "c-both", "input": words, "output": words}
    module = make_data(ROWS | {"later": later})
    both, elsewhere = list(ROWS).index("both"), {t for row in module.train_set.rows[:-1] for t in row.encoded.ids}
    only_there = {whole_word(word, tokenizer)[0] for word in words.split()} - elsewhere
    candidates = set(module.train_set.collate([both]).candidates.flatten().tolist())
    assert len(only_there) > 5 and len(candidates) > 10
    assert not candidates & only_there


def test_a_position_without_enough_candidates_is_left_out(make_data: Any) -> None:
    none = make_data(recurrence=Recurrence(max_document_frequency=0.3, num_candidates=500))
    assert none.train_set.counts(ALL).coherence_positions == 0
    assert none.train_set.collate(ALL).candidates.shape == (0, 501)


def test_candidates_depend_on_the_seed_alone(make_data: Any, data: Any) -> None:
    first = data.train_set.collate(ALL)
    assert same(make_data(counterfactual=None).train_set.collate(ALL), first)
    other = make_data(recurrence=Recurrence(0.3, 5, seed=1), counterfactual=None).train_set.collate(ALL)
    assert not torch.equal(other.candidates, first.candidates)
    assert torch.equal(other.candidates[:, 0], first.candidates[:, 0])


# --- renaming -------------------------------------------------------------------------------------------------------


DONATED = (
    "apple river candle winter stone bread garden horse mirror silence Thomas Martha London Robert Paris Anna Clara "
    "thunder pencil basket island harbour carpet blanket orchard Margaret Gregory Dorothy Winston Sebastian Florence "
    "whistle saddle pepper lemon turnip Norbert Ludmilla Casimir Hortense Zebedee windmill chimney lighthouse"
)
DONORS = ROWS | {  # conversations whose words can replace others, spoken by either role
    "donor": {"context": [("human", DONATED), ("assistant", DONATED)], "input": "Well?", "output": "Well."}
}


def make_renaming(make_data: Any, share: float, seed: int = 0, **options: Any) -> Any:
    return make_data(DONORS, counterfactual=Counterfactual(rename_share=share, seed=seed), **options)


@pytest.fixture(scope="module")
def renaming(make_data: Any) -> Any:
    return make_renaming(make_data, 1.0)


def pairs(natural: Row, row: Row) -> list[tuple[Recurrent, Recurrent]]:
    """Return each renamed word with the original; a word without a possible replacement is not judged."""
    before = {found.position: found for found in natural.recurrent}
    found = [(before[after.position], after) for after in row.recurrent]
    assert found
    return found


def test_a_renamed_row_exchanges_its_shared_words_wherever_they_stand(renaming: Any, at: Any) -> None:
    """The reply repeats "lantern" and "Bramble" of the history; both sides change alike, and nothing else does."""
    for index in at("both", "both_marked", "long"):
        natural, row = renaming.train_set.rows[index], renaming.train_set.row(index, epoch=3)
        assert row.renamed and len(row.encoded.ids) == len(natural.encoded.ids)
        assert row.encoded.spans == natural.encoded.spans and row.strength == natural.strength
        changed = {
            i for i, pair in enumerate(zip(natural.encoded.ids, row.encoded.ids, strict=True)) if len({*pair}) > 1
        }
        expected: set[int] = set()
        for before, after in pairs(natural, row):
            assert (before.role, before.starts) == (after.role, after.starts)
            assert len(before.word) == len(after.word) and before.word != after.word
            for start in before.starts:
                expected |= set(range(start, start + len(before.word)))
                assert tuple(row.encoded.ids[start : start + len(after.word)]) == after.word
            assert min(before.starts) < natural.encoded.prompt_length <= before.position
        assert changed <= expected and len(changed) > 0
        assert set(row.unlabelled) == {i for i in expected if i >= natural.encoded.prompt_length}


def test_a_new_word_is_alike_and_comes_from_another_conversation(renaming: Any, at: Any) -> None:
    rows, vocabulary = renaming.train_set, renaming.vocabulary
    said: dict[tuple[int, ...], set[str]] = {}
    for row in rows.rows:
        for span in row.encoded.spans:
            for _, word in vocabulary.words(row.encoded, span):
                said.setdefault(word, set()).add(row.conversation)
    for index in at("both", "both_marked", "long"):
        natural = rows.rows[index]
        for before, after in pairs(natural, rows.row(index, epoch=0)):
            assert said[after.word] - {natural.conversation}
            assert set(after.word).isdisjoint(natural.encoded.ids)
            assert vocabulary.pieces.capital[before.word[0]] == vocabulary.pieces.capital[after.word[0]]
            assert after.candidates[:2].tolist() == [after.word[0], before.word[0]], "the old word is a wrong answer"
            assert len(set(after.candidates.tolist())) == len(before.candidates)


def test_renamed_words_carry_no_label(renaming: Any, at: Any) -> None:
    index = at("both")
    row, batch = renaming.train_set.row(index[0], 0), renaming.train_set.collate(index, epoch=0)
    natural = renaming.train_set.collate(index)
    without = natural.labels.clone()
    without[0, list(row.unlabelled)] = IGNORE
    assert torch.equal(batch.labels, without) and len(row.unlabelled) > 1
    assert (
        batch.own.reply_tokens == natural.own.reply_tokens - len(row.unlabelled) == int((batch.labels != IGNORE).sum())
    )
    assert batch.renamed.tolist() == [True] and batch.own.pairs == 0
    assert (batch.candidates[:, 0] == batch.input_ids[0, batch.recurrent_position]).all()


def test_renaming_keeps_lines_and_characters_whole(make_data: Any, tokenizer: Any) -> None:
    listed = "\n- the copper lantern\n- some caf\u00e9\u2026\n- oil\u2014for me\n"
    row = {
        "context": [("human", f"My list:{listed}"), ("assistant", "Noted.")],
        "input": "What?",
        "output": f"It:{listed}",
    }
    others = {
        f"other{n}": {
            "input": f"I bought a {word}\nand its twin{n}\u2026 also \u00fc{word}\u2014it was cheap",
            "output": f"A {word}\nIt is yours, \u00e9{word}\u2026",
        }
        for n, word in enumerate(("kettle", "marble", "pigeon", "saddle", "bottle", "ribbon", "walnut", "hammer"))
    }
    module = make_data({"listed": row} | others, counterfactual=Counterfactual(rename_share=1.0))
    natural, texts = tokenizer.decode(list(module.train_set.rows[0].encoded.ids)), set()
    for epoch in range(12):
        row_read = module.train_set.row(0, epoch)
        texts.add(text := tokenizer.decode(list(row_read.encoded.ids)))
        assert row_read.renamed and text != natural and "\ufffd" not in text
        assert re.sub(r"\w+", "", text) == re.sub(r"\w+", "", natural), "all but letters and digits is as it was"
    assert len(texts) > 3


def test_what_is_renamed_depends_on_seed_epoch_and_row_alone(make_data: Any, at: Any) -> None:
    module, again = (make_renaming(make_data, 0.5) for _ in range(2))
    other_seed = make_renaming(make_data, 0.5, seed=1)
    by_epoch = [module.train_set.collate(ALL, epoch=epoch) for epoch in range(12)]
    assert all(same(batch, again.train_set.collate(ALL, epoch=e)) for e, batch in enumerate(by_epoch))
    assert not all(same(batch, other_seed.train_set.collate(ALL, epoch=e)) for e, batch in enumerate(by_epoch))
    words = {tuple(batch.input_ids[at("both")[0]].tolist()) for batch in by_epoch}
    assert len(words) > 3, "every epoch brings other words"
    shares = torch.stack([batch.renamed for batch in by_epoch]).float().mean(0)
    assert 0 < shares[at("both")[0]] < 1 and shares[at("marked")[0]] == 0


def test_where_renaming_is_on_a_row_as_it_stands_is_not_judged(make_data: Any, at: Any) -> None:
    module = make_renaming(make_data, 0.5)
    for epoch in range(8):
        row = module.train_set.row(at("both")[0], epoch)
        assert bool(row.recurrent) == row.renamed
    held = next(iter(module.val_dataloader()))
    assert not held.renamed.any(), "evaluation reads rows as they stand"
    assert len(module.eval_set.collate([1]).recurrent_row) > 0


def test_without_renaming_every_epoch_reads_the_rows_as_they_stand(data: Any) -> None:
    assert same(data.train_set.collate(ALL, epoch=5), data.train_set.collate(ALL))


# --- twins ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def twinned(make_data: Any) -> Any:
    only_markers = {"input": "Aelara, are you there?", "output": "I am."}
    return make_data(ROWS | {"only markers": only_markers}, counterfactual=Counterfactual(readdress_share=0.5))


def readings(module: Any, index: int, epochs: int = 20) -> list[Row]:
    return [module.train_set.row(index, epoch) for epoch in range(epochs)]


def test_a_twin_is_the_rows_prompt_with_the_marker_put_in_or_taken_out(twinned: Any, at: Any, tokenizer: Any) -> None:
    for name, marked in (("marked", True), ("unmarked", False), ("both_marked", True), ("both", False)):
        row = twinned.train_set.rows[at(name)[0]]
        twin = row.twin
        assert twin is not None and (row.strength > 0) == marked and (twin.strength > 0) != marked
        assert tokenizer.decode(twin.encoded.ids).endswith("\nAssistant:")
        assert twin.encoded.prompt_length == len(twin.encoded.ids)
        assert twin.has_history == row.has_history and twin.recurrent == () and not twin.renamed
        assert twin.counts.reply_tokens == 0 and row.counts.pairs == 1
        assert row.counts.prompts_without_history == (0 if row.has_history else 2)
    assert twinned.train_set.rows[-1].twin is None, "nothing but markers"


def test_only_the_address_of_a_twin_differs(twinned: Any, at: Any, tokenizer: Any) -> None:
    row = twinned.train_set.rows[at("both_marked")[0]]
    natural = tokenizer.decode(row.encoded.ids[: row.encoded.prompt_length])
    assert "Dear friend, tell me about her." in natural
    assert tokenizer.decode(row.twin.encoded.ids) == natural.replace("Dear friend, tell me", "Tell me")


def test_a_batch_keeps_what_twins_say_otherwise_and_learns_from_every_row(twinned: Any) -> None:
    rows, everything = twinned.train_set, range(len(twinned.train_set))
    batch, natural = rows.collate(everything, epoch=1), rows.collate(everything)
    assert 0 < len(batch.twin_of) < len(natural.twin_of) == len(ROWS)
    assert len(batch) == len(ROWS) + 1 and batch.index.tolist() == list(everything)
    assert torch.equal(batch.labels, natural.labels), "every row is learnt from"
    assert ((batch.twin_strength > 0) != (batch.strength[batch.twin_of] > 0)).all()
    for at, index in enumerate(batch.twin_of.tolist()):
        row, start = rows.row(index, epoch=1), int(batch.twin_start[at])
        own = batch.twin_ids[at, : batch.twin_length[at]].tolist()
        assert [*row.encoded.ids[:start], *own] == row.twin.encoded.ids
        assert row.encoded.ids[start] != own[0] and start < row.encoded.prompt_length
        assert int(batch.asked_at[index]) == row.encoded.prompt_length + row.said
    shared = batch.twin_start[batch.has_history[batch.twin_of]]
    assert len(shared) and (shared > batch.twin_length.min()).all(), "a history is read once"


def test_where_the_two_would_be_cut_otherwise_there_is_no_twin(twinned: Any, make_data: Any, at: Any) -> None:
    index = at("both")[0]  # unmarked: its twin is longer by the marker
    whole = twinned.train_set.rows[index]
    just_fits = make_data(
        ROWS, counterfactual=Counterfactual(readdress_share=0.5), max_seq_length=len(whole.encoded.ids)
    )
    row = just_fits.train_set.rows[index]
    assert row.encoded.turns_cut == 0 and row.twin is None and whole.twin is not None
    for side in (just_fits.train_set, just_fits.eval_set):
        pairs = [row for row in side.rows if row.twin is not None]
        assert all(row.has_history == row.twin.has_history for row in pairs)


@pytest.mark.parametrize(("name", "share"), [("both", 0.5), ("both_marked", 1.0)])
def test_a_pair_is_asked_at_the_beginning_of_the_reply_or_behind_a_clause_that_addresses_nobody(
    name: str, share: float, twinned: Any, at: Any, tokenizer: Any
) -> None:
    rows, index = twinned.train_set, at(name)[0]
    natural = rows.rows[index]
    asked = [row for row in readings(twinned, index, 200) if row.twin is not None]
    starts = [row for row in asked if row.said == 0]
    assert len(starts) / len(asked) == pytest.approx(share, abs=0.12 * (share < 1))
    for row in asked:
        assert row.encoded == natural.encoded and row.twin.said == row.said
        prompt = row.twin.encoded.prompt_length
        heard = row.twin.encoded.ids[prompt:]
        assert heard == row.encoded.ids[row.encoded.prompt_length :][: row.said]
        assert row.said == 0 or tokenizer.decode(heard)[-1] in ".!?,;:"
    assert all(row.said == 0 for row in twinned.eval_set.rows), "evaluation asks at the beginning"


def test_evaluation_asks_every_second_row_that_has_a_twin(data: Any) -> None:
    names = list(EVAL_ROWS)
    batch = data.eval_set.collate(range(len(names)))
    assert [names[at] for at in batch.twin_of.tolist()] == ["eval_short"]
    assert [row.twin is not None for row in data.eval_set.rows] == [False, False, True], "the first is markers alone"


def test_both_readings_are_drawn_by_their_shares(make_data: Any, at: Any) -> None:
    module = make_data(DONORS, counterfactual=Counterfactual(rename_share=0.5, readdress_share=0.25))
    read = readings(module, at("both_marked")[0], epochs=400)
    assert sum(row.twin is not None for row in read) / 400 == pytest.approx(0.25, abs=0.07)
    assert sum(row.renamed for row in read) / 400 == pytest.approx(0.75 * 0.5, abs=0.07)
    assert not any(row.twin is not None and row.renamed for row in read), "the base was asked about the row as it is"


def test_where_no_row_is_asked_none_has_a_twin(make_data: Any) -> None:
    module = make_data(counterfactual=None)
    assert all(row.twin is None for row in module.train_set.rows)
    assert len(module.train_set.collate(ALL).twin_of) == 0 and len(module.eval_set.collate([2]).twin_of) == 1


# --- truncation -----------------------------------------------------------------------------------------------------


def test_the_oldest_turns_go_first_and_the_cut_is_counted(make_data: Any, data: Any, at: Any, tokenizer: Any) -> None:
    row = at("long")[0]
    whole = data.train_set.rows[row].encoded
    length = len(whole.ids) - 1
    short = make_data(max_seq_length=length)
    cut = short.train_set.rows[row].encoded
    assert (cut.turns_cut, cut.input_tokens_cut, cut.reply_tokens_cut) == (1, 0, 0)
    assert "silver" not in tokenizer.decode(cut.ids[: cut.prompt_length])
    assert cut.ids == whole.ids[-len(cut.ids) :]
    report = short.truncation["train"]
    assert (report.rows, report.rows_with_cut_context, report.rows_with_cut_reply) == (len(ROWS), 1, 0)
    assert "oldest turns cut in 1" in report.line("train", length)
    assert data.truncation["train"].rows_with_cut_context == 0


def test_recurrence_follows_what_truncation_left(make_data: Any, data: Any, at: Any, first_token: Any) -> None:
    row = at("long")[0]
    short = make_data(max_seq_length=int(data.train_set.lengths[row]) - 1)
    assert first_token("silver") in dict(recurrent(data.train_set.collate([row])))
    assert first_token("silver") not in dict(recurrent(short.train_set.collate([row])))
    assert first_token("cloth") in dict(recurrent(short.train_set.collate([row])))


def test_a_prompt_never_swallows_its_reply(make_data: Any) -> None:
    rows = {"flood": {"input": "word " * 300, "output": "Short answer."}, **ROWS}
    module = make_data(rows, max_seq_length=40, counterfactual=None)
    batch = module.train_set.collate(range(len(rows)))
    assert batch.input_ids.shape[1] <= 40
    assert ((batch.labels != IGNORE).sum(1) > 0).all()
    assert module.train_set.rows[0].encoded.reply_tokens_cut == 0
    assert module.truncation["train"].rows_with_cut_input >= 1


def test_history_that_was_cut_away_is_no_history(make_data: Any, at: Any) -> None:
    row = make_data(max_seq_length=44).train_set.rows[at("both")[0]]
    assert row.encoded.turns_cut == 2
    assert not row.has_history and row.recurrent == () and row.counts.prompts_without_history == 2


def test_a_length_below_every_prompt_is_an_error(make_data: Any, data: Any, tokenizer: Any) -> None:
    shortest = min(data.template.shortest_prompt(row["input"], tokenizer) for row in ROWS.values())
    with pytest.raises(UserError, match=rf"max_seq_length={shortest} is shorter than every prompt"):
        make_data(max_seq_length=shortest)
    make_data(max_seq_length=shortest + 1)


# --- the sampler ----------------------------------------------------------------------------------------------------


def epoch_of(sampler: LengthBucketedSampler, epoch: int) -> list[Any]:
    sampler.set_epoch(epoch)
    return list(sampler)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(
    ("rows", "batch_size", "accumulate"), [(1, 8, 4), (50, 4, 1), (50, 4, 3), (48, 4, 3), (7, 1, 8)]
)
def test_every_row_is_seen_once_an_epoch(rows: int, batch_size: int, accumulate: int, shuffle: bool) -> None:
    lengths = np.random.default_rng(0).integers(5, 99, size=rows)
    sampler = LengthBucketedSampler(lengths, batch_size, accumulate, shuffle=shuffle, window=2)
    requests = epoch_of(sampler, 3)
    assert sorted(i for request in requests for i in request.indices) == list(range(rows))
    assert len(requests) == len(sampler)
    assert all(0 < len(request.indices) <= batch_size for request in requests)


def test_the_micro_batches_of_a_step_know_the_whole_step() -> None:
    lengths = np.random.default_rng(0).integers(5, 99, size=50)
    requests = list(LengthBucketedSampler(lengths, 4, 3))
    for start in range(0, len(requests), 3):
        step = requests[start : start + 3]
        assert {request.step_indices for request in step} == {tuple(i for request in step for i in request.indices)}
    sizes = [len(request.step_indices) for request in requests[::3]]
    assert sizes == [12, 12, 12, 12, 2], "only the last step is short: Lightning steps at the end of an epoch"


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    lengths = np.random.default_rng(0).integers(5, 99, size=50)
    a, b = (LengthBucketedSampler(lengths, 4, 2, seed=5) for _ in range(2))
    epoch_of(b, 0)
    assert epoch_of(a, 1) == epoch_of(b, 1)
    assert epoch_of(a, 1) != epoch_of(a, 2)
    assert epoch_of(a, 1) != epoch_of(LengthBucketedSampler(lengths, 4, 2, seed=6), 1)
    still = LengthBucketedSampler(lengths, 4, 2, shuffle=False)
    assert epoch_of(still, 1) == epoch_of(still, 2)


def test_rows_of_a_step_are_of_similar_length() -> None:
    lengths = np.random.default_rng(0).integers(5, 500, size=256)

    def waste(steps: list[list[int]]) -> float:
        return float(np.mean([np.ptp(lengths[step]) for step in steps]))

    bucketed = [rows for step in LengthBucketedSampler(lengths, 8).steps() for rows in step]
    assert waste(bucketed) < 0.3 * waste(np.random.default_rng(1).permutation(256).reshape(-1, 8).tolist())


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("budget", [64, 512, 4096])
def test_a_budget_of_tokens_fills_micro_batches(budget: int, accumulate: int) -> None:
    lengths = np.random.default_rng(0).integers(5, 500, size=300)
    sampler = TokenBudgetSampler(lengths, budget, accumulate, seed=3)
    for epoch in range(4):
        requests = epoch_of(sampler, epoch)
        assert sorted(i for request in requests for i in request.indices) == list(range(300))
        assert len(requests) == len(sampler), "Lightning counts the batches once"
        padded = [len(r.indices) * (-(-max(lengths[list(r.indices)]) // 8) * 8) for r in requests]
        assert all(size <= budget or len(r.indices) == 1 for size, r in zip(padded, requests, strict=True))
        steps = [requests[start : start + accumulate] for start in range(0, len(requests), accumulate)]
        for step in steps:
            assert {r.step_indices for r in step} == {tuple(i for r in step for i in r.indices)}
    assert epoch_of(sampler, 1) == requests_of_epoch(lengths, budget, accumulate, 1) != epoch_of(sampler, 2)
    if budget == 4096:
        assert np.mean(padded) > 0.85 * budget, "little room is left"


def requests_of_epoch(lengths: np.ndarray, budget: int, accumulate: int, epoch: int) -> list[Any]:
    return epoch_of(TokenBudgetSampler(lengths, budget, accumulate, seed=3), epoch)


def test_a_module_with_a_budget_reads_every_row_within_it(make_data: Any) -> None:
    module = make_data(batch_tokens=128)
    batches = list(module.train_dataloader())
    assert sorted(i for batch in batches for i in batch.index.tolist()) == list(range(len(ROWS)))
    assert all(batch.input_ids.numel() <= 128 or len(batch) == 1 for batch in batches)
    assert any(len(batch) > 1 for batch in batches) and len(batches) == len(module.train_dataloader())


@pytest.mark.parametrize("rename_share", [0.0, 1.0])
@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_totals_are_the_sums_over_the_step(make_data: Any, accumulate: int, rename_share: float) -> None:
    module = make_renaming(make_data, rename_share, accumulate=accumulate, batch_size=3)
    batches = list(module.train_dataloader())
    assert any(batch.renamed.any() for batch in batches) == (rename_share > 0)
    for start in range(0, len(batches), accumulate):
        step = batches[start : start + accumulate]
        own = Totals.none()
        for batch in step:
            own += batch.own
            assert batch.own.rows == len(batch)
            assert batch.own.pairs == len(batch.twin_of)
            assert batch.own.reply_tokens == int((batch.labels != IGNORE).sum())
            assert batch.own.coherence_positions == int((batch.recurrent_source == COHERENCE).sum())
            assert batch.own.continuity_positions == int((batch.recurrent_source == CONTINUITY).sum())
            assert batch.own.prompts_without_history == 2 * int((~batch.has_history[batch.twin_of]).sum())
        assert all(batch.totals == own for batch in step)


# --- split and loaders ----------------------------------------------------------------------------------------------


def test_without_an_eval_file_rows_are_split_off(make_data: Any, tokenizer: Any, data: Any, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "own.jsonl", {f"r{i}": {"input": f"Number {i}?", "output": "Yes."} for i in range(20)})
    settings: dict[str, Any] = {"tokenizer": tokenizer, "template": data.template, "lexicon": Lexicon(), "eval_size": 5}
    modules = [RelationalDataModule(file, None, **settings, seed=seed) for seed in (1, 2)]
    held = [{example.id for example in module.eval_set.examples} for module in modules]
    assert (len(modules[0].train_set), len(held[0])) == (15, 5)
    assert held[0] == held[1], "runs of several seeds are judged by the same rows"
    other = RelationalDataModule(file, None, **settings, split_seed=1)
    assert {example.id for example in other.eval_set.examples} != held[0]


def test_workers_give_the_same_batches(make_data: Any) -> None:
    here, elsewhere = make_data(batch_size=3), make_data(batch_size=3, num_workers=2)
    for loader in ("train_dataloader", "val_dataloader"):
        a, b = list(getattr(here, loader)()), list(getattr(elsewhere, loader)())
        assert len(a) == len(b) > 0
        assert all(same(x, y) for x, y in zip(a, b, strict=True))


def test_making_an_iterator_leaves_the_random_state_alone(make_data: Any) -> None:
    module = make_data()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    list(module.train_dataloader())
    list(module.val_dataloader())
    assert torch.equal(torch.get_rng_state(), state)


def test_validation_sees_every_row_once_in_the_same_order(make_data: Any) -> None:
    module = make_data()
    seen = [[int(i) for batch in module.val_dataloader() for i in batch.index] for _ in range(2)]
    assert seen[0] == seen[1]
    assert Counter(seen[0]) == Counter(range(len(module.eval_set)))
