"""A restarted multirun makes what is missing, with the same result as an uninterrupted one."""

import hashlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from forked import Forker
from short_runs import ACCUMULATION, Corpus, arguments

from rct_lightning.errors import Interrupted, UserError
from rct_lightning.identity import own_identity
from rct_lightning.jobs import recorded
from rct_lightning.runs import RunDir

QUICK = "trainer.max_epochs=1 trainer.limit_train_batches=4 callbacks.checkpointing.every_n_steps=1".split()
NOT_IN_A_STUDY = ("seed=", "callbacks.baseline_comparison", "callbacks.eval_sanity", "callbacks.health")
ARMS = ("lm_only", "positives_only", "rct")
NAMES = sorted(f"{arm}_seed-{seed}" for seed in (1, 2) for arm in ARMS if seed == 1 or arm == "rct")


def study_line(
    corpus: Corpus, folder: Path, *overrides: str, arms: str = ",".join(ARMS), seeds: str = "1"
) -> list[str]:
    """Return the command of a study, four steps per run."""
    own = [given for given in arguments(corpus, *ACCUMULATION[1]) if not given.startswith(NOT_IN_A_STUDY)]
    chosen = ["-m", "experiment=study", f"arm={arms}", f"seed={seeds}", f"hydra.sweep.dir={folder}"]
    return ["train.py", *chosen, *own, *QUICK, *overrides]


