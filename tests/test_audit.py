"""``rct corpus audit`` and ``show``: planted faults are found, one line each, and the page is self-contained."""

import random
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from invented import conversations, sentence
from pages import Reading
from typer.testing import CliRunner

from rct_lightning.cli import app
from rct_lightning.cli.show import show
from rct_lightning.corpus.show import find, pieces
from rct_lightning.corpus.split import split
from rct_lightning.corpus.tokens import FolderTokenizer
from rct_lightning.corpus.truncation import Lengths
from rct_lightning.dialogue import TYPES, Example, Turn, read_jsonl, write_jsonl
from rct_lightning.errors import UserError
from rct_lightning.template import DialogueTemplate

ROOT = Path(__file__).parents[1]
NANO = ROOT / "data" / "nano"


def command(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["corpus", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def audited(
    folder: Path, train: Sequence[Example], held: Sequence[Example], *options: object
) -> tuple[int, dict[str, str]]:
    """Return the exit code and the lines with their status, by name."""
    write_jsonl(folder / "train.jsonl", train)
    write_jsonl(folder / "eval.jsonl", held)
    code, said = command("audit", folder, "--tokenizer", NANO, "--no-files", *options)
    lines = re.split(r"\n(?=(?:ok|warn|fail) )", said.split("\n\n")[0])
    return code, {line.split()[1]: " ".join(line.split()) for line in lines}


def healthy() -> tuple[list[Example], list[Example]]:
    """Return healthy sides: every type, half of the rows marked, some with a history, no duplicates."""
    rows = conversations(*[1, 2, 1, 3] * 16)
    rows = [
        replace(row, type=TYPES[place % 5], input=f"Aelara, {row.input}" if place % 2 else row.input)
        for place, row in enumerate(rows)
    ]
    sides = split(rows, 32)
    return sides.train, sides.held


@pytest.fixture(scope="module")
def sides() -> tuple[list[Example], list[Example]]:
    return healthy()


def test_a_healthy_corpus_is_well(tmp_path: Path, sides: Any) -> None:
    code, lines = audited(tmp_path, *sides)
    assert code == 0 and {line.split()[0] for line in lines.values()} == {"ok"}, lines


def test_the_bundled_corpus_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    code, said = command("audit", "--no-files")
    assert code == 0 and "\nfail" not in said and "\nwarn" not in said
    page = " ".join((ROOT / "docs" / "corpus.md").read_text(encoding="utf-8").split())
    for line in said.split("\n\n")[0].split("\n"):
        assert " ".join(line.split()) in page, "docs/corpus.md shows another audit than is made"


# --- fifty leaks ----------------------------------------------------------------------------------------------------


def leaky() -> tuple[list[Example], list[Example]]:
    """Return fifty evaluation rows that leak, among thirty that do not."""
    draw = random.Random(5)
    train, clean = conversations(*[2] * 100), conversations(*[1] * 30, seed=9)
    held = [replace(row, id=f"clean-{row.id}", conversation=f"clean-{row.conversation}") for row in clean]
    for number in range(50):
        base = train[2 * number]
        row = Example(f"leak-{number}", f"leak-{number}", sentence(draw), sentence(draw))
        if number < 15:
            row = replace(row, conversation=base.conversation)
        elif number < 30:
            row = replace(row, input=base.input, output=base.output)
        elif number < 40:
            row = replace(row, input=" ".join(["Well:", *base.input.split()[:-1]]))
        else:
            words = base.output.split()
            words[21 if number % 2 else 2] = "otherwise"
            row = replace(row, output=" ".join([*words, *(draw.choice(words) for _ in range(number % 3))]))
        held.append(row)
    return train, held


def test_fifty_planted_leaks_are_found_and_the_split_of_the_same_rows_has_none(tmp_path: Path) -> None:
    train, held = leaky()
    code, lines = audited(tmp_path, train, held)
    line = lines["leakage"]
    assert code == 1 and line.startswith("fail") and "rct corpus split" in line
    assert re.findall(r"(\d+) (conversations|eval rows) ", line) == [
        ("15", "conversations"),
        ("15", "eval rows"),  # verbatim
        ("25", "eval rows"),  # user text: these, and ten nearly identical ones
        ("25", "eval rows"),  # reply
    ]
    again = split([*train, *held], 80)
    assert len(again.held) == 80
    code, lines = audited(tmp_path, again.train, again.held)
    assert lines["leakage"].startswith("ok") and lines["ties"].startswith("ok")


# --- one fault, one line --------------------------------------------------------------------------------------------

Change = Callable[[Example, int], Example]
QUOTED = "Give me half of it to carry."
FAULTS: dict[str, tuple[str, str, Change]] = {
    "markers": ("fail", "0.0%", lambda row, n: replace(row, input=row.input.removeprefix("Aelara, "))),
    "history": ("fail", "0 of", lambda row, n: replace(row, context=())),
    "lengths": ("fail", "data.max_seq_length=", lambda row, n: replace(row, output=sentence(random.Random(n), 200))),
    "phrases": ("warn", "1 training reply (",
                lambda row, n: row if n else replace(row, output=f"{QUOTED} {row.output}")),
    "has_presence": ("warn", "stated in 1 rows and agrees with their text in 0",
                     lambda row, n: row if n else replace(row, has_presence="Aelara" not in row.input)),
    "personal": ("fail", "email in 1 rows", lambda row, n: row if n else replace(row, output="Ask joe@example.com.")),
    "artefacts": ("fail", "reasoning in 1 rows",
                  lambda row, n: row if n else replace(row, output="The user is asking for a lamp. Here it is.")),
    "repeats": ("warn", "9 rows repeat",
                lambda row, n: replace(row, output="It is as it is and so it was before.") if n < 9 else row),
    "skew": ("warn", "conversation 'c'", lambda row, n: replace(row, conversation="c") if n < 40 else row),
    "types": ("warn", "1 rows have none", lambda row, n: row if n else replace(row, type=None)),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_by_its_line(tmp_path: Path, sides: Any, name: str) -> None:
    status, words, change = FAULTS[name]
    train, held = sides
    code, lines = audited(tmp_path, [change(row, n) for n, row in enumerate(train)], held)
    assert lines[name].startswith(status) and words in lines[name], lines[name]
    assert code == (status == "fail")
    others = {what: line for what, line in lines.items() if not line.startswith("ok") and what != name}
    assert not others, others


@pytest.mark.parametrize(
    ("name", "status", "words", "change"),
    [
        ("eval", "fail", "100.0%", lambda row, n: replace(row, conversation="one")),
        ("eval", "warn", "of conversation 'one'", lambda row, n: replace(row, conversation="one") if n < 12 else row),
        ("types", "warn", "the share of general", lambda row, n: replace(row, type="general")),
        ("types", "warn", "unknown: joy", lambda row, n: replace(row, type="joy")),
        ("leakage", "fail", "1 eval row (", lambda row, n: row if n else replace(row, extra={"pair": "p"})),
        ("ties", "warn", "with the same short user text", lambda row, n: row if n else replace(row, input="At last.")),
        ("rows", "warn", "Under 30 rows", None),
    ],
)
def test_faults_between_the_sides_are_found(
    tmp_path: Path, sides: Any, name: str, status: str, words: str, change: Change | None
) -> None:
    train, held = sides
    train = [replace(train[0], extra={"pair": "p"}), replace(train[1], input="At last."), *train[2:]]
    changed = [change(row, n) for n, row in enumerate(held)] if change else held[:20]
    code, lines = audited(tmp_path, train, changed)
    assert lines[name].startswith(status) and words in lines[name], lines[name]
    assert code == (status == "fail")


def test_a_corpus_that_was_not_split_is_audited_as_far_as_it_goes(tmp_path: Path, sides: Any) -> None:
    write_jsonl(tmp_path / "clean.jsonl", [*sides[0], *sides[1]])
    code, said = command("audit", tmp_path, "--tokenizer", NANO, "--no-files")
    assert code == 0 and "not split yet" in said and "leakage" not in said


# --- the page -------------------------------------------------------------------------------------------------------


def test_the_page_stands_alone_and_runs_nothing_of_the_corpus(tmp_path: Path, sides: Any) -> None:
    nasty = "<script>alert(1)</script>$\\frac\x1b[2J|<img src=http://x.org/a.png>"
    train, held = sides
    write_jsonl(tmp_path / "train.jsonl", [replace(train[0], type=nasty, conversation=nasty, id=nasty), *train[1:]])
    write_jsonl(tmp_path / "eval.jsonl", [*held, replace(train[0], id=nasty, conversation=nasty)])
    code, said = command("audit", tmp_path, "--tokenizer", NANO)
    assert code == 1 and "\x1b" not in said
    page, text = ((tmp_path / f"audit.{kind}").read_text(encoding="utf-8") for kind in ("html", "md"))
    read = Reading(page)
    assert not read.problems and "\x1b" not in text and "<script>" in read.text and "&lt;script&gt;" in page
    assert read.tags["img"] == 3 and "max_seq_length" in read.text
    assert "SHA-256" in text and "**fail** leakage" in text
    command("audit", tmp_path, "--tokenizer", NANO)
    assert (tmp_path / "audit.html").read_text(encoding="utf-8") == page, "the same corpus has the same page"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("audit", "nowhere"), "no such folder"),
        (("audit", "empty"), "holds no train.jsonl"),
        (("audit", "corpus", "--tokenizer", "empty"), "no tokenizer.json"),
        (("audit", "corpus", "--tokenizer", "bad"), "cannot be read"),
        (("show", "1", "nowhere"), "no such folder"),
        (("show", "99", "corpus"), "There is no row '99'"),
        (("show", "1", "corpus", "--max-seq-length", "8"), "no room for a reply"),
    ],
)
def test_mistakes_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "bad", "corpus"):
        Path(name).mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        Path("bad", name).write_text("{}", encoding="utf-8")
    write_jsonl(Path("corpus", "train.jsonl"), conversations(1, 1))
    standard = [] if "--tokenizer" in arguments else ["--tokenizer", NANO]
    done = CliRunner().invoke(app, ["corpus", *map(str, (*arguments, *standard))])
    assert done.exit_code == 2 and words in " ".join(done.output.split()), done.output


