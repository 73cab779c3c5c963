"""Aelara's screen: the conversation, a prompt to type in, and the keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Footer

from rct_lightning.errors import UserError
from rct_lightning.sanitize import printable
from rct_lightning.tui.chat.commands import COMMANDS, as_typed, help_lines, parse
from rct_lightning.tui.chat.export import as_markdown, save
from rct_lightning.tui.chat.finding import Finding
from rct_lightning.tui.chat.prompt import Prompt
from rct_lightning.tui.chat.session import Session
from rct_lightning.tui.chat.speaker import Done, Ended, Event, Loaded, NotLoaded, Question, Said, Speaker
from rct_lightning.tui.chat.turns import ExchangeView, Plain

MOST_SHOWN = 50
"""Exchanges on the screen; earlier ones of a conversation are kept, fed and saved, but not drawn."""
NO_MODEL = """There is no model to talk to. {why}

What to type in a shell:
  python train.py                train one, in minutes, on the bundled base
  rct chat DIR                   talk to the model of a run's folder
  rct doctor                     see what this machine can do

Earlier conversations can be read all the same: /history"""


class Told(Message):
    """An event from the speaker."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event


class ChatApp(App[None], inherit_bindings=False):
    """The chat application.

    Args:
        speaker: Answers the questions.
        session: The chat's state; passed in so that the caller controls history, clock and seeds.
        notice: A message to show at the start.
    """

    CSS = """
    #bar { height: 1; background: $panel; color: $text; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    #log { height: 1fr; padding: 0 1; }
    #says { padding: 0 1; max-height: 4; color: $text-warning; }
    .note { margin: 0 0 1 0; color: $text-muted; }
    .-narrow .sides { layout: vertical; }
    .-short Prompt { max-height: 5; }
    """
    TITLE = "rct chat"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(command.key, f"do('{command.name}')", command.label) for command in COMMANDS if command.key
    ]

    def __init__(self, speaker: Speaker, session: Session, notice: str = "") -> None:
        super().__init__()
        self.speaker, self.session = speaker, session
        self.state, self._notice = "loading the model", notice
        self._to_send = False
        self._asked: ExchangeView | None = None  # the view whose replies are being written

    def compose(self) -> ComposeResult:
        """Yield the widgets from top to bottom."""
        yield Plain(id="bar")
        yield VerticalScroll(id="log", can_focus=False)
        yield Plain(id="says")
        yield Prompt()
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Draw first, and only then start loading the model."""
        self.log_view.anchor()
        self.say(self._notice)
        self._describe()
        self.prompt.focus()
        self.call_after_refresh(self.speaker.start, self._tell)

    def on_unmount(self) -> None:
        """Close the speaker."""
        self.speaker.close()

    def _tell(self, event: Event) -> None:
        if self.is_running:
            self.post_message(Told(event))

    @property
    def log_view(self) -> VerticalScroll:
        """The scrolling view of the conversation."""
        return self.query_one("#log", VerticalScroll)

    @property
    def prompt(self) -> Prompt:
        """The text area that the user types in."""
        return self.query_one(Prompt)

    def say(self, text: str) -> None:
        """Show a line above the prompt, until the next command."""
        line = self.query_one("#says", Plain)
        line.display = bool(text)
        line.put(printable(text))

    async def note(self, text: str) -> None:
        """Add a note that is not part of the conversation."""
        await self.log_view.mount(Plain(printable(text), classes="note"))

    def _describe(self) -> None:
        model = self.session.model
        who = f" | {model.name} on {model.device}" if model else ""
        self.query_one("#bar", Plain).put(printable(f"Aelara: {self.state}{who} | {self.session.settings.line()}"))

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Show errors that the user can fix."""
        self.say("")
        try:
            yield
        except UserError as error:
            self.say(str(error))
        self._describe()

    # --- what the user does -----------------------------------------------------------------------------------------

    @on(Prompt.Sent)
    async def _sent(self, event: Prompt.Sent) -> None:
        with self._telling():
            command = parse(event.text.strip())
            if command is not None:
                self.prompt.text = ""
                await self._run(*command)
            elif self.state == "loading the model":
                self._to_send = True
                self.say("This is sent once the model is loaded. Esc takes that back.")
            else:
                await self._ask(event.text.strip())

    @on(Prompt.Changed)
    def _typed(self) -> None:
        if self._asked is not None:
            self._asked.give_way()

    async def _ask(self, text: str) -> None:
        edited = self.session.editing
        question = self.session.ask(text.removeprefix("/") if text.startswith("//") else text)
        self.prompt.text = ""
        if edited is not None:
            await self._view_of(edited.id).remove()
        view = ExchangeView(self.session.last, question.sides)
        await self.log_view.mount(view)
        for old in [*self.query(ExchangeView)][:-MOST_SHOWN]:
            await old.remove()
        self._put(question, view)

    def _put(self, question: Question, view: ExchangeView) -> None:
        self.state, self._asked = "writing", view
        self.log_view.anchor()
        self.speaker.ask(question)

    async def action_do(self, name: str) -> None:
        """Run the command of a key, without an argument."""
        with self._telling():
            await self._run(name, "")

    def action_page(self, direction: int) -> None:
        """Scroll back or forward by a page."""
        self.log_view.scroll_relative(y=direction * max(1, self.log_view.size.height - 1), animate=False)

    async def _run(self, name: str, argument: str) -> None:
        await getattr(self, f"_do_{name}")(argument)

    async def _do_help(self, _: str) -> None:
        await self.note("\n".join(help_lines()))

    async def _do_stop(self, _: str) -> None:
        if self.session.asking is not None:
            self.speaker.stop()
        elif self.session.editing is not None:
            self.session.editing = None
            self.prompt.text = ""
        self._to_send = False

    async def _do_again(self, _: str) -> None:
        question, view = self.session.again(), self._view_of(self.session.last.id)
        await view.answer_again(question.sides)
        self._put(question, view)

    async def _do_edit(self, _: str) -> None:
        self.prompt.put(as_typed(self.session.edit()))
        self.say("Editing the last thing you said: Enter sends it in its place, Esc leaves it.")

    async def _do_copy(self, argument: str) -> None:
        if argument == "all":
            text, what = as_markdown(self.session.exchanges), "The conversation was"
        else:
            reply = self.session.last.reply
            text, what = reply.text if reply else "", "The last reply was"
        if not text:
            raise UserError("There is nothing to copy.")
        self.copy_to_clipboard(printable(text))
        self.say(f"{what} handed to the terminal's clipboard, {len(text)} characters.")

    async def _do_compare(self, argument: str) -> None:
        on = not self.session.settings.compare if not argument else argument
        self.session.set("compare", str(on).lower())
        self.say(f"Adapter on and off, side by side: {'on' if self.session.settings.compare else 'off'}.")

    async def _do_history(self, argument: str) -> None:
        self._check_is_free()
        self.push_screen(Finding(self.session.history, argument), self._found)

    async def _found(self, conversation: str | None) -> None:
        if conversation is None:
            return
        with self._telling():
            self._check_is_free()  # a message that waited may have been sent since the list was opened
            self.session.open(conversation)
            await self._draw_conversation()

    async def _do_new(self, _: str) -> None:
        self._check_is_free()
        self.session.begin()
        await self._draw_conversation()
        self.say("A new conversation.")

    async def _do_save(self, argument: str) -> None:
        if argument:
            try:
                path = Path(argument).expanduser()
            except RuntimeError:
                raise UserError(f"{argument}: there is no such user's folder. Give another place.") from None
            if path.suffix not in (".md", ".jsonl"):
                raise UserError(f"{path}: end the name in .md, to read, or in .jsonl, for a corpus.")
            self.say(save(self.session.exchanges, path))
            return
        when = datetime.fromtimestamp(self.session.last.asked).astimezone().strftime("%Y-%m-%d")
        path = Path(f"{when}-{self.session.conversation}.md")
        self.say(save(self.session.exchanges, path, replace=True))

    async def _do_set(self, argument: str) -> None:
        name, _, value = argument.replace("=", " ").partition(" ")
        if not name:
            await self.note("\n".join([*self.session.settings.lines(), "", self._kept()]))
        elif name == "reset":
            self.session.reset(value.strip())
            self.say("As the chat begins with, from the next reply on; nothing of it is kept.")
        else:
            later = ", and in later sessions" if self.session.history.path else ""
            self.say(f"{self.session.set(name, value)} from the next reply on{later}.")

    def _kept(self) -> str:
        kept = ", ".join(f"{name} {value}" for name, value in self.session.history.kept_settings().items())
        return f"Kept for later sessions: {kept or 'none'}. /set reset [NAME] brings back what the chat begins with."

    async def _do_memory(self, argument: str) -> None:
        if argument:
            self.session.set("memory", argument)
            self.say(f"Exchanges of earlier conversations that are fed: {self.session.settings.memory or 'none'}.")
            return
        reply = self.session.last.reply
        if reply is None or not reply.memory:
            raise UserError("The last reply was not fed anything of earlier conversations.")
        lines = [f"{'You' if turn.role == 'human' else 'Aelara'}: {turn.content}" for turn in reply.memory]
        await self.note("\n".join(["Fed before this conversation, for the last reply:", *lines]))

    async def _do_model(self, _: str) -> None:
        model = self.session.model
        if model is None:
            raise UserError("There is no model." if self.state == "no model" else "The model is being loaded.")
        await self.note(f"{model.name}: adapter {model.model[:12]} on {model.base}, {model.device}")

    async def _do_delete(self, argument: str) -> None:
        self._check_is_free()
        if argument != "yes":
            raise UserError("This removes the conversation from the history for good. To do so, type /delete yes")
        self.session.history.delete(self.session.conversation)
        self.session.begin()
        await self._draw_conversation()
        self.say("The conversation is deleted.")

    async def _do_quit(self, _: str) -> None:
        self.exit()

    def _check_is_free(self) -> None:
        if self.session.asking is not None:
            raise UserError("The reply is still being written. Esc stops it.")

    async def _draw_conversation(self) -> None:
        await self.log_view.remove_children()
        await self.log_view.mount(*(ExchangeView(exchange) for exchange in self.session.exchanges[-MOST_SHOWN:]))
        self.log_view.anchor()

    def _view_of(self, number: int) -> ExchangeView:
        return next(view for view in self.query(ExchangeView) if view.exchange.id == number)

    # --- events from the speaker --------------------------------------------------------------------------------------

    async def on_told(self, told: Told) -> None:
        """Handle an event: loaded, said, ended or done."""
        match told.event:
            case Loaded() as model:
                self.session.model, self.state = model, "ready"
                if self._to_send:
                    self._to_send = False
                    self.prompt.action_send()
            case NotLoaded(why):
                self.session.model, self.state, self._to_send = None, "no model", False
                await self.note(NO_MODEL.format(why=why))
            case Said() as said:
                text = self.session.said(said)
                if self._asked is not None:
                    self._asked.view(said.side).say(text)
                return
            case Ended() as ended:
                saved = self.session.ended(ended)
                if self._asked is not None and self._asked.is_attached:
                    await self._asked.view(ended.side).finish(saved)
            case Done() as done:
                await self._done(done)
        self._describe()

    async def _done(self, done: Done) -> None:
        asked, view = self.session.asking, self._asked
        if asked is None or view is None:  # the model's process died while nothing was asked; what follows tells why
            return
        self.state, self._asked = "ready", None
        with self._telling():
            exchange = self.session.done(done)
            if exchange is None:
                await (self._draw_conversation() if asked.edited is not None else view.remove())
                self.prompt.put(self.prompt.text or as_typed(asked.exchange.text))
            else:
                view.exchange = exchange
                if done.failed or len(exchange.replies) < len(asked.question.sides):
                    await view.put_back()
        if done.failed:
            self.say(done.failed)
