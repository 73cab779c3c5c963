"""Waiting times: the first answer of the command line, the first step, and generated replies.

python tests/benchmarks/waiting.py
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROUNDS = 5
COMMANDS = {
    "python train.py --help": [sys.executable, "train.py", "--help"],
    "a wrong key": [sys.executable, "train.py", "loss.lamda=1"],
    "hydra alone, --help": [sys.executable, "-c", "\n".join((
        "import hydra, sys",
        "sys.argv = ['x', '--help']",
        "hydra.main(version_base='1.3', config_path=None)(lambda cfg: None)()",
    ))],
    "rct --help": [sys.executable, "-c", "from rct_lightning.cli import app; app(['--help'])"],
    "rct doctor --quick": [sys.executable, "-c", "from rct_lightning.cli import app; app(['doctor', '--quick'])"],
}  # fmt: skip
BARE = """
import lightning, peft, bitsandbytes, torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
AutoTokenizer.from_pretrained("data/nano")
quantised = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
AutoModelForCausalLM.from_pretrained("data/nano", quantization_config=quantised)
"""
"""The unavoidable minimum: the libraries and the model."""


def seconds(command: list[str]) -> float:
    """Time one process."""
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, capture_output=True)
    return time.perf_counter() - start


def first_step(folder: Path) -> float:
    """Return the seconds from the command to the end of the first step, with one batch of the base's evaluation."""
    quiet = ["check=false", "logger=none", "trainer=cpu", "trainer.max_steps=1", "trainer.limit_val_batches=1",
             "~callbacks.generation_sampling", "~callbacks.baseline_comparison", "~callbacks.eval_sanity",
             "~callbacks.health", "trainer.enable_progress_bar=false", "trainer.log_every_n_steps=1"]  # fmt: skip
    start = time.time()
    subprocess.run([sys.executable, "train.py", *quiet, f"hydra.run.dir={folder}"], cwd=ROOT, capture_output=True)
    events = map(json.loads, (folder / "events.jsonl").read_text(encoding="utf-8").splitlines())
    return next(event["time"] for event in events if event["event"] == "step") - start


def replies() -> tuple[float, float]:
    """Seconds for 32 greedy replies in one batch, and one by one."""
    import torch

    from rct_lightning.backbone import load_backbone, load_tokenizer
    from rct_lightning.dialogue import read_jsonl
    from rct_lightning.generation import generate
    from rct_lightning.template import DialogueTemplate

    name = str(ROOT / "data" / "nano")
    tokenizer = load_tokenizer(name)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = load_backbone(name, tokenizer, device="cpu", quantization="none").model
    asked = [(row.context, row.input) for row in read_jsonl(ROOT / "data" / "relational" / "eval.jsonl")[:32]]
    taken = []
    for size in (32, 1):
        start = time.perf_counter()
        generate(model, tokenizer, DialogueTemplate(), asked, batch_size=size)
        taken.append(time.perf_counter() - start)
    return taken[0], taken[1]


def main() -> None:
    """Measure and print medians."""
    print("| | s, median of 5 |\n|---|---|")
    for name, command in COMMANDS.items():
        print(f"| {name} | {statistics.median(seconds(command) for _ in range(ROUNDS)):.2f} |", flush=True)
    rounds = []
    for number in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append((seconds([sys.executable, "-c", BARE]), first_step(Path(folder) / str(number))))
    bare, step = (statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(theirs / ours for ours, theirs in rounds)
    print(f"| libraries and model alone | {bare:.2f} |\n| start to the end of a first step | {step:.2f} |")
    print(f"\nfirst step over libraries and model: {ratio:.2f}")
    together = [replies() for _ in range(ROUNDS)]
    gain = statistics.median(single / batched for batched, single in together)
    print(f"32 replies in one batch against one by one: {gain:.1f} times as fast")


if __name__ == "__main__":
    main()
