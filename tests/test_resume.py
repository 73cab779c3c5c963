"""An interrupted run resumes as if it had not been interrupted: the same adapter, bit for bit, and the same files."""

import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from forked import Forker
from hydra import compose, initialize_config_dir
from short_runs import ACCUMULATION, ROOT, Corpus, arguments, configured, cut

from rct_lightning import checkpoint, experiment, identity
from rct_lightning.backbone import nf4_problem
from rct_lightning.callbacks import Checkpointing, Events
from rct_lightning.callbacks.checkpointing import SIGNALS, random_state, set_random_state
from rct_lightning.config import validate
from rct_lightning.errors import Interrupted, UserError
from rct_lightning.losses import RelationalLoss
from rct_lightning.module import RelationalModule
from rct_lightning.runs import RunDir

STEPS = 20
SAVING = ("begun", "tensors", "state", "written", "moved", "committed")


def resume(run: Path) -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        experiment.train(validate(compose("train", [f"resume={run}", "run_dir=unused"])))


def left_by(run: Path) -> dict[str, str]:
    """Return the hashes of what a run left: its adapter, and its files except for times, speed and the resumption."""
    files = RunDir(run)
    kept = [files.adapter / "adapter_model.safetensors", files.loss_components, files.generation_samples]
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in [*kept, files.eval_sanity]}
    (best,) = files.best_adapters()
    sums[best.name] = hashlib.sha256((best / "adapter_model.safetensors").read_bytes()).hexdigest()
    events = [
        {name: value for name, value in event.items() if name != "time" and not name.startswith("perf/")}
        for event in files.read_events()
        if event["event"] not in ("fit", "checkpoint", "resumed", "interrupted", "failed")
    ]
    return sums | {"events": json.dumps(events)}


@pytest.fixture(scope="module")
def whole(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return the directory of an uninterrupted run, with a checkpoint of every step."""
    made: dict[tuple[str, ...], Path] = {}

    def make(*overrides: str) -> Path:
        if overrides not in made:
            made[overrides] = tmp_path_factory.mktemp("whole") / "run"
            experiment.train(configured(corpus, made[overrides], *overrides))
            steps = [int(path.name.split("-")[1]) for path in checkpoint.committed(made[overrides] / "checkpoints")]
            assert steps == list(range(STEPS, 0, -1))
        return made[overrides]

    return make


NF4 = ("model.quantization=nf4", "model.dequantize=never")


@pytest.mark.parametrize(("step", "accumulate", "workers"), [(10, 1, 2), (11, 4, 0), (20, 1, 0)])
def test_a_resumed_run_is_the_run(step: int, accumulate: int, workers: int, whole: Any, tmp_path: Path) -> None:
    """At the end of an epoch (loader processes read ahead of it), in the middle of one, and after the last step."""
    straight = whole(*ACCUMULATION[accumulate], *([f"data.num_workers={workers}"] if workers else []))
    again = cut(straight, tmp_path / "run", step)
    resume(again)
    assert left_by(again) == left_by(straight)


@pytest.mark.long
@pytest.mark.parametrize("number", range(10))
def test_ten_runs_of_one_seed_are_one(number: int, whole: Any, corpus: Corpus, tmp_path: Path) -> None:
    again = tmp_path / "run"
    experiment.train(configured(corpus, again, *ACCUMULATION[1]))
    assert left_by(again) == left_by(whole(*ACCUMULATION[1]))


@pytest.mark.long
@pytest.mark.parametrize(("accumulate", "interval"), [(1, 4), (4, 6)])
@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_evaluations_in_the_midst_of_an_epoch_are_neither_lost_nor_made_twice(
    step: int, accumulate: int, interval: int, whole: Any, tmp_path: Path
) -> None:
    straight = whole(*ACCUMULATION[accumulate], f"trainer.val_check_interval={interval}")
    again = cut(straight, tmp_path / "run", step)
    resume(again)
    assert left_by(again) == left_by(straight)


def test_an_end_asked_for_in_the_midst_of_a_step_waits_for_the_steps_end(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluations count micro-batches: this one falls between the second and the third of step 2."""
    overrides = (*ACCUMULATION[4], "trainer.val_check_interval=6", "trainer.max_steps=4")
    straight, again = tmp_path / "straight", tmp_path / "again"
    experiment.train(configured(corpus, straight, *overrides))
    began = RelationalModule.on_validation_epoch_start

    def ask(module: RelationalModule) -> None:
        began(module)
        if module.trainer.state.fn == "fit" and module.global_step == 1:
            monkeypatch.setattr(RelationalModule, "on_validation_epoch_start", began)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(RelationalModule, "on_validation_epoch_start", ask)
    with pytest.raises(Interrupted, match="after step 2"):
        experiment.train(configured(corpus, again, *overrides))
    assert [path.name for path in checkpoint.committed(again / "checkpoints")][0] == "step-2"
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
    """The comparison can fail: without the random state, dropout differs."""
    straight = whole(*ACCUMULATION[1])
    again = cut(straight, tmp_path / "run", 18)
    monkeypatch.setattr("rct_lightning.callbacks.checkpointing.set_random_state", lambda state: None)
    resume(again)
    assert left_by(again)["adapter_model.safetensors"] != left_by(straight)["adapter_model.safetensors"]


def test_a_machine_with_fewer_devices_takes_the_states_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[int, int] = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: [])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: given.update({device: int(state)}))
    set_random_state(random_state() | {"cuda": [torch.tensor(7), torch.tensor(8)]})
    assert given == {0: 7}


