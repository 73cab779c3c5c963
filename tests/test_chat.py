"""The chat as its user sees it: every key, every command, what is on the screen, and hostile replies."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chat_stub import MODEL, REPLIES, Script, converse, drive, fixed_session, make_chat, settled, until
from hostile_replies import hostile_replies
from screens import SIZES, as_text, check_screen
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from rct_lightning.sanitize import printable
from rct_lightning.tui.chat.app import ChatApp
from rct_lightning.tui.chat.commands import COMMANDS
from rct_lightning.tui.chat.export import as_markdown, rows
from rct_lightning.tui.chat.finding import Finding
from rct_lightning.tui.chat.session import Session
from rct_lightning.tui.chat.settings import Settings
from rct_lightning.tui.chat.speaker import NotLoaded
from rct_lightning.tui.chat.turns import ExchangeView, Plain, ReplyView, Written


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Files are saved in the working directory of the chat; times are shown in its zone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def chat(*texts: str, settings: Settings | None = None, at_once: bool = True, **options: object) -> ChatApp:
    """Return the chat with earlier exchanges."""
    session = fixed_session(settings=settings)
    converse(session, *texts)
    if not texts:
        session.model = None
    return make_chat(Script(at_once=at_once, **options), session)  # type: ignore[arg-type]


def says(app: ChatApp) -> str:
    """Return the line above the prompt."""
    return str(app.query_one("#says", Plain).render())


def notes(app: ChatApp) -> str:
    return "\n".join(str(note.render()) for note in app.query(".note").results(Plain))


def replies(app: ChatApp) -> list[str]:
    return [view.query_one(Written).source for view in app.query(ReplyView)]


async def send(pilot: Pilot[None], text: str) -> None:
    """Type a text and Enter, and wait until it is handled."""
    app = pilot.app
    assert isinstance(app, ChatApp)
    app.prompt.put(text)
    await pilot.press("enter")
    await until(lambda: app.prompt.text == "" and app.session.asking is None)


async def ready(pilot: Pilot[None]) -> None:
    """Wait until the existing conversation is drawn and the model is loaded."""
    app = pilot.app
    assert isinstance(app, ChatApp)
    await until(lambda: app.state == "ready" and len(app.query(ExchangeView)) == len(app.session.exchanges))


# --- saying something -----------------------------------------------------------------------------------------------


def test_enter_sends_and_the_reply_is_drawn_as_markdown() -> None:
    app = chat()

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press(*"Hi")
        await pilot.press("enter")
        await until(lambda: app.session.exchanges and app.session.exchanges[0].replies)
        screen = await settled(pilot)
        assert "Hi" in screen and "The kettle is warm." in screen and "**" not in screen
        assert app.prompt.text == ""

    drive(app, steps)


@pytest.mark.parametrize("key", ["ctrl+j", "shift+enter", "alt+enter"])
def test_a_line_is_broken_and_the_prompt_grows(key: str) -> None:
    app = chat()

    async def steps(pilot: Pilot[None]) -> None:
        height = app.prompt.size.height
        await pilot.press("a", key, "b", key, "c")
        await until(lambda: app.prompt.size.height == height + 2)
        await pilot.press("enter")
        await until(lambda: app.prompt.size.height == height)
        assert app.speaker.questions[0].text == "a\nb\nc"  # type: ignore[attr-defined]

    drive(app, steps)


def test_what_is_typed_faster_than_it_is_shown_is_sent_whole() -> None:
    app = chat()

    async def steps(pilot: Pilot[None]) -> None:
        for key, character in (("a", "a"), ("ctrl+j", None), ("b", "b"), ("enter", None)):
            app.post_message(events.Key(key, character))  # no wait in between
        await until(lambda: app.session.exchanges and app.session.exchanges[0].replies)
        await settled(pilot)
        assert app.session.exchanges[0].text == "a\nb"

    drive(app, steps)


def test_what_is_pasted_is_made_safe() -> None:
    app = chat()

    async def steps(pilot: Pilot[None]) -> None:
        app.prompt.post_message(events.Paste("one\x1b]52;c;AA\x07\r\ntwo\u202e\x1b[2J"))
        await until(lambda: app.prompt.text)
        assert app.prompt.text == "one\ntwo"

    drive(app, steps)


def test_a_reply_grows_while_it_is_said_and_keys_are_taken_meanwhile() -> None:
    app = chat(at_once=False)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("H", "i", "enter")
        await until(lambda: app.session.asking)
        script = app.speaker
        for piece in ("I am ", "he", "re."):
            script.say(piece)  # type: ignore[attr-defined]
            await until(lambda so_far=piece: replies(app)[0].endswith(so_far))
        await pilot.press("m", "e", "enter")
        await until(lambda: "still being written" in says(app))
        assert app.prompt.text == "me", "what was typed meanwhile stays"
        script.end()  # type: ignore[attr-defined]
        script.done()  # type: ignore[attr-defined]
        await until(lambda: app.state == "ready")
        assert replies(app) == ["I am here."]

    drive(app, steps)


@pytest.mark.parametrize("how", ["escape", "/stop"])
def test_a_stopped_reply_is_kept_and_marked(how: str) -> None:
    app = chat(at_once=False)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("H", "i", "enter")
        await until(lambda: app.session.asking)
        app.speaker.say("The lan")  # type: ignore[attr-defined]
        if how == "escape":
            await pilot.press("escape")
        else:
            app.prompt.put(how)
            await pilot.press("enter")
        await until(lambda: app.state == "ready")
        assert "stopped, " in await settled(pilot)
        kept = app.session.history.exchanges("chat-1")[0].reply
        assert kept and (kept.text, kept.how) == ("The lan", "stopped")

    drive(app, steps)


def test_what_was_sent_while_the_model_loads_is_asked_once_it_is_there() -> None:
    app = chat(model=None)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("H", "i", "enter")
        await until(lambda: "once the model is loaded" in says(app))
        app.speaker.tell(MODEL)  # type: ignore[attr-defined]
        await until(lambda: app.session.exchanges and app.session.exchanges[0].replies)

    drive(app, steps)


def test_a_model_is_loaded_while_earlier_conversations_are_looked_through() -> None:
    app = chat("My dog is called Bramble.", model=None)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+o")
        await until(lambda: isinstance(app.screen, Finding))
        app.speaker.tell(MODEL)  # type: ignore[attr-defined]
        await until(lambda: app.state == "ready")
        app.speaker.tell(NotLoaded("It ended."))  # type: ignore[attr-defined]
        await until(lambda: app.state == "no model" and "It ended." in notes(app))
        assert isinstance(app.screen, Finding)

    drive(app, steps)


def test_a_question_that_fails_comes_back_to_the_prompt() -> None:
    app = chat(at_once=False)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("H", "i", "enter")
        await until(lambda: app.session.asking)
        app.speaker.done("This message has 2000 tokens.")  # type: ignore[attr-defined]
        await until(lambda: app.prompt.text == "Hi")
        assert "2000 tokens" in says(app) and not app.query(ExchangeView)

    drive(app, steps)


def test_a_model_that_dies_in_the_middle_leaves_what_it_said() -> None:
    app = chat(at_once=False)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("H", "i", "enter")
        await until(lambda: app.session.asking)
        app.speaker.say("The lan")  # type: ignore[attr-defined]
        app.speaker.done("The process of the model ended.")  # type: ignore[attr-defined]
        app.speaker.tell(NotLoaded("It ended."))  # type: ignore[attr-defined]
        await until(lambda: app.state == "no model" and "It ended." in notes(app))
        assert replies(app) == ["The lan"]

    drive(app, steps)


def test_a_model_that_dies_while_nothing_is_asked_is_told_and_nothing_is_lost() -> None:
    app = chat("hello", at_once=False)

    async def steps(pilot: Pilot[None]) -> None:
        await ready_after_drawing(pilot, app)
        app.prompt.put("half a")
        app.speaker.done("The process of the model ended.")  # type: ignore[attr-defined]
        app.speaker.tell(NotLoaded("It ended."))  # type: ignore[attr-defined]
        await until(lambda: app.state == "no model" and "It ended." in notes(app))
        assert app.prompt.text == "half a"

    drive(app, steps)


def test_an_edit_that_fails_leaves_the_reply_that_was_there() -> None:
    app = chat("hello", at_once=False)

    async def steps(pilot: Pilot[None]) -> None:
        await ready_after_drawing(pilot, app)
        before = replies(app)
        await pilot.press("ctrl+g")
        await until(lambda: app.session.editing)
        app.prompt.put("too long")
        await pilot.press("enter")
        await until(lambda: app.session.asking)
        app.speaker.done("This message has 2000 tokens.")  # type: ignore[attr-defined]
        await until(lambda: app.prompt.text == "too long" and replies(app) == before)
        assert [each.text for each in app.session.exchanges] == ["hello"] and before

    drive(app, steps)


def test_no_conversation_is_opened_while_a_message_is_answered() -> None:
    app = chat("My dog is called Bramble.", at_once=False)
    app.session.begin()

    async def steps(pilot: Pilot[None]) -> None:
        await until(lambda: app.state == "ready")
        await send_and_find(pilot, app, "/history bram")
        app._put(app.session.ask("Hm?"), ExchangeView(app.session.last, ("tuned",)))
        await pilot.press("enter")
        await until(lambda: "still being written" in says(app))
        assert [each.text for each in app.session.exchanges] == ["Hm?"]

    drive(app, steps)


# --- without a model ------------------------------------------------------------------------------------------------


def test_without_a_model_nothing_answers_and_it_is_said_what_to_type() -> None:
    app = chat(model=NotLoaded("There is no run under logs yet."))

    async def steps(pilot: Pilot[None]) -> None:
        await until(lambda: app.state == "no model" and notes(app))
        for part in ("There is no model to talk to. There is no run", "python train.py", "rct chat DIR"):
            assert part in notes(app)
        await pilot.press("H", "i", "enter")
        await until(lambda: "Nothing was sent" in says(app))
        assert app.prompt.text == "Hi", "what was typed is not lost"
        assert not app.speaker.questions and not app.query(ExchangeView)  # type: ignore[attr-defined]
        await send(pilot, "/help")
        assert "/history" in notes(app), "the rest works"

    drive(app, steps)


# --- keys and commands ----------------------------------------------------------------------------------------------


async def _help(pilot: Pilot[None], app: ChatApp) -> None:
    await until(lambda: all(f"/{command.name}" in notes(app) for command in COMMANDS))


async def _stop(pilot: Pilot[None], app: ChatApp) -> None:
    assert app.speaker.stopped == 0, "nothing is being said"  # type: ignore[attr-defined]


async def _again(pilot: Pilot[None], app: ChatApp) -> None:
    await until(lambda: app.session.last.reply and app.session.last.reply.seed == 3)
    assert len(app.session.exchanges) == 2 and len(app.query(ExchangeView)) == 2


async def _edit(pilot: Pilot[None], app: ChatApp) -> None:
    await until(lambda: app.prompt.text == "Are you there?")
    await pilot.press("backspace", "!", "enter")
    await until(lambda: app.session.last.text == "Are you there!" and app.session.last.replies)
    await until(lambda: len(app.query(ExchangeView)) == 2)


async def _copy(pilot: Pilot[None], app: ChatApp) -> None:
    await until(lambda: app.clipboard == REPLIES[1])


async def _compare(pilot: Pilot[None], app: ChatApp) -> None:
    await until(lambda: app.session.settings.compare)
    await send(pilot, "Hi")
    await until(lambda: [view.side for view in app.query(ReplyView)][-2:] == ["tuned", "base"])
    assert "adapter off" in await settled(pilot)


async def _history(pilot: Pilot[None], app: ChatApp) -> None:
    await until(lambda: isinstance(app.screen, Finding))
    await pilot.press("escape")
    await until(lambda: not isinstance(app.screen, Finding))


async def _new(pilot: Pilot[None], app: ChatApp) -> None:
    await until(lambda: app.session.conversation == "chat-2" and not app.query(ExchangeView))


async def _save(pilot: Pilot[None], app: ChatApp) -> None:
    path = Path("2026-01-01-chat-1.md")
    await until(path.exists)
    assert path.read_text(encoding="utf-8") == as_markdown(app.session.exchanges)


async def _set(pilot: Pilot[None], app: ChatApp) -> None:
    await until(lambda: "repetition_penalty" in notes(app))
    await send(pilot, "/set temperature 0.2")
    assert app.session.settings.temperature == 0.2 and "t 0.2" in as_text(app)
    await send(pilot, "/set top_p 0.5")
    await send(pilot, "/set")
    await until(lambda: "Kept for later sessions: temperature 0.2, top_p 0.5." in " ".join(notes(app).split()))
    await send(pilot, "/set reset temperature")
    assert "t 0.7" in as_text(app) and app.session.settings.top_p == 0.5
    await send(pilot, "/set reset")
    assert app.session.settings == Settings() and app.session.history.kept_settings() == {}
    await send(pilot, "/set temprature 1")
    assert "Did you mean temperature" in says(app)


async def _memory(pilot: Pilot[None], app: ChatApp) -> None:
    await until(lambda: "not fed anything" in says(app))
    await send(pilot, "/new")
    await send(pilot, "Hi")
    await send(pilot, "/memory")
    await until(lambda: "My dog is called Bramble." in notes(app))
    await send(pilot, "/memory off")
    await send(pilot, "Hi")
    assert app.speaker.questions[-1].context[0].content == "Hi"  # type: ignore[attr-defined]


async def _model(pilot: Pilot[None], app: ChatApp) -> None:
    await until(lambda: MODEL.model[:12] in notes(app))


async def _delete(pilot: Pilot[None], app: ChatApp) -> None:
    await until(lambda: "/delete yes" in says(app))
    assert len(app.session.exchanges) == 2
    await send(pilot, "/delete yes")
    await until(lambda: not app.query(ExchangeView))
    assert app.session.history.conversations() == []


async def _quit(pilot: Pilot[None], app: ChatApp) -> None:
    await until(lambda: not app.is_running)


OUTCOMES = {name[1:]: value for name, value in list(globals().items()) if name in {f"_{c.name}" for c in COMMANDS}}
WAYS = [("/" + command.name, command.name) for command in COMMANDS]
WAYS += [(command.key, command.name) for command in COMMANDS if command.key]


def test_every_command_has_an_outcome_to_wait_for() -> None:
    assert set(OUTCOMES) == {command.name for command in COMMANDS}
    assert {binding.key for binding in ChatApp.BINDINGS} == {c.key for c in COMMANDS if c.key}  # type: ignore[union-attr]


@pytest.mark.parametrize(("way", "name"), WAYS, ids=[way for way, _ in WAYS])
def test_every_command_and_its_key_does_what_it_says(way: str, name: str) -> None:
    app = chat("My dog is called Bramble.", "Are you there?")

    async def steps(pilot: Pilot[None]) -> None:
        await app._draw_conversation()
        await ready(pilot)
        if way.startswith("/"):
            app.prompt.put(way)
            await pilot.press("enter")
        else:
            await pilot.press(way)
        await OUTCOMES[name](pilot, app)

    drive(app, steps)
    assert app.speaker.closed  # type: ignore[attr-defined]


def test_commands_with_arguments() -> None:
    app = chat("My dog is called Bramble.", "Are you there?")

    async def steps(pilot: Pilot[None]) -> None:
        await ready_after_drawing(pilot, app)
        await send(pilot, "/save mine.jsonl")
        assert "mine.jsonl: 2 rows" in says(app) and Path("mine.jsonl").is_file()
        await send(pilot, "/save mine.txt")
        assert "end the name in .md" in says(app)
        await send(pilot, "/save ~nobodyhere/x.md")
        assert "no such user's folder" in says(app)
        for long in (f"/save {'x' * 300}.md", "/save mine.jsonl/x.md"):
            await send(pilot, long)
            assert "cannot be written" in says(app)
        await send(pilot, "/copy all")
        assert app.clipboard == as_markdown(app.session.exchanges)
        await send(pilot, "/compare on")
        await send(pilot, "/compare on")
        assert app.session.settings.compare
        app.prompt.put("/nonsense")
        await pilot.press("enter")
        await until(lambda: "no such command" in says(app))
        assert app.prompt.text == "/nonsense", "to be put right"
        await send(pilot, "//help")
        assert app.speaker.questions[-1].text == "/help"  # type: ignore[attr-defined]

    drive(app, steps)


async def ready_after_drawing(pilot: Pilot[None], app: ChatApp) -> None:
    await app._draw_conversation()
    await ready(pilot)


def test_an_edit_outlasts_another_reply() -> None:
    app = chat("hello")

    async def steps(pilot: Pilot[None]) -> None:
        await ready_after_drawing(pilot, app)
        await pilot.press("ctrl+g", "ctrl+r")
        await until(lambda: app.session.asking is None and app.speaker.questions)  # type: ignore[attr-defined]
        await settled(pilot)
        await send(pilot, "hello there")
        assert [each.text for each in app.session.exchanges] == ["hello there"]
        assert len(app.query(ExchangeView)) == 1

    drive(app, steps)


def test_escape_leaves_an_edit_and_what_waits_for_the_model() -> None:
    app = chat("My dog is called Bramble.", model=None)

    async def steps(pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+g")
        await until(lambda: app.session.editing)
        await pilot.press("escape")
        await until(lambda: not app.session.editing)
        assert app.prompt.text == ""
        await pilot.press("H", "i", "enter")
        await until(lambda: "once the model is loaded" in says(app))
        await pilot.press("escape")
        await until(lambda: says(app) == "")
        app.speaker.tell(MODEL)  # type: ignore[attr-defined]
        await until(lambda: app.state == "ready")
        assert app.prompt.text == "Hi" and not app.speaker.questions  # type: ignore[attr-defined]

    drive(app, steps)


def test_pages_of_a_long_conversation_are_turned() -> None:
    app = chat(*(f"Question {number}?" for number in range(9)))

    async def steps(pilot: Pilot[None]) -> None:
        await ready_after_drawing(pilot, app)
        await until(lambda: "Question 8?" in as_text(app))
        await pilot.press("pageup", "pageup")
        await until(lambda: "Question 8?" not in as_text(app))
        await pilot.press("pagedown", "pagedown")
        await until(lambda: "Question 8?" in as_text(app))

    drive(app, steps)


def test_earlier_conversations_are_searched_and_opened() -> None:
    app = chat("My dog is called Bramble.")
    converse(app.session, "Are you there?")
    app.session.begin()

    async def steps(pilot: Pilot[None]) -> None:
        await until(lambda: app.state == "ready")
        await send_and_find(pilot, app, "/history bram")
        assert app.screen.query_one(Input).value == "bram"
        assert app.screen.query_one(OptionList).option_count == 1
        await pilot.press("x", "x")
        await until(lambda: app.screen.query_one(OptionList).option_count == 0)
        await pilot.press("enter", "backspace", "backspace")
        await until(lambda: app.screen.query_one(OptionList).option_count == 1)
        await pilot.press("down", "up", "enter")
        await until(lambda: len(app.query(ExchangeView)) == 2)
        assert app.session.conversation == "chat-1" and len(app.session.exchanges) == 2
        await send(pilot, "And now?")
        assert len(app.speaker.questions[-1].context) == 4, "it goes on"  # type: ignore[attr-defined]

    drive(app, steps)


async def send_and_find(pilot: Pilot[None], app: ChatApp, text: str) -> None:
    app.prompt.put(text)
    await pilot.press("enter")
    await until(lambda: isinstance(app.screen, Finding) and app.screen.query(OptionList))


def test_a_long_conversation_is_drawn_in_part_and_fed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rct_lightning.tui.chat.app.MOST_SHOWN", 3)
    app = chat(*(f"Question {number}?" for number in range(5)))

    async def steps(pilot: Pilot[None]) -> None:
        await app._draw_conversation()
        await until(lambda: app.state == "ready" and len(app.query(ExchangeView)) == 3)
        await send(pilot, "Hi")
        assert len(app.query(ExchangeView)) == 3
        assert len(app.speaker.questions[0].context) == 10  # type: ignore[attr-defined]

    drive(app, steps)


def test_a_history_that_cannot_be_kept_is_told_and_the_chat_goes_on() -> None:
    app = make_chat(Script(), fixed_session(), "Nothing of this is kept. chat.sqlite: no such file.")

    async def steps(pilot: Pilot[None]) -> None:
        assert "Nothing of this is kept" in says(app)
        app.session.history.close()
        await pilot.press("H", "i", "enter")
        await until(lambda: "Cannot operate on a closed" in says(app) or "could not be kept" in says(app))
        assert app.prompt.text == "Hi"

    drive(app, steps)


# --- screens --------------------------------------------------------------------------------------------------------


def compared() -> Session:
    session = fixed_session(settings=Settings(compare=True))
    converse(session, "My dog is called Bramble.")
    return session


STATES: dict[str, tuple[Callable[[], ChatApp], tuple[str, ...]]] = {
    "loading": (lambda: chat(model=None), ("H", "i", "ctrl+j", "t", "h", "e", "r", "e")),
    "no_model": (lambda: chat(model=NotLoaded("There is no run under logs/train yet.")), ()),
    "conversation": (lambda: chat("My dog is called [b]Bramble[/b].", "Are you *there*?"), ()),
    "compare": (lambda: make_chat(Script(), compared()), ()),
    "help": (lambda: chat(), ("f1",)),
    "finding": (lambda: chat("My dog is called Bramble."), ("ctrl+o", "k", "e", "t")),
}


@pytest.mark.parametrize("state", STATES)
def test_screens(state: str) -> None:
    make, keys = STATES[state]
    app = make()

    async def steps(pilot: Pilot[None]) -> None:
        if app.session.exchanges:
            await app._draw_conversation()
        await until(lambda: state == "loading" or app.state in ("ready", "no model"))
        await pilot.press(*keys)
        for width, height in SIZES:
            await pilot.resize_terminal(width, height)
            await until(lambda size=(width, height): app.screen.size == size)
            await settled(pilot)
            check_screen(app, f"chat_{state}_{width}x{height}")

    drive(app, steps)


# --- hostile replies ------------------------------------------------------------------------------------------------

ALL = hostile_replies()
EVERY = 17


def is_clean(text: str) -> bool:
    return printable(text) == text


def test_hostile_replies_are_clean_in_what_is_kept_and_saved() -> None:
    session, saved = fixed_session(), 0
    for reply in ALL:
        session.begin()
        converse(session, "".join(reply) + ".", replies=[reply])
        assert is_clean(as_markdown(session.exchanges))
        as_rows = rows(session.exchanges)
        assert all(is_clean(row.input) and is_clean(row.output) for row in as_rows)
        saved += len(as_rows)
    assert saved > 400


def drawn(sample: list[list[str]]) -> None:
    """Have the chat draw replies as they arrive, and check the whole screen."""
    app = make_chat(Script(sample))

    async def steps(pilot: Pilot[None]) -> None:
        await until(lambda: app.state == "ready")
        for number in range(1, len(sample) + 1):
            app.prompt.put("Hi.")
            app.prompt.action_send()
            await until(lambda: app.prompt.text == "" and app.session.asking is None and app.state == "ready")
            if number % 3 == 0 or number == len(sample):
                assert is_clean(await settled(pilot)), sample[number - 3 : number]
                await send(pilot, "/copy all")
                assert is_clean(app.clipboard)
                await send(pilot, "/new")

    drive(app, steps, (100, 50))
    assert len(app.speaker.questions) == len(sample)  # type: ignore[attr-defined]


def test_hostile_replies_are_clean_on_the_screen() -> None:
    drawn(ALL[::EVERY])


@pytest.mark.long
def test_all_hostile_replies_are_clean_on_the_screen() -> None:
    drawn(ALL)


def test_a_link_or_an_entity_is_shown_as_it_was_written() -> None:
    text = (
        "[here](file:///etc/hosts) <https://a.invalid> ![p](x.png) &#8238;&#27; <b>x</b> [b]y[/b] [@click=app.bell]q[/]"
    )
    app = chat(replies=[text])

    async def steps(pilot: Pilot[None]) -> None:
        await until(lambda: app.state == "ready")
        await send(pilot, "Hi.")
        assert text in await settled(pilot)
        await pilot.click(Written, offset=(3, 0))
        await pilot.pause()
        assert app.is_running

    drive(app, steps, (160, 24))
