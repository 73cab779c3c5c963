"""``rct corpus build``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from rct_lightning.cli import audit, clean, importing, split
from rct_lightning.cli.refusing import refusing


@refusing
def build(
    paths: Annotated[list[Path], typer.Argument(help="Exports: files, folders or zip archives.")],
    out: Annotated[Path, typer.Option(help="Folder of the corpus; every step leaves its files there.")],
    speakers: Annotated[Path | None, typer.Option(help="As for import: who speaks in text, Markdown and RTF.")] = None,
    names: Annotated[Path | None, typer.Option(help="As for clean: names to replace.")] = None,
    rules: Annotated[Path | None, typer.Option(help="As for split: own rules and markers (TOML).")] = None,
    eval_size: Annotated[int | None, typer.Option(min=1, help="As for split: rows to hold out.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what these steps wrote before.")] = False,
) -> None:
    """Import, clean, split and audit, one after the other. Exit code 1: a line of the audit fails."""
    from rct_lightning.corpus.folder import CorpusDir
    from rct_lightning.corpus.labels import labels_of
    from rct_lightning.corpus.scrub import read_names

    labels_of(rules)  # a mistake in these files is told before anything is written
    if names is not None:
        read_names(names)
    typer.echo("import")
    importing.import_(paths, out, speakers=speakers, force=force)
    typer.echo("\nclean")
    clean.clean(out, names=names, force=force)
    typer.echo("\nsplit")
    split.split(out, eval_size=eval_size, rules=rules, force=force)
    typer.echo("\naudit")
    audit.audit(out, rules=rules)
    built = CorpusDir(out)
    files = f"data.train_file={built.train}", f"data.eval_file={built.eval}"
    typer.echo(f"Next: python train.py data=jsonl {shlex.join(files)}")
