"""Kills a training process at random moments, goes on, kills it again, and compares what is left.

python tests/kills.py --kills 200        (some seconds a kill; --nf4 for four bits, --short for runs of eight steps)

Each training run is a process of its own, forked from this one so that nothing is imported anew, and killed by SIGKILL.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # threads do not survive a fork
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from hydra import compose, initialize_config_dir
from short_runs import ACCUMULATION, ROOT, Corpus, configured, make_base, make_corpus

from rct_lightning import checkpoint, experiment
from rct_lightning.backbone import load_tokenizer, nf4_problem
from rct_lightning.config import validate
from rct_lightning.runs import RunDir

NF4 = ("model.quantization=nf4", "model.dequantize=never")


def in_a_process(work: Callable[[], object], log: Path) -> int:
    """Run a function in a forked process; return its number."""
    child = os.fork()
    if child:
        return child
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        work()
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(1)
    os._exit(0)


def killed_after(child: int, seconds: float) -> bool:
    """Wait and kill the process; return whether it was still running."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return _ended_well(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    return os.WIFSIGNALED(status) or _ended_well(status)


def _ended_well(status: int) -> bool:
    if status != 0:
        raise SystemExit(f"a training process failed by itself (status {status})")
    return False


def begin_or_go_on(corpus: Corpus, run: Path, settings: tuple[str, ...]) -> None:
    """Resume a run; one that has no checkpoint yet starts over."""
    if checkpoint.committed(run / "checkpoints"):
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            experiment.train(validate(compose("train", [f"resume={run}", "run_dir=unused"])))
    else:
        shutil.rmtree(run, ignore_errors=True)
        experiment.train(configured(corpus, run, *settings))


def is_finished(run: Path) -> bool:
    """Return whether a run says that it is finished."""
    return RunDir(run).read_status().get("state") == "finished"


def sum_of(run: Path) -> str:
    """Return the SHA-256 of the adapter and of every growing file except for times."""
    files = RunDir(run)
    kept = [files.adapter / "adapter_model.safetensors", files.loss_components, files.generation_samples]
    return hashlib.sha256(b"".join(path.read_bytes() for path in [*kept, files.eval_sanity])).hexdigest()


def survive(corpus: Corpus, folder: Path, kills: int, seed: int, overrides: tuple[str, ...]) -> tuple[int, list[str]]:
    """Kill runs that many times; return the number of runs that finished in between, and what was wrong with them.

    A run is killed up to five times before it may finish. One killed before its first checkpoint starts over.
    """
    settings = (*ACCUMULATION[1], "callbacks.checkpointing.keep_last=2", *overrides)
    straight, log = folder / "straight", folder / "log.txt"
    begun = time.monotonic()
    _ended_well(os.waitpid(in_a_process(partial(begin_or_go_on, corpus, straight, settings), log), 0)[1])
    length, wanted, draw = time.monotonic() - begun, sum_of(straight), random.Random(seed)
    done, ended, wrong = 0, 0, []
    while done < kills:
        run = folder / f"run-{ended}"
        work = partial(begin_or_go_on, corpus, run, settings)
        for _ in range(draw.randint(1, 5)):
            if not killed_after(in_a_process(work, log), draw.uniform(0.0, 0.8 * length)):
                break
            done += 1
            if is_finished(run):  # it was killed between its last line and its exit: a finished run is not resumed
                break
        if not is_finished(run):
            _ended_well(os.waitpid(in_a_process(work, log), 0)[1])
        left = [path.name for path in (run / "checkpoints").iterdir() if path.name.startswith(".")]
        if sum_of(run) != wanted or left:
            wrong.append(f"{run.name} {left}")
        ended += 1
        shutil.rmtree(run)
    return ended, wrong


def main() -> None:
    """Print the number of kills and runs, and which runs ended differently; exit code 1 if any did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--nf4", action="store_true")
    parser.add_argument("--short", action="store_true")
    given = parser.parse_args()
    overrides = (*(NF4 if given.nf4 else ()), *(("trainer.limit_train_batches=4",) if given.short else ()))
    torch.set_num_threads(1)
    nf4_problem("cpu")  # imports bitsandbytes, if it is installed
    with tempfile.TemporaryDirectory() as folder:
        base = make_base(Path(folder) / "base", load_tokenizer(str(ROOT / "data" / "nano")))
        corpus = make_corpus(Path(folder), base)
        ended, wrong = 0, ["a process failed"]
        try:
            ended, wrong = survive(corpus, Path(folder), given.kills, given.seed, overrides)
        finally:
            if wrong:
                print((Path(folder) / "log.txt").read_text(encoding="utf-8")[-2000:])
    print(f"{given.kills} kills, {ended} runs came to their end, {len(wrong)} of them otherwise than without: {wrong}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
