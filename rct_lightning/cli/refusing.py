"""How a command ends after a user error: one paragraph, exit code 2, no traceback."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer

from rct_lightning.console import EXIT_CODE, tell
from rct_lightning.errors import UserError

OF_THE_DISK = {
    errno.EACCES: "Look at its permissions.",
    errno.EPERM: "Look at its permissions.",
    errno.EROFS: "Give a place that can be written to.",
    errno.ENOSPC: "Make room, or give another place.",
    errno.EDQUOT: "Make room, or give another place.",
    errno.ENAMETOOLONG: "Give a shorter one.",
    errno.ELOOP: "Links lead in a circle there. Give another place.",
    errno.ENOTDIR: "A file stands where a folder is needed. Give another place.",
    errno.EISDIR: "A folder stands where a file is needed. Give another place.",
}
"""Remedies for errors of the operating system that the user can fix; others are raised as bugs."""
P = ParamSpec("P")
R = TypeVar("R")


def refusing(command: Callable[P, R]) -> Callable[P, R]:
    """Decorate a command of ``rct`` so that it explains a :class:`UserError` or a disk error and exits with code 2."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except UserError as error:
            tell(error)
        except OSError as error:
            if error.errno not in OF_THE_DISK:
                raise
            place = f"{error.filename}: " if error.filename else ""
            tell(UserError(f"{place}{error.strerror}. {OF_THE_DISK[error.errno]}"))
        raise typer.Exit(EXIT_CODE)

    return wrapped
