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
    temperature: Annotated[float | None, typer.Option(help="0 is greedy.", show_default="0.7")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Share of the probability that tokens are drawn from.", show_default="0.95")
    ] = None,
    repetition_penalty: Annotated[float | None, typer.Option(help="1 is none.", show_default="1")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Tokens of a reply at most.", show_default="200")] = None,
    seed: Annotated[int | None, typer.Option(help="Of every reply; a new one for each where it is left out.")] = None,
    memory: Annotated[
        int | None, typer.Option(help="Exchanges of earlier conversations to feed; 0 is none.", show_default="6")
    ] = None,
) -> None:
    """Talk to a run's model: streamed, kept, searchable, beside its base. Type /help in it.

    Settings that were changed in the chat are kept and hold in later ones, but not for --prompt; options hold once.
    """
    from rct_lightning.errors import UserError
    from rct_lightning.tui.chat.settings import Settings

    given = {
        "temperature": temperature,
        "top_p": top_p,
        "repetition_penalty": repetition_penalty,
        "max_tokens": max_tokens,
        "memory": memory,
        "seed": seed,
    }
    once = {name: f"{value:.15g}" for name, value in given.items() if value is not None}
    settings = Settings()
    for name, value in once.items():
        try:
            settings = settings.changed(name, value)
        except UserError as error:
            told = str(error).removeprefix(name).replace(", or new", "; left out, it is new each time")
            raise UserError(f"--{name.replace('_', '-')}{told}") from None
    if prompt is not None:
        if memory is not None:
            raise UserError("--memory: nothing that was said before is fed to --prompt. Leave one of the two out.")
        typer.echo(_reply(run, adapter, accelerator, settings, prompt, base))
        return
    if base:
        raise UserError("--base: the base alone is asked with --prompt TEXT. In the chat, /compare on shows both.")
    _open(run, adapter, accelerator, once)


def _open(run: str, adapter: Adapter, accelerator: Accelerator, once: dict[str, str]) -> None:
    from rct_lightning.errors import UserError

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError("rct chat: this is no terminal. For a script, give --prompt TEXT: one reply is printed.")

    from rct_lightning.tui.chat.app import ChatApp
    from rct_lightning.tui.chat.speaker import ProcessSpeaker

    session, notice = _session(once)
    app = ChatApp(ProcessSpeaker(run, adapter.value, accelerator.value), session, notice)
    app.run()
    session.history.close()
    if app.return_code:
        raise typer.Exit(app.return_code)


def _session(once: dict[str, str]) -> tuple[Session, str]:
    """Return a session and a notice to show; it has the user's history and settings, or if unreadable, nothing is kept.

    Args:
        once: Settings of this session only, which override the kept ones.
    """
    from rct_lightning.errors import UserError
    from rct_lightning.tui.chat.history import History, history_file
    from rct_lightning.tui.chat.session import Session
    from rct_lightning.tui.chat.settings import Settings

    try:
        history = History(history_file())
        kept = {name: value for name, value in history.kept_settings().items() if name not in once}
    except UserError as error:
        return Session(History(None), Settings().with_kept(once)), f"Nothing of this is kept. {error}"
    before = Settings().with_kept(kept)
    changed = ", ".join(f"{name} {before.written(name)}" for name in vars(before) if name in kept)
    notice = f"As set in earlier sessions: {changed}. /set shows all, /set reset forgets them." if changed else ""
    return Session(history, before.with_kept(once)), notice


def _reply(run: str, adapter: Adapter, accelerator: Accelerator, settings: Settings, prompt: str, base: bool) -> str:
    from rct_lightning.errors import UserError
    from rct_lightning.sanitize import printable
    from rct_lightning.tui.chat.serving import answer, load
    from rct_lightning.tui.chat.speaker import Question, Said

    prompt = printable(prompt).strip()  # an argument may hold bytes that are not text
    if not prompt:
        raise UserError("--prompt: there is nothing to answer. Give a text.")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # before transformers is imported; scripts read stderr too
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    trained, _ = load(run, adapter.value, accelerator.value)
    seed = secrets.randbelow(2**31) if settings.seed is None else settings.seed
    question = Question(prompt, (), seed, settings, ("base" if base else "tuned",))
    return "".join(event.text for event in answer(trained, question, lambda: False) if isinstance(event, Said))
