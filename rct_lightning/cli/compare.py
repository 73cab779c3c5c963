"""``rct compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rct_lightning.cli.refusing import refusing


@refusing
def compare(
    runs: Annotated[list[str], typer.Argument(help="Two evaluated runs or more, as train.py printed them.")],
    to: Annotated[Path | None, typer.Option(help="Write it to a file as well: .html, .md or .json.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace that file.")] = False,
) -> None:
    """Evaluated runs side by side: settings that differ, endpoints, guardrails, losses, alerts."""
    import json

    from rct_lightning.errors import UserError
    from rct_lightning.evaluation.compare import as_json, read_runs
    from rct_lightning.evaluation.compare_page import page_of
    from rct_lightning.page import as_html, as_markdown, as_text, write_files
    from rct_lightning.sanitize import printable

    endings = (".html", ".md", ".json")
    if to is not None and to.suffix not in endings:
        raise UserError(f"--to {to}: a comparison is written as {', '.join(endings)}. Give one of these endings.")
    if to is not None and to.exists() and not force:
        raise UserError(f"--to {to}: this is there already. Give another name, or --force to replace it.")
    found = read_runs(runs)
    page = page_of(found)
    typer.echo(as_text(page), nl=False)
    if to is not None:
        plain = json.dumps(as_json(found), indent=1) + "\n"
        content = plain if to.suffix == ".json" else as_html(page) if to.suffix == ".html" else as_markdown(page)
        write_files({to: content.encode()})
        typer.echo(f"\nWritten: {printable(str(to))}")
