"""``rct board``."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from rct_lightning.cli.refusing import refusing

OPTIONS = (
    "--host=localhost",
    "--samples_per_plugin=text=1000,images=100",  # by default it would keep ten of the replies by step
    "--load_fast=false",  # the fast loader is a separate process, which would survive a killed parent
)


@refusing
def board(
    runs: Annotated[list[str] | None, typer.Argument(help="Run or multirun directories, or latest.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0 for any; by default the first free one.")
    ] = None,
) -> None:
    """TensorBoard of all runs under logs/train, or of some, for this machine alone. Ctrl-C ends it."""
    from rct_lightning.runs import LOGS
    from rct_lightning.sanitize import printable

    with _logdir(runs) if runs else _as_it_is(LOGS) as folder:
        address = _launch(folder, port)
        shown = ", ".join(runs) if runs else str(LOGS)
        typer.echo(f"TensorBoard of {printable(shown)}: {address}\nCtrl-C ends it.")
        _wait()
    typer.echo("ended")


@contextmanager
def _as_it_is(logs: Path) -> Iterator[Path]:
    if not logs.is_dir():
        _refuse(logs, "there is no such folder", "Train a run with 'python train.py', or name a run's directory.")
    _check_has_events(logs)
    yield logs


@contextmanager
def _logdir(runs: Sequence[str]) -> Iterator[Path]:
    """Create a temporary folder with a link to each run, under the name that TensorBoard should show.

    TensorBoard's own ``--logdir_spec`` splits at commas and colons, which occur in names of multirun directories.
    """
    folders = [_events_of(run) for run in runs]
    with tempfile.TemporaryDirectory(prefix="rct_board_") as made:
        for name, folder in zip(_names(list(map(Path, runs))), folders, strict=True):
            os.symlink(folder.resolve(), Path(made) / name, target_is_directory=True)
        yield Path(made)


def _events_of(name: str) -> Path:
    """Return the folder with the event files of a run, or of all runs in a directory."""
    from rct_lightning.runs import RunDir, find_run

    folder = Path(name)
    if name == "latest" or RunDir(folder).config.is_file():
        folder = find_run(name).tensorboard
    elif not folder.is_dir():
        what = "it is a file" if folder.exists() else "there is no such folder"
        _refuse(folder, what, "Name the directory that train.py printed, or latest.")
    _check_has_events(folder)
    return folder


def _check_has_events(folder: Path) -> None:
    if next(folder.rglob("events.out.tfevents.*"), None) is None:
        _refuse(folder, "no event files in it", "A run writes them with logger=tensorboard, which is the default.")


def _refuse(folder: Path, why: str, remedy: str) -> None:
    from rct_lightning.errors import UserError

    raise UserError(f"{folder}: {why}. {remedy}")


def _names(runs: Sequence[Path]) -> list[str]:
    """Return the last part of each path, or as many last parts as are needed to make the names unique."""
    parts = [run.resolve().parts for run in runs]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["_".join(part.strip(os.sep) for part in each[-count:]) for each in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{each[-1]}_{number}" for number, each in enumerate(parts, 1)]  # the same path was given twice


def _launch(folder: Path, port: int | None) -> str:
    """Start TensorBoard in a thread of its own and return its address."""
    from tensorboard import program

    from rct_lightning.errors import UserError

    server = program.TensorBoard()
    given = [] if port is None else ["--port", str(port)]
    server.configure(argv=["tensorboard", "--logdir", str(folder), *OPTIONS, *given])
    try:
        return server.launch()
    except program.TensorBoardServerException as error:
        raise UserError(f"--port {port}: TensorBoard cannot listen there ({error.msg}). Give another one.") from None


def _wait() -> None:
    """Wait until Ctrl-C, or SIGTERM as a service manager sends it."""
    for ending in (signal.SIGINT, signal.SIGTERM):  # shells make background jobs ignore SIGINT
        signal.signal(ending, signal.default_int_handler)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        typer.echo("")
