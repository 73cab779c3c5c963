"""A gradient that is not finite is skipped, and five in a row end the run."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from short_runs import ACCUMULATION, Corpus, configured

from rct_lightning import checkpoint, experiment
from rct_lightning.backbone import adapter_state
from rct_lightning.errors import UserError
from rct_lightning.module import RelationalModule
from rct_lightning.runs import RunDir


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_of_a_gradient_that_is_not_finite_nothing_is_learnt(
    bad: float, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true, states = RelationalModule.training_step, []

    def step(self: RelationalModule, batch: Any, batch_idx: int) -> Any:
        return true(self, batch, batch_idx) * (bad if self.global_step == 3 else 1.0)

    def remember(self: RelationalModule, *_: Any) -> None:
        moments = self.trainer.optimizers[0].state_dict()["state"]
        states.append((copy.deepcopy(adapter_state(self.model)), copy.deepcopy(moments)))

    monkeypatch.setattr(RelationalModule, "training_step", step)
    monkeypatch.setattr(RelationalModule, "on_train_batch_end", remember)
    experiment.train(configured(corpus, tmp_path / "run", *ACCUMULATION[1], "trainer.max_steps=6"))
    assert len(states) == 6
    assert _equal(states[2], states[3]) and not _equal(states[3], states[4]) and not _equal(states[1], states[2])
    events = RunDir(tmp_path / "run").read_events()
    (alert,) = [event for event in events if event["event"] == "alert" and event["rule"] == "not finite"]
    assert alert["step"] == 4 and "gradient" in alert["seen"]


def test_five_such_steps_in_a_row_end_the_run_and_the_checkpoint_is_of_before(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = RelationalModule.training_step

    def step(self: RelationalModule, batch: Any, batch_idx: int) -> Any:
        return true(self, batch, batch_idx) * (float("nan") if self.global_step >= 8 else 1.0)

    monkeypatch.setattr(RelationalModule, "training_step", step)
    run = RunDir(tmp_path / "run")
    with pytest.raises(UserError, match="never finite, step 13: 5 steps in a row were skipped"):
        experiment.train(configured(corpus, run.root, *ACCUMULATION[1]))
    assert not run.adapter.exists() and run.read_status()["state"] == "failed"
    kept = [checkpoint.read(folder)["state_dict"] for folder in checkpoint.committed(run.checkpoints)]
    assert all(tensor.isfinite().all() for state in kept for tensor in state.values())
    assert _equal(kept[0], kept[-8]), "of step 8: nothing was learnt since"


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return all(_equal(a[key], b[key]) for key in a)
    return all(_equal(x, y) for x, y in zip(a, b, strict=True)) if isinstance(a, tuple) else a == b
