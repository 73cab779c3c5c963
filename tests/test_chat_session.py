"""The parts of a conversation: questions, their context, seeds, settings, and files that can become a corpus."""

import json
import sqlite3
import sys
from pathlib import Path

import pytest
import typer
from chat_stub import MODEL, converse, fixed_session
from typer.testing import CliRunner

from rct_lightning.cli import app
from rct_lightning.cli.chat import _session, chat
from rct_lightning.dialogue import Turn, read_jsonl
from rct_lightning.errors import UserError
from rct_lightning.tui.chat.app import ChatApp
from rct_lightning.tui.chat.commands import COMMANDS, as_typed, help_lines, parse
from rct_lightning.tui.chat.export import as_markdown, rows, save
from rct_lightning.tui.chat.history import Exchange, History
from rct_lightning.tui.chat.session import Session
from rct_lightning.tui.chat.settings import RANGES, Settings
from rct_lightning.tui.chat.speaker import Done, Ended, Said


@pytest.fixture
def session() -> Session:
    found = fixed_session()
    found.model = MODEL
    return found


def answered(session: Session, *pieces: str, how: str = "eos", turns_cut: int = 0) -> None:
    for piece in pieces:
        session.said(Said("tuned", piece))
    session.ended(Ended("tuned", how, len(pieces), turns_cut, None))  # type: ignore[arg-type]
    session.done(Done())


# --- asking ---------------------------------------------------------------------------------------------------------


def test_what_was_said_before_is_the_context(session: Session) -> None:
    assert session.ask("One?").context == ()
    answered(session, "One", ".")
    assert session.ask(" Two?\n").context == (Turn("human", "One?"), Turn("assistant", "One."))
    assert session.last.text == "Two?"


def test_earlier_conversations_come_before_this_one_and_can_be_left_out(session: Session) -> None:
    converse(session, "My dog is called Bramble.", replies=["A fine name."])
    session.begin()
    converse(session, "Good morning.", replies=["Good morning."])
    remembered = (Turn("human", "My dog is called Bramble."), Turn("assistant", "A fine name."))
    assert session.ask("Who?").context[:2] == remembered
    answered(session, "He.", turns_cut=1)
    reply = session.last.reply
    assert reply and (reply.memory, reply.turns) == (remembered[1:], 2), "what was fed, not what was offered"
    session.settings = session.settings.changed("memory", "off")
    assert session.ask("Who?").context[0] == Turn("human", "Good morning.")


def test_memory_is_of_the_same_model(session: Session) -> None:
    converse(session, "My dog is called Bramble.")
    session.begin()
    session.model = type(MODEL)("other", "other", "data/nano", "cpu")
    assert session.ask("Who?").context == ()


def test_seeds_are_new_or_as_set_and_again_takes_another(session: Session) -> None:
    assert session.ask("a").seed == 1
    answered(session, "x")
    assert session.again().seed == 2
    answered(session, "y")
    session.settings = session.settings.changed("seed", "40")
    assert session.ask("b").seed == 40
    answered(session, "z")
    assert [session.again().seed, answered(session, "z"), session.again().seed] == [41, None, 42]


def test_again_replaces_the_reply_and_does_not_see_it(session: Session) -> None:
    converse(session, "One?", "Two?", replies=["First.", "Second."])
    question = session.again()
    assert (question.text, len(question.context)) == ("Two?", 2)
    answered(session, "Third.")
    assert [each.reply and each.reply.text for each in session.exchanges] == ["First.", "Third."]


def test_an_edited_exchange_is_asked_in_its_place(session: Session) -> None:
    converse(session, "One?", "Tow?")
    assert session.edit() == "Tow?"
    assert len(session.ask("Two?").context) == 2
    answered(session, "Second.")
    assert [each.text for each in session.exchanges] == ["One?", "Two?"]
    assert [each.text for each in session.history.exchanges(session.conversation)] == ["One?", "Two?"]


def test_an_exchange_that_is_edited_and_answered_again_is_asked_in_its_place(session: Session) -> None:
    converse(session, "One?", "Tow?")
    session.edit()
    session.again()
    answered(session, "Another.")
    assert len(session.ask("Two?").context) == 2
    answered(session, "Second.")
    kept = session.history.exchanges(session.conversation)
    assert [each.text for each in kept] == ["One?", "Two?"] == [each.text for each in session.exchanges]


