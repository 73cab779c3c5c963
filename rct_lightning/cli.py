"""The ``rct`` command. What is heavy is imported where it is used, so that help answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def rct() -> None:
    """Tools around train.py and evaluate.py."""


@app.command()
def doctor(
    model: Annotated[str, typer.Option(help="A model to look for: a folder, or a name on the hub.")] = "data/nano",
) -> None:
    """What this machine can do: Python, packages, devices, quantisation, disk, model. Exit code 1: it cannot train."""
    from rct_lightning.doctor import examine

    lines = examine(model, Path.cwd())
    for line in lines:
        typer.echo(str(line))
    if any(line.status == "fail" for line in lines):
        raise typer.Exit(1)
