"""How a command ends when the user made a mistake: one paragraph, exit code 2, no traceback."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer

from rct_lightning.console import EXIT_CODE, tell
from rct_lightning.errors import UserError

P = ParamSpec("P")
R = TypeVar("R")


def refusing(command: Callable[P, R]) -> Callable[P, R]:
    """Let a command of ``rct`` explain a :class:`UserError` and end with exit code 2."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except UserError as error:
            tell(error)
            raise typer.Exit(EXIT_CODE) from None

    return wrapped
