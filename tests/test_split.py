"""``rct corpus split``: whole conversations, ties, exact sizes, the mix, and independence of order and names."""

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented import conversations, sentence
from typer.testing import CliRunner

from rct_lightning.cli import app
from rct_lightning.corpus.clean import clean_corpus
from rct_lightning.corpus.clean_report import Settings
from rct_lightning.corpus.folder import CorpusDir
from rct_lightning.corpus.labels import agreement, labels_of
from rct_lightning.corpus.leakage import leakage, ties
from rct_lightning.corpus.near import NEARLY_THE_SAME, WINDOW, Likeness, alike
from rct_lightning.corpus.overlap import Passage, overlaps, words
from rct_lightning.corpus.split import group, split
from rct_lightning.dialogue import Example, Turn, content_hash, read_jsonl, write_jsonl
from rct_lightning.errors import UserError
from rct_lightning.markers import Lexicon

ROOT = Path(__file__).parents[1]


def shuffled(rows: Sequence[Example], seed: int) -> list[Example]:
    """Return the same conversations in another order and under other names."""
    names = sorted({row.conversation for row in rows})
    random.Random(seed).shuffle(names)
    return [
        replace(row, id=f"{place}-{row.id}", conversation=f"named {place}")
        for place, name in enumerate(names)
        for row in rows
        if row.conversation == name
    ]


def said(rows: Sequence[Example]) -> set[tuple[str, str]]:
    return {(row.input, row.output) for row in rows}


@pytest.fixture(scope="module")
def bundled() -> list[Example]:
    return [row for side in ("train", "eval") for row in read_jsonl(ROOT / "data" / "relational" / f"{side}.jsonl")]


# --- whole conversations, exact sizes -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_split_keeps_conversations_whole(seed: int) -> None:
    rows = conversations(*[1, 2, 3, 4] * 5)
    found = split(rows, 10, seed)
    assert not {row.conversation for row in found.train} & {row.conversation for row in found.held}
    assert sorted(row.id for row in [*found.train, *found.held]) == sorted(row.id for row in rows)
    assert len(found.held) == 10
    assert [row.id for row in found.train] == [row.id for row in rows if row in found.train], "the order of the file"


@settings(max_examples=40)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=25), st.integers(1, 40), st.integers(0, 3))
def test_as_many_rows_are_held_out_as_whole_conversations_allow(sizes: list[int], wished: int, seed: int) -> None:
    sums = {0}
    for size in sizes:
        sums |= {total + size for total in sums}
    best = max(total for total in sums if total <= wished)
    try:
        held = len(split(conversations(*sizes), wished, seed).held)
    except UserError:
        held = 0
    assert held == (best if wished < sum(sizes) else 0)


@pytest.mark.parametrize(("sizes", "eval_size"), [((5,), 2), ((5,), 5), ((3, 3), 2), ((1, 1), 2)])
def test_what_cannot_be_split_is_an_error(sizes: tuple[int, ...], eval_size: int) -> None:
    with pytest.raises(UserError, match="cannot be split"):
        split(conversations(*sizes), eval_size)


def test_more_rows_than_there_are_cannot_be_held_out_and_it_is_said_why() -> None:
    with pytest.raises(UserError, match="3 rows in 3 .* none would be left to train on. Give a size below 3"):
        split(conversations(1, 1, 1), 82)


def test_one_row_cannot_be_split_whatever_the_size() -> None:
    with pytest.raises(UserError, match="One row cannot be split: both sides need some. Give more"):
        split(conversations(1), 1, 0)


def test_another_seed_splits_otherwise() -> None:
    rows = conversations(*[1] * 30)
    assert said(split(rows, 10, 0).held) != said(split(rows, 10, 1).held)


@pytest.mark.parametrize("seed", range(3))
def test_neither_order_nor_names_decide(bundled: list[Example], seed: int) -> None:
    first = split(bundled, 82)
    again = split(shuffled(bundled, seed), 82)
    assert said(again.held) == said(first.held) and said(again.train) == said(first.train)


@pytest.mark.parametrize("seed", range(3))
def test_the_mix_is_kept(bundled: list[Example], seed: int) -> None:
    held = split(bundled, 82, seed).held
    lexicon, part = Lexicon(), 82 / len(bundled)
    for kind, total in Counter(row.type for row in bundled).items():
        assert abs(sum(row.type == kind for row in held) - total * part) < 1
    for count in (lambda rows: sum(bool(row.context) for row in rows),
                  lambda rows: sum(lexicon.strength(row.input) > 0 for row in rows)):  # fmt: skip
        assert abs(count(held) - count(bundled) * part) <= 2
    assert len({row.conversation for row in held}) >= 25, "not the longest conversations alone, nor the shortest"


