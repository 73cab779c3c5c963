"""``rct corpus clean``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from rct_lightning.cli.refusing import refusing


@refusing
def clean(
    source: Annotated[
        Path | None, typer.Argument(metavar="DIR_OR_FILE", help="Folder with imported.jsonl, or a JSONL file.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write to; else that of the rows.")] = None,
    names: Annotated[Path | None, typer.Option(help="Names to replace: one a line, or `name = replacement`.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Longest prompt and reply; else no limit.")] = None,
    tokenizer: Annotated[Path | None, typer.Option(help="Model folder whose tokens are counted; else words.")] = None,
    off: Annotated[list[str] | None, typer.Option(help="Turn a rule off; may be given again.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="List the rules and do nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace what an earlier cleaning wrote.")] = False,
) -> None:
    """Take out rows that cannot be learnt from, each with its reason, and replace personal data."""
    from rct_lightning.corpus.clean import check_names, clean_corpus, rows_of, telling
    from rct_lightning.corpus.clean_report import Settings, account, explanation
    from rct_lightning.corpus.scrub import read_names
    from rct_lightning.errors import UserError
    from rct_lightning.sanitize import printable

    settings = Settings(check_names(off or ()), None if names is None else read_names(names), max_tokens, tokenizer)
    if explain:
        typer.echo(explanation(settings))
        return
    if source is None:
        raise UserError("There is nothing to clean. Give the folder that `rct corpus import` wrote, or a JSONL file.")
    rows, folder = rows_of(source, out)
    with telling() as tell:
        report = clean_corpus(rows, folder, settings, force=force, tell=tell)
    typer.echo(account(report, settings, folder))
    if folder.train.is_file():
        again = f"rct corpus split {shlex.quote(str(folder.root))} --force"
        typer.echo(printable(f"{folder.train} is of an earlier split, as it was: {again}"))