def test_an_edit_that_nothing_answers_leaves_what_it_was_to_replace(session: Session) -> None:
    converse(session, "One?", "Tow?")
    session.edit()
    session.ask("Two?")
    assert session.done(Done("This message has 2000 tokens.")) is None
    kept = session.history.exchanges(session.conversation)
    assert [each.text for each in kept] == ["One?", "Tow?"] and kept == session.exchanges and kept[1].reply


def test_an_edited_exchange_that_nothing_answers_is_taken_back_with_the_edit(session: Session) -> None:
    """As a killed chat leaves it: asked, and never answered."""
    session.ask("One?")
    session.asking = None
    session.edit()
    session.again()
    session.done(Done())
    assert session.editing is None and session.exchanges == []


def test_what_could_not_be_asked_is_not_kept(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    converse(session, "One?")
    session.edit()

    def fails(*_: object, **__: object) -> list[Exchange]:
        raise UserError("the history cannot be read")

    monkeypatch.setattr(session.history, "remembered", fails)
    with pytest.raises(UserError, match="cannot be read"):
        session.ask("Two?")
    assert [each.text for each in session.history.exchanges(session.conversation)] == ["One?"]
    assert [each.text for each in session.exchanges] == ["One?"] and session.editing


def test_a_stopped_reply_is_kept_and_remains_in_the_context(session: Session) -> None:
    session.ask("One?")
    answered(session, "The lan", how="stopped")
    assert session.last.reply and session.last.reply.how == "stopped"
    assert session.ask("Two?").context[1].content == "The lan"


def test_a_reply_that_broke_off_is_kept_as_far_as_it_went(session: Session) -> None:
    session.ask("One?")
    session.said(Said("tuned", "The lan"))
    exchange = session.done(Done("the process ended"))
    assert exchange and exchange.reply and (exchange.reply.text, exchange.reply.how) == ("The lan", "stopped")


def test_what_was_not_answered_is_taken_back(session: Session) -> None:
    session.ask("One?")
    assert session.done(Done("too long")) is None
    assert session.exchanges == [] == session.history.exchanges(session.conversation)


def test_a_failed_attempt_leaves_the_reply_that_was_there(session: Session) -> None:
    converse(session, "One?", replies=["First."])
    session.again()
    exchange = session.done(Done("memory"))
    assert exchange and exchange.reply and exchange.reply.text == "First."


def test_nothing_is_asked_without_a_model_or_while_it_answers() -> None:
    session = fixed_session()
    with pytest.raises(UserError, match="there is no model"):
        session.ask("One?")
    session.model = MODEL
    with pytest.raises(UserError, match="nothing to send"):
        session.ask(" \u200b\n")
    with pytest.raises(UserError, match="Nothing was said"):
        session.again()
    session.ask("One?")
    for attempt in (session.again, session.edit, lambda: session.ask("Two?")):
        with pytest.raises(UserError, match="still being written"):
            attempt()


def test_pieces_are_made_safe_across_their_borders(session: Session) -> None:
    session.ask("One\x1b[2J?")
    shown = "".join(session.said(Said("tuned", piece)) for piece in ("a\x1b", "]52;c;AA", "\x07b\u202e", "c\r"))
    session.ended(Ended("tuned", "eos", 4, 0, None))
    session.done(Done())
    assert shown == "abc" and session.last.text == "One?"
    assert session.last.reply and session.last.reply.text == "abc\n"


# --- settings and commands ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("temperature", "0", 0.0), ("Top-P", "0.9", 0.9), ("repetition_penalty", "1.2", 1.2), ("max_tokens", "64", 64),
     ("seed", "7", 7), ("seed", "new", None), ("memory", "off", 0), ("memory", "on", 6), ("compare", "on", True)],
)  # fmt: skip
def test_settings_are_changed_by_name(name: str, value: str, expected: object) -> None:
    changed = Settings(seed=1).changed(name, value)
    assert getattr(changed, name.lower().replace("-", "_")) == expected


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("temprature", "1", "Did you mean temperature"), ("temperature", "hot", "from 0"),
     ("temperature", "nan", "from 0"), ("top_p", "0", "0.01 to 1"), ("seed", "-1", "whole number"),
     ("max_tokens", "0", "1 to 4096"), ("max_tokens", "1.5", "whole number"), ("compare", "maybe", "on or off"),
     ("compare", "1", "on or off"), ("memory", "\x1b[2J", "on, off")],
)  # fmt: skip
def test_impossible_settings_are_told(name: str, value: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Settings().changed(name, value)


def test_every_setting_has_a_range_and_a_line() -> None:
    assert set(RANGES) == set(vars(Settings()))
    assert len(Settings().lines()) == len(RANGES)


def reopened(path: Path) -> Session:
    return Session(History(path))


def test_settings_outlast_the_session_until_they_are_reset(tmp_path: Path) -> None:
    path = tmp_path / "chat.sqlite"
    first = reopened(path)
    assert first.set("Top-P", " 0.123456789 ") == "top_p is 0.123456789"
    first.set("seed", "7"), first.set("compare", "yes"), first.set("temperature", "greedy")
    first.history.close()
    second = reopened(path)
    kept = second.history.kept_settings()
    assert kept == {"compare": "on", "seed": "7", "temperature": "0", "top_p": "0.123456789"}
    assert Settings().with_kept(kept) == first.settings
    second.settings = first.settings
    second.reset("Seed")
    assert second.settings.seed is None and "seed" not in second.history.kept_settings()
    second.reset()
    assert second.settings == Settings() and second.history.kept_settings() == {}
    with pytest.raises(UserError, match="Did you mean temperature"):
        second.reset("temprature")
    second.history.close()


def test_an_impossible_setting_is_not_kept_and_does_not_change_any(session: Session) -> None:
    with pytest.raises(UserError, match="from 0"):
        session.set("temperature", "-1")
    assert session.settings == Settings() and session.history.kept_settings() == {}


def test_settings_that_somebody_wrote_into_the_file_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "chat.sqlite"
    History(path).close()
    rows = [("temperature", "99"), ("nonsense", "1"), (b"seed", "7"), ("top_p", b"0.5"), ("seed", "\x1b[2J"),
            ("memory", "2")]  # fmt: skip
    with sqlite3.connect(path) as db:
        db.executemany("INSERT INTO settings VALUES (?, ?)", rows)
    history = History(path)
    assert Settings().with_kept(history.kept_settings()) == Settings(memory=2)
    history.close()


def test_a_chat_begins_with_what_was_kept_and_options_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RCT_DATA_DIR", str(tmp_path))
    opened, notice = _session({})
    assert notice == "" and opened.settings == Settings()
    opened.set("temperature", "0.2"), opened.set("memory", "off")
    opened.history.close()
    opened, notice = _session({"temperature": "1.5"})
    assert (opened.settings.temperature, opened.settings.memory) == (1.5, 0)
    assert notice == "As set in earlier sessions: memory 0. /set shows all, /set reset forgets them."
    opened.history.close()
    opened, notice = _session({})
    assert opened.settings.temperature == 0.2, "an option holds once"
    opened.history.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--max-tokens", "-3"], "--max-tokens: '-3' is not possible. Give a whole number from 1 to 4096"),
     (["--temperature", "nan"], "--temperature: 'nan'"), (["--seed", "-1"], "from 0 to 4294967295"),
     (["--base"], "--base: the base alone is asked with --prompt"), (["--prompt", " "], "--prompt: there is nothing")],
)  # fmt: skip
def test_impossible_options_are_named(options: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["chat", *options])
    assert done.exit_code == 2 and said in " ".join(done.output.split())


