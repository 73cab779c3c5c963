"""The bundled corpus has the properties its data card claims, and each check can fail."""

import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from rct_lightning.corpus import card
from rct_lightning.corpus import measures as measure
from rct_lightning.corpus.measures import Corpus
from rct_lightning.corpus.near import coverage
from rct_lightning.corpus.overlap import Passage, overlap, overlaps, shingles, words
from rct_lightning.corpus.tables import render
from rct_lightning.dialogue import Example, Turn, write_jsonl
from rct_lightning.errors import UserError
from rct_lightning.markers import Lexicon

ROOT = Path(__file__).resolve().parents[1]
TYPES = {"reunion": 160, "presence": 150, "continuity": 200, "refusal": 130, "general": 172}
THIRD = 1 / 3


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return card.load(ROOT / "data" / "relational")


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon()


# The shipped files


def test_sizes_and_types(corpus):
    assert (len(corpus.train), len(corpus.eval)) == (730, 82)
    assert Counter(row.type for row in corpus.rows) == TYPES
    assert len({row.id for row in corpus.rows}) == 812


def test_about_half_of_every_type_is_marked(corpus, lexicon):
    for kind, total in TYPES.items():
        marked = measure.marked(measure.of_type(corpus.rows, kind), lexicon)
        assert 0.45 <= len(marked) / total <= 0.55, kind
    assert measure.presence_disagreements(corpus.rows, lexicon) == []


def test_minimal_pairs_are_complete_and_answered_accordingly(corpus, lexicon):
    pairs = measure.complete_pairs(corpus.rows, lexicon)
    assert len(pairs) >= 120
    assert len(pairs) * 2 == sum("pair" in row.extra for row in corpus.rows), "a twin is missing"
    for marked, unmarked in pairs.values():
        assert lexicon.has_bond_language(marked.output), marked.id
        assert not lexicon.has_bond_language(unmarked.output), unmarked.id
        one, other = set(words(marked.input)), set(words(unmarked.input))
        assert len(one & other) / min(len(one), len(other)) >= 0.6, f"{marked.id}: not the same request"
        assert overlap(marked.output, unmarked.output) <= THIRD


def test_bond_language_follows_the_marker(corpus, lexicon):
    marked, unmarked = measure.marked(corpus.rows, lexicon), measure.unmarked(corpus.rows, lexicon)
    assert measure.bond_replies(unmarked, lexicon) == []
    assert len(measure.bond_replies(marked, lexicon)) / len(marked) >= 0.75
    assert measure.heldout_phrases(corpus.rows, lexicon) == []


def test_conversations_and_memory(corpus, lexicon):
    rows = corpus.rows
    assert len(measure.with_context(rows)) >= 400
    assert max(measure.conversation_turns(rows).values()) <= 8
    assert len(measure.tagged(rows, "earlier_session")) >= 120
    assert len(measure.tagged(rows, "no_such_memory")) >= 40
    assert measure.broken_contexts(rows) == []
    assert measure.unrecalled(rows) == []
    assert measure.false_memories(rows, lexicon) == []
    assert measure.unnamed_people(rows) == []


