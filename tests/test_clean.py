"""`rct corpus clean`: its output, the treatment of contexts and copies, and what is refused."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from rct_lightning.cli import app
from rct_lightning.corpus.clean import clean_corpus
from rct_lightning.corpus.clean_report import RULES, SCRUBS, Settings
from rct_lightning.corpus.folder import CorpusDir
from rct_lightning.corpus.scrub import Names
from rct_lightning.dialogue import read_jsonl
from rct_lightning.errors import UserError

ROOT = Path(__file__).parents[1]
sys.path.append(str(Path(__file__).parent / "benchmarks"))
AT = "@"
LEAK = "The user is asking about the boat. I should keep it short."
Row = dict[str, Any]


def row(name: str, asked: str, answered: str, **fields: Any) -> Row:
    """Return a row of the conversation that its name begins with."""
    return {"id": name, "conversation": name.partition("-")[0], "input": asked, "output": answered} | fields


def talk(name: str, *turns: tuple[str, str], times: Sequence[str] = ()) -> list[Row]:
    """Return rows of one conversation, without contexts, as an import writes them."""
    dated = [{"time": time} for time in times] or [{}] * len(turns)
    return [row(f"{name}-{n}", *turn, **more) for n, (turn, more) in enumerate(zip(turns, dated, strict=True), 1)]


TURNS = [
    ("Where did we leave the boat?", "By the old mill, with the oars under it."),
    ("And the rope?", "You took the rope home to dry it."),
    ("Then we can go on Sunday.", "On Sunday, if the wind keeps to the west."),
    ("I will bring bread.", "Bring the dark one, and the small knife."),
]


def write(folder: Path, rows: Sequence[Mapping[str, Any]], name: str = "imported.jsonl") -> Path:
    file = folder / name
    file.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in rows), encoding="utf-8")
    return file


def lines(file: Path) -> dict[str, Row]:
    return {one["id"]: one for one in map(json.loads, file.read_text(encoding="utf-8").splitlines())}


def cleaned(folder: Path, rows: Sequence[Row], **options: Any) -> tuple[dict[str, Row], dict[str, Row]]:
    """Clean rows in a folder; return the clean ones and those in quarantine."""
    out = CorpusDir(folder)
    clean_corpus(write(folder, rows), out, Settings(**options), force=True)
    return lines(out.clean), lines(out.quarantine)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["corpus", "clean", *map(str, arguments)])


def contexts(folder: Path) -> dict[str, list[str]]:
    """Return the context of each row as a reader of clean.jsonl sees it."""
    return {one.id: [turn.content for turn in one.context] for one in read_jsonl(folder / "clean.jsonl")}


# --- the command ----------------------------------------------------------------------------------------------------


def test_a_folder_is_cleaned(tmp_path: Path) -> None:
    rows = [
        *talk("a", *TURNS),
        *talk("b", ("Who are you?", f"Write to ana{AT}mail.example.")),
        *talk("c", ("Hm?", LEAK)),
    ]
    write(tmp_path, rows)
    done = run(tmp_path)
    assert done.exit_code == 0, done.output
    clean, quarantine = lines(tmp_path / "clean.jsonl"), lines(tmp_path / "quarantine.jsonl")
    assert [*clean] == ["a-1", "a-2", "a-3", "a-4", "b-1"] and [*quarantine] == ["c-1"]
    assert clean["a-2"] == rows[1], "what nothing is wrong with stays as it was"
    assert clean["b-1"] == rows[4] | {"output": "Write to [EMAIL_1].", "scrubbed": {"EMAIL": 1}}
    went = quarantine["c-1"].pop("quarantined")
    assert quarantine["c-1"] == rows[5] | {"context": []}
    assert went["rule"] == "reasoning" and "The user is asking about the boat." in went["reason"]
    report = json.loads((tmp_path / "clean.json").read_text())
    assert (report["rows"], report["clean"], report["quarantined"]["reasoning"]) == (6, 5, 1)
    assert report["scrubbed"]["email"] == {"rows": 1, "places": 1, "values": 1}
    table = {line.split()[0]: line.split()[1:3] for line in done.output.splitlines() if "  " in line.strip()}
    assert table["reasoning"] == ["1", "quarantined"] and table["email"] == ["1", "scrubbed,"]
    assert "cannot find names" in done.output and "6  5 clean, 1 quarantined" in done.output


def test_no_secret_and_no_name_is_left_in_any_file(tmp_path: Path) -> None:
    secret = f"ana.berg{AT}mail.example"
    rows = [
        row(
            "a-1", f"I am Ana Berg, {secret}", f"{LEAK} Ana Berg, {secret}", title=f"Ana Berg, {secret}", tags=[secret]
        ),
        row("b-1", f"Ask {secret} again.", "I will ask her for you."),
        row("b-2", "Did you?", "Yes, you saw it.", context=[{"role": "human", "content": f"ask {secret}"}]),
    ]
    out = tmp_path / "out"
    (tmp_path / "names.txt").write_text("Ana Berg\n")
    done = run(write(tmp_path, rows), "--out", out, "--names", tmp_path / "names.txt")
    assert done.exit_code == 0, done.output
    written = "".join(path.read_text() for path in out.iterdir()) + done.output
    assert secret not in written and "Ana" not in written
    assert lines(out / "clean.jsonl")["b-2"]["context"][0]["content"] == "ask [EMAIL_1]", "the same in every context"
    assert lines(out / "quarantine.jsonl")["a-1"]["title"] == "[NAME_1], [EMAIL_1]"


def test_names_in_ids_are_counted_and_left(tmp_path: Path) -> None:
    source = write(
        tmp_path, [*talk("with-ana-berg", *TURNS), *talk("b", ("Is Ana well?", "I hope so, and you can ask."))]
    )
    (tmp_path / "names.txt").write_text("Ana\n")
    rows = len(TURNS)
    for options, expected in (([], 0), (["--names", str(tmp_path / "names.txt")], rows), (["--off", "name"], 0)):
        done = run(source, *options, "--force")
        assert done.exit_code == 0, done.output
        assert json.loads((tmp_path / "clean.json").read_text())["ids_with_names"] == expected
        assert (f"ids or conversation names, {rows} rows" in " ".join(done.output.split())) == bool(expected)
    assert list(lines(tmp_path / "clean.jsonl"))[0] == "with-ana-berg-1"


def test_no_number_is_left_where_a_chat_keeps_what_was_said_before(tmp_path: Path) -> None:
    number = "+49 171 2345678"
    memory = [{"role": "human", "content": f"My number is {number}."}]
    rows = [
        row("a-1", "Good morning.", "Good morning.", title=f"Call {number}", memory=memory, seen=number),
        row("b-1", f"Call {number} for me, please.", "I cannot call anyone."),
    ]
    write(tmp_path, rows)
    before = CliRunner().invoke(app, ["corpus", "audit", str(tmp_path), "--no-files"]).output
    assert "phone in 2 rows" in before, "the audit looks where cleaning does"
    clean, _ = cleaned(tmp_path, rows)
    assert clean["a-1"]["memory"][0]["content"] == "My number is [PHONE_1]."
    assert clean["a-1"]["title"] == "Call [PHONE_1]" and clean["a-1"]["scrubbed"] == {"PHONE": 2}
    assert clean["b-1"]["input"] == "Call [PHONE_1] for me, please.", "one placeholder for one value"
    assert clean["a-1"]["seen"] == number, "ids and times of other fields resemble numbers"
    after = CliRunner().invoke(app, ["corpus", "audit", str(tmp_path), "--no-files"]).output
    assert "nothing that looks like personal data" in after


def test_a_row_in_quarantine_can_be_moved_back(tmp_path: Path) -> None:
    rows = [*talk("a", *TURNS[:2]), row("b-1", "Hm?", LEAK, tags=["kept"], type="general")]
    _, quarantine = cleaned(tmp_path, rows)
    moved = {name: value for name, value in quarantine["b-1"].items() if name != "quarantined"}
    assert moved == rows[2] | {"context": []}
    write(tmp_path, [quarantine["b-1"]], "again.jsonl")
    clean_corpus(tmp_path / "again.jsonl", CorpusDir(tmp_path / "out"), Settings(frozenset({"reasoning"})))
    assert lines(tmp_path / "out" / "clean.jsonl")["b-1"] == moved


def test_explain_and_the_page_list_every_rule(tmp_path: Path) -> None:
    done = run("--explain", "--off", "retry")
    assert done.exit_code == 0
    page = (ROOT / "docs" / "corpus.md").read_text(encoding="utf-8")
    for one in (*RULES, *SCRUBS):
        assert f"\n{one.name} " in f"\n{done.output}" and f"| `{one.name}` |" in page
    assert "turned off" in done.output and "--off NAME" in done.output
    assert not list(tmp_path.iterdir())


def test_a_rule_that_is_off_does_nothing(tmp_path: Path) -> None:
    write(tmp_path, [*talk("a", TURNS[0]), *talk("b", ("Hm?", f"{LEAK} Ask ana{AT}mail.example"))])
    done = run(tmp_path, "--off", "reasoning", "--off", "email")
    assert done.exit_code == 0, done.output
    assert AT in lines(tmp_path / "clean.jsonl")["b-1"]["output"]
    report = json.loads((tmp_path / "clean.json").read_text())
    assert "reasoning" not in done.output and "reasoning" not in report["quarantined"]


def test_the_bundled_corpus_is_clean(tmp_path: Path) -> None:
    for side in ("train", "eval"):
        done = run(ROOT / "data" / "relational" / f"{side}.jsonl", "--out", tmp_path / side)
        assert done.exit_code == 0, done.output
        assert (tmp_path / side / "quarantine.jsonl").read_text() == ""
        assert read_jsonl(tmp_path / side / "clean.jsonl") == read_jsonl(ROOT / "data" / "relational" / f"{side}.jsonl")


# --- contexts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("explicit", [False, True])
def test_a_context_is_cut_behind_an_unfit_exchange(tmp_path: Path, explicit: bool) -> None:
    spoiled = [TURNS[0], (TURNS[1][0], LEAK), *TURNS[2:]]
    clean, quarantine = cleaned(tmp_path, with_contexts(talk("a", *spoiled), explicit))
    assert [*clean] == ["a-1", "a-3", "a-4"] and [*quarantine] == ["a-2"]
    assert contexts(tmp_path) == {"a-1": [], "a-3": [], "a-4": [*TURNS[2]]}
    assert [clean[name].get("context_cut") for name in clean] == [None, 4, 4]
    report = json.loads((tmp_path / "clean.json").read_text())
    assert report["context_cut"] == {"rows": 2, "turns": 8}


def test_a_row_that_went_for_another_reason_stays_in_the_contexts_after_it(tmp_path: Path) -> None:
    rows = [
        *talk("a", *TURNS[:3]),
        *talk("b", ("Good morning.", "Good morning to you."), TURNS[1], ("Bye.", "Until then.")),
    ]
    clean, quarantine = cleaned(tmp_path, rows)
    assert [*quarantine] == ["b-2"]
    assert contexts(tmp_path)["b-3"] == ["Good morning.", "Good morning to you.", *TURNS[1]]
    assert "context" in clean["b-3"] and "context" not in clean["a-3"], "written only where a reader would miss it"
    assert "context_cut" not in clean["b-3"]


def test_an_unfit_turn_in_a_context_alone_is_found_too(tmp_path: Path) -> None:
    said = [
        ("human", "Hello, are you there?"),
        ("assistant", LEAK),
        ("human", "Well?"),
        ("assistant", "I am here with you."),
    ]
    one = row("a-3", *TURNS[0], context=[{"role": role, "content": text} for role, text in said])
    cleaned(tmp_path, [one])
    assert contexts(tmp_path) == {"a-3": ["Well?", "I am here with you."]}


# --- rows that repeat others ----------------------------------------------------------------------------------------


def test_the_last_answer_to_a_question_that_was_asked_again_stays(tmp_path: Path) -> None:
    again = [("Where is the rope?", f"Answer number {n}, and it is not here.") for n in range(3)]
    _, quarantine = cleaned(tmp_path, talk("a", *again, TURNS[0]))
    assert {name: one["quarantined"]["rule"] for name, one in quarantine.items()} == {"a-1": "retry", "a-2": "retry"}
    assert contexts(tmp_path)["a-4"][:2] == [*again[0]]


def test_unless_the_last_answer_is_unfit(tmp_path: Path) -> None:
    rows = talk("a", ("Where is the rope?", "On the nail behind the door."), ("Where is the rope?", LEAK))
    clean, quarantine = cleaned(tmp_path, rows)
    assert [*clean] == ["a-1"] and quarantine["a-2"]["quarantined"]["rule"] == "reasoning"


def test_the_same_question_later_or_elsewhere_is_no_retry(tmp_path: Path) -> None:
    asked = "Where is the rope?"
    rows = [
        *talk("a", (asked, "On the nail."), TURNS[0], (asked, "Still on its nail, I think.")),
        *talk("b", (asked, "In the boat.")),
    ]
    assert not cleaned(tmp_path, rows)[1]


LONG = "We walked along the river until the path ended at the old mill, where the miller had left a boat for us to use."


NEAR = f"{LONG} Really."


@pytest.mark.parametrize("backwards", [False, True])
def test_the_earliest_of_copies_stays_wherever_it_stands(tmp_path: Path, backwards: bool) -> None:
    rows = [
        row("c-1", "Tell me.", LONG, time="2024-05-01T10:00:00Z"),
        row("a-1", "Tell me.", LONG.upper(), time="2024-05-03T10:00:00Z"),
        row("b-1", "Tell me!", NEAR, time="2024-05-02T10:00:00Z"),
        row("d-1", "Tell me.", LONG),
    ]
    clean, quarantine = cleaned(tmp_path, rows[::-1] if backwards else rows)
    assert [*clean] == ["c-1"]
    assert {name: one["quarantined"]["rule"] for name, one in quarantine.items()} == {
        "a-1": "duplicate", "b-1": "near-duplicate", "d-1": "duplicate",
    }  # fmt: skip
    assert "row c-1" in quarantine["b-1"]["quarantined"]["reason"]


def test_what_is_alike_by_less_or_on_one_side_stays(tmp_path: Path) -> None:
    other = "Nobody had told us that the last bus leaves at six, so we stayed, and the miller made soup for all of us."
    rows = [
        row("a-1", LONG, other), row("b-1", LONG, TURNS[0][1]), row("c-1", "Hm, and then?", other),
        row("d-1", "Tell me.", f"{LONG} {other}"), row("e-1", "Tell me.", LONG),
        row("f-1", "早く教えて", "川のそばを歩きました。"), row("g-1", "早く教えて", "山のうえで眠りました。"),
    ]  # fmt: skip
    assert not cleaned(tmp_path, rows)[1]


def test_a_thousand_copies_leave_one(tmp_path: Path) -> None:
    rows = [row(f"t{n}-1", "Tell me.", LONG if n % 2 else NEAR) for n in range(1000)]
    clean, _ = cleaned(tmp_path, rows)
    assert [*clean] == ["t0-1"]


# --- lengths --------------------------------------------------------------------------------------------------------


def test_rows_that_are_too_long_go_by_words_or_by_tokens(tmp_path: Path) -> None:
    rows = [
        row("a-1", "Hello there.", "Hello."),
        row("b-1", "Hello there.", "word " * 40 + "and no more than that, all of them different"),
    ]
    assert not cleaned(tmp_path, rows, off=frozenset({"noise"}))[1]
    by_words = cleaned(tmp_path, rows, max_tokens=30, off=frozenset({"noise"}))[1]
    assert by_words["b-1"]["quarantined"] == {"rule": "too-long", "reason": "54 words"}
    by_tokens = cleaned(tmp_path, rows, max_tokens=30, tokenizer=ROOT / "data" / "nano", off=frozenset({"noise"}))[1]
    assert [*by_tokens] == ["b-1"] and by_tokens["b-1"]["quarantined"]["reason"].endswith(" tokens")


def test_tokens_are_counted_as_training_counts_them(tokenizer: Any) -> None:
    from rct_lightning.corpus.exchange import Exchange
    from rct_lightning.corpus.lengths import tokens_by
    from rct_lightning.dialogue import Example
    from rct_lightning.template import DialogueTemplate

    measure = tokens_by(ROOT / "data" / "nano")
    for asked, answered in (*TURNS, ("<|endoftext|> and on", "No.\nYes.")):
        encoded = DialogueTemplate().encode(Example("x", "x", asked, answered), tokenizer, 10_000)
        assert abs(measure(Exchange(asked, answered)) - len(encoded.ids)) <= 1


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_mistake_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    good = write(tmp_path, talk("a", *TURNS), "good.jsonl")
    broken = tmp_path / "broken.jsonl"
    broken.write_text(good.read_text() * 4 + '{"id": "x", "input": "a"\n')
    (tmp_path / "file").write_text("")
    (tmp_path / "names").write_bytes(b"Jos\xe9\n")
    (tmp_path / "empty").mkdir()
    bad = write(tmp_path, talk("a", ("Hm?", LEAK)), "bad.jsonl")
    before = sorted(tmp_path.rglob("*"))
    ids = [line.replace('"a-', f'"{n}-') for n, line in enumerate(good.read_text().splitlines() * 4)]
    broken.write_text("\n".join([*ids, '{"id": "x", "input": "a"']) + "\n")
    for arguments, says in {
        (tmp_path / "none.jsonl",): "does not exist",
        (tmp_path / "none",): "there is no such folder",
        (tmp_path / "empty",): "holds no imported.jsonl",
        (broken, "--out", tmp_path / "new"): "line 17: not valid JSON",
        (good, "--out", tmp_path / "file"): "this is a file",
        (good, "--out", tmp_path / "file" / "x"): "cannot be written",
        (good, "--names", tmp_path / "names"): "not UTF-8",
        (good, "--off", "near-duplicat"): "Did you mean 'near-duplicate'?",
        (good, "--max-tokens", "9", "--tokenizer", tmp_path / "empty"): "there is no tokenizer.json",
        (good, "--tokenizer", tmp_path): "--tokenizer says what --max-tokens counts",
        (bad, "--out", tmp_path / "new"): "none of the 1 rows passes (reasoning 1)",
        (): "nothing to clean",
    }.items():  # fmt: skip
        done = run(*arguments) if arguments else run("--off", "retry")
        assert done.exit_code == 2, (arguments, done.output)
        assert says in " ".join(done.stderr.split()), (arguments, done.stderr)
        assert "Traceback" not in done.output
        assert sorted(tmp_path.rglob("*")) == before, arguments


def test_what_is_there_is_replaced_only_with_force_and_never_the_rows_that_are_read(tmp_path: Path) -> None:
    write(tmp_path, talk("a", *TURNS))
    assert run(tmp_path).exit_code == 0
    done = run(tmp_path)
    assert done.exit_code == 2 and "--force" in done.stderr
    assert run(tmp_path, "--force").exit_code == 0
    done = run(tmp_path / "clean.jsonl", "--force")
    assert done.exit_code == 2 and "write over the rows it reads" in " ".join(done.stderr.split())


def test_rows_that_were_split_off_before_are_said_to_be_old(tmp_path: Path) -> None:
    write(tmp_path, [row("a-1", "I am Ana.", "Hello, Ana."), row("b-1", "Who are you?", "I am here for you.")])
    (tmp_path / "names.txt").write_text("Ana\n")
    assert "earlier split" not in run(tmp_path).output
    assert CliRunner().invoke(app, ["corpus", "split", str(tmp_path)]).exit_code == 0
    done = run(tmp_path, "--names", tmp_path / "names.txt", "--force")
    assert done.exit_code == 0 and "Ana" not in (tmp_path / "clean.jsonl").read_text()
    assert f"train.jsonl is of an earlier split, as it was: rct corpus split {tmp_path} --force" in done.output


def test_a_failure_while_writing_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = talk("a", *TURNS)
    cleaned(tmp_path, rows)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(
        "rct_lightning.corpus.together.os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full"))
    )
    with pytest.raises(UserError, match="disk full"):
        clean_corpus(tmp_path / "imported.jsonl", CorpusDir(tmp_path), Settings(), force=True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


# --- faults that were planted ---------------------------------------------------------------------------------------


def test_planted_faults_are_found_by_the_rules_they_were_planted_for(tmp_path: Path) -> None:
    """Check that the benchmark measures something; its figures are in docs/corpus.md, and not asserted anywhere."""
    import planted
    import to_plant

    chosen = to_plant.study("seen")
    kept = {one.original for one in chosen if one.original}
    chosen = [one for number, one in enumerate(chosen) if number % 4 == 0 or one.row.id in kept or one.original]
    file, names = to_plant.write(chosen, tmp_path)
    for off, found in ((frozenset[str](), True), (frozenset({"reasoning", "near-duplicate", "phone"}), False)):
        settings = Settings(off, Names(dict.fromkeys(to_plant.NAMES)))
        clean_corpus(file, CorpusDir(tmp_path), settings, force=True)
        outcome = planted.compare(chosen, lines(tmp_path / "clean.jsonl") | lines(tmp_path / "quarantine.jsonl"))
        assert all(outcome.planted[rule.name] for rule in RULES if rule.name not in ("too-long", "retry"))
        assert all((outcome.found[rule] > 0) == found for rule in ("reasoning", "near-duplicate", "phone"))
        assert outcome.found["duplicate"] and outcome.found["email"] and "| duplicate |" in outcome.table()


# --- whatever the rows are ------------------------------------------------------------------------------------------

PIECES = st.sampled_from([
    "The user is asking", "I should respond gently.", "<think>", "Human: ", "\nAssistant: ", "null", "[image]", "ok",
    f"a.b{AT}c.example", f"{AT}c.example", "+1 415 555 2671", "030 901820", "4539 5787 6362 1486", "10.1.2.3", "order ",
    "call ", "/" + "home/ana", "[EMAIL_1]", "[PHONE_2]", "Ana", "ana", "sk-" + "x1" * 12, "no ", "\ufffd",
    "12.03.2024 ", "::1", "~x/", "\\", "(", "-", " ", "version ", LONG, NEAR,
])  # fmt: skip
SIDES = (("human", "input"), ("assistant", "output"))
TEXTS = st.lists(PIECES | st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=6).map("".join)
TALKS = st.lists(
    st.tuples(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4), st.booleans()), min_size=1, max_size=5
)
"""Conversations, and whether their rows have their own contexts."""
FIT = talk("zz", ("Will you stay a while?", "As long as the lamp burns, and longer if you like."))


def with_contexts(rows: list[Row], own: bool) -> list[Row]:
    """Return the rows, with contexts added if they are to have their own."""
    said = [{"role": role, "content": one[side]} for one in rows for role, side in SIDES]
    return [one | {"context": said[: 2 * n]} for n, one in enumerate(rows)] if own else rows


def outcome(folder: Path, rows: Sequence[Row]) -> tuple[str, str]:
    out = CorpusDir(folder)
    clean_corpus(
        write(folder, rows), out, Settings(names=Names({"Ana": None, "Tel": "call me"}), max_tokens=60), force=True
    )
    return out.clean.read_text(encoding="utf-8"), out.quarantine.read_text(encoding="utf-8")


@given(TALKS, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_cleaning_takes_anything_loses_nothing_and_is_done_at_once(talks: list[Any], random: Any) -> None:
    named = [with_contexts(talk(f"t{n}", *turns), own) for n, (turns, own) in enumerate(talks)] + [FIT]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [one for rows in named for one in rows]
        clean, quarantine = outcome(folder, rows)
        split = lambda text: {one["id"]: one for one in map(json.loads, text.split("\n")[:-1])}  # noqa: E731
        assert split(clean).keys() | split(quarantine).keys() == {one["id"] for one in rows}
        assert len(split(clean)) + len(split(quarantine)) == len(rows), "every row is in one of the two"

        again = [json.loads(line) for line in clean.split("\n")[:-1]]
        assert outcome(folder, again) == (clean, ""), "what was cleaned is clean"

        random.shuffle(named)
        shuffled = outcome(folder, [one for rows in named for one in rows])
        assert [split(text) for text in shuffled] == [split(clean), split(quarantine)], "wherever conversations stand"