# --- show -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows() -> list[Example]:
    return read_jsonl(ROOT / "data" / "relational" / "eval.jsonl")


def test_tokens_are_those_of_training(tokenizer: Any, rows: list[Example]) -> None:
    own, template = FolderTokenizer(NANO), DialogueTemplate()
    odd = Example("odd", "odd", "An <|endoftext|> in the text, 今日は é \U0001f600", "<|padding|>, yes.")
    for row in [*rows[::8], odd]:
        for length in (1024, 60):
            assert template.encode(row, own, length) == template.encode(row, tokenizer, length)
    lengths = Lengths.of(rows, own, 60, template)
    assert lengths.whole == [len(template.encode(row, tokenizer, 1 << 30).ids) for row in rows]
    assert [row.reply_tokens_cut for row in lengths.encoded] == [
        template.encode(row, tokenizer, 60).reply_tokens_cut for row in rows
    ]


@pytest.mark.parametrize("limit", [9, 60, 512, 1 << 20])
def test_lengths_are_those_of_every_row_encoded_by_itself(rows: list[Example], limit: int) -> None:
    own, template = FolderTokenizer(NANO), DialogueTemplate(assistant="A much longer name")
    said = (Turn("assistant", " Blanks \n"), Turn("assistant", rows[0].input), Turn("human", rows[0].input))
    some = [*conversations(30, 1), *rows[:20], replace(rows[0], context=said), replace(rows[1], output="y" * 3000)]
    found = Lengths.of(some, own, limit, template)
    whole, cut = ([template.encode(row, own, length) for row in some] for length in (1 << 30, limit))
    assert found.whole == [len(row.ids) for row in whole]
    assert found.replies == [len(row.ids) - row.prompt_length for row in whole]
    assert [replace(row, ids=[]) for row in found.encoded] == [replace(row, ids=[]) for row in cut]
    assert [len(row.ids) for row in found.encoded] == [len(row.ids) for row in cut]


