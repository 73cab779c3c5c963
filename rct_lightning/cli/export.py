"""``rct export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rct_lightning.cli.refusing import refusing


@refusing
def export(
    run: Annotated[str, typer.Argument(help="A run's directory, or latest.")],
    to: Annotated[Path, typer.Option(help="Folder to make.")],
    merge: Annotated[bool, typer.Option("--merge", help="One model instead of an adapter.")] = False,
    dtype: Annotated[str | None, typer.Option(help="Of a merged model: fp32 (default), fp16 or bf16.")] = None,
    adapter: Annotated[str, typer.Option(help="last, or best: of the best evaluation.")] = "last",
    push: Annotated[str | None, typer.Option(metavar="OWNER/NAME", help="Put it on the hub as well.")] = None,
    private: Annotated[bool, typer.Option("--private", help="With --push: for its owner alone.")] = False,
) -> None:
    """A run's adapter or merged model for plain transformers, peft and lm-eval, checked against the run."""
    from rct_lightning.export.request import make_request
    from rct_lightning.runs import find_run
    from rct_lightning.sanitize import printable

    request = make_request(find_run(run), to, merge=merge, dtype=dtype, which=adapter, push=push, private=private)
    from rct_lightning.export.writing import export as write

    exported = write(request)
    what = "merged model" if merge else "adapter"
    typer.echo(printable(f"{what}: {exported.folder} ({exported.size / 2**20:,.1f} MiB)"))
    for finding in exported.findings:
        typer.echo(printable(finding))
    if request.push is not None:
        from rct_lightning.export.hub import push as push_folder

        typer.echo(printable(f"pushed: {push_folder(exported.folder, request.push)}"))
