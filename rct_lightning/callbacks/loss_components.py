"""loss_components.csv and logged scalars: every term by optimizer step, training and evaluation kept apart."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import Any

import lightning as L

from rct_lightning.callbacks.common import StepCallback, log_scalars, run_of
from rct_lightning.callbacks.tensorboard import board_of
from rct_lightning.data import Batch
from rct_lightning.losses import TERMS
from rct_lightning.module import RelationalModule, eval_metric

COLUMNS = ("step", *(f"{term}_loss" for term in ("lm", *TERMS, "total")), "phase", "next_token_loss")
"""``next_token_loss`` is the true next-token loss of the replies, whatever the objective reports as its LM loss."""


class LossComponents(StepCallback):
    """Writes one CSV row and one set of scalars per logged step, and figures of the curves at the end.

    A row holds the values of one whole optimizer step (all its micro-batches), or of one whole evaluation, and
    satisfies total = lm + lambda * sum(w * term). A term that was not computed is left empty, not written as 0.

    Args:
        every_n_steps: Optimizer steps between rows.
    """

    def __init__(self, every_n_steps: int = 10) -> None:
        super().__init__()
        if every_n_steps < 1:
            raise ValueError("every_n_steps must be 1 or more")
        self.every_n_steps = every_n_steps
        self.rows: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, from which the figures at the end are drawn."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rows."""
        self.rows = state_dict["rows"]

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Tell TensorBoard which curves belong in one chart."""
        board = board_of(trainer)
        if board is not None:
            board.lay_out()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: Batch, batch_idx: int
    ) -> None:
        """Write a training row when a logged optimizer step has ended."""
        assert isinstance(pl_module, RelationalModule)
        if not self.step_ended(trainer):
            return
        record = pl_module.record
        if trainer.global_step % self.every_n_steps == 0 or record.gradients:
            (values,) = pl_module.figures_of([record])
            values |= {f"{term}/activity": share for term, share in batch.totals.activity().items()}
            log_scalars(trainer, {_train_metric(n): v for n, v in values.items()}, trainer.global_step)
            if trainer.global_step % self.every_n_steps == 0:
                self._write(trainer, values, "train")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write an evaluation row."""
        assert isinstance(pl_module, RelationalModule)
        values = pl_module.eval_values
        log_scalars(trainer, {eval_metric(n): v for n, v in values.items()}, trainer.global_step)
        self._write(trainer, values, "eval")

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Send figures of the curves to TensorBoard."""
        assert isinstance(pl_module, RelationalModule)
        board, settings = board_of(trainer), pl_module.objective.settings
        if board is not None and self.rows:
            board.show_figures(trainer.global_step, self.rows, {term: settings.weight(term) for term in TERMS})

    def _write(self, trainer: L.Trainer, values: Mapping[str, float], phase: str) -> None:
        row: dict[str, Any] = {"step": trainer.global_step, "phase": phase}
        row |= {f"{name}_loss": values[name] for name in ("lm", *TERMS, "total", "next_token") if name in values}
        activity = {f"{term}_activity": values[f"{term}/activity"] for term in TERMS if f"{term}/activity" in values}
        self.rows.append(row | activity)
        if not trainer.is_global_zero:
            return
        path = run_of(trainer).loss_components
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        with path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if new:
                writer.writeheader()
            writer.writerow(row)


def _train_metric(name: str) -> str:
    if name in ("lm", "total", "next_token", *TERMS):
        return f"loss/{name}"
    return name if "/" in name else f"perf/{name}"