@pytest.mark.parametrize("text", ["hello", "/delete yes", "//new", "a/b"])
def test_what_was_said_is_typed_again_as_a_message(text: str) -> None:
    typed = as_typed(text)
    assert parse(typed) is None and (typed.removeprefix("/") if typed.startswith("//") else typed) == text


def test_commands_are_told_from_what_is_said() -> None:
    assert parse("/set temperature 1") == ("set", "temperature 1")
    assert parse("Hello /help") is None and parse("//help") is None
    with pytest.raises(UserError, match="Did you mean /history"):
        parse("/histroy")
    assert all(f"/{command.name}" in "\n".join(help_lines()) for command in COMMANDS)


# --- files ----------------------------------------------------------------------------------------------------------


def test_saved_rows_go_back_into_a_corpus(session: Session, tmp_path: Path) -> None:
    converse(session, "My dog is called Bramble.", replies=["A fine name."])
    session.begin()
    converse(session, "Good morning.", 'Who sleeps\n"outside"?', replies=["Morning.", "- **Bramble**\n- nobody else"])
    said = save(session.exchanges, tmp_path / "chat.jsonl")
    assert "2 rows" in said
    folder = tmp_path / "corpus"
    done = CliRunner().invoke(app, ["corpus", "import", str(tmp_path / "chat.jsonl"), "--out", str(folder)])
    assert done.exit_code == 0, done.output
    imported = read_jsonl(folder / "imported.jsonl")
    assert [(row.conversation, row.input, row.output) for row in imported] == [
        ("chat-2", "Good morning.", "Morning."),
        ("chat-2", 'Who sleeps\n"outside"?', "- **Bramble**\n- nobody else"),
    ]
    assert imported[1].context == (Turn("human", "Good morning."), Turn("assistant", "Morning."))
    assert imported[0].context == () and imported[0].extra["memory"][0]["content"] == "My dog is called Bramble."


