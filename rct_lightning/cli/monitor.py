"""``rct monitor``: shows a run, live while it trains or afterwards."""

from __future__ import annotations

import errno
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rct_lightning.cli.refusing import refusing
from rct_lightning.errors import UserError

if TYPE_CHECKING:
    from rct_lightning.runs import RunDir


@refusing
def monitor(
    run: Annotated[str, typer.Argument(help="A run's directory, or latest.")] = "latest",
    other: Annotated[str | None, typer.Argument(metavar="RUN2", help="A second one to compare it with.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Lines, one an event, until the run has ended.")] = False,
    once: Annotated[bool, typer.Option("--once", help="A summary of the run now.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --once: one JSON object (docs/monitor.md).")] = False,
) -> None:
    """A run while it trains or after: curves, gradients, samples, alerts, checkpoints, and whether it is alive."""
    if as_json and not once:
        raise UserError("--json: one object is printed of a run as it is now. Add --once.")
    if plain and (once or other is not None):
        raise UserError("--plain: lines of one run follow each other. Leave --once and the second run out.")
    from rct_lightning.runs import find_run

    runs = [find_run(name) for name in (run, other) if name is not None]
    try:
        if once:
            _print_once(runs, as_json)
        elif plain:
            _print_lines(runs[0])
        else:
            _open(runs)
    except BrokenPipeError:  # the reader, such as head, closed the pipe
        sys.stderr.close()
    except KeyboardInterrupt:
        pass
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):  # of what was printed
            raise
        raise UserError(f"{run}: cannot be read ({error.strerror or error}). Look at its permissions.") from None


def _print_once(runs: list[RunDir], as_json: bool) -> None:
    from rct_lightning.tui.monitor import summary
    from rct_lightning.tui.monitor.view import whole_view

    views = [whole_view(run) for run in runs]
    if as_json:
        found = summary.as_json(views[0]) if len(views) == 1 else summary.both(views[0], views[1])
        typer.echo(json.dumps(found, allow_nan=False))
        return
    typer.echo("\n\n".join(map(summary.as_text, views)))
    if len(views) == 2:
        typer.echo("\n" + "\n".join(summary.comparison(views[0].state, views[1].state)))


def _print_lines(run: RunDir) -> None:
    from rct_lightning.tui.monitor.plain import follow

    for line in follow(run):
        print(line, flush=True)


def _open(runs: list[RunDir]) -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UserError("This is no terminal, so there is no place for a screen. Add --plain, or --once.")
    from rct_lightning.tui.monitor.app import Monitor

    app = Monitor(*runs)
    app.run()
    if app.return_code:
        raise typer.Exit(app.return_code)
