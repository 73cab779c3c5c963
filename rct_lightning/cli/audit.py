"""``rct corpus audit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rct_lightning.cli.refusing import refusing


@refusing
def audit(
    path: Annotated[
        Path, typer.Argument(help="A corpus folder: train.jsonl and eval.jsonl, else what it holds.")
    ] = Path("data/relational"),
    tokenizer: Annotated[Path | None, typer.Option(help="A model's folder, whose tokens count (data/nano).")] = None,
    max_seq_length: Annotated[int, typer.Option(min=8, help="Tokens of a row in training.")] = 512,
    rules: Annotated[Path | None, typer.Option(help="Own rules and markers (TOML).")] = None,
    no_files: Annotated[bool, typer.Option("--no-files", help="Print only; leave no audit.md and audit.html.")] = False,
) -> None:
    """Whether a corpus is fit to learn from and to measure with. Exit code 1: a line fails."""
    from rct_lightning.corpus.audit import audit as ask
    from rct_lightning.corpus.audit import old_split
    from rct_lightning.corpus.audit_page import figures, page
    from rct_lightning.corpus.folder import CorpusDir
    from rct_lightning.corpus.labels import labels_of
    from rct_lightning.corpus.sides import Sides
    from rct_lightning.corpus.tables import render
    from rct_lightning.corpus.together import put
    from rct_lightning.corpus.tokens import tokenizer_of
    from rct_lightning.corpus.truncation import Lengths
    from rct_lightning.dialogue import content_hash, read_jsonl
    from rct_lightning.page import as_html, as_markdown
    from rct_lightning.sanitize import printable
    from rct_lightning.template import DialogueTemplate

    folder = CorpusDir(path)
    whole = folder.existing(folder.train, folder.clean, folder.imported)
    files = [whole, *([folder.eval] if whole == folder.train and folder.eval.is_file() else [])]
    train, held = ([*map(read_jsonl, files), []])[:2]
    lengths = Lengths.of(
        [*train, *held],
        tokenizer_of(tokenizer),
        max_seq_length,
        DialogueTemplate(),
    )
    found = ask(Sides(train, held, labels_of(rules), lengths))
    if whole == folder.train and (source := folder.source_of_other_split()):
        found = found.preceded_by(old_split(source))
    for line in found.lines:
        typer.echo(line.wrapped())
    typer.echo(printable("\n" + render(found.tables)), nl=False)
    if not no_files:
        hashes = {file.name: content_hash(file) for file in files}
        plain, drawn = folder.audit, folder.audit.with_suffix(".html")
        drawings = figures(found.sides)
        put(
            {
                plain: as_markdown(page(found, path.name, hashes)),
                drawn: as_html(page(found, path.name, hashes, drawings)),
            }
        )
        typer.echo(f"\nWritten: {plain} and {drawn.name} beside it")
    if found.failed:
        raise typer.Exit(1)
