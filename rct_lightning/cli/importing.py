"""``rct corpus import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rct_lightning.cli.refusing import refusing

FORMATS = "claude, chatgpt, grok, gemini, messages, sharegpt, alpaca, rows, transcript"


@refusing
def import_(
    paths: Annotated[list[Path], typer.Argument(help="Exports: files, folders or zip archives.")],
    out: Annotated[Path, typer.Option(help="Folder of the corpus; imported.jsonl and import.json are written there.")],
    format: Annotated[str | None, typer.Option(help=f"Read every file as one of {FORMATS}.")] = None,
    speakers: Annotated[
        Path | None, typer.Option(help="Who speaks in text, Markdown and RTF: `side: regex` lines.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace rows that were imported before.")] = False,
    salvage: Annotated[bool, typer.Option("--salvage", help="Keep what stands before the damage of a file.")] = False,
) -> None:
    """Chat exports to rows: Claude, ChatGPT, Gemini, Grok, messages, ShareGPT, Alpaca, own rows, transcripts."""
    from rct_lightning.corpus.folder import CorpusDir
    from rct_lightning.corpus.importing import import_corpus
    from rct_lightning.corpus.showing import import_progress, show_import

    with import_progress() as progress:
        report = import_corpus(
            paths,
            CorpusDir(out),
            format_name=format,
            speakers=speakers,
            force=force,
            salvage=salvage,
            progress=progress,
        )
    show_import(report, out)
