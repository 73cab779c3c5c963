"""``python -m rct_lightning.cli``: the ``rct`` command where its script is not on the path."""

from rct_lightning.cli import app

app(prog_name="rct")
