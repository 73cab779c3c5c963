"""Training against its peers: same model, rows, order, LoRA targets and steps; useful tokens a second, and memory.

    pip install -e ".[bench]"
    python tests/benchmarks/training.py                              # rows as long as a real corpus's, 9.3M parameters
    python tests/benchmarks/training.py --corpus bundled --model nano
    python tests/benchmarks/training.py --model 2.8B --accelerator gpu       # Pythia-2.8B's shape, random weights, bf16

The peers take turns, each time in a process of its own, so that what else happens on the machine hits all of them.
Before anything is timed the LM loss of the first step has to be the same as TRL's.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import peers
from corpora import write_corpus
from peers import PEERS, ROOT, Measured

OURS, THEIRS = "rct_lightning, LM loss", "TRL, replies only"
IMPORTED = [
    "transformers.models.gpt_neox.modeling_gpt_neox",
    "lightning",
    "torchmetrics",
    "hydra",
    "scipy.stats",
    "pandas",
]
"""Imported once by the process that all others are forked from; bitsandbytes is not, as it would initialise the GPU."""
START = "forkserver"
FOR_GPUS = ("NF4", "dequantised once", "cuDNN's attention")
SHAPES: dict[str, dict[str, Any]] = {
    "9.3M": {"vocab_size": 8192, "hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4},
    "2.8B": {"vocab_size": 50304, "hidden_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 32},
}


def in_a_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return a function's result, computed in a separate process."""
    context = multiprocessing.get_context(START)
    context.set_forkserver_preload(IMPORTED)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def make_model(name: str, folder: Path, accelerator: str) -> Path:
    """Save ``nano``, or a GPT-NeoX with random parameters and nano's tokenizer; in bfloat16 on a GPU."""
    nano = ROOT / "data" / "nano"
    if name == "nano":
        return nano
    import torch
    from transformers import AutoTokenizer, GPTNeoXConfig, GPTNeoXForCausalLM

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(nano)
    shape = GPTNeoXConfig(
        **SHAPES[name], intermediate_size=4 * SHAPES[name]["hidden_size"], max_position_embeddings=1024,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    with torch.device("cuda" if accelerator == "gpu" else "cpu"):
        model = GPTNeoXForCausalLM(shape)
    model.to(torch.bfloat16 if accelerator == "gpu" else torch.float32).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder / "model"


def prepare(folder: Path, model: str, corpus: str, steps: int, accelerator: str) -> None:
    """Write model, corpus, and the rows that every peer learns from, in order."""
    from transformers import AutoTokenizer

    path = make_model(model, folder, accelerator)
    train, held = write_corpus(corpus, folder, AutoTokenizer.from_pretrained(path))
    files = {"model": str(path), "train": str(train), "eval": str(held)}
    (folder / "setting.json").write_text(json.dumps(files | {"steps": steps, "accelerator": accelerator}))
    rows = [{"input_ids": ids, "labels": labels} for step in peers.steps_of(folder) for ids, labels in step]
    (folder / "rows.json").write_text(json.dumps(rows))


def measure(peer: str, folder: Path) -> Measured:
    """Run one peer once."""
    return Measured(**in_a_process(peers.train, peer, str(folder)))


def flop(run: Measured, shape: dict[str, Any]) -> float:
    """Return the FLOP of the model itself, without adapters and with only those logits that are learnt from.

    A frozen layer of N parameters costs 2N per token forward and 2N backward (no gradient of the weights); attention
    adds 2 products forward and 4 backward over the causal half of the square.
    """
    size, layers = shape["hidden_size"], shape["num_hidden_layers"]
    length = run.tokens / run.steps / peers.ROWS
    of_token = layers * (4 * 12 * size**2 + 6 * length * size)
    return of_token * run.tokens + 4 * shape["vocab_size"] * size * run.reply_tokens


def table(found: dict[str, list[Measured]], shape: dict[str, Any] | None, rate: float) -> str:
    """Return Markdown: medians, ratios to our LM run of the same round and, given a product rate, the share of it."""
    lines = ["| | s/step | useful tokens/s | ours is faster by | peak MiB |", "|---|---|---|---|---|"]
    if shape is not None and rate:
        lines = [
            "| | s/step | useful tokens/s | ours is faster by | peak MiB | utilisation |",
            "|---|---|---|---|---|---|",
        ]
    for peer, runs in found.items():
        step = statistics.median(run.seconds / run.steps for run in runs)
        speed = statistics.median(run.tokens_per_second for run in runs)
        rounds = zip(found[OURS], runs, strict=True)
        ratios = sorted(ours.tokens_per_second / theirs.tokens_per_second for ours, theirs in rounds)
        peak = statistics.median(run.peak_mib for run in runs)
        ratio = f"{statistics.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]"
        line = f"| {peer} | {step:.3f} | {speed:.0f} | {ratio} | {peak:.0f} |"
        if shape is not None and rate:
            line += f" {statistics.median(flop(run, shape) / run.seconds / rate for run in runs):.0%} |"
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", choices=["reference", "bundled"], default="reference")
    parser.add_argument("--model", choices=["nano", *SHAPES], default="9.3M")
    parser.add_argument("--accelerator", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="*", choices=list(PEERS), help="default: all that say something there")
    chosen = parser.parse_args()
    chosen.peers = chosen.peers or [
        peer for peer in PEERS if chosen.accelerator == "gpu" or not peer.endswith(FOR_GPUS)
    ]
    rate = in_a_process(peers.matmul_rate) if chosen.accelerator == "gpu" else 0.0
    if rate:
        print(f"a product of 8192 x 8192 in bfloat16: {rate / 1e12:.0f} TFLOP/s", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        in_a_process(prepare, folder, chosen.model, chosen.corpus, chosen.steps, chosen.accelerator)
        found: dict[str, list[Measured]] = {peer: [] for peer in chosen.peers}
        for number in range(chosen.rounds):
            for peer in chosen.peers:
                latest = measure(peer, folder)
                found[peer].append(latest)
                said = f"round {number + 1}, {peer}: {latest.tokens_per_second:.0f} tokens/s, {latest.peak_mib:.0f} MiB"
                print(said, file=sys.stderr, flush=True)
            if number == 0 and {OURS, THEIRS} <= set(found):
                a, b = (found[peer][0].first_loss for peer in (OURS, THEIRS))
                tolerance = 1e-4 if chosen.accelerator == "cpu" else 5e-3  # bfloat16 has 8 bits
                if abs(a - b) > tolerance * max(1.0, b):
                    raise SystemExit(f"not the same loss: {OURS} {a:.5f}, {THEIRS} {b:.5f}; nothing to compare")
        print(table(found, SHAPES.get(chosen.model), rate))


if __name__ == "__main__":
    main()
