"""The state of a chat: the current conversation, what is being asked, and what is kept. Nothing here draws."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace

from rct_lightning.dialogue import Turn
from rct_lightning.errors import UserError
from rct_lightning.sanitize import Stream, printable
from rct_lightning.tui.chat.history import Exchange, History, SavedReply
from rct_lightning.tui.chat.settings import RANGES, Settings, known
from rct_lightning.tui.chat.speaker import Done, Ended, Loaded, Question, Said, Side


@dataclass
class Asking:
    """An exchange that is being answered.

    Attributes:
        exchange: The exchange with the replies that it had before.
        question: The question as it was asked.
        memory: Turns of earlier conversations at the beginning of its context.
        texts: The text received so far, by side.
        replies: The finished replies.
        edited: The exchange that it takes the place of, and that comes back if there is no reply.
    """

    exchange: Exchange
    question: Question
    memory: tuple[Turn, ...]
    texts: dict[Side, str] = field(default_factory=dict)
    replies: list[SavedReply] = field(default_factory=list)
    sanitizers: dict[Side, Stream] = field(default_factory=dict)
    edited: Exchange | None = None


class Session:
    """A conversation with a model.

    Args:
        history: Where the conversation is stored.
        settings: Initial settings.
        clock: Returns Unix time.
        new_seed: Returns the seed of a reply, if the settings do not fix one.
        new_name: Returns the name of a conversation.
    """

    def __init__(
        self,
        history: History,
        settings: Settings | None = None,
        *,
        clock: Callable[[], float] = time.time,
        new_seed: Callable[[], int] = lambda: secrets.randbelow(2**31),
        new_name: Callable[[], str] = lambda: f"chat-{secrets.token_hex(6)}",
    ) -> None:
        self.history, self.settings = history, settings or Settings()
        self.clock, self.new_seed, self.new_name = clock, new_seed, new_name
        self.model: Loaded | None = None
        self.asking: Asking | None = None
        self.editing: Exchange | None = None
        self.begin()

    def begin(self) -> None:
        """Begin a new conversation."""
        self.conversation, self.exchanges, self.editing = self.new_name(), list[Exchange](), None

    def open(self, conversation: str) -> None:
        """Continue an earlier conversation."""
        self.exchanges = self.history.exchanges(conversation)
        self.conversation, self.editing = conversation, None

    @property
    def last(self) -> Exchange:
        """The newest exchange.

        Raises:
            UserError: Nothing was said yet.
        """
        if not self.exchanges:
            raise UserError("Nothing was said in this conversation yet.")
        return self.exchanges[-1]

    # --- settings ---------------------------------------------------------------------------------------------------

    def set(self, name: str, value: str) -> str:
        """Change a setting from the next reply on, and store it for later sessions.

        Returns:
            The setting's name and new value.

        Raises:
            UserError: There is no such setting, it cannot have this value, or it could not be stored.
        """
        name = known(name)
        self.settings = self.settings.changed(name, value)
        self.history.keep_setting(name, self.settings.written(name))
        return f"{name} is {self.settings.written(name)}"

    def reset(self, name: str = "") -> None:
        """Reset a setting, or all of them, to the program's default; the stored value is deleted.

        Raises:
            UserError: There is no such setting, or the stored value could not be deleted.
        """
        names = [known(name)] if name else list(RANGES)
        self.settings = replace(self.settings, **{each: getattr(Settings(), each) for each in names})
        self.history.forget_settings(names)

    # --- asking -----------------------------------------------------------------------------------------------------

    def ask(self, text: str) -> Question:
        """Store the user's message and return the question for the model; an exchange being edited is withdrawn.

        Raises:
            UserError: There is no model, it is answering, there is nothing to say, or the message could not be stored.
        """
        self._check_is_free()
        text = printable(text).strip()
        if not text:
            raise UserError("There is nothing to send.")
        edited, memory = self.editing, self._memory()
        exchange = self.history.ask(self.conversation, text, self.clock(), instead_of=edited)
        others = [each for each in self.exchanges if edited is None or each.id != edited.id]
        self.exchanges, self.editing = [*others, exchange], None
        seed = self.settings.seed
        question = self._put(exchange, memory, self.new_seed() if seed is None else seed)
        self._asking.edited = edited
        return question

    def again(self) -> Question:
        """Ask the newest exchange again with another seed; if the settings fix the seed, with the next one.

        Raises:
            UserError: There is no model, it is answering, or nothing was said.
        """
        self._check_is_free()
        former, memory = self.last.reply, self._memory()
        seed = self.settings.seed
        if seed is not None and former is not None:
            return self._put(self.last, memory, (former.seed + 1) % 2**32)
        return self._put(self.last, memory, self.new_seed() if seed is None else seed)

    def edit(self) -> str:
        """Begin editing the user's newest message, which the next one sent replaces; return its text.

        Raises:
            UserError: The model is answering, or nothing was said.
        """
        if self.asking is not None:
            raise UserError("The reply is still being written. Esc stops it.")
        self.editing = self.last
        return self.editing.text

    def _check_is_free(self) -> None:
        if self.asking is not None:
            raise UserError("The reply is still being written. Esc stops it.")
        if self.model is None:
            raise UserError("Nothing was sent: there is no model.")

    def _memory(self) -> tuple[Turn, ...]:
        """What is fed of earlier conversations."""
        assert self.model is not None
        earlier = self.history.remembered(self.model.model, self.settings.memory, but=self.conversation)
        return tuple(turn for each in earlier for turn in each.turns)

    def _put(self, exchange: Exchange, memory: tuple[Turn, ...], seed: int) -> Question:
        own = [turn for each in self.exchanges[: self.exchanges.index(exchange)] for turn in each.turns]
        sides: tuple[Side, ...] = ("tuned", "base") if self.settings.compare else ("tuned",)
        question = Question(exchange.text, (*memory, *own), seed, self.settings, sides)
        self.asking = Asking(exchange, question, memory)
        return question

    # --- receiving an answer ------------------------------------------------------------------------------------------

    def said(self, event: Said) -> str:
        """Add a piece of a reply; return the part of it that can be shown."""
        asking = self._asking
        text = asking.sanitizers.setdefault(event.side, Stream()).feed(event.text)
        asking.texts[event.side] = asking.texts.get(event.side, "") + text
        return text

    def ended(self, event: Ended) -> SavedReply:
        """Finish a reply."""
        asking, model = self._asking, self.model
        assert model is not None
        sanitizer = asking.sanitizers.get(event.side, Stream())
        text = asking.texts.get(event.side, "") + sanitizer.end()
        cut = event.turns_cut
        own = len(asking.question.context) - len(asking.memory)
        reply = SavedReply(
            side=event.side,
            text=text,
            how=event.how,
            model=model.model,
            name=printable(model.name),
            seed=asking.question.seed,
            settings=asdict(asking.question.settings),
            tokens=event.tokens,
            gain=event.gain,
            turns=min(own, len(asking.question.context) - cut),
            memory=asking.memory[cut:],
        )
        asking.replies.append(reply)
        return reply

    def done(self, event: Done) -> Exchange | None:
        """Store the replies; return None if there are none and the exchange was withdrawn.

        A reply that broke off is stored as stopped.

        Raises:
            UserError: They could not be stored.
        """
        asking = self._asking
        over = {reply.side for reply in asking.replies}
        for side in [side for side, text in asking.texts.items() if text and side not in over]:
            self.ended(Ended(side, "stopped", 0, 0, None))
        self.asking, at = None, self.exchanges.index(asking.exchange)
        if asking.replies:
            self.exchanges[at] = self.history.answer(asking.exchange, asking.replies)
            return self.exchanges[at]
        if asking.exchange.reply is None:
            self.exchanges[at : at + 1] = [] if asking.edited is None else [asking.edited]
            self.editing = None
            self.history.withdraw(asking.exchange, back=asking.edited)
            return None
        return asking.exchange

    @property
    def _asking(self) -> Asking:
        assert self.asking is not None, "nothing was asked"
        return self.asking