def test_memory_for_lengths_follows_what_was_said() -> None:
    own = FolderTokenizer(NANO)

    def peak(exchanges: int) -> int:
        some = conversations(exchanges)
        tracemalloc.start()
        Lengths.of(some, own, 128, DialogueTemplate())
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(400) < 2.5 * peak(200)


@pytest.mark.parametrize("length", [20, 45, 90, 150, 512])
def test_pieces_are_what_is_encoded_and_what_is_not(rows: list[Example], length: int) -> None:
    tokenizer, template = FolderTokenizer(NANO), DialogueTemplate()
    for row in rows[:20]:
        found, encoded = pieces(row, tokenizer, length, template), template.encode(row, tokenizer, length)
        assert "".join(p.text for p in found) == f"{template.prompt(row.input, row.context)} {row.output}<|endoftext|>"
        assert sum(p.tokens for p in found if not p.cut) == len(encoded.ids)
        assert sum(p.tokens for p in found if p.learnt) == len(encoded.ids) - encoded.prompt_length
        assert "".join(p.text for p in found if not p.cut) == tokenizer.decode(encoded.ids)


def test_a_row_is_shown_by_number_and_id_with_marks_where_no_colour_is(rows: list[Example]) -> None:
    path = ROOT / "data" / "relational" / "eval.jsonl"
    code, said = command("show", "3", path, "--tokenizer", NANO)
    assert code == 0 and f"row 3 of 82: id {rows[2].id}" in said
    assert f"Assistant:{{+ {rows[2].output}<|endoftext|>+}}" in said and "\x1b" not in said
    assert command("show", rows[2].id, path, "--tokenizer", NANO) == (code, said)
    long = next(n for n, row in enumerate(rows, start=1) if len(row.context) > 5)
    assert "[-Human:" in command("show", str(long), path, "--tokenizer", NANO, "--max-seq-length", 90)[1]
    with pytest.raises(UserError):
        find(rows, "0")


def test_on_a_terminal_colours_tell_what_is_learnt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    row = Example("a", "a", "Is it\x1b]0;mine\x07 late?", "It is.", (Turn("human", "Hm."), Turn("assistant", "Yes.")))
    write_jsonl(tmp_path / "rows.jsonl", [row])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    show("1", tmp_path / "rows.jsonl", NANO, 512)
    said = capsys.readouterr().out
    assert "\x1b]0" not in said and "{+" not in said
    assert "\x1b[32m\x1b[1m It is.<|endoftext|>" in said
    monkeypatch.setenv("NO_COLOR", "1")
    show("1", tmp_path / "rows.jsonl", NANO, 512)
    said = capsys.readouterr().out
    assert "\x1b" not in said and "{+ It is.<|endoftext|>+}" in said


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from rct_lightning.cli import app; "
        f"app(['corpus', 'audit', {str(ROOT / 'data' / 'relational')!r}, '--no-files', '--tokenizer', {str(NANO)!r}], "
        "standalone_mode=False); print(sorted({'torch', 'transformers', 'lightning', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
