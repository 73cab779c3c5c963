"""Keeps the adapter of the best evaluation, in addition to the last one."""

from __future__ import annotations

import shutil
from typing import Any

import lightning as L

from rct_lightning import processes
from rct_lightning.callbacks.common import run_of, write_event
from rct_lightning.module import RelationalModule, eval_metric


class BestAdapter(L.Callback):
    """Keeps ``checkpoints/best-step-N``, a PEFT folder; the previous best is removed once the new one is complete.

    Args:
        metric: Logged name of an evaluation figure; lower is better.
    """

    def __init__(self, metric: str = "eval/lm_loss") -> None:
        self.metric = metric
        self.best: float | None = None
        self.step = 0

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep the adapter if this evaluation, during training or after its last step, is the best so far."""
        assert isinstance(pl_module, RelationalModule)
        found = {eval_metric(name): value for name, value in pl_module.eval_values.items()}.get(self.metric)
        if trainer.global_step == 0 or trainer.sanity_checking or found is None:
            return
        if self.best is None or found < self.best:  # false if the figure is NaN
            is_kept = self._keep(trainer, pl_module, found) if trainer.is_global_zero else True
            if all(processes.gather(is_kept)):
                self.best, self.step = found, trainer.global_step

    def _keep(self, trainer: L.Trainer, module: RelationalModule, found: float) -> bool:
        """Save the adapter. Return whether it was written: a full disk ends no run, and the previous best is kept."""
        run, step = run_of(trainer), trainer.global_step
        former = run.best_adapters()
        try:
            module.save_adapter(run.best_adapter(step))
        except OSError as error:
            print(f"\nbest adapter: step {step} could not be kept ({error.strerror})", flush=True)
            return False
        for folder in former:
            if folder != run.best_adapter(step):
                shutil.rmtree(folder, ignore_errors=True)
        write_event(trainer, "best", metric=self.metric, value=found)
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the best figure and its step."""
        return {"best": self.best, "step": self.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best figure and its step."""
        self.best, self.step = state_dict["best"], state_dict["step"]
