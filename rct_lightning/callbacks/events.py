"""events.jsonl and status.json: the progress of a run in plain numbers, for a monitor."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import lightning as L
import torch

from rct_lightning import identity
from rct_lightning.callbacks.common import StepCallback, log_scalars, run_of, write_event
from rct_lightning.errors import Interrupted
from rct_lightning.module import RelationalModule

BETWEEN_HEARTBEATS = 1.0
"""Minimum seconds between two heartbeats."""


class Events(StepCallback):
    """Appends one JSON object per event, and keeps status.json current: the run's process and its last progress.

    The heartbeat is written after a batch by the training thread itself, so it stops when training hangs.

    Args:
        every_n_steps: Optimizer steps between step events.
    """

    def __init__(self, every_n_steps: int = 10) -> None:
        super().__init__()
        if every_n_steps < 1:
            raise ValueError("every_n_steps must be 1 or more")
        self.every_n_steps = every_n_steps
        self.started = False
        self.tokens, self.parts = 0, 1
        self.since = time.monotonic()
        self.beaten = -BETWEEN_HEARTBEATS
        self.identity: dict[str, Any] = {}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Report the start of the run, before the evaluation of the base."""
        if not self.started:
            self.started, self.identity = True, identity.own_identity()
            if not run_of(trainer).events.exists():  # a resumed run already has this event
                write_event(trainer, "start")
            self._status(trainer, "running")

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report that training begins."""
        write_event(trainer, "fit", total_steps=int(trainer.estimated_stepping_batches))
        self.since = time.monotonic()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: Any, batch_idx: int
    ) -> None:
        """Report losses, speed and memory every ``every_n_steps`` optimizer steps."""
        assert isinstance(pl_module, RelationalModule)
        self.tokens += batch.own.reply_tokens
        if pl_module.parts != self.parts:
            self.parts = pl_module.parts
            unseen = ", and gradients of terms are not measured" if pl_module.diagnostics_every_n_steps else ""
            print(
                f"\nmemory: was not enough; micro-batches are read in {self.parts} parts from here on{unseen}",
                flush=True,
            )
            write_event(trainer, "halved", parts=self.parts)
        step_ended = self.step_ended(trainer)
        if step_ended and pl_module.unmeasured == trainer.global_step:
            print("\nmemory: was not enough to measure the gradients of terms at this step", flush=True)
            write_event(trainer, "unmeasured")
        if not step_ended or not self._is_logged(trainer.global_step, pl_module):
            self._beat(trainer)
            return
        now = time.monotonic()
        (figures,) = pl_module.figures_of([pl_module.record])
        speed = {
            "perf/reply_tokens_per_s": self.tokens * trainer.world_size / max(now - self.since, 1e-9),
            "perf/peak_memory_mib": peak_memory_mib(),
        }
        if pl_module.device.type == "cuda":
            speed["perf/peak_device_memory_mib"] = torch.cuda.max_memory_allocated(pl_module.device) / 2**20
        self.tokens, self.since = 0, now
        figures |= {f"activity/{term}": share for term, share in batch.totals.activity().items()}
        log_scalars(trainer, speed, trainer.global_step)
        write_event(trainer, "step", **figures, **speed)
        self._status(trainer, "running")

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Write the heartbeat during an evaluation."""
        self._beat(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report the evaluation, and restart the clock of the throughput."""
        assert isinstance(pl_module, RelationalModule)
        write_event(trainer, "eval", **pl_module.eval_values)
        self.tokens, self.since = 0, time.monotonic()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report the regular end of training; the run is finished once its adapter is written."""
        write_event(trainer, "trained")

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Report that the run failed or was interrupted."""
        state = "interrupted" if isinstance(exception, Interrupted) else "failed"
        write_event(trainer, state, error=f"{type(exception).__name__}: {exception}")
        self._status(trainer, state)

    def _is_logged(self, step: int, module: RelationalModule) -> bool:
        return step % self.every_n_steps == 0 or bool(module.record.gradients)  # no gradient measurement is lost

    def _beat(self, trainer: L.Trainer) -> None:
        if time.monotonic() - self.beaten >= BETWEEN_HEARTBEATS:
            self._status(trainer, "running")

    def _status(self, trainer: L.Trainer, state: str) -> None:
        self.beaten = time.monotonic()
        if trainer.is_global_zero:
            run = run_of(trainer)
            now = {"state": state, "step": trainer.global_step, "heartbeat": time.time()}
            run.write_json(run.status, now | self.identity)


def peak_memory_mib() -> float:
    """Return the peak resident memory of this process in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
