"""The adapter of the best evaluation is kept, complete and loadable by any PEFT, whatever happens to the run later."""

from pathlib import Path

import lightning as L
import pytest
import torch
from peft import PeftModel
from short_runs import ACCUMULATION, Corpus, configured
from transformers import AutoModelForCausalLM

from rct_lightning import checkpoint, experiment
from rct_lightning.callbacks import BestAdapter
from rct_lightning.data import Batch
from rct_lightning.module import RelationalModule
from rct_lightning.runs import RunDir

QUICK = (*ACCUMULATION[1], "trainer.limit_train_batches=4")


def test_the_best_evaluation_is_kept_where_later_ones_are_worse(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, descend = RunDir(tmp_path / "run"), RelationalModule.training_step

    def turn_back(self: RelationalModule, batch: Batch, batch_idx: int) -> torch.Tensor:
        """Train away from the corpus from the eighth step on."""
        return descend(self, batch, batch_idx) * (1 if self.global_step < 8 else -1)

    monkeypatch.setattr(RelationalModule, "training_step", turn_back)
    experiment.train(configured(corpus, run.root, *QUICK, "optimizer.lr=0.03", "trainer.max_epochs=3"))
    losses = {event["step"]: event["lm"] for event in run.read_events() if event["event"] == "eval" and event["step"]}
    best = min(losses, key=lambda step: losses[step])
    assert 0 < best < max(losses), "the last evaluation is a worse one, otherwise this test shows nothing"
    assert [folder.name for folder in run.best_adapters()] == [f"best-step-{best}"]

    plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(corpus.base), run.best_adapter(best))
    found = {name: value for name, value in plain.named_parameters() if "lora_" in name}
    there = checkpoint.read(run.checkpoints / f"step-{best}")["state_dict"]
    assert len(found) == len(there) > 0
    for name, value in there.items():
        torch.testing.assert_close(found[name.removeprefix("model.")], value, rtol=0, atol=0)
    card = (run.best_adapter(best) / "README.md").read_text()
    assert f"{losses[best]:.4f} nats per reply token after step {best}" in card


@pytest.mark.parametrize("full_at", [{4, 8, 12}, {8}], ids=["from then on", "once"])
def test_a_full_disk_leaves_the_former_best_until_there_is_room(
    full_at: set[int], corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A best adapter that could not be stored does not count: a later one only has to be better than the stored one."""
    run, keep, seen = RunDir(tmp_path / "run"), BestAdapter._keep, {4: 5.0, 8: 3.0, 12: 4.0}

    def full(self: BestAdapter, trainer: L.Trainer, module: RelationalModule, found: float) -> bool:
        with monkeypatch.context() as patch:
            if trainer.global_step in full_at - {4}:
                patch.setattr("rct_lightning.replacing.os.replace", _no_space)
            return keep(self, trainer, module, found)

    def judged(self: RelationalModule) -> None:
        ended(self)
        self.eval_values["lm"] = seen.get(self.global_step, 6.0)

    ended = RelationalModule.on_validation_epoch_end
    monkeypatch.setattr(RelationalModule, "on_validation_epoch_end", judged)
    monkeypatch.setattr(BestAdapter, "_keep", full)
    experiment.train(configured(corpus, run.root, *QUICK, "trainer.max_epochs=3"))
    kept = 12 if full_at == {8} else 4
    assert [folder.name for folder in run.best_adapters()] == [f"best-step-{kept}"]
    state = checkpoint.read(run.checkpoints / "step-12")["callbacks"]["BestAdapter"]
    assert (state["step"], state["best"]) == (kept, seen[kept])


def _no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")
