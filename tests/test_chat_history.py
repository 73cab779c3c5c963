"""The chat history is stored: searched, replaced, deleted, and never partially written."""

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from chat_stub import MODEL, converse, fixed_session

from rct_lightning.errors import UserError
from rct_lightning.tui.chat import history as module
from rct_lightning.tui.chat.history import History, SavedReply, history_file
from rct_lightning.tui.chat.settings import Settings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "chat.sqlite"


@pytest.fixture(params=["fts5", "without fts5"])
def history(request: pytest.FixtureRequest, path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[History]:
    """Once with an index of words, and once as in a build of SQLite without one."""
    if request.param == "without fts5":
        without_fts5(monkeypatch)
    found = History(path)
    assert found.indexed == (request.param == "fts5")
    yield found
    found.close()


def without_fts5(monkeypatch: pytest.MonkeyPatch) -> None:
    class Connection(sqlite3.Connection):
        def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
            if "fts5" in statement:
                raise sqlite3.OperationalError("no such module: fts5")
            return super().execute(statement, *values)  # type: ignore[arg-type]

    real = sqlite3.connect
    monkeypatch.setattr(module.sqlite3, "connect", lambda *a, **k: real(*a, factory=Connection, **k))


def reply(text: str = "Yes.", **changes: object) -> SavedReply:
    values = {"side": "tuned", "how": "eos", "model": "m", "name": "n", "seed": 1, "settings": {}, "tokens": 2}
    return SavedReply(text=text, **(values | changes))  # type: ignore[arg-type]


def said(history: History, *pairs: tuple[str, str], conversation: str = "c", **changes: object) -> None:
    for asked, (text, answer) in enumerate(pairs):
        history.answer(history.ask(conversation, text, float(asked)), [reply(answer, **changes)])


def found(history: History, words: str) -> list[str]:
    return [each.text for each in history.search(words)]


def test_a_conversation_comes_back_after_the_program_has_ended(path: Path) -> None:
    session = fixed_session(path, Settings(temperature=0.3, compare=True))
    converse(session, "My dog is called Bramble.", "Who sleeps on the porch?")
    session.history.close()
    again = History(path)
    assert again.exchanges("chat-1") == session.exchanges
    first, second = again.exchanges("chat-1")
    assert [each.side for each in second.replies] == ["tuned", "base"]
    assert (first.reply and first.reply.settings["temperature"], second.reply and second.reply.turns) == (0.3, 2)
    again.close()


def test_the_file_is_its_owners_alone_and_is_written_ahead(path: Path) -> None:
    History(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA user_version").fetchone() == (len(module.MIGRATIONS),)


def test_words_are_found_in_both_texts_newest_first(history: History) -> None:
    said(history, ("Where is Bramble?", "On the porch."), ("Is it warm?", "The Porch is warm."), ("Hm.", "100% _yes_"))
    assert found(history, "porch") == ["Is it warm?", "Where is Bramble?"]
    assert found(history, "BRAMBLE porch") == ["Where is Bramble?"]
    assert found(history, "bram") == ["Where is Bramble?"], "a word that is still being typed"
    assert found(history, "porch Bramble lantern") == []


@pytest.mark.parametrize("words", ["", "  ", '"', "'; DROP TABLE replies; --", "a OR b", "NEAR(", "*", "%", "_", "\\"])
def test_words_are_never_a_query(history: History, words: str) -> None:
    said(history, ("Where?", "There."))
    assert found(history, words) == []
    assert found(history, "where") == ["Where?"]


def test_a_reply_that_was_made_again_replaces_the_former(history: History) -> None:
    exchange = history.ask("c", "Where?", 0.0)
    history.answer(exchange, [reply("By the gate."), reply("Base.", side="base")])
    history.answer(exchange, [reply("By the lantern.")])
    (kept,) = history.exchanges("c")
    assert [each.text for each in kept.replies] == ["By the lantern."]
    assert found(history, "gate") == [] and found(history, "lantern") == ["Where?"]


def test_an_edited_exchange_is_withdrawn(history: History) -> None:
    said(history, ("Where is Brambel?", "Who?"))
    former = history.exchanges("c")[0]
    history.ask("c", "Where is Bramble?", 1.0, instead_of=former)
    assert [each.text for each in history.exchanges("c")] == ["Where is Bramble?"]
    assert found(history, "Brambel") == []


def test_a_deleted_conversation_leaves_no_word_in_the_file(path: Path, history: History) -> None:
    said(history, ("Where is Bramble?", "On the porch."), conversation="gone")
    said(history, ("Is it warm?", "It is."), conversation="kept")
    history.delete("gone")
    assert [each.conversation for each in history.conversations()] == ["kept"]
    assert found(history, "Bramble") == [] and found(history, "warm") == ["Is it warm?"]
    content = b"".join(each.read_bytes().lower() for each in path.parent.iterdir())  # while others have it open
    assert b"bramble" not in content and b"porch" not in content
    assert b"warm" in content, "it would be found"


def test_conversations_are_listed_by_how_they_begin(history: History) -> None:
    said(history, ("First of a.", "1"), ("Second of a.", "2"), conversation="a")
    said(history, ("First of b.", "3"), conversation="b")
    history.ask("c", "Never answered.", 9.0)
    assert [(each.conversation, each.text) for each in history.conversations()] == [
        ("b", "First of b."),
        ("a", "First of a."),
    ]


def test_what_is_remembered_is_of_this_model_of_others_conversations_and_whole(history: History) -> None:
    said(history, *((f"old {n}", f"reply {n}") for n in range(4)), conversation="earlier")
    said(history, ("of another", "no"), conversation="other model", model="other")
    said(history, ("broken off", "no"), conversation="earlier", how="stopped")
    said(history, ("empty", " "), conversation="earlier")
    said(history, ("now", "no"), conversation="now")
    assert [each.text for each in history.remembered("m", 3, but="now")] == ["old 1", "old 2", "old 3"]
    assert history.remembered("m", 0, but="now") == []


def test_an_index_catches_up_with_what_was_said_without_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        without_fts5(patched)
        first = History(path)
        said(first, ("Where is Bramble?", "On the porch."))
        first.close()
    second = History(path)
    assert second.indexed and found(second, "porch") == ["Where is Bramble?"]
    second.close()


def test_what_fails_in_the_middle_leaves_nothing(history: History) -> None:
    exchange = history.ask("c", "Where?", 0.0)
    with pytest.raises(UserError, match="could not be kept"):
        history.answer(exchange, [reply("Here."), reply("There.", side="nobody")])
    assert history.exchanges("c")[0].replies == () and found(history, "here") == []


def test_two_chats_share_the_file(path: Path) -> None:
    one, two = History(path), History(path)
    said(one, ("From one.", "Yes."), conversation="1")
    said(two, ("From two.", "Yes."), conversation="2")
    assert found(one, "two") == ["From two."] and found(two, "one") == ["From one."]
    one.close(), two.close()


def test_a_reply_to_what_another_chat_deleted_goes_nowhere(path: Path) -> None:
    """Its number is given again: the reply would stand in the conversation that got it."""
    one, two = History(path), History(path)
    said(one, ("A secret.", "Kept."), conversation="secret")
    (secret,) = two.exchanges("secret")
    one.delete("secret")
    topic = one.ask("topic", "A new topic.", 1.0)
    assert topic.id == secret.id
    replies = secret.replies
    with pytest.raises(UserError, match="deleted meanwhile"):
        two.answer(secret, replies)
    with pytest.raises(UserError, match="deleted meanwhile"):
        two.ask("secret", "Another secret.", 2.0, instead_of=secret)
    two.withdraw(secret)
    assert [each.text for each in one.exchanges("topic")] == ["A new topic."]
    assert one.exchanges("topic")[0].reply is None and one.exchanges("secret") == []
    one.close(), two.close()


def test_chats_that_make_the_file_at_once_all_have_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, others = History._version, list[History]()

    def looked(history: History) -> int:
        version = real(history)
        if not others:
            monkeypatch.setattr(History, "_version", real)
            others.append(History(path))  # between reading the version and acting on it
        return version

    monkeypatch.setattr(History, "_version", looked)
    one = History(path)
    said(one, ("From one.", "Yes."))
    assert found(others[0], "one") == ["From one."]
    one.close(), others[0].close()


def test_a_file_of_the_first_version_is_brought_forward(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(module, "MIGRATIONS", module.MIGRATIONS[:1])
        old = History(path)
        said(old, ("Where?", "There."))
        old.close()
    new = History(path)
    new.keep_setting("seed", "7")
    assert found(new, "where") == ["Where?"] and new.kept_settings() == {"seed": "7"}
    new.close()


@pytest.mark.parametrize(
    "content", [b"not a database, but some text of a person" * 40, b"SQLite format 3\x00" + b"\xff" * 4096]
)
def test_a_file_that_is_no_history_is_left_as_it_is(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(UserError, match="Move the file away"):
        History(path)
    assert path.read_bytes() == content


def test_a_file_of_a_newer_version_is_not_touched(path: Path) -> None:
    History(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError, match="version 99"):
        History(path)


def test_texts_of_a_file_that_somebody_wrote_are_made_safe(history: History) -> None:
    said(history, ("a\x1b]52;c;AA\x07b", "c\x1b[2J\u202ed"))
    exchange = history.exchanges("c")[0]
    assert (exchange.text, exchange.reply and exchange.reply.text) == ("ab", "cd")
    assert [(each.text, each.reply) for each in history.conversations()] == [("ab", "cd")]


def test_the_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RCT_DATA_DIR", str(tmp_path))
    assert history_file() == tmp_path / "chat.sqlite"
    monkeypatch.delenv("RCT_DATA_DIR")
    assert history_file().parent.name == "rct_lightning"
    assert MODEL.name not in str(history_file())
