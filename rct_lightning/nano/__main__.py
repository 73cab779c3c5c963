"""Make the bundled base model again from nothing: `python -m rct_lightning.nano`."""

import argparse
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: waiting threads must not spin on a shared machine

from rct_lightning.nano import measure, pretrain  # noqa: E402
from rct_lightning.nano.network import build_model  # noqa: E402
from rct_lightning.nano.recipe import Recipe  # noqa: E402
from rct_lightning.nano.tokens import train_tokenizer  # noqa: E402

DEFAULT_OUT = Path(__file__).resolve().parents[2] / "data" / "nano"


def build(out: Path, recipe: Recipe, minutes: float | None = None, fresh: int = 200) -> dict[str, float]:
    """Train, measure on `fresh` stories, write the folder at the very end; return the figures."""
    tokenizer = train_tokenizer(recipe)
    model = build_model(recipe)
    tokens, loss = pretrain.train(model, tokenizer, recipe, minutes, log=lambda line: print(line, flush=True))
    figures = measure.recall_accuracy(model, tokenizer, fresh) | {
        "repeat": measure.repeat_accuracy(model),
        "register": measure.register_accuracy(model, tokenizer, fresh // 2),
        "tokens": float(tokens),
        "train_loss": loss,
        "parameters": float(sum(p.numel() for p in model.parameters())),
    }
    samples = {prompt: measure.continuation(model, tokenizer, prompt) for prompt in measure.CARD_PROMPTS}
    with tempfile.TemporaryDirectory() as temporary:
        pretrain.save(model, tokenizer, Path(temporary), measure.model_card(recipe, figures, samples, minutes))
        out.mkdir(parents=True, exist_ok=True)
        for file in sorted(Path(temporary).iterdir()):
            shutil.copyfile(file, out / file.name)
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rct_lightning.nano", description=__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder to write (default: data/nano)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, default=None, help=f"optimizer steps (default: {Recipe.steps})")
    length.add_argument("--minutes", type=float, default=None, help="train by the clock instead; not repeatable")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and stories (default: 0)")
    options = parser.parse_args(arguments)
    if (options.steps is not None and options.steps < 1) or (options.minutes is not None and options.minutes <= 0):
        parser.error("--steps and --minutes must be above 0")
    recipe = replace(Recipe(), seed=options.seed, steps=options.steps or Recipe.steps)
    figures = build(options.out, recipe, options.minutes)
    for name, figure in figures.items():
        print(f"{name:12} {figure:,.4g}" if abs(figure) < 1000 else f"{name:12} {figure:,.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