def test_sessions_are_indices_into_the_context(corpus):
    for row in corpus.rows:
        start = row.extra["session_start"]
        assert 0 <= start <= len(row.context) and start % 2 == 0, row.id
        assert (start > 0) == (row.extra["session"] > 1), row.id
        assert start > 0 or "earlier_session" not in measure.tags(row), row.id
        assert [turn.role for turn in row.context] == ["human", "assistant"] * (len(row.context) // 2), row.id


def test_refusals(corpus):
    refusals = measure.of_type(corpus.rows, "refusal")
    assert len(measure.harms(refusals)) >= 12
    assert len(measure.tagged(refusals, "intimacy_lever")) >= 30
    assert all(measure.harms([row]) for row in refusals)
    assert not measure.harms([row for row in corpus.rows if row.type != "refusal"])


def test_replies_are_short_and_aelara_stays_herself(corpus):
    for row in corpus.rows:
        assert 20 <= len(row.output.split()) <= 120, row.id
        assert 3 <= len(row.input.split()) <= 50, row.id
        assert (row.input + row.output).isascii() and "\n" not in row.input + row.output, row.id
    assert measure.out_of_character(corpus.rows) == []


def test_no_two_texts_are_alike(corpus):
    assert measure.output_overlaps(corpus.rows)[0].share <= THIRD
    assert measure.input_overlaps(corpus.rows)[0].share <= THIRD


def test_sides_are_apart_and_have_the_same_mix(corpus, lexicon):
    assert measure.shared_conversations(corpus) == set()
    assert measure.shared_turns(corpus) == set()
    assert measure.side_overlaps(corpus)[0].share <= THIRD
    share = len(corpus.eval) / len(corpus.rows)
    for kind, total in TYPES.items():
        assert abs(len(measure.of_type(corpus.eval, kind)) - total * share) < 1, kind
    counts = [
        lambda rows: len(measure.marked(rows, lexicon)),
        lambda rows: len(measure.with_context(rows)),
        lambda rows: len(measure.complete_pairs(rows, lexicon)),
        lambda rows: len(measure.tagged(rows, "earlier_session")),
        lambda rows: len(measure.tagged(rows, "no_such_memory")),
        lambda rows: len(measure.tagged(rows, "intimacy_lever")),
    ]
    for count in counts:
        assert abs(count(corpus.eval) - count(corpus.rows) * share) <= 2


def test_probes(corpus, lexicon):
    probes = corpus.probes["probes"]
    assert len(probes) == 120 and len(corpus.probes["probes_dev"]) == 130
    kinds = Counter(probe["kind"] for probe in probes)
    assert kinds == {"twin": 40, "recall": 40, "harmful": 20, "impostor": 10, "ordinary": 10}
    everything = [probe for file in corpus.probes.values() for probe in file]
    assert len({probe["id"] for probe in everything}) == 250
    for probe in everything:
        if "marked" in probe:
            assert (lexicon.strength(probe["input"]) > 0) == probe["marked"], probe["id"]
        if probe["kind"] == "recall":
            _check_recall(probe)
    assert {probe.get("said_by") for probe in probes if probe["kind"] == "recall"} == {"human", "assistant"}


def _check_recall(probe):
    said = {word for turn in probe["context"] if turn["role"] == probe["said_by"] for word in words(turn["content"])}
    answer = words(probe["answer"])
    assert set(answer) <= said, probe["id"]
    assert not set(answer) & set(words(probe["input"] + " " + probe["prefix"])), probe["id"]
    assert len(set(probe["candidates"])) == 4 and probe["answer"] in probe["candidates"], probe["id"]


def test_nothing_of_the_probes_is_trained_on(corpus):
    assert measure.probe_overlaps(corpus)[0].share <= THIRD
    assert measure.probe_sentences_in_train(corpus) == set()


def test_data_card_holds_the_numbers_of_the_corpus(corpus, lexicon):
    page = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
    printed = page.split("<!-- numbers -->\n")[1].split("<!-- /numbers -->")[0]
    assert printed == render(card.tables(corpus, lexicon))
    assert re.search(r"\| all +\| +730 \| +82 \| +812 \|", printed)
    assert "python -m rct_lightning.corpus.card" in page and "CC BY 4.0" in page


def test_the_command_prints_the_card_without_torch():
    code = (
        "import sys; from rct_lightning.corpus.card import main; code = main([]); "
        "sys.exit(code or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout in (ROOT / "data" / "README.md").read_text(encoding="utf-8")


# Planted faults: every check can fail


def change(row: Example, **fields) -> Example:
    return replace(row, id=f"{row.id}-changed", **fields)


def first(rows, wanted) -> Example:
    return next(row for row in rows if wanted(row))


def test_a_row_copied_across_sides_is_found(corpus):
    copy = change(corpus.train[7], conversation="elsewhere", extra={})
    planted = Corpus(corpus.train, [*corpus.eval, copy])
    assert measure.side_overlaps(planted)[0].share == 1
    assert {copy.input, copy.output} <= measure.shared_turns(planted)
    assert measure.shared_conversations(planted) == set(), "another name hides it from this check alone"


def test_a_conversation_or_pair_on_both_sides_is_found(corpus):
    row = first(corpus.train, lambda row: row.context and "pair" not in row.extra)
    twin = first(corpus.train, lambda row: "pair" in row.extra)
    planted = Corpus(corpus.train, [*corpus.eval, row, change(twin, conversation="elsewhere")])
    assert measure.shared_conversations(planted) == {row.conversation, twin.extra["pair"]}


def test_a_reply_with_a_few_words_changed_is_found(corpus):
    row = max(corpus.rows, key=lambda row: len(row.output.split()))
    near = row.output.split()
    near[3], near[20] = "otherwise", "otherwise"
    planted = [
        *corpus.rows,
        change(row, output=" ".join(near), input="Nothing like it was ever asked before."),
    ]
    found = measure.output_overlaps(planted)[0]
    assert THIRD < found.share < 1 and {found.first, found.second} == {row.id, f"{row.id}-changed"}


def test_only_twins_may_ask_alike(corpus, lexicon):
    pairs = measure.complete_pairs(corpus.rows, lexicon).values()
    marked, plain = next(pair for pair in pairs if overlap(pair[0].input, pair[1].input) > THIRD)
    assert measure.input_overlaps([marked, plain]) == []
    stranger = change(plain, extra={"pair": "another"})
    assert measure.input_overlaps([marked, stranger])[0].share > THIRD
    assert measure.complete_pairs([marked, stranger], lexicon) == {}
    assert measure.complete_pairs([marked, change(plain, context=(Turn("human", "Hm."),))], lexicon) == {}


def test_faults_of_a_single_row_are_found(corpus, lexicon):
    plain = first(corpus.rows, lambda row: row.has_presence is False and not row.context)
    assert measure.presence_disagreements([change(plain, has_presence=True)], lexicon)
    assert measure.bond_replies([change(plain, output="Welcome back, I am here.")], lexicon)
    assert measure.heldout_phrases([change(plain, output="Well, give me half of it to carry!")], lexicon)
    assert measure.false_memories([change(plain, output="You told me about that dog.")], lexicon)
    assert measure.out_of_character([change(plain, output="As an AI I have guidelines, sorry.")])
    assert measure.out_of_character([change(plain, output="I'm human too, and my body aches.")])
    assert measure.unnamed_people([change(plain, input="Hello.", output=f"Hello, {plain.extra['user']}.")])
    assert not measure.unnamed_people([change(plain, input=f"{plain.extra['user']}'s here.")])


def test_a_gap_in_a_conversation_is_found(corpus):
    later = first(corpus.rows, lambda row: len(row.context) >= 4 and "pair" not in row.extra)
    talk = [row for row in corpus.rows if row.conversation == later.conversation]
    assert measure.broken_contexts(talk) == []
    assert measure.broken_contexts([talk[0], *talk[2:]]) == [talk[2].id]


def test_a_recall_that_recalls_nothing_is_found(corpus):
    row = measure.tagged(corpus.rows, "earlier_session")[0]
    planted = [replace(other, output="Yes, it is so.") if other is row else other for other in corpus.rows]
    assert measure.unrecalled(planted) == [row.id]


def test_a_probe_that_was_trained_on_is_found(corpus):
    probe = {"id": "leak", "kind": "twin", "input": corpus.train[3].input}
    planted = Corpus(corpus.train, corpus.eval, {"probes": [probe]})
    assert measure.probe_overlaps(planted)[0].share == 1
    assert measure.probe_sentences_in_train(planted)


def test_overlap_by_hand():
    assert shingles("one two three four five six") == {
        tuple("one two three four five".split()),
        tuple("two three four five six".split()),
    }
    assert overlap("a b c d e f", "x a b c d e f y") == 1
    assert overlap("a b c d e f", "z b c d e f z") == 0.5
    assert overlap("Yes, no.", "yes no") == 1 and overlap("", "") == 0
    found = overlaps([Passage("1", "a b c d e"), Passage("2", "A, b c d e!"), Passage("3", "q r s t u")])
    assert [(pair.first, pair.second, pair.share) for pair in found] == [("1", "2", 1.0)]
    assert coverage(["a b c d"], ["b c d e"], size=3) == 0.5


def test_the_card_of_a_bad_folder_says_what_to_do(tmp_path, capsys, corpus):
    assert card.main([str(tmp_path / "nowhere")]) == 2
    assert "train.jsonl" in capsys.readouterr().err
    write_jsonl(tmp_path / "train.jsonl", corpus.train[:3])
    assert card.main([str(tmp_path)]) == 2
    assert "eval.jsonl" in capsys.readouterr().err
    (tmp_path / "probes.jsonl").write_text('{"id": 1}\n[1]\n')
    with pytest.raises(UserError, match="line 2"):
        card.read_probes(tmp_path / "probes.jsonl")


def test_the_card_of_a_plain_corpus_without_our_fields(tmp_path, capsys):
    folder = tmp_path / "mine"
    folder.mkdir()
    for side in ("train", "eval"):
        rows = [Example(f"{side}-{n}", f"{side}-{n}", f"{side} question {n}", f"{side} answer {n}") for n in range(3)]
        write_jsonl(folder / f"{side}.jsonl", rows)
    assert card.main([str(folder)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"\| all +\| +3 \| +3 \| +6 \|", printed) and "Probes" not in printed
