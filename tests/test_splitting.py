"""A micro-batch that does not fit in memory is learnt from in parts, with the gradient of the whole."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from short_runs import ACCUMULATION, Corpus, configured

from rct_lightning import checkpoint, experiment
from rct_lightning.errors import UserError
from rct_lightning.losses import RelationalLoss
from rct_lightning.losses.relational import Outcome
from rct_lightning.module.gradients import add_gradients_of_terms
from rct_lightning.runs import RunDir
from rct_lightning.splitting import evaluate_in_parts


@pytest.mark.parametrize(
    ("where", "accumulate"),
    [
        ("forward", 4),
        ("backward", 4),
        pytest.param("forward", 1, marks=pytest.mark.long),
        pytest.param("backward", 1, marks=pytest.mark.long),
    ],
)
def test_a_micro_batch_that_does_not_fit_is_cut_and_nothing_else_changes(
    where: str, accumulate: int, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the fourth step on memory suffices for two rows (or one) of the eight (or two) of a micro-batch."""
    quiet = (*ACCUMULATION[accumulate], "trainer.max_steps=8", "model.lora.dropout=0", "diagnostics_every_n_steps=0")
    runs = [RunDir(tmp_path / name) for name in ("enough", "cut")]
    experiment.train(configured(corpus, runs[0].root, *quiet))
    true, most, sizes = RelationalLoss.__call__, 2 if accumulate == 1 else 1, []

    def scarce(self: RelationalLoss, model: Any, batch: Any, step: int) -> Any:
        outcome = true(self, model, batch, step)
        if step < 3 or len(batch) <= most:
            sizes.append(len(batch))
            return outcome
        if where == "forward":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return replace(outcome, total=_Scarce.apply(outcome.total))

    monkeypatch.setattr(RelationalLoss, "__call__", scarce)
    experiment.train(configured(corpus, runs[1].root, *quiet))
    assert max(sizes) == 8 // accumulate and sizes[-1] == most
    (halved,) = [event for event in runs[1].read_events() if event["event"] == "halved"]
    assert (halved["step"], halved["parts"]) == (3 if accumulate == 4 else 4, 4 if accumulate == 1 else 2)
    states = [checkpoint.read(run.checkpoints / "step-8")["state_dict"] for run in runs]
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, atol=1e-5, rtol=1e-4)
    losses = [[row["total_loss"] for row in run.read_loss_components()] for run in runs]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


@pytest.mark.parametrize("at", [0, 2], ids=["its first micro-batch", "its third"])
def test_a_measurement_that_does_not_fit_is_left_out(
    at: int, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (*ACCUMULATION[4], "trainer.max_steps=2", "trainer.log_every_n_steps=1", "diagnostics_every_n_steps=1")
    runs = [RunDir(tmp_path / name) for name in ("enough", "scarce")]
    experiment.train(configured(corpus, runs[0].root, *settings))
    true, calls = add_gradients_of_terms, []

    def scarce(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == at + 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        true(*arguments)

    monkeypatch.setattr("rct_lightning.module.relational.add_gradients_of_terms", scarce)
    experiment.train(configured(corpus, runs[1].root, *settings))
    (event,) = [event for event in runs[1].read_events() if event["event"] == "unmeasured"]
    steps = [event for event in runs[1].read_events() if event["event"] == "step"]
    assert ["grad/lm_norm" in step for step in steps] == [False, True]
    assert event["step"] == 1 and len(calls) == at + 1 + 4, "nothing more of this step, all of the next"
    states = [checkpoint.read(run.checkpoints / "step-2")["state_dict"] for run in runs]
    assert all(torch.equal(states[1][name], tensor) for name, tensor in states[0].items())


def test_a_step_that_is_cut_midway_has_no_measurement_of_its_beginning(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true, calls = RelationalLoss.__call__, []

    def scarce(self: RelationalLoss, model: Any, batch: Any, step: int) -> Any:
        calls.append(len(batch))
        if len(calls) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return true(self, model, batch, step)

    monkeypatch.setattr(RelationalLoss, "__call__", scarce)
    run = RunDir(tmp_path / "run")
    settings = (*ACCUMULATION[4], "trainer.max_steps=1", "trainer.log_every_n_steps=1", "diagnostics_every_n_steps=1")
    experiment.train(configured(corpus, run.root, *settings))
    assert calls[:5] == [2, 2, 2, 1, 1], "the third micro-batch was cut"
    (step,) = [event for event in run.read_events() if event["event"] == "step"]
    assert "grad/lm_norm" not in step


def test_where_not_even_a_row_fits_the_run_says_what_to_do(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)")

    monkeypatch.setattr(RelationalLoss, "__call__", never)
    with pytest.raises(UserError, match=r"not enough for a single row .* model\.gradient_checkpointing=true"):
        experiment.train(configured(corpus, tmp_path / "run", *ACCUMULATION[1]))


def test_another_error_is_not_taken_for_it(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: Any, **__: Any) -> Any:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(RelationalLoss, "__call__", wrong)
    with pytest.raises(RuntimeError, match="mat1"):
        experiment.train(configured(corpus, tmp_path / "run", *ACCUMULATION[1]))


def test_parts_scale_their_losses_and_keep_a_value_beside_gradients_that_are_not_finite() -> None:
    """A gradient of 2e-8 is zero in float16, and one of infinity makes the scaler skip the step."""
    model = torch.nn.Linear(1, 1, bias=False)
    values = torch.tensor([2e-8, 0.0])

    def evaluate(batch: Any) -> Outcome:
        total = (_Half.apply(model.weight.squeeze()) * batch.values).sum()
        return Outcome(total, {"lm": total}, {}, total.detach()[None])

    def gradient(scale: float) -> float:
        outcome = evaluate_in_parts(evaluate, model, cast(Any, _Rows(values)), 2, scale)
        (found,) = torch.autograd.grad(outcome.total, [model.weight])
        assert torch.equal(outcome.total, (model.weight.detach().squeeze() * values).sum())
        return float(found)

    assert [gradient(scale) for scale in (1.0, 1024.0)] == [0.0, pytest.approx(2e-8, rel=0.01)]
    assert gradient(2.0**50) == float("inf")


@dataclass(frozen=True)
class _Rows:
    values: torch.Tensor

    def parts(self, count: int) -> "list[_Rows]":
        return [_Rows(each) for each in self.values.chunk(count)]


class _Half(torch.autograd.Function):
    """A value whose gradient is rounded to float16."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient.half().float()


class _Scarce(torch.autograd.Function):
    """Runs out of memory in the backward pass."""

    @staticmethod
    def forward(ctx: Any, total: torch.Tensor) -> torch.Tensor:
        return total.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")