def test_only_whole_replies_are_rows(session: Session, tmp_path: Path) -> None:
    for how, text in (
        ("stopped", "The lan"),
        ("limit", "and on and"),
        ("eos", ""),
        ("turn", "Whole."),
        ("eos", "Too."),
    ):
        session.ask(f"{how}?")
        answered(session, text, how=how)
    found = rows(session.exchanges)
    assert [row.output for row in found] == ["Whole.", "Too."]
    assert [turn.content for turn in found[0].context] == ["stopped?", "The lan", "limit?", "and on and"]
    assert "3 without a whole reply left out" in save(session.exchanges, tmp_path / "chat.jsonl")


def test_markdown_holds_everything_and_says_what_was_stopped(session: Session, tmp_path: Path) -> None:
    session.settings = session.settings.changed("compare", "on")
    converse(session, "One?", replies=["**First.**"])
    session.settings = session.settings.changed("compare", "off")
    session.ask("Two?")
    answered(session, "The lan", how="stopped")
    save(session.exchanges, tmp_path / "chat.md")
    text = (tmp_path / "chat.md").read_text(encoding="utf-8")
    assert text == as_markdown(session.exchanges)
    for part in ("One?", "**First.**", "Base (adapter off)", "stopped, 1 tokens", "The lan", "coherence —"):
        assert part in text


def test_a_file_that_is_there_is_not_written_over(session: Session, tmp_path: Path) -> None:
    converse(session, "One?")
    (tmp_path / "mine.md").write_text("mine")
    with pytest.raises(UserError, match="there already"):
        save(session.exchanges, tmp_path / "mine.md")
    with pytest.raises(UserError, match="cannot be written"):
        save(session.exchanges, tmp_path / "nowhere" / "mine.md")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.md"]
    assert (tmp_path / "mine.md").read_text() == "mine"


def test_a_chat_that_crashed_says_so_to_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RCT_DATA_DIR", str(tmp_path))
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    for code in (0, 1):
        monkeypatch.setattr(ChatApp, "run", lambda self, code=code: setattr(self, "_return_code", code))
        if code:
            with pytest.raises(typer.Exit) as ended:
                chat()
            assert ended.value.exit_code == code
        else:
            chat()


@pytest.mark.parametrize("name", ["empty.md", "empty.jsonl"])
def test_nothing_is_no_success(session: Session, tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="nothing to save"):
        save(session.exchanges, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_rows_are_of_the_contract(session: Session) -> None:
    converse(session, "One?")
    row = rows(session.exchanges)[0].to_json()
    assert json.loads(json.dumps(row)) == row
    assert set(row) == {"id", "conversation", "input", "output", "context", "source"}