def adapters(study: Path) -> dict[str, str]:
    """Return the SHA-256 of each run's adapter."""
    found = sorted(study.glob("*/adapter/adapter_model.safetensors"))
    return {path.parts[-3]: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def paragraph(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def whole(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory, forker: Forker) -> Path:
    """An uninterrupted study."""
    study = tmp_path_factory.mktemp("whole") / "study"
    for given in ({}, {"arms": "rct", "seeds": "2"}):
        code, _, err = forker.type_in(study.parent, *study_line(corpus, study, **given))
        assert code == 0, err
    return study


def test_a_study_makes_a_run_for_each_arm_and_seed(whole: Path) -> None:
    assert sorted(path.name for path in whole.iterdir() if path.is_dir()) == NAMES
    assert len(set(adapters(whole).values())) == len(NAMES)
    for name in NAMES:
        run = RunDir(whole / name)
        assert f"arm: {name.split('_seed')[0]}\n" in run.config.read_text()
        status = run.read_status()
        assert status["state"] == "finished" and status["objective"] > 0


def test_started_again_it_does_nothing(whole: Path, corpus: Corpus, forker: Forker) -> None:
    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in whole.glob("*/**/*") if path.is_file()}

    before = times()
    code, out, err = forker.type_in(whole.parent, *study_line(corpus, whole))
    assert code == 0, err
    assert out.count("finished before") == len(ARMS) and times() == before


@pytest.mark.long
def test_killed_again_and_again_it_ends_with_the_same_adapters(
    whole: Path, corpus: Corpus, tmp_path: Path, forker: Forker
) -> None:
    """SIGKILL of the process group: before a run's first checkpoint, after it, and in a later run."""
    study = tmp_path / "study"
    line = study_line(corpus, study)

    def killed_when(ready: Callable[[], bool]) -> None:
        number = forker.begin(tmp_path, *line)
        end = time.monotonic() + 120
        while not ready() and time.monotonic() < end:
            time.sleep(0.002)
        os.killpg(number, signal.SIGKILL)
        assert forker.end(number, tmp_path)[0] == -signal.SIGKILL, "it had ended before"

    def reached(arm: str, step: int) -> bool:
        return (study / f"{arm}_seed-1" / "checkpoints" / f"step-{step}").exists()

    killed_when(lambda: (study / "lm_only_seed-1" / "status.json").exists())
    assert not reached("lm_only", 1)
    killed_when(lambda: reached("lm_only", 2))
    assert not adapters(study)
    killed_when(lambda: reached("positives_only", 2))  # so that the run before is complete
    assert list(adapters(study)) == ["lm_only_seed-1"]
    code, out, err = forker.type_in(tmp_path, *line)
    assert code == 0, err
    assert out.count("finished before") == 1 and "resumed behind step" in out
    assert adapters(study) == {name: found for name, found in adapters(whole).items() if name.endswith("-1")}


BROKEN = """
from rct_lightning.losses import PositivesLoss, RelationalLoss

def broken(self, model, batch, step):
    if step == 2:
        raise FloatingPointError("not a number\\x1b[31m")
    return RelationalLoss.__call__(self, model, batch, step)

PositivesLoss.__call__ = broken
"""


def test_a_job_that_breaks_does_not_end_the_others(whole: Path, corpus: Corpus, tmp_path: Path, forker: Forker) -> None:
    """It is reported at the end, the exit code is 1, and a restart resumes it from its checkpoint."""
    study = tmp_path / "study"
    line = study_line(corpus, study)
    code, out, err = forker.type_in(tmp_path, *line, before=BROKEN)
    assert code == 1, err
    assert sorted(adapters(study)) == ["lm_only_seed-1", "rct_seed-1"]
    assert RunDir(study / "positives_only_seed-1").read_status()["error"].startswith("FloatingPointError")
    assert f"2 of 3 jobs in {study} are finished" in out and "\x1b" not in out
    assert "positives_only_seed-1  failed: FloatingPointError: not a number" in out
    assert err.count("Traceback (most recent call last)") == 1, "that of the job, once"
    code, out, err = forker.type_in(tmp_path, *line)
    assert code == 0, err
    assert "resumed behind step 2" in out and out.count("finished before") == 2
    assert adapters(study) == {name: found for name, found in adapters(whole).items() if name.endswith("-1")}


def test_a_folder_of_other_settings_is_refused_and_left_alone(whole: Path, corpus: Corpus, forker: Forker) -> None:
    status = RunDir(whole / "rct_seed-1").status.read_bytes()
    line = study_line(corpus, whole, "optimizer.lr=1e-3", arms="rct")
    code, _, err = forker.type_in(whole.parent, *line)
    assert code == 2 and "a run of other settings stands here (optimizer.lr=0.0002 there" in paragraph(err)
    assert RunDir(whole / "rct_seed-1").status.read_bytes() == status


def test_a_finished_run_whose_corpus_changed_is_refused(whole: Path, corpus: Corpus, forker: Forker) -> None:
    noted = RunDir(whole / "rct_seed-2").environment
    before = noted.read_text()
    noted.write_text(json.dumps(json.loads(before) | {"data": {}}))
    code, _, err = forker.type_in(whole.parent, *study_line(corpus, whole, arms="rct", seeds="2"))
    noted.write_text(before)
    assert code == 2 and "names changed since this run began" in paragraph(err)


def test_two_processes_do_not_train_one_run(corpus: Corpus, tmp_path: Path, forker: Forker) -> None:
    import fcntl

    taken = tmp_path / "study" / "rct_seed-1"
    taken.mkdir(parents=True)
    handle = os.open(taken, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    code, out, _ = forker.type_in(tmp_path, *study_line(corpus, tmp_path / "study", arms="rct"))
    os.close(handle)
    assert code == 0 and "another process trains this run" in out
    assert not adapters(tmp_path / "study")


def test_a_run_that_a_process_trains_is_left_alone(whole: Path, corpus: Corpus, tmp_path: Path, forker: Forker) -> None:
    """It holds no lock, as where a file system has none, and has no checkpoint yet."""
    live = RunDir(tmp_path / "study" / "rct_seed-1")
    shutil.copytree(whole / live.root.name, live.root)
    shutil.rmtree(live.checkpoints)
    live.write_json(live.status, {"state": "running", "step": 0} | own_identity())
    before = sorted(live.root.rglob("*"))
    code, _, err = forker.type_in(tmp_path, *study_line(corpus, tmp_path / "study", arms="rct"))
    assert code == 2 and f"a process ({os.getpid()}) is training this run" in paragraph(err)
    assert sorted(live.root.rglob("*")) == before and live.read_status()["state"] == "running"


def test_a_job_that_is_refused_is_named_and_leaves_nothing(corpus: Corpus, tmp_path: Path, forker: Forker) -> None:
    line = study_line(corpus, tmp_path / "study", "data.max_seq_length=16", arms="rct")
    code, out, err = forker.type_in(tmp_path, *line)
    assert code == 2 and "data.max_seq_length=16" in err and "rct_seed-1  refused: data.max_seq_length=16" in out
    assert not (tmp_path / "study" / "rct_seed-1").exists()


@pytest.mark.parametrize(
    ("exit_code", "on_a_cluster", "expected"),
    [(0, False, UserError), (138, True, UserError), (143, False, Interrupted)],
    ids=["its time is over", "a cluster ends the job", "a signal to the multirun"],
)
def test_what_ends_a_job_alone_does_not_end_the_others(
    exit_code: int, on_a_cluster: bool, expected: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rct_lightning.jobs.in_multirun", lambda: True)
    if on_a_cluster:
        monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")

    @recorded
    def task(cfg: Any) -> None:
        raise Interrupted("SIGUSR1", 7, "Go on with python train.py.", exit_code)

    run = RunDir(tmp_path)
    run.write_json(run.status, {"state": "interrupted", "step": 7})
    with pytest.raises(expected, match="SIGUSR1 after step 7"):
        task(SimpleNamespace(run_dir=str(tmp_path)))
    assert ("error" in run.read_status()) == (expected is UserError)
    assert run.read_status()["state"] == "interrupted"


def test_only_what_a_run_wrote_is_cleared(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    kept = tmp_path / "notes.txt"
    for path in (kept, run.config, run.events, run.adapter / "adapter_config.json", run.checkpoints / "step-1" / "x"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    run.clear()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]
