"""Input and result of a guard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from rct_lightning.data import RelationalDataModule
from rct_lightning.markers import Lexicon
from rct_lightning.module import Objective, RelationalModule

Status = Literal["ok", "warn", "stop"]


@dataclass(frozen=True)
class Finding:
    """The result of a guard.

    Attributes:
        guard: Name of the guard, as in docs/guards.md.
        status: ok, warn (the run continues), or stop.
        seen: What was found, with its figures.
        remedy: What it usually means and what to do; empty if all is well.
    """

    guard: str
    status: Status
    seen: str
    remedy: str = ""


@dataclass(frozen=True)
class Run:
    """A run that is about to train.

    Attributes:
        module: Model, objective, template.
        data: Both sides of the split.
        lexicon: Markers and phrase banks.
        samples_baseline: Whether the base is sampled before training.
    """

    module: RelationalModule
    data: RelationalDataModule
    lexicon: Lexicon
    samples_baseline: bool = True

    @property
    def objective(self) -> Objective:
        """What the module trains on."""
        return self.module.objective

    @property
    def model(self) -> nn.Module:
        """The model in training."""
        return self.module.model

    def weight(self, term: str) -> float:
        """Lambda * w of a term."""
        return self.module.objective.settings.weight(term)


def ok(guard: str, seen: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(guard, "ok", seen)


def warn(guard: str, seen: str, remedy: str) -> Finding:
    """Return a finding worth knowing; the run continues."""
    return Finding(guard, "warn", seen, remedy)


def stop(guard: str, seen: str, remedy: str) -> Finding:
    """Return a finding that stops the run, since its results would be misleading."""
    return Finding(guard, "stop", seen, remedy)


def spread(length: int, count: int) -> list[int]:
    """Return up to ``count`` indices, evenly spread."""
    return list(range(0, length, max(1, -(-length // count))))
