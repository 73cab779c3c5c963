"""``rct corpus show``."""

from __future__ import annotations

import os
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rct_lightning.cli.refusing import refusing

if TYPE_CHECKING:
    from rct_lightning.corpus.show import Piece

LEGEND = {True: "green: learnt; struck out, red: cut off", False: "{+learnt+}  [-cut off-]"}


@refusing
def show(
    number: Annotated[str, typer.Argument(help="Its number, counted from 1, or its id.")],
    path: Annotated[Path, typer.Argument(help="A JSONL file, or a corpus folder (its train.jsonl).")] = Path(
        "data/relational"
    ),
    tokenizer: Annotated[Path | None, typer.Option(help="A model's folder (data/nano).")] = None,
    max_seq_length: Annotated[int, typer.Option(min=8, help="Tokens of a row in training.")] = 512,
) -> None:
    """A row as the model sees it: the exact text, which tokens are learnt, and what does not fit."""
    from rct_lightning.corpus.folder import CorpusDir
    from rct_lightning.corpus.show import find, pieces
    from rct_lightning.corpus.tokens import tokenizer_of
    from rct_lightning.dialogue import read_jsonl
    from rct_lightning.markers import Lexicon
    from rct_lightning.sanitize import printable
    from rct_lightning.template import DialogueTemplate

    folder = CorpusDir(path)
    file = path if path.is_file() else folder.existing(folder.train, folder.clean, folder.imported)
    rows = read_jsonl(file)
    at, row = find(rows, number)
    found = pieces(row, tokenizer_of(tokenizer), max_seq_length, DialogueTemplate())
    kept, learnt = (sum(p.tokens for p in found if not p.cut), sum(p.tokens for p in found if p.learnt))
    cut = sum(piece.tokens for piece in found if piece.cut)
    strength = Lexicon().strength(row.input)
    said = f"{file}, row {at} of {len(rows)}: id {row.id}, conversation {row.conversation}, type {row.type or 'none'}, "
    said += f"marker strength {strength:g}\n{kept} tokens of at most {max_seq_length}, {learnt} of them learnt"
    said += f"; {cut} cut off" if cut else ""
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    typer.echo(f"{printable(said)}\n{LEGEND[colour]}\n")
    alike = groupby(found, key=lambda piece: (piece.cut, piece.learnt, colour and piece.kind))
    runs = [list(run) for _, run in alike]
    typer.echo(
        "".join(_shown(run[0], printable("".join(piece.text for piece in run)), colour) for run in runs), color=colour
    )


def _shown(piece: Piece, text: str, colour: bool) -> str:
    if not colour:
        return f"[-{text}-]" if piece.cut else f"{{+{text}+}}" if piece.learnt else text
    if piece.cut:
        return typer.style(text, fg="red", strikethrough=True)
    return typer.style(text, fg="green", bold=True) if piece.learnt else typer.style(text, dim=piece.kind == "role")
