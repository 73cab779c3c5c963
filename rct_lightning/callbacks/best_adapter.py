"""The adapter of the best evaluation, kept beside the last one."""

from __future__ import annotations

import shutil
from typing import Any

import lightning as L

from rct_lightning import processes
from rct_lightning.callbacks.common import run_of, write_event
from rct_lightning.module import RelationalModule, eval_metric


class BestAdapter(L.Callback):
    """Keeps ``checkpoints/best-step-N``, a PEFT folder; the former best goes when the new one is whole.

    Args:
        metric: A figure of the evaluation, as it is logged; lower is better.
    """

    def __init__(self, metric: str = "eval/lm_loss") -> None:
        self.metric = metric
        self.best: float | None = None
        self.step = 0

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """An evaluation of trained adapters, while training or behind its last step."""
        assert isinstance(pl_module, RelationalModule)
        found = {eval_metric(name): value for name, value in pl_module.eval_values.items()}.get(self.metric)
        if trainer.global_step == 0 or trainer.sanity_checking or found is None:
            return
        if self.best is None or found < self.best:  # false where the figure is no number
            is_kept = self._keep(trainer, pl_module, found) if trainer.is_global_zero else True
            if all(processes.gather(is_kept)):
                self.best, self.step = found, trainer.global_step

    def _keep(self, trainer: L.Trainer, module: RelationalModule, found: float) -> bool:
        """Whether it was written; a full disk ends no run, and the former best is still there."""
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
        """Best figure and its step."""
        return {"best": self.best, "step": self.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.best, self.step = state_dict["best"], state_dict["step"]
