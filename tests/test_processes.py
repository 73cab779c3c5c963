"""Several processes (gloo, on the CPU) equal one process on the same global batch, and resume as it does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from short_runs import ROOT, Corpus, arguments, configured

from rct_lightning import checkpoint, experiment, processes
from rct_lightning.data.sampler import LengthBucketedSampler
from rct_lightning.runs import RunDir

TWO = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "data.batch_size=2")
QUIET = ("model.lora.dropout=0", "trainer.accumulate_grad_batches=2")


def typed(where: Path, *words: str) -> subprocess.Popen[str]:
    line = [sys.executable, str(ROOT / "train.py"), *words]
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(line, cwd=where, env=quiet, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def trained(where: Path, corpus: Corpus, name: str, *overrides: str) -> RunDir:
    process = typed(where, *arguments(corpus, *TWO, *overrides), f"hydra.run.dir={where / name}")
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said
    assert said.count("Run directory:") == 1, "one process speaks for all"
    return RunDir(where / name)


def adapter(run: RunDir) -> dict[str, torch.Tensor]:
    return load_file(run.adapter / "adapter_model.safetensors")


def test_two_processes_are_one_on_the_same_global_batch(corpus: Corpus, tmp_path: Path) -> None:
    """Losses, gradients as measured, evaluations, own replies and adapters, including relational terms.

    Twelve steps in two epochs, the second of which is reshuffled.
    """
    alone = RunDir(tmp_path / "alone")
    one_process = ("data.batch_size=8", "model.lora.dropout=0", "trainer.limit_train_batches=6")
    experiment.train(configured(corpus, alone.root, *one_process))
    both = trained(tmp_path, corpus, "both", *QUIET, "trainer.limit_train_batches=12")
    rows = [run.read_loss_components() for run in (alone, both)]
    assert len(rows[0]) == len(rows[1]) > 5
    for one, two in zip(*rows, strict=True):
        assert one.keys() == two.keys() and one["phase"] == two["phase"]
        for name in set(one) - {"phase"}:
            assert two[name] == pytest.approx(one[name], abs=1e-5, rel=1e-5), (name, one["step"])
    for name, tensor in adapter(alone).items():
        torch.testing.assert_close(adapter(both)[name], tensor, atol=1e-5, rtol=1e-4)
    measured = [
        [{k: v for k, v in event.items() if k.startswith("grad/")} for event in run.read_events()]
        for run in (alone, both)
    ]
    for one_measured, two_measured in zip(*measured, strict=True):
        assert two_measured == pytest.approx(one_measured, abs=1e-4, rel=1e-4)
    assert alone.generation_samples.read_text() == both.generation_samples.read_text()


@pytest.mark.long
def test_two_processes_that_were_ended_go_on_bit_for_bit(corpus: Corpus, tmp_path: Path) -> None:
    straight = trained(tmp_path, corpus, "straight", "trainer.accumulate_grad_batches=2")
    run = RunDir(tmp_path / "ended")
    process = typed(
        tmp_path, *arguments(corpus, *TWO, "trainer.accumulate_grad_batches=2"), f"hydra.run.dir={run.root}"
    )
    for _ in range(10_000):
        if checkpoint.committed(run.checkpoints):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 128 + signal.SIGTERM and "Go on with" in said, said
    again = typed(tmp_path, f"resume={run.root}")
    assert again.wait(timeout=300) == 0
    for name, tensor in adapter(straight).items():
        assert torch.equal(adapter(run)[name], tensor), name


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(("batch_size", "accumulate"), [(1, 1), (4, 2), (3, 1)])
def test_every_row_is_seen_once_and_all_are_in_the_same_step(count: int, batch_size: int, accumulate: int) -> None:
    for rows in range(count, 40):
        lengths = np.arange(rows) % 7 + 3
        samplers = [
            LengthBucketedSampler(lengths, batch_size, accumulate, seed=1, processes=count, rank=rank)
            for rank in range(count)
        ]
        shares = [list(sampler) for sampler in samplers]
        assert {len(share) for share in shares} == {len(sampler) for sampler in samplers} == {len(shares[0])}
        assert sorted(i for share in shares for request in share for i in request.indices) == list(range(rows))
        for together in zip(*shares, strict=True):
            assert all(request.indices for request in together)
            assert len({request.step_indices for request in together}) == 1


def test_fewer_rows_than_processes_are_refused() -> None:
    with pytest.raises(ValueError, match="1 rows are too few for 2 processes"):
        LengthBucketedSampler(np.array([3]), 1, processes=2)


@pytest.mark.parametrize(
    ("told", "number"),
    [
        ({}, 0),
        ({"RANK": "5", "LOCAL_RANK": "1", "SLURM_PROCID": "1"}, 5),  # torchrun, one per machine by srun
        ({"SLURM_PROCID": "6"}, 6),
        ({"LOCAL_RANK": "3", "SLURM_PROCID": "0"}, 3),  # Lightning's launcher within one task
        ({"NODE_RANK": "1"}, 4),  # Lightning's launcher on a second machine: the process that was typed there
        ({"NODE_RANK": "1", "LOCAL_RANK": "2"}, 6),
    ],
)
def test_each_process_has_a_number_of_its_own(
    told: dict[str, str], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By it they seed their dropout, which must differ between them."""
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert processes.number(on_each_machine=4) == number


def test_a_run_of_one_process_speaks_whatever_number_a_cluster_gives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Independent jobs that are started side by side are numbered, too."""
    monkeypatch.setenv("SLURM_PROCID", "1")
    assert processes.is_first(1) and not processes.is_first(2)
    monkeypatch.setenv("SLURM_PROCID", "0")
    assert processes.is_first(2)
