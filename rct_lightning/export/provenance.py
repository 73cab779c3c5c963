"""Where an exported folder comes from, as far as the files of its run can be read."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rct_lightning.config import Config
from rct_lightning.dialogue import content_hash
from rct_lightning.errors import UserError
from rct_lightning.export.request import Request
from rct_lightning.reading import read_object
from rct_lightning.runs import METRICS_FILE
from rct_lightning.template import DialogueTemplate
from rct_lightning.untrusted import ADAPTER_CONFIG

BUNDLED = Path(__file__).parents[2] / "data"
"""The project's own base and corpus."""
WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Provenance:
    """Where an exported folder comes from.

    Attributes:
        request: The export request.
        config: The run's configuration.
        template: The dialogue template with its role names.
        is_nf4: Whether the base was in 4 bits.
        merged: What was merged into what, in words; empty for an adapter.
        loaded_from: Folder or hub name that the base was loaded from.
    """

    request: Request
    config: Config
    template: DialogueTemplate
    is_nf4: bool
    merged: str = ""
    loaded_from: str = ""

    @property
    def base(self) -> str:
        """Name of the adapter's base: a hub name, or the bundled base's; never a path."""
        return self.config.model.hub_name or self.config.model.name

    @property
    def steps(self) -> int | None:
        """Optimizer steps the adapter was trained for."""
        return self.request.run.step_of(self.request.which)

    @property
    def is_open(self) -> bool:
        """Whether the base is this project's own, or Pythia, and the corpus its own, by the content of their files.

        Names in a configuration stay when a file is replaced (``data.train_file=own.jsonl``).
        """
        pythia = (self.config.model.hub_name or "").startswith("EleutherAI/pythia-")
        return (pythia or _is_bundled_base(Path(self.loaded_from))) and _is_bundled_corpus(self.data.values())

    @property
    def environment(self) -> Mapping[str, Any]:
        """The environment that the run recorded."""
        return _read(self.request.run.environment)

    @property
    def data(self) -> dict[str, str]:
        """SHA-256 sums of the corpus files."""
        return _texts(self.environment.get("data"))

    @property
    def packages(self) -> dict[str, str]:
        """Libraries and their versions."""
        return _texts(self.environment.get("packages"))

    def metrics(self) -> Mapping[str, Any]:
        """Return evaluate.py's metrics of this adapter; empty if it was not evaluated, or trained further since."""
        run, adapter = self.request.run, self.request.adapter
        file = (run.report if self.request.which == "last" else run.report_of_best) / METRICS_FILE
        if not file.is_file() or file.stat().st_mtime < (adapter / ADAPTER_CONFIG).stat().st_mtime:
            return {}
        return _read(file)

    def endpoints(self) -> dict[str, Any]:
        """Return the measured endpoints."""
        found = self.metrics().get("endpoints")
        return {name: one for name, one in found.items() if _is_endpoint(one)} if isinstance(found, dict) else {}

    def verdict(self) -> list[str]:
        """Return the verdict's sentences."""
        found = self.metrics().get("verdict")
        return [sentence for sentence in found if isinstance(sentence, str)] if isinstance(found, list) else []


def _is_bundled_base(folder: Path) -> bool:
    ours, given = BUNDLED / "nano" / WEIGHTS, folder / WEIGHTS
    return ours.is_file() and given.is_file() and content_hash(given) == content_hash(ours)


def _is_bundled_corpus(sums: Collection[str]) -> bool:
    ours = {content_hash(file) for file in (BUNDLED / "relational").glob("*.jsonl")}
    return bool(sums) and ours.issuperset(sums)


def _is_endpoint(one: Any) -> bool:
    try:
        change = one["change"]
        figures = [one["base"]["mean"], one["tuned"]["mean"], change["mean"], change["low"], change["high"]]
    except (KeyError, TypeError):
        return False
    return all(isinstance(figure, int | float) and math.isfinite(figure) for figure in figures)


def _texts(value: Any) -> dict[str, str]:
    return {str(name): str(one) for name, one in value.items() if one} if isinstance(value, dict) else {}


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return read_object(path, strict=False)
    except UserError:
        return {}
