"""``rct corpus import`` on the command line."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from exported import EXPORTS, SPEAKERS, claude, exchange, write_json
from typer.testing import CliRunner

from rct_lightning.cli import app, importing
from rct_lightning.corpus.conversation import Conversation, Tally, Utterance
from rct_lightning.corpus.importers import FORMATS
from rct_lightning.corpus.pairs import examples
from rct_lightning.corpus.showing import import_progress
from rct_lightning.dialogue import Turn


def rct(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["corpus", "import", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, " ".join(done.output.split())


def test_the_table_tells_conversations_rows_and_what_was_left_out(tmp_path: Path) -> None:
    code, said = rct(
        EXPORTS / "claude.json", EXPORTS / "transcript.txt", "--out", tmp_path / "x", "--speakers", SPEAKERS
    )
    assert code == 0
    assert "4 conversations" in said and "7 rows" in said
    assert "5 claude:" in said and "2 transcript:" in said
    assert "2 left out: messages on other branches" in said and "1 altered: conversations whose messages" in said
    assert {path.name for path in (tmp_path / "x").iterdir()} == {"imported.jsonl", "import.json"}
    account = json.loads((tmp_path / "x" / "import.json").read_text())
    assert account["rows"] == 7 and account["dropped"]["messages on other branches"]["count"] == 2
    assert "claude.json, entry 1" in account["dropped"]["messages on other branches"]["where"][0]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nowhere.json"], "no such file or folder"),
        ([EXPORTS / "claude.json", "--format", "clod"], "no format 'clod'"),
        ([EXPORTS / "transcript.txt"], "--speakers"),
        ([EXPORTS / "transcript.speakers"], "not valid JSON"),
    ],
)
def test_a_mistake_is_one_paragraph_and_exit_code_2(arguments: list[object], why: str, tmp_path: Path) -> None:
    code, said = rct(*arguments, "--out", tmp_path / "x")
    assert code == 2 and why in said and "Traceback" not in said
    assert not (tmp_path / "x").exists()


def test_help_names_every_format() -> None:
    assert importing.FORMATS.split(", ") == list(FORMATS)


def test_many_files_are_summed_up(tmp_path: Path) -> None:
    for number in range(25):
        write_json(tmp_path / "in" / f"{number:02d}.json", [claude(f"c{number}", "Hm?", "Yes.")])
    code, said = rct(tmp_path / "in", "--out", tmp_path / "x")
    assert code == 0 and "25 rows" in said and "5 5 more files" in said


def test_force_and_salvage(tmp_path: Path) -> None:
    cut = tmp_path / "conversations.json"
    cut.write_text(json.dumps([claude(f"c{n}", "Hm?", "Yes.") for n in range(3)])[:-5])
    assert rct(cut, "--out", tmp_path / "x")[0] == 2
    assert rct(cut, "--out", tmp_path / "x", "--salvage")[0] == 0
    assert rct(EXPORTS / "grok.json", "--out", tmp_path / "x")[0] == 2
    code, said = rct(EXPORTS / "grok.json", "--out", tmp_path / "x", "--force")
    assert code == 0 and "3 rows" in said


def test_nothing_of_an_export_commands_the_terminal(tmp_path: Path) -> None:
    hostile = "\x1b]0;owned\x07\x1b[31m[red]\u202e"
    file = write_json(tmp_path / "x.json", [{"uuid": hostile, "chat_messages": exchange("Hm?")}, claude("c", "a", "b")])
    done = CliRunner().invoke(app, ["corpus", "import", str(file), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0
    written = (
        done.output + (tmp_path / "out" / "import.json").read_text() + (tmp_path / "out" / "imported.jsonl").read_text()
    )
    assert "\x1b" not in written and "\\u001b" not in written and "\\u202e" not in written and "\u202e" not in written


def test_help_and_import_need_no_torch() -> None:
    code = (
        "import sys; from rct_lightning.cli import app; import rct_lightning.corpus.importing;"
        "print(sorted({'torch', 'transformers', 'striprtf', 'rich.progress'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_bar_is_shown_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with import_progress() as progress:
        assert progress is None

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    with import_progress() as progress:
        assert progress is not None
        progress(1, 2)


# Rows of a conversation


def rows(*turns: tuple[str, str], **fields: object) -> tuple[list[tuple[str, str]], dict[str, int]]:
    said = tuple(Utterance({"h": "human", "a": "assistant"}[who], text) for who, text in turns)  # type: ignore[arg-type]
    tally = Tally()
    found = [(row.input, row.output) for row in examples(Conversation("c", "test", said), tally)]
    return found, {what: one.count for what, one in tally.dropped.items()}


def test_pairs_of_turns_that_do_not_alternate() -> None:
    assert rows(("h", "1"), ("h", "2"), ("a", "3"), ("a", "4")) == ([("1\n\n2", "3\n\n4")], {})
    found, dropped = rows(("a", "0"), ("h", "1"), ("a", "2"), ("h", "3"))
    assert found == [("1", "2")]
    assert dropped == {"assistant turns before the first user turn": 1, "user turns without an answer": 1}


def test_an_answer_to_what_is_no_text_answers_nothing_else() -> None:
    found, dropped = rows(("h", "1"), ("a", "2"), ("h", " \n"), ("a", "a fine picture"), ("h", "3"), ("a", "4"))
    assert found == [("1", "2"), ("3", "4")]
    assert dropped == {"messages without text": 1, "replies to a message without text": 1}


def test_a_reply_without_text_leaves_its_question_with_the_next_one() -> None:
    found, dropped = rows(("h", "1"), ("a", ""), ("h", "2"), ("a", "3"))
    assert found == [("1\n\n2", "3")] and dropped == {"messages without text": 1}


def test_rows_carry_ids_history_time_and_title() -> None:
    turns = (
        Utterance("human", "a\r\nb\0", 1767225600.0),
        Utterance("assistant", "c"),
        Utterance("human", "d"),
        Utterance("assistant", "e", 1767225700.0),
        Utterance("human", "f"),
        Utterance("assistant", "g"),
    )
    first, second, third = examples(Conversation("c", "test", turns, title=" T\x1b[1m ", time=1.0), Tally())
    assert (first.id, first.input, first.context, first.source) == ("c-1", "a\nb", (), "test")
    assert first.extra == {"time": "2026-01-01T00:00:00Z", "title": "T"}
    assert second.context == (Turn("human", "a\nb"), Turn("assistant", "c"))
    assert second.extra["time"] == "2026-01-01T00:01:40Z" and third.extra["time"] == "1970-01-01T00:00:01Z"
    assert third.id == "c-3" and len(third.context) == 4
    assert first.type is None and first.has_presence is None
