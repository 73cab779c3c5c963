"""Training against its peers: same model, rows, order, LoRA targets and steps; useful tokens a second, and memory.

    pip install -e ".[bench]"
    python tests/benchmarks/training.py                              # rows as long as a real corpus's, 9.3M parameters
    python tests/benchmarks/training.py --corpus bundled --model nano

The peers take turns, so that what else happens on the machine hits all of them. Before anything is timed the LM loss of
the first step has to be the same as TRL's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from corpora import write_corpus
from peers import PEERS, ROOT, Measured, steps_of

OURS, THEIRS = "rct_lightning, LM loss", "TRL, replies only"


def make_model(name: str, folder: Path) -> Path:
    """``nano``, or a GPT-NeoX of 9.3 million random parameters with nano's tokenizer."""
    nano = ROOT / "data" / "nano"
    if name == "nano":
        return nano
    import torch
    from transformers import AutoTokenizer, GPTNeoXConfig, GPTNeoXForCausalLM

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(nano)
    shape = GPTNeoXConfig(
        vocab_size=8192, hidden_size=256, num_hidden_layers=6, num_attention_heads=4, intermediate_size=1024,
        max_position_embeddings=1024, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    GPTNeoXForCausalLM(shape).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder / "model"


def prepare(folder: Path, model: str, corpus: str, steps: int) -> None:
    """Model, corpus, and the rows that every peer learns from, in their order."""
    from transformers import AutoTokenizer

    path = make_model(model, folder)
    train, held = write_corpus(corpus, folder, AutoTokenizer.from_pretrained(path))
    setting = {"model": str(path), "train": str(train), "eval": str(held), "steps": steps}
    (folder / "setting.json").write_text(json.dumps(setting))
    rows = [{"input_ids": ids, "labels": labels} for step in steps_of(folder) for ids, labels in step]
    (folder / "rows.json").write_text(json.dumps(rows))


def measure(peer: str, folder: Path) -> Measured:
    """One run of a peer, in a process of its own."""
    script = str(Path(__file__).parent / "peers.py")
    done = subprocess.run([sys.executable, script, peer, str(folder)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{peer} failed:\n{done.stderr[-3000:]}")
    return Measured(**json.loads(done.stdout.strip().splitlines()[-1]))


def table(found: dict[str, list[Measured]]) -> str:
    """Markdown: medians, and ratios to our LM run of the same round."""
    lines = ["| | s/step | useful tokens/s | ours is faster by | peak MiB |", "|---|---|---|---|---|"]
    for peer, runs in found.items():
        step = statistics.median(run.seconds / run.steps for run in runs)
        speed = statistics.median(run.tokens_per_second for run in runs)
        rounds = zip(found[OURS], runs, strict=True)
        ratios = sorted(ours.tokens_per_second / theirs.tokens_per_second for ours, theirs in rounds)
        peak = statistics.median(run.peak_mib for run in runs)
        ratio = f"{statistics.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]"
        lines.append(f"| {peer} | {step:.3f} | {speed:.0f} | {ratio} | {peak:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", choices=["reference", "bundled"], default="reference")
    parser.add_argument("--model", choices=["9.3M", "nano"], default="9.3M")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="*", default=list(PEERS))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, chosen.model, chosen.corpus, chosen.steps)
        found: dict[str, list[Measured]] = {peer: [] for peer in chosen.peers}
        for number in range(chosen.rounds):
            for peer in chosen.peers:
                found[peer].append(measure(peer, folder))
                latest = found[peer][-1]
                print(
                    f"round {number + 1}, {peer}: {latest.tokens_per_second:.0f} tokens/s", file=sys.stderr, flush=True
                )
            if number == 0 and {OURS, THEIRS} <= set(found):
                a, b = (found[peer][0].first_loss for peer in (OURS, THEIRS))
                if abs(a - b) > 1e-4 * max(1.0, b):
                    raise SystemExit(f"not the same loss: {OURS} {a:.5f}, {THEIRS} {b:.5f}; nothing to compare")
        print(table(found))


if __name__ == "__main__":
    main()
