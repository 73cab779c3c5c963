"""``rct corpus``: from a chat export to a corpus, one command per step."""

from __future__ import annotations

import typer

from rct_lightning.cli import audit, build, clean, importing, show, split

app = typer.Typer(
    no_args_is_help=True, help="From a chat export to a corpus: import, clean, split, audit, show; build does it all."
)
app.command("build")(build.build)
app.command("import")(importing.import_)
app.command("clean", no_args_is_help=True)(clean.clean)
app.command("split")(split.split)
app.command("audit")(audit.audit)
app.command("show")(show.show)