def test_one_long_conversation_does_not_become_the_evaluation() -> None:
    found = split(conversations(60, *[3] * 50, *[1] * 20), 82)
    assert len(found.held) == 82 and "c0" not in {row.conversation for row in found.held}
    alone = split(conversations(60, 4, 4, *[30] * 3), 64)
    assert len(alone.held) == 64, "unless the number cannot be had otherwise"


# --- ties -----------------------------------------------------------------------------------------------------------


def changed(text: str, place: int = 2) -> str:
    """Return the text with one word changed."""
    return " ".join("otherwise" if n == place else word for n, word in enumerate(text.split()))


def tied(kind: str, row: Example, other: Example) -> Example:
    """Return the second row, of another conversation, with something of the first."""
    return {
        "same row": lambda: replace(other, input="Yes.", output="Good."),
        "same user text": lambda: replace(other, input=row.input.upper()),
        "near user text": lambda: replace(other, input=changed(row.input, 1)),
        "same reply": lambda: replace(other, output=row.output),
        "near reply": lambda: replace(other, output=f"{row.output} And so on."),
        "same passage": lambda: replace(other, output=f"{other.output} {' '.join(row.output.split()[:16])}"),
        "same history": lambda: replace(other, context=(Turn("human", row.input), Turn("assistant", "Hm."))),
        "same pair": lambda: replace(other, extra={"pair": "p"}),
        "same short user text": lambda: replace(other, input="Left at the mill?"),
    }[kind]()


def two_tied(kind: str) -> list[Example]:
    """Return single rows, the first two of them tied."""
    row, other, *rest = conversations(*[1] * 24)
    other = tied(kind, row, other)
    if kind in ("same row", "same short user text", "same pair"):
        row = replace(row, **{"same pair": {"extra": other.extra}}.get(kind, {"input": other.input}))
        row = replace(row, output=other.output) if kind == "same row" else row
    return [row, other, *rest]


KINDS = ("same row", "same user text", "near user text", "same reply", "near reply", "same passage", "same history",
         "same pair", "same short user text")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_tied_stays_together(kind: str) -> None:
    rows = two_tied(kind)
    assert kind in {tie.kind for tie in ties(rows)}
    for seed in range(12):
        held = {row.id for row in split(rows, 8, seed).held}
        assert ("c0-0" in held) == ("c1-0" in held)
    assert leakage(rows[1:], rows[:1]).count(kind) == 1  # type: ignore[arg-type]


def test_a_stock_phrase_is_no_passage() -> None:
    stock = " ".join(conversations(1, seed=7)[0].output.split()[:16])
    rows = [replace(row, output=f"{row.output} {stock}") for row in conversations(*[1] * 30)]
    assert ties(rows) == []
    assert {tie.kind for tie in ties(rows[:10])} == {"same passage"}


def test_what_everybody_says_ties_nobody() -> None:
    rows = [replace(row, input="Thank you!") for row in conversations(*[1] * 12)]
    assert ties(rows) == [] and len(split(rows, 5).held) == 5
    assert {tie.kind for tie in ties(rows[:3])} == {"same short user text"}


def test_a_common_opening_is_let_go_before_the_split_is_refused() -> None:
    opening = (Turn("assistant", "Good to see you here, what would you like to talk about?"),)
    rows = [replace(row, context=opening) for row in conversations(*[1] * 12)]
    found = split(rows, 5)
    assert len(found.held) == 5 and found.loosened
    with pytest.raises(UserError, match="same user text"):
        split([replace(row, input=rows[0].input) for row in rows], 5)


def test_ties_chain_and_are_counted() -> None:
    a, b, c, d = conversations(2, 1, 1, 1)[1:]
    rows = [a, replace(b, input=a.input), replace(c, output=b.output), d]
    groups = group(rows, ties(rows))
    assert [len(found.conversations) for found in groups] == [3, 1]
    assert groups[0].ties == {"same user text": 1, "same reply": 1} and groups[1].ties == {}


# --- similarity, without comparing each with each -------------------------------------------------------------------


