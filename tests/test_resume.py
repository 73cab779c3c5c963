"""A run that was interrupted goes on as if it had not been: the same adapter, bit for bit, and the same files."""

import copy
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir

from rct_lightning import checkpoint, experiment
from rct_lightning.backbone import adapter_state, nf4_problem
from rct_lightning.config import Config, validate
from rct_lightning.errors import UserError
from rct_lightning.module import RelationalModule
from rct_lightning.runs import RunDir

ROOT = Path(__file__).parents[1]
STEPS = 20
SAVING = ("begun", "tensors", "state", "written", "moved", "committed")
SETTINGS = (
    "model=local data=jsonl trainer=cpu check=false trainer.max_epochs=2 trainer.check_val_every_n_epoch=1 "
    "trainer.enable_progress_bar=false trainer.log_every_n_steps=3 diagnostics_every_n_steps=4 "
    "callbacks.generation_sampling.every_n_steps=7 callbacks.generation_sampling.max_new_tokens=2 "
    "callbacks.baseline_comparison.max_new_tokens=2 callbacks.eval_sanity.max_new_tokens=2 callbacks.health.replies=2 "
    "callbacks.health.max_new_tokens=2 callbacks.checkpointing.every_n_steps=1 callbacks.checkpointing.keep_last=99 "
    "data.token_cache=null model.lora.dropout=0.1 seed=3 logger=none"
).split()
"""Twenty steps in two epochs; everything that could disturb the order of random numbers is on."""


@dataclass(frozen=True)
class Corpus:
    """Files of a small corpus."""

    train: Path
    held: Path
    base: Path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Corpus:
    folder = tmp_path_factory.mktemp("resume")
    files = []
    for side, count in (("train", 80), ("eval", 6)):
        lines = (ROOT / "data" / "relational" / f"{side}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = sorted(lines, key=lambda line: (not json.loads(line)["context"], len(line)))[:count]
        files.append(folder / f"{side}.jsonl")
        files[-1].write_text("\n".join(rows) + "\n", encoding="utf-8")
    return Corpus(*files, tiny_base)


def arguments(corpus: Corpus, *overrides: str) -> list[str]:
    files = [f"data.train_file={corpus.train}", f"data.eval_file={corpus.held}", f"model.name_or_path={corpus.base}"]
    return [*SETTINGS, *files, *overrides]


def configured(corpus: Corpus, run: Path, *overrides: str) -> Config:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return validate(compose("train", [*arguments(corpus, *overrides), f"run_dir={run}"]))


def resume(run: Path) -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        experiment.train(validate(compose("train", [f"resume={run}", "run_dir=unused"])))


def left_by(run: Path) -> dict[str, str]:
    """Sums of what a run left: its adapter, and its files but for times, speed and that it was resumed."""
    files = RunDir(run)
    kept = [files.adapter / "adapter_model.safetensors", files.loss_components, files.generation_samples]
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in [*kept, files.eval_sanity]}
    events = [
        {name: value for name, value in event.items() if name != "time" and not name.startswith("perf/")}
        for event in files.read_events()
        if event["event"] not in ("fit", "checkpoint", "resumed", "interrupted", "failed")
    ]
    return sums | {"events": json.dumps(events)}


def cut(run: Path, to: Path, step: int) -> Path:
    """The run as it was found if it had been killed some time after the checkpoint of a step."""
    shutil.copytree(run, to)
    shutil.rmtree(to / "adapter")
    (to / "status.json").unlink()
    for folder in checkpoint.committed(to / "checkpoints"):
        if int(folder.name.split("-")[1]) > step:
            checkpoint.remove(folder)
    return to


