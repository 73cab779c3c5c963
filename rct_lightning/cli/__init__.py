"""The ``rct`` command. Heavy modules are imported where they are used, so that ``--help`` answers immediately."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rct_lightning import __version__
from rct_lightning.cli import corpus
from rct_lightning.cli.board import board
from rct_lightning.cli.chat import chat
from rct_lightning.cli.compare import compare
from rct_lightning.cli.export import export
from rct_lightning.cli.monitor import monitor
from rct_lightning.cli.refusing import refusing
from rct_lightning.console import accept_any_character

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"rct_lightning {__version__}")
        raise typer.Exit


@app.callback()
def rct(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Tools around train.py and evaluate.py."""
    accept_any_character()


app.add_typer(corpus.app, name="corpus")
app.command()(board)
app.command()(chat)
app.command()(compare)
app.command()(export)
app.command()(monitor)


@app.command()
@refusing
def doctor(
    model: Annotated[
        str | None, typer.Option(help="A model to look for: a folder, or a name on the hub.", show_default="data/nano")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Python, packages and disk alone, at once, and no model.")
    ] = False,
) -> None:
    """What this machine can do: Python, packages, devices, quantisation, disk, model. Exit code 1: it cannot train."""
    from rct_lightning.doctor import examine
    from rct_lightning.errors import UserError

    if quick and model is not None:
        raise UserError("--model: --quick looks for no model. Leave one of the two out.")
    lines = examine(model or "data/nano", Path.cwd(), quick=quick)
    for line in lines:
        typer.echo(str(line))
    if any(line.status == "fail" for line in lines):
        raise typer.Exit(1)


@app.command()
@refusing
def health(
    runs: Annotated[list[str], typer.Argument(help="Run or multirun directories, or latest.")],
) -> None:
    """Alerts of finished or running runs, and how their figures ran relative to the base."""
    from rct_lightning.config import load_run_config
    from rct_lightning.errors import UserError
    from rct_lightning.health import bands, largest_proportions
    from rct_lightning.runs import RunDir, find_run
    from rct_lightning.sanitize import printable

    roots = [find_run(name).root if name == "latest" else Path(name) for name in runs]
    found = [RunDir(path.parent) for root in roots for path in sorted(root.glob("**/events.jsonl")) if path.is_file()]
    if not found:
        raise UserError(f"There is no run in {', '.join(runs)}. Give the folder that train.py printed.")
    told = [run.read_events() for run in found]
    for run, events in zip(found, told, strict=True):
        alerts = [event for event in events if event["event"] == "alert"]
        typer.echo(f"{printable(str(run.root))}: {len(alerts) or 'no'} alert{'s' if len(alerts) != 1 else ''}")
        for alert in alerts:
            rule, seen, means, remedy = (alert.get(name, "?") for name in ("rule", "seen", "means", "remedy"))
            said = f"{rule}, step {alert['step']}: {seen}. {means} {remedy}"
            typer.echo(f"  {printable(said)}")
        try:
            loss = load_run_config(run.config).loss
        except UserError:  # of another version, or incomplete: alerts are shown anyway
            continue
        weights = {term: loss.lambda_ * weight for term, weight in loss.weights.model_dump().items()}
        shares = [f"{term} {ratio:.2g}" for term, ratio in largest_proportions(events, weights).items()]
        if shares:
            typer.echo(f"  largest lasting gradients, in those of the LM loss: {', '.join(shares)}")
    evaluated = [events for events in told if any(event["event"] == "eval" for event in events)]
    if evaluated:
        typer.echo(f"\nLowest and highest run, relative to the base on the evaluation rows:\n\n{bands(evaluated)}")
