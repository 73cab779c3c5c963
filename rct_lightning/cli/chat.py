"""``rct chat``."""

from __future__ import annotations

import os
import secrets
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from rct_lightning.cli.refusing import refusing

if TYPE_CHECKING:
    from rct_lightning.tui.chat.session import Session
    from rct_lightning.tui.chat.settings import Settings


class Adapter(StrEnum):
    """Which of a run's adapters."""

    LAST = "last"
    BEST = "best"


class Accelerator(StrEnum):
    """Where the model runs."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"
    MPS = "mps"


@refusing
def chat(
    run: Annotated[str, typer.Argument(help="A run's folder, or the newest run.")] = "latest",
    prompt: Annotated[str | None, typer.Option(help="Print one reply to this and end, for scripts.")] = None,
    base: Annotated[bool, typer.Option("--base", help="With --prompt: the base's reply, adapter off.")] = False,
    adapter: Annotated[Adapter, typer.Option(help="The last one, or that of the best evaluation.")] = Adapter.LAST,
    accelerator: Annotated[Accelerator, typer.Option(help="Where the model runs.")] = Accelerator.AUTO,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.7,
    top_p: Annotated[float, typer.Option(help="Share of the probability that tokens are drawn from.")] = 0.95,
    repetition_penalty: Annotated[float, typer.Option(help="1 is none.")] = 1.0,
    max_tokens: Annotated[int, typer.Option(help="Tokens of a reply at most.")] = 200,
    seed: Annotated[int | None, typer.Option(help="Of every reply; a new one for each where it is left out.")] = None,
    memory: Annotated[int, typer.Option(help="Exchanges of earlier conversations to feed; 0 is none.")] = 6,
) -> None:
    """Talk to a run's model: streamed, kept, searchable, beside its base. Type /help in it."""
    from rct_lightning.tui.chat.settings import Settings

    settings = Settings()
    given = {
        "temperature": temperature,
        "top_p": top_p,
        "repetition_penalty": repetition_penalty,
        "max_tokens": max_tokens,
        "memory": memory,
    } | ({} if seed is None else {"seed": seed})
    for name, value in given.items():
        settings = settings.changed(name, str(value))
    if prompt is None:
        _open(run, adapter, accelerator, settings)
    else:
        typer.echo(_reply(run, adapter, accelerator, settings, prompt, base))


def _open(run: str, adapter: Adapter, accelerator: Accelerator, settings: Settings) -> None:
    from rct_lightning.errors import UserError

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError("rct chat: this is no terminal. For a script, give --prompt TEXT: one reply is printed.")

    from rct_lightning.tui.chat.app import ChatApp
    from rct_lightning.tui.chat.speaker import ProcessSpeaker

    session, notice = _session(settings)
    ChatApp(ProcessSpeaker(run, adapter.value, accelerator.value), session, notice).run()
    session.history.close()


def _session(settings: Settings) -> tuple[Session, str]:
    """With the user's history, or without one that outlasts it and a word about why."""
    from rct_lightning.errors import UserError
    from rct_lightning.tui.chat.history import History, history_file
    from rct_lightning.tui.chat.session import Session

    try:
        return Session(History(history_file()), settings), ""
    except UserError as error:
        return Session(History(None), settings), f"Nothing of this is kept. {error}"


def _reply(run: str, adapter: Adapter, accelerator: Accelerator, settings: Settings, prompt: str, base: bool) -> str:
    from rct_lightning.errors import UserError
    from rct_lightning.tui.chat.serving import answer, load
    from rct_lightning.tui.chat.speaker import Question, Said

    if not prompt.strip():
        raise UserError("--prompt: there is nothing to answer. Give a text.")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # before it is imported: a script reads both streams
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    trained, _ = load(run, adapter.value, accelerator.value)
    seed = secrets.randbelow(2**31) if settings.seed is None else settings.seed
    question = Question(prompt, (), seed, settings, ("base" if base else "tuned",))
    return "".join(event.text for event in answer(trained, question, lambda: False) if isinstance(event, Said))