@pytest.fixture(scope="module")
def whole(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The directory of a run that was not interrupted, with a checkpoint of every step."""
    made: dict[tuple[str, ...], Path] = {}

    def make(*overrides: str) -> Path:
        if overrides not in made:
            made[overrides] = tmp_path_factory.mktemp("whole") / "run"
            experiment.train(configured(corpus, made[overrides], *overrides))
            steps = [int(path.name.split("-")[1]) for path in checkpoint.committed(made[overrides] / "checkpoints")]
            assert steps == list(range(STEPS, 0, -1))
        return made[overrides]

    return make


ACCUMULATION = {1: ("data.batch_size=8",), 4: ("data.batch_size=2", "trainer.accumulate_grad_batches=4")}
NF4 = ("model.quantization=nf4", "model.dequantize=never")


@pytest.mark.parametrize(("step", "accumulate"), [(10, 1), (11, 4), (20, 1)])
def test_a_resumed_run_is_the_run(step: int, accumulate: int, whole: Any, tmp_path: Path) -> None:
    """At the end of an epoch, in the midst of one, and behind the last step."""
    straight = whole(*ACCUMULATION[accumulate])
    again = cut(straight, tmp_path / "run", step)
    resume(again)
    assert left_by(again) == left_by(straight)


@pytest.mark.long
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_evaluations_in_the_midst_of_an_epoch_are_neither_lost_nor_made_twice(
    step: int, whole: Any, tmp_path: Path
) -> None:
    straight = whole(*ACCUMULATION[1], "trainer.val_check_interval=4")
    again = cut(straight, tmp_path / "run", step)
    resume(again)
    assert left_by(again) == left_by(straight)


@pytest.mark.long
@pytest.mark.parametrize("kind", [(), NF4], ids=["fp32", "nf4"])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_from_every_step_a_resumed_run_is_the_run(
    step: int, accumulate: int, workers: int, kind: tuple[str, ...], whole: Any, tmp_path: Path
) -> None:
    if kind and nf4_problem("cpu"):
        pytest.skip(str(nf4_problem("cpu")))
    straight = whole(*ACCUMULATION[accumulate], f"data.num_workers={workers}", *kind)
    again = cut(straight, tmp_path / "run", step)
    resume(again)
    assert left_by(again) == left_by(straight)


def test_another_random_state_would_be_noticed(whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: without the random state dropout is another."""
    straight = whole(*ACCUMULATION[1])
    again = cut(straight, tmp_path / "run", 13)
    monkeypatch.setattr("rct_lightning.callbacks.checkpointing.set_random_state", lambda state: None)
    resume(again)
    assert left_by(again)["adapter_model.safetensors"] != left_by(straight)["adapter_model.safetensors"]


def test_of_a_damaged_checkpoint_the_one_before_is_used(
    whole: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    straight = whole(*ACCUMULATION[1])
    again = cut(straight, tmp_path / "run", 17)
    tensors = again / "checkpoints" / "step-17" / checkpoint.TENSORS
    whole_file = tensors.read_bytes()
    tensors.write_bytes(whole_file[:-1] + bytes([whole_file[-1] ^ 1]))
    resume(again)
    said = capsys.readouterr()
    assert "step-17: tensors.safetensors is not what was written" in said.err and "step-16" in said.out
    assert left_by(again) == left_by(straight)


def test_what_cannot_be_gone_on_with_is_refused(whole: Any, corpus: Corpus, tmp_path: Path) -> None:
    straight = whole(*ACCUMULATION[1])
    with pytest.raises(UserError, match="this run is finished"):
        resume(straight)
    with pytest.raises(UserError, match="not a run directory"):
        resume(tmp_path / "nothing")
    without = cut(straight, tmp_path / "without", 0)
    with pytest.raises(UserError, match="no whole checkpoint"):
        resume(without)
    changed = cut(straight, tmp_path / "changed", 13)
    noted = RunDir(changed).environment
    noted.write_text(noted.read_text().replace('"train.jsonl": "', '"train.jsonl": "0'))
    with pytest.raises(UserError, match=r"train\.jsonl changed since this run began"):
        resume(changed)
    assert not (changed / "adapter").exists()


def test_a_resumed_run_keeps_no_other_settings(corpus: Corpus, tmp_path: Path) -> None:
    done = typed(tmp_path, "resume=latest", "loss.lambda=1")
    assert done.returncode == 2 and "loss.lambda=1: resume goes on with the configuration" in " ".join(
        done.stderr.split()
    )
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


# --- gradients that are not finite ----------------------------------------------------------------------------------


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


# --- real processes, really killed ----------------------------------------------------------------------------------


def typed(where: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(ROOT / "train.py"), *words]
    return subprocess.run(line, cwd=where, env=os.environ | env, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("place", ["moved", *(pytest.param(p, marks=pytest.mark.long) for p in SAVING if p != "moved")])
def test_a_run_killed_while_it_saves_goes_on_as_if_it_had_not_been(
    place: str, whole: Any, corpus: Corpus, tmp_path: Path
) -> None:
    """At the first checkpoint of all, nothing can be gone on with; so this one resumes, and is killed at the next."""
    straight = whole(*ACCUMULATION[1])
    again = cut(straight, tmp_path / "run", 12)
    killed = typed(tmp_path, f"resume={again}", **{checkpoint.FAULT: f"kill:{place}"})
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (again / "adapter").exists()
    done = typed(tmp_path, f"resume={again}")
    assert done.returncode == 0, done.stderr
    assert left_by(again) == left_by(straight)


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, *(pytest.param(n, marks=pytest.mark.long) for n in (signal.SIGINT, signal.SIGUSR1))],
    ids=lambda number: number.name,
)
def test_a_signal_ends_a_run_with_a_checkpoint(
    number: signal.Signals, whole: Any, corpus: Corpus, tmp_path: Path
) -> None:
    straight, run = whole(*ACCUMULATION[1]), tmp_path / "run"
    line = [sys.executable, str(ROOT / "train.py"), *arguments(corpus, *ACCUMULATION[1]), f"hydra.run.dir={run}"]
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(1200):
        if checkpoint.committed(run / "checkpoints"):
            break
        time.sleep(0.05)
    process.send_signal(number)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 128 + number, said
    assert number.name in said and "resume=" in said
    assert RunDir(run).read_status()["state"] == "interrupted"
    newest = int(checkpoint.committed(run / "checkpoints")[0].name.split("-")[1])
    assert RunDir(run).read_status()["step"] == newest < STEPS
    resume(run)
    assert left_by(run) == left_by(straight)
