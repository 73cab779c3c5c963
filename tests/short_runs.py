"""Runs of twenty steps on a base of two random layers, for tests of whole runs."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from rct_lightning import checkpoint
from rct_lightning.config import Config, validate

ROOT = Path(__file__).parents[1]
SETTINGS = (
    "model=local data=jsonl trainer=cpu check=false trainer.max_epochs=2 trainer.check_val_every_n_epoch=1 "
    "trainer.enable_progress_bar=false trainer.log_every_n_steps=3 diagnostics_every_n_steps=4 "
    "callbacks.generation_sampling.every_n_steps=7 callbacks.generation_sampling.max_new_tokens=2 "
    "callbacks.baseline_comparison.max_new_tokens=2 callbacks.eval_sanity.max_new_tokens=2 callbacks.health.replies=2 "
    "callbacks.health.max_new_tokens=2 callbacks.checkpointing.every_n_steps=1 callbacks.checkpointing.keep_last=99 "
    "loss.phrases_per_step=1 model.lora.dropout=0.1 seed=3 logger=none"
).split()
"""Twenty steps in two epochs; everything that could disturb the order of random numbers is enabled.

One phrase of each bank per step exercises the random draw as well as three do, in a third less time.
"""


@dataclass(frozen=True)
class Corpus:
    """Files of a small corpus."""

    train: Path
    held: Path
    base: Path


def arguments(corpus: Corpus, *overrides: str) -> list[str]:
    files = [f"data.train_file={corpus.train}", f"data.eval_file={corpus.held}", f"model.name_or_path={corpus.base}"]
    return [*SETTINGS, *files, *overrides]


def configured(corpus: Corpus, run: Path, *overrides: str) -> Config:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return validate(compose("train", [*arguments(corpus, *overrides), f"run_dir={run}"]))


def cut(run: Path, to: Path, step: int) -> Path:
    """Copy the run as it would be if it had been killed some time after the checkpoint of a step."""
    shutil.copytree(run, to)
    shutil.rmtree(to / "adapter")
    (to / "status.json").unlink()
    for folder in checkpoint.committed(to / "checkpoints"):
        if int(folder.name.split("-")[1]) > step:
            checkpoint.remove(folder)
    return to


def make_base(folder: Path, tokenizer: Any, hidden_size: int = 64, num_layers: int = 2, num_heads: int = 2) -> Path:
    """Save a GPT-NeoX with random weights as float32 safetensors; NF4 works on blocks of 64."""
    config = GPTNeoXConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=num_heads,
        max_position_embeddings=512,
        initializer_range=0.07,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        GPTNeoXForCausalLM(config).float().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_corpus(folder: Path, base: Path) -> Corpus:
    """Write eighty rows to train on and six to evaluate, as many of them as possible with a history."""
    files = []
    for side, count in (("train", 80), ("eval", 6)):
        lines = (ROOT / "data" / "relational" / f"{side}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = sorted(lines, key=lambda line: (not json.loads(line)["context"], len(line)))[:count]
        files.append(folder / f"{side}.jsonl")
        files[-1].write_text("\n".join(rows) + "\n", encoding="utf-8")
    return Corpus(*files, base)


ACCUMULATION = {1: ("data.batch_size=8",), 4: ("data.batch_size=2", "trainer.accumulate_grad_batches=4")}
"""Settings by micro-batches per step; eight rows per step in either case."""
