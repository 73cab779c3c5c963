"""``rct corpus split``."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from rct_lightning.cli.refusing import refusing


@refusing
def split(
    path: Annotated[Path, typer.Argument(help="A corpus folder (clean.jsonl, else imported.jsonl), or a JSONL file.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of train.jsonl and eval.jsonl; by default that of PATH.")
    ] = None,
    eval_size: Annotated[
        int | None, typer.Option(min=1, help="Rows to hold out: by default 82, or an eighth of a smaller corpus.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed holds out other rows.")] = 0,
    rules: Annotated[Path | None, typer.Option(help="Own rules and markers (TOML) for rows without a type.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace train.jsonl and eval.jsonl.")] = False,
) -> None:
    """Hold out whole conversations; what is alike stays on one side, the mix of types on both."""
    from rct_lightning.corpus.folder import CorpusDir
    from rct_lightning.corpus.labels import labels_of
    from rct_lightning.corpus.split import split as split_rows
    from rct_lightning.corpus.split_report import lines, table
    from rct_lightning.corpus.tables import aligned
    from rct_lightning.corpus.together import put
    from rct_lightning.dialogue import as_jsonl, content_hash, read_jsonl
    from rct_lightning.errors import UserError
    from rct_lightning.sanitize import printable

    source = path if path.is_file() else CorpusDir(path).existing(CorpusDir(path).clean, CorpusDir(path).imported)
    folder = CorpusDir(out or source.parent)
    taken = [file for file in (folder.train, folder.eval) if file.exists()]
    if source.resolve() in [file.resolve() for file in taken]:
        raise UserError(f"{source} would be overwritten by its own part. Give another folder with --out.")
    if taken and not force:
        raise UserError(f"{taken[0]} is there already. Give another folder with --out, or --force to replace it.")
    labels = labels_of(rules)
    rows = labels.fill(read_jsonl(source))
    held_out = min(82, max(1, len(rows) // 8)) if eval_size is None else eval_size
    found = split_rows(rows, held_out, seed, labels.lexicon)
    report = {"source": source.name, "sha256": content_hash(source), "rows": found.rows, "held_out": len(found.held)}
    whole = json.dumps(report | {"eval_size": held_out, "seed": seed}, indent=1) + "\n"
    train, held = (as_jsonl(side, rebuild_context=True) for side in (found.train, found.held))
    put({folder.train: train, folder.eval: held, folder.split_report: whole})
    typer.echo(printable(aligned(table(found, labels.lexicon))) + "\n")
    for line in lines(found):
        typer.echo(line.wrapped())
    written = f"Written: {folder.train}, {folder.eval}"
    typer.echo(f"\nSplit: {source}\n{written}\nNext: rct corpus audit {shlex.quote(str(folder.root))}")