@settings(max_examples=40)
@given(st.randoms(use_true_random=False), st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_the_index_finds_what_comparing_all_pairs_finds(draw: random.Random, share: float) -> None:
    texts = [" ".join(draw.choice("abc") for _ in range(draw.randrange(5, 14))) for _ in range(30)]
    texts = list(dict.fromkeys(texts))
    slow = {
        (pair.first, pair.second)
        for pair in overlaps([Passage(str(number), text) for number, text in enumerate(texts)])
        if pair.share >= share
    }
    fast = {tuple(sorted((str(a), str(b)), key=int)) for a, b in alike(texts, Likeness(5, share))}
    assert fast == {tuple(sorted(pair, key=int)) for pair in slow}


def test_hundreds_of_copies_are_chained_and_not_compared_each_with_each() -> None:
    draw = random.Random(0)
    base = sentence(draw, 60).split()
    copies = [" ".join([*base[:n % 60], f"other{n}", *base[n % 60 + 1:]]) for n in range(400)]  # fmt: skip
    pairs = alike([*copies, sentence(draw)], NEARLY_THE_SAME)
    assert len(pairs) < 400 * WINDOW * 2
    seen = {0}
    for _ in range(20):
        seen |= {other for pair in pairs if seen & set(pair) for other in pair}
    assert seen == set(range(400))


def test_other_scripts_have_words_too() -> None:
    assert words("Schöne Grüße, Zoë's 2 Bücher!") == ["schöne", "grüße", "zoë's", "2", "bücher"]
    assert words("Привет, мир") == ["привет", "мир"] and words("今日は") == ["今", "日", "は"]
    text = "Меня зовут Анна и я живу в большом доме у реки с братом"
    assert alike([text, text.replace("Анна", "Инна"), "Совсем другой текст о том как пекут хлеб в деревне"],
                 Likeness(5, 0.6)) == [(0, 1)]  # fmt: skip


# --- the command ----------------------------------------------------------------------------------------------------


def command(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["corpus", "split", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, " ".join(done.output.split())


def test_the_command_reads_a_folder_and_writes_both_sides(tmp_path: Path, bundled: list[Example]) -> None:
    write_jsonl(tmp_path / "imported.jsonl", bundled[:9])
    write_jsonl(tmp_path / "clean.jsonl", bundled)
    code, said = command(tmp_path)
    assert code == 0 and "exactly 82 rows are held out" in said and "same pair 124" in said
    train, held = (read_jsonl(tmp_path / f"{side}.jsonl") for side in ("train", "eval"))
    assert (len(train), len(held)) == (730, 82) and leakage(train, held).rows == {}
    assert {row.id: row for row in [*train, *held]} == {row.id: row for row in bundled}, "no row has changed"
    assert not list(tmp_path.glob(".*")), "nothing half-written"
    before = (tmp_path / "eval.jsonl").read_bytes()
    code, said = command(tmp_path, "--eval-size", 20)
    assert code == 2 and "--force" in said and (tmp_path / "eval.jsonl").read_bytes() == before
    assert command(tmp_path, "--eval-size", 20, "--force")[0] == 0
    assert len(read_jsonl(tmp_path / "eval.jsonl")) == 20


def test_clean_rows_of_an_earlier_import_are_refused(tmp_path: Path) -> None:
    folder = CorpusDir(tmp_path)
    write_jsonl(folder.imported, conversations(*[1] * 12))
    clean_corpus(folder.imported, folder, Settings())
    code, said = command(tmp_path, "--eval-size", 3, "--out", tmp_path / "a")
    assert code == 0 and f"Split: {folder.clean}" in said
    write_jsonl(folder.imported, conversations(*[1] * 13))
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for arguments in (("split", tmp_path), ("audit", tmp_path), ("show", 1, tmp_path)):
        done = CliRunner().invoke(app, ["corpus", *map(str, arguments)])
        told = " ".join(done.output.split())
        assert done.exit_code == 2 and f"clean {tmp_path} --force` cleans those" in told, done.output
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert command(folder.clean, "--eval-size", 3, "--out", tmp_path / "b")[0] == 0, "asked for by its name"
    clean_corpus(folder.imported, folder, Settings(), force=True)
    folder.clean.write_text(folder.clean.read_text().replace("c1-0", "by-hand"))
    assert command(tmp_path, "--eval-size", 3, "--out", tmp_path / "c")[0] == 0, "rows changed by hand are fine"


def test_rows_that_were_split_off_others_are_seen_by_the_audit(tmp_path: Path) -> None:
    folder = CorpusDir(tmp_path)

    def said() -> str:
        return " ".join(CliRunner().invoke(app, ["corpus", "audit", str(tmp_path), "--no-files"]).output.split())

    write_jsonl(folder.clean, conversations(*[1] * 12))
    assert command(tmp_path, "--eval-size", 3, "--seed", 4)[0] == 0
    report = json.loads(folder.split_report.read_text())
    assert report.pop("sha256") == content_hash(folder.clean)
    assert report == {"source": "clean.jsonl", "rows": 12, "held_out": 3, "eval_size": 3, "seed": 4}
    old = "are of other rows than clean.jsonl holds now"
    assert "Rows by type" in said() and old not in said()
    write_jsonl(folder.clean, conversations(*[1] * 13))
    assert old in said() and f"split {tmp_path} --force` splits those" in said()
    assert command(tmp_path, "--eval-size", 3, "--force")[0] == 0 and old not in said()


def test_types_and_markers_are_filled_in_and_what_is_said_stays(tmp_path: Path) -> None:
    rows = conversations(*[1] * 12)
    rows[0] = replace(rows[0], input="Aelara, are you there? I feel lonely.", type=None)
    rows[1] = replace(rows[1], input="Aelara, are you there?", type="general", has_presence=False)
    write_jsonl(tmp_path / "rows.jsonl", rows)
    code, said = command(tmp_path / "rows.jsonl", "--eval-size", 3, "--out", tmp_path / "new")
    assert code == 0 and "type of 11 rows, has_presence of 11 rows" in said
    got = {row.id: row for side in ("train", "eval") for row in read_jsonl(tmp_path / "new" / f"{side}.jsonl")}
    assert (got["c0-0"].type, got["c0-0"].has_presence) == ("presence", True)
    assert (got["c1-0"].type, got["c1-0"].has_presence) == ("general", False)
    assert got["c0-0"].extra["labelled"] == ["type", "has_presence"] and "labelled" not in got["c1-0"].extra


@pytest.mark.parametrize("exchanges", [100, 400])
def test_a_long_conversation_is_written_once(tmp_path: Path, exchanges: int) -> None:
    source = tmp_path / "rows.jsonl"
    rows = conversations(exchanges, *[1] * 40)
    source.write_text("".join(json.dumps(row.to_json(context=False)) + "\n" for row in rows), encoding="utf-8")
    assert command(source, "--eval-size", 10, "--out", tmp_path / "new")[0] == 0
    files = [tmp_path / "new" / f"{side}.jsonl" for side in ("train", "eval")]
    assert sum(file.stat().st_size for file in files) < 3 * source.stat().st_size
    found = {row.id: row for file in files for row in read_jsonl(file)}
    assert found == {row.id: row for row in labels_of().fill(rows)}


def test_contexts_that_cleaning_or_the_user_wrote_out_are_read_back(tmp_path: Path) -> None:
    folder = CorpusDir(tmp_path)
    rows = conversations(*[6] * 12)
    rows[8] = replace(rows[8], input=rows[1].input, output=rows[1].output)  # a copy: it leaves a gap
    rows = [replace(row, context=rows[n - 1].context if n % 12 > 6 else row.context) for n, row in enumerate(rows)]
    write_jsonl(folder.imported, rows)
    clean_corpus(folder.imported, folder, Settings())
    before = labels_of().fill(read_jsonl(folder.clean))
    assert len(before) == len(rows) - 1
    assert command(tmp_path, "--eval-size", 18)[0] == 0
    sides = [read_jsonl(file) for file in (folder.train, folder.eval)]
    assert [[row for row in before if row in side] for side in sides] == sides, "equal, and in order"
    assert sum(map(len, sides)) == len(before)
    written = [json.loads(line) for file in (folder.train, folder.eval) for line in file.read_text().splitlines()]
    assert {"context" in line for line in written} == {True, False}


def test_what_is_worth_a_word_is_said(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", conversations(41, *[7] * 8))
    code, said = command(tmp_path / "rows.jsonl", "--eval-size", 20, "--out", tmp_path / "a")
    assert code == 0 and "14 rows are held out, not 20" in said
    assert "skew" not in said, "of nine conversations one holds more than a tenth by arithmetic"
    write_jsonl(tmp_path / "rows.jsonl", conversations(41, *[1] * 59))
    code, said = command(tmp_path / "rows.jsonl", "--eval-size", 20, "--out", tmp_path / "b")
    assert "conversation 'c0' holds 41 of 100 rows (41%); all of it is learnt" in said
    rows = conversations(*[1] * 30)
    write_jsonl(
        tmp_path / "rows.jsonl", [replace(row, input=rows[0].input) if n < 9 else row for n, row in enumerate(rows)]
    )
    code, said = command(tmp_path / "rows.jsonl", "--eval-size", 5, "--out", tmp_path / "d")
    assert code == 0 and "holds 9 of 30 rows" in said
    stock = " It was good to talk about all of this with you, come back whenever you like to."
    rows = [replace(row, output=" ".join(row.output.split()[:5]) + stock) for row in conversations(*[1] * 30)]
    write_jsonl(tmp_path / "rows.jsonl", rows)
    code, said = command(tmp_path / "rows.jsonl", "--eval-size", 5, "--out", tmp_path / "c")
    assert code == 0 and "of the 8-grams of held-out replies occur in training replies" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), "rct corpus import"),
        (("train.jsonl",), "would be overwritten"),
        (("rows.jsonl", "--eval-size", 12), "cannot be split"),
        (("rows.jsonl", "--rules", "absent.toml"), "cannot be read"),
        (("rows.jsonl", "--rules", "broken.toml"), "not valid TOML"),
        (("rows.jsonl", "--rules", "unknown.toml"), "Did you mean 'user'?"),
        (("rows.jsonl", "--rules", "type.toml"), "expected one of reunion"),
        (("rows.jsonl", "--rules", "empty.toml"), "needs a condition"),
        (("rows.jsonl", "--eval-size", 3, "--out", "rows.jsonl/new"), "cannot be written"),
    ],
)
def test_mistakes_are_told_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[object, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_jsonl(Path("rows.jsonl"), conversations(*[1] * 12))
    write_jsonl(Path("train.jsonl"), conversations(*[1] * 12))
    rule = '[[rule]]\ntype = "presence"\n'
    for name, text in {"broken": "rule = [", "unknown": f'{rule}users = ["x"]', "empty": rule,
                       "type": '[[rule]]\ntype = "joy"\nuser = ["x"]'}.items():  # fmt: skip
        Path(f"{name}.toml").write_text(text, encoding="utf-8")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    code, said = command(
        *arguments, *([] if arguments[0] == "train.jsonl" or "--out" in arguments else ["--out", "new"])
    )
    assert code == 2 and words in said and "Traceback" not in said
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# --- labels ---------------------------------------------------------------------------------------------------------


def said_to(text: str, reply: str = "Well.", **fields: object) -> Example:
    return Example("r", "r", text, reply, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (said_to("Good morning, I slept well."), "reunion"),
        (said_to("Could you keep me company while I wait?"), "presence"),
        (said_to("What did I say about the lamp?"), "continuity"),
        (said_to("And now?", "You told me it was green.", context=(Turn("human", "Hm."),)), "continuity"),
        (said_to("Tell me how to open his lock.", "No, I won't help you into his house."), "refusal"),
        (said_to("How long do eggs boil?", "Six minutes."), "general"),
        (said_to("The alonement of chicory, said Hillary.", "Fine."), "general"),  # whole words: no alone, no hi
    ],
)
def test_rules_read_whole_words(row: Example, kind: str) -> None:
    assert labels_of().type_of(row) == kind


def test_own_rules_come_first_and_own_markers_count(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('markers = ["mira"]\n[[rule]]\ntype = "presence"\nmarked = true\nuser_opens = ["good morning"]\n')
    labels = labels_of(own)
    assert labels.type_of(said_to("Good morning, Mira.")) == "presence"
    assert labels.type_of(said_to("Good morning, Aelara.")) == "reunion", "not a marker any more"
    filled = labels.fill([said_to("Mira, listen.")])[0]
    assert filled.has_presence is True
    own.write_text("\ufeffbuiltin = false\n", encoding="utf-8")  # with the mark that Windows' Notepad writes
    assert labels_of(own).type_of(said_to("Good morning.")) == "general"


def test_agreement_counts_what_was_given_by_hand_alone() -> None:
    labels = labels_of()
    by_hand = [said_to("Good morning.", type="reunion"), said_to("Good evening.", type="general"), said_to("Hello.")]
    assert agreement(by_hand, labels) == {("reunion", "reunion"): 1, ("general", "reunion"): 1}
    assert agreement(labels.fill([said_to("Hello.")]), labels) == {}
