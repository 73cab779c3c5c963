"""How cost grows: with the number of rows, with their length, and with each relational term.

    python tests/benchmarks/growth.py                  # nano's shape, rows of the bundled corpus's length
    python tests/benchmarks/growth.py --rows 80 800    # fewer of them, sooner

Each measurement is a process of its own. Rows are synthetic (corpora.py); the base is the bundled one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from corpora import synthetic_rows
from peers import ROOT, Measured, configuration, ours

NANO = ROOT / "data" / "nano"
PROMPT, REPLY = 70, 50
"""Tokens of a row, about as many as in the bundled corpus."""
TERMS = {
    "lm": ("loss=lm",),
    "presence": ("loss.weights.coherence=0", "loss.weights.continuity=0", "loss.counterfactual.rename_share=0"),
    "coherence": ("loss.weights.presence=0", "loss.weights.continuity=0", "loss.counterfactual.readdress_share=0"),
    "continuity": ("loss.weights.presence=0", "loss.weights.coherence=0"),
    "all": (),
}


def write(folder: Path, rows: int, prompt: int, reply: int, steps: int) -> None:
    """Write a corpus of rows of one length, and the settings that peers.py reads."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(NANO)
    for side, count, seed in (("train", rows, 0), ("eval", 16, 1)):
        made = synthetic_rows(tokenizer, [(prompt, reply)] * count, seed)
        (folder / f"{side}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made), encoding="utf-8")
    files = {side: str(folder / f"{side}.jsonl") for side in ("train", "eval")}
    (folder / "setting.json").write_text(
        json.dumps({"model": str(NANO), "steps": steps, "accelerator": "cpu", **files})
    )


def measure(folder: Path, *overrides: str) -> dict[str, float]:
    """Return seconds to prepare, useful tokens per second, and peak memory of one run."""
    command = [sys.executable, __file__, "--one", str(folder), *overrides]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def one(folder: Path, overrides: list[str]) -> None:
    """Run the measurement, in the measured process."""
    from rct_lightning import backbone
    from rct_lightning.experiment.parts import make_data

    config = configuration(folder, *overrides)
    tokenizer = backbone.load_tokenizer(config.model.name_or_path)
    start = time.perf_counter()
    make_data(config, tokenizer, "cpu")
    prepared = time.perf_counter() - start
    found: Measured = ours(*overrides)(folder)
    print(json.dumps({
        "prepare_s": prepared, "tokens_per_second": found.tokens_per_second, "peak_mib": found.peak_mib,
        "step_s": found.seconds / found.steps,
    }))  # fmt: skip


def show(what: str, values: dict[str, float]) -> None:
    """Print one line of a table, as soon as it is known."""
    print(f"| {what} | {values['prepare_s']:.2f} | {values['step_s']:.3f} | {values['tokens_per_second']:.0f} | "
          f"{values['peak_mib']:.0f} |", flush=True)  # fmt: skip


def main() -> None:
    """Measure and print three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=[80, 800, 8000, 80000])
    parser.add_argument("--lengths", type=int, nargs="*", default=[64, 128, 256, 512, 1024])
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--one", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        return one(Path(chosen.one[0]), chosen.one[1:])
    header = "| {} | s to read the corpus | s/step | useful tokens/s | peak MiB |\n|---|---|---|---|---|"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(header.format("rows"))
        for rows in chosen.rows:
            write(folder, rows, PROMPT, REPLY, min(chosen.steps, 10 * rows // 8))
            show(f"{rows:,}", measure(folder, "loss=lm"))
        print("\n" + header.format("tokens a row, half of them reply"))
        for length in chosen.lengths:
            write(folder, 400, length // 2, length // 2, chosen.steps)
            show(f"{length:,}", measure(folder, "loss=lm", f"data.max_seq_length={max(512, length)}"))
        print("\n" + header.format("terms with weight"))
        write(folder, 400, PROMPT, REPLY, chosen.steps)
        for term, overrides in TERMS.items():
            show(term, measure(folder, *overrides))


if __name__ == "__main__":
    main()
