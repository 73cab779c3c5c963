"""The model's side of the chat: load a run's model and answer. Heavy libraries are imported only here."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, cast

from rct_lightning.dialogue import content_hash
from rct_lightning.errors import UserError
from rct_lightning.runs import WhichAdapter, find_run
from rct_lightning.tui.chat.speaker import Close, Done, Ended, Event, How, Loaded, NotLoaded, Question, Said, Side, Stop

if TYPE_CHECKING:
    from rct_lightning.trained import TrainedModel

SHORTEST_REPLY = 16
"""Minimum number of tokens left for a reply."""
LOWER_PRIORITY = 5
"""Niceness added to the model's process, so that the screen has priority on a shared core."""


def serve(connection: Connection, run: str, which: WhichAdapter, accelerator: str) -> None:
    """Load a run's model, report it, and answer questions until the connection is closed."""
    _leave_the_terminal_alone()
    try:
        trained, loaded = load(run, which, accelerator)
    except UserError as error:
        connection.send(NotLoaded(str(error)))
        return
    except Exception as error:  # raised by a library: a damaged file, too little memory
        connection.send(NotLoaded(f"{run}: the model could not be loaded ({type(error).__name__}: {error})."))
        return
    connection.send(loaded)
    while True:
        try:
            message = connection.recv()
        except EOFError:
            return
        if isinstance(message, Close):
            return
        if isinstance(message, Question):
            try:
                for event in answer(trained, message, lambda: _was_stopped(connection)):
                    connection.send(event)
            except UserError as error:
                connection.send(Done(str(error)))
            except Exception as error:
                connection.send(Done(f"The model failed ({type(error).__name__}: {error})."))
            else:
                connection.send(Done())


def load(run: str, which: WhichAdapter = "last", accelerator: str = "auto") -> tuple[TrainedModel, Loaded]:
    """Load a run's model; return it with its description.

    Raises:
        UserError: There is no such run, it is damaged, or its base is unavailable.
    """
    folder = find_run(run)  # before the imports: a mistake is reported at once

    from rct_lightning.backbone import quiet_libraries
    from rct_lightning.trained import load_trained
    from rct_lightning.untrusted import ADAPTER_FILE

    quiet_libraries()
    trained = load_trained(folder, which=which, accelerator=accelerator)
    name = folder.root.resolve().name
    model = content_hash(trained.adapter / ADAPTER_FILE)
    return trained, Loaded(model, name, trained.config.model.name_or_path, trained.device)


def answer(trained: TrainedModel, question: Question, stopped: Callable[[], bool]) -> Iterator[Event]:
    """Yield each side's reply piece by piece, and how it ended.

    Args:
        trained: The model.
        question: What to answer.
        stopped: Called after every token.
    """
    for side in question.sides:
        with _as_side(trained, side):
            ended = yield from _answer_of(trained, question, side, stopped)
        if ended.how == "stopped":
            return


def _as_side(trained: TrainedModel, side: Side) -> AbstractContextManager[None]:
    from rct_lightning.scoring import base_model

    return base_model(trained.model) if side == "base" else nullcontext()


def _answer_of(
    trained: TrainedModel, question: Question, side: Side, stopped: Callable[[], bool]
) -> Generator[Event, None, Ended]:
    from rct_lightning.generation import Sampling, stream

    chosen = question.settings
    room, most = room_for(trained, question)
    sampling = Sampling(chosen.temperature, chosen.top_p, chosen.repetition_penalty, most)
    reply, tokens, how = "", 0, "turn"
    for piece in stream(
        trained.model,
        trained.tokenizer,
        trained.template,
        question.text,
        question.context,
        sampling,
        seed=question.seed,
        max_length=room,
    ):
        reply, tokens = reply + piece.text, piece.tokens
        if piece.text:
            yield Said(side, piece.text)
        if piece.ended or tokens == most or stopped():
            how = "eos" if piece.ended else "limit" if tokens == most else "stopped"
            break
    turns_cut = trained.template.encode_prompt(question.text, trained.tokenizer, room, question.context).turns_cut
    gain = history_gain(trained, question, reply, room, ended=how == "eos")
    over = Ended(side, cast(How, how), tokens, turns_cut, gain)
    yield over
    return over


def room_for(trained: TrainedModel, question: Question) -> tuple[int, int]:
    """Return the maximum number of tokens of the prompt, and of the reply after it.

    The reply gets what the settings ask for, but never at the expense of the user's current message: if that is long,
    the reply is shorter. Earlier turns get what is left.

    Raises:
        UserError: The message alone does not fit.
    """
    from rct_lightning.scoring import positions_of

    limit = positions_of(trained.model) or trained.config.data.max_seq_length
    shortest = trained.template.shortest_prompt(question.text, trained.tokenizer)
    if shortest > limit - SHORTEST_REPLY:
        raise UserError(
            f"This message has {shortest} tokens, and the model reads {limit} with its reply. Shorten it, or send it "
            f"in parts."
        )
    room = max(shortest, limit - question.settings.max_tokens)
    used = len(trained.template.encode_prompt(question.text, trained.tokenizer, room, question.context).ids)
    return room, min(question.settings.max_tokens, limit - used)


def history_gain(trained: TrainedModel, question: Question, reply: str, room: int, *, ended: bool) -> float | None:
    """Compute the gain of the reply from the history: s(y|h,x) - s(y|x), nats per token; None without history or reply.

    Args:
        trained: The model, set to the side that answered.
        question: x, and h: the turns that fit.
        reply: y.
        room: Maximum number of tokens of the prompt.
        ended: Whether y ends with EOS.
    """
    from rct_lightning.generation import undisturbed
    from rct_lightning.scoring import score_continuations

    template, tokenizer = trained.template, trained.tokenizer
    with_history = template.encode_prompt(question.text, tokenizer, room, question.context)
    if not reply or with_history.turns_cut == len(question.context):
        return None
    alone = template.encode_prompt(question.text, tokenizer, room).ids
    said = list(tokenizer(template.reply(reply), add_special_tokens=False)["input_ids"])
    said += [tokenizer.eos_token_id] if ended else []
    with undisturbed(trained.model, seed=0):
        after, before = score_continuations(
            trained.model, [(with_history.ids, said), (alone, said)], tokenizer.pad_token_id, trained.device
        ).tolist()
    return float(after - before)


def _was_stopped(connection: Connection) -> bool:
    """Return whether a stop was requested; Close exits, and any other message is discarded while an answer is given."""
    stopped = False
    while connection.poll():
        message = connection.recv()
        if isinstance(message, Close):
            raise SystemExit
        stopped = stopped or isinstance(message, Stop)
    return stopped


def _leave_the_terminal_alone() -> None:
    """Redirect the standard streams to the null device: libraries print and read, but the terminal is the screen's."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    if hasattr(os, "nice"):
        os.nice(LOWER_PRIORITY)