def test_of_a_damaged_checkpoint_the_one_before_is_used(
    whole: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = whole(*ACCUMULATION[1])
    again = cut(straight, tmp_path / "run", 18)
    for step in (17, 18):
        tensors = again / "checkpoints" / f"step-{step}" / checkpoint.TENSORS
        whole_file = tensors.read_bytes()
        tensors.write_bytes(whole_file[:-1] + bytes([whole_file[-1] ^ 1]))
    kept: list[list[str]] = []
    save = Checkpointing.save

    def saved(self: Checkpointing, trainer: Any) -> None:
        save(self, trainer)
        kept.append([path.name for path in checkpoint.committed(again / "checkpoints")])

    monkeypatch.setattr(Checkpointing, "save", saved)
    resume(again)
    assert kept[0][:2] == ["step-17", "step-16"], "damaged ones are none of those that are kept"
    said = capsys.readouterr()
    assert "step-17: tensors.safetensors is not what was written" in said.err and "step-16" in said.out
    assert left_by(again) == left_by(straight)


@pytest.mark.parametrize("place", [Events, RelationalModule])
def test_a_signal_behind_the_last_step_ends_a_run(
    place: type, whole: Any, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning calls the callbacks at the end of training, this one last, and then the module."""
    straight, run = whole(*ACCUMULATION[1]), tmp_path / "run"
    before = {number: signal.getsignal(number) for number in SIGNALS}
    monkeypatch.setattr(place, "on_train_end", lambda *given: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted, match=f"SIGTERM after step {STEPS}. Go on with python train.py") as ended:
        experiment.train(configured(corpus, run, *ACCUMULATION[1]))
    assert ended.value.exit_code == 128 + signal.SIGTERM and RunDir(run).read_status()["state"] == "interrupted"
    assert {number: signal.getsignal(number) for number in SIGNALS} == before
    monkeypatch.undo()
    resume(run)
    assert left_by(run) == left_by(straight)


def test_signals_mean_behind_a_run_what_they_meant_before_it(corpus: Corpus, tmp_path: Path) -> None:
    """Lightning's own handler of SIGTERM, restored when its trainer is gone, would swallow it between two jobs."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    experiment.train(configured(corpus, tmp_path / "run", *ACCUMULATION[1], "trainer.max_steps=1"))
    assert {number: signal.getsignal(number) for number in SIGNALS} == before


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
    noted.write_text(noted.read_text().replace('"data.train_file": "', '"data.train_file": "0'))
    with pytest.raises(UserError, match=r"what data\.train_file names changed since this run began"):
        resume(changed)
    assert not (changed / "adapter").exists()
    unknown = cut(straight, tmp_path / "unknown", 13)
    RunDir(unknown).environment.write_text("{}")
    with pytest.raises(UserError, match=r"environment\.json: cannot be read"):
        resume(unknown)


def test_a_run_that_a_process_trains_is_not_resumed(whole: Any, tmp_path: Path, forker: Forker) -> None:
    live = RunDir(cut(whole(*ACCUMULATION[1]), tmp_path / "run", 13))
    sizes = live.sizes()
    with identity.alone_in(live.root):
        code, _, said = forker.type_in(tmp_path, "train.py", f"resume={live.root}")
    assert code == 2 and "another process is training this run" in " ".join(said.split())
    live.write_json(live.status, {"state": "running", "step": 13} | identity.own_identity())
    with pytest.raises(UserError, match=rf"a process \({os.getpid()}\) is training this run"):
        resume(live.root)
    assert live.sizes() == sizes


def test_of_two_runs_in_one_folder_one_is_refused(corpus: Corpus, tmp_path: Path, forker: Forker) -> None:
    """As two that are started in the same second; neither has written anything when the other looks."""
    run = RunDir(tmp_path / "logs" / "run")
    line = ["train.py", *arguments(corpus, *ACCUMULATION[1], "trainer.max_steps=1"), f"hydra.run.dir={run.root}"]
    begun = [forker.begin(tmp_path, *line) for _ in range(2)]
    ended = sorted(forker.end(process, tmp_path) for process in begun)
    assert [code for code, _, _ in ended] == [0, 2], ended
    assert "another process has begun a run in this folder. Start it again" in " ".join(ended[1][2].split())
    assert run.read_status()["state"] == "finished"
    assert [event["event"] for event in run.read_events()].count("start") == 1


BRIEFLY = "trainer.max_time=00:00:00:01"


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make twenty steps take at least four seconds."""
    evaluate = RelationalLoss.__call__
    monkeypatch.setattr(RelationalLoss, "__call__", lambda *given: [time.sleep(0.2), evaluate(*given)][1])


def test_a_run_whose_time_is_over_ends_well_and_goes_on(
    whole: Any, corpus: Corpus, tmp_path: Path, slowly: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, run = whole(*ACCUMULATION[1]), tmp_path / "my run"
    with pytest.raises(Interrupted, match=r"max_time was over after step \d+. Go on with python train.py") as ended:
        config = configured(corpus, tmp_path / "run", *ACCUMULATION[1], BRIEFLY)
        experiment.train(config.model_copy(update={"run_dir": str(run)}))
    assert shlex.split(str(ended.value))[-1] == f'resume="{run}"', "as Hydra reads it"
    assert ended.value.exit_code == 0 and RunDir(run).read_status()["state"] == "interrupted"
    monkeypatch.undo()  # the rest may be quick
    resume(run)
    assert left_by(run) == left_by(straight)


def test_who_cannot_go_on_is_not_promised_it(
    corpus: Corpus, tmp_path: Path, slowly: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full from the first checkpoint on: there is nothing to resume from."""
    monkeypatch.setenv(checkpoint.FAULT, "full:state")
    with pytest.raises(Interrupted, match=r"after step \d+. There is no checkpoint"):
        experiment.train(configured(corpus, tmp_path / "run", *ACCUMULATION[1], BRIEFLY))


def test_what_was_chosen_by_memory_is_not_chosen_again(
    whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recomputed activations are computed in other portions: equal, but not bit for bit."""
    straight = whole(*ACCUMULATION[1])
    again = cut(straight, tmp_path / "run", 15)
    for room in ("rct_lightning.backbone", "rct_lightning.backbone.quantization"):
        monkeypatch.setattr(f"{room}.free_memory", lambda device: 1)
    resume(again)
    assert left_by(again) == left_by(straight)


def test_a_resumed_run_keeps_no_other_settings(tmp_path: Path) -> None:
    line = [sys.executable, str(ROOT / "train.py"), "resume=latest", "loss.lambda=1"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2 and "loss.lambda=1: resume goes on with the configuration" in " ".join(
        done.stderr.split()
    )
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


# --- real processes, really killed ----------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["moved", *(pytest.param(p, marks=pytest.mark.long) for p in SAVING if p != "moved")])
def test_a_run_killed_while_it_saves_goes_on_as_if_it_had_not_been(
    place: str, whole: Any, tmp_path: Path, forker: Forker
) -> None:
    """Nothing can be resumed from the very first checkpoint; so this run resumes, and is killed at the next one."""
    straight = whole(*ACCUMULATION[1])
    again = cut(straight, tmp_path / "run", 16)
    fault = f"import os; os.environ[{checkpoint.FAULT!r}] = 'kill:{place}'"
    code, _, err = forker.type_in(tmp_path, "train.py", f"resume={again}", before=fault)
    assert code == -signal.SIGKILL, err
    assert not (again / "adapter").exists()
    resume(again)
    assert left_by(again) == left_by(straight)


SIGTERM_IN = """
import os
from {module} import {name} as Hit

usual = Hit.{hook}

def hit(self, *given):
    if {when}:
        os.kill(os.getpid(), 15)
    return usual(self, *given)

Hit.{hook} = hit
"""
IN_THE_FIRST_EVALUATION = SIGTERM_IN.format(
    module="rct_lightning.module", name="RelationalModule", hook="on_validation_epoch_start",
    when='self.trainer.state.fn == "validate"',
)  # fmt: skip
BEFORE_THE_FIRST_STEP = SIGTERM_IN.format(
    module="rct_lightning.callbacks", name="GenerationSampling", hook="on_train_start", when="True"
)


@pytest.mark.parametrize(
    ("before", "expected", "step"),
    [(IN_THE_FIRST_EVALUATION, -signal.SIGTERM, 0), (BEFORE_THE_FIRST_STEP, 128 + signal.SIGTERM, 1)],
    ids=["the first evaluation", "before the first step"],
)
def test_sigterm_before_training_ends_a_run(
    before: str, expected: int, step: int, corpus: Corpus, tmp_path: Path, forker: Forker
) -> None:
    """Lightning would end it with exit code 0, or not at all in an evaluation of one batch."""
    run = RunDir(tmp_path / "run")
    line = ["train.py", *arguments(corpus, *ACCUMULATION[1], "trainer.max_steps=3"), f"hydra.run.dir={run.root}"]
    code, _, said = forker.type_in(tmp_path, *line, before=before)
    assert code == expected, said
    assert run.read_status()["step"] == step and not run.adapter.exists()


SLOW_FROM_STEP_2 = """
import time
from rct_lightning.losses import RelationalLoss

usual = RelationalLoss.__call__

def slow(self, model, batch, step):
    time.sleep(0.5 if step >= 2 else 0)
    return usual(self, model, batch, step)

RelationalLoss.__call__ = slow
"""
"""So that a signal sent after the first checkpoint comes before the last step, whatever else the machine does."""


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, *(pytest.param(n, marks=pytest.mark.long) for n in (signal.SIGINT, signal.SIGUSR1))],
    ids=lambda number: number.name,
)
def test_a_signal_ends_a_run_with_a_checkpoint(
    number: signal.Signals, whole: Any, corpus: Corpus, tmp_path: Path, forker: Forker
) -> None:
    straight, run = whole(*ACCUMULATION[1]), tmp_path / "run"
    line = ["train.py", *arguments(corpus, *ACCUMULATION[1]), f"hydra.run.dir={run}"]
    process = forker.begin(tmp_path, *line, before=SLOW_FROM_STEP_2)
    for _ in range(6000):
        if checkpoint.committed(run / "checkpoints"):
            break
        time.sleep(0.01)
    os.kill(process, number)
    code, _, said = forker.end(process, tmp_path)
    assert code == 128 + number, said
    assert number.name in said and "resume=" in said
    assert RunDir(run).read_status()["state"] == "interrupted"
    newest = int(checkpoint.committed(run / "checkpoints")[0].name.split("-")[1])
    assert RunDir(run).read_status()["step"] == newest < STEPS
    resume(run)
    assert left_by(run) == left_by(straight)
