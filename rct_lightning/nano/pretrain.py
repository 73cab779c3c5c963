"""The training loop of `nano`, and saving the result."""

import ctypes
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F
from transformers import GPTNeoXForCausalLM, PreTrainedTokenizerFast

from rct_lightning.nano.recipe import Recipe
from rct_lightning.nano.tokens import blocks


def _optimizers(model: GPTNeoXForCausalLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and ".layers." in n]
    others = [p for n, p in model.named_parameters() if not (p.ndim == 2 and ".layers." in n)]
    if recipe.muon_rate <= 0:
        matrices, others = [], [*matrices, *others]
    groups = [
        {"params": [p for p in others if p.ndim == 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in others if p.ndim != 2], "weight_decay": 0.0},
    ]
    made: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.95), eps=1e-10, fused=True)
    ]
    if matrices:
        made.append(
            torch.optim.Muon(
                matrices,
                lr=recipe.muon_rate,
                weight_decay=recipe.weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    return made


def _rate(done: float, warmup: float) -> float:
    """Return the learning rate factor: warm-up, then cosine down to 2%; `done` is the completed share of the run."""
    if done < warmup:
        return max(done, 1e-3) / warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


def _steady_memory() -> None:
    """Make glibc keep freed memory in the process: a third faster on CPU, no effect with other C libraries."""
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 1 << 30)
        libc.mallopt(-1, 2**31 - 1)
    except (OSError, AttributeError, TypeError):
        pass


def use_bf16() -> bool:
    """Return whether this processor multiplies bfloat16 in hardware; otherwise it is slower than float32."""
    check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(check and check())


def train(
    model: GPTNeoXForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    recipe: Recipe,
    minutes: float | None = None,
    log: Callable[[str], None] = print,
) -> tuple[int, float]:
    """Train in place; return (tokens seen, mean unweighted loss of the last 50 steps in nats per token).

    With `minutes` the schedule follows the clock, and the result depends on the machine; otherwise it follows steps.
    """
    _steady_memory()
    model.train()
    optimizers = _optimizers(model, recipe)
    rates = [[g["lr"] for g in o.param_groups] for o in optimizers]
    source, micros, bf16 = (
        blocks(tokenizer, recipe),
        recipe.tokens_per_step // recipe.micro_tokens,
        use_bf16(),
    )
    recent: list[float] = []
    started, step = time.time(), 0
    while True:
        done = (time.time() - started) / 60 / minutes if minutes else step / recipe.steps
        if done >= 1:
            break
        for optimizer, lrs in zip(optimizers, rates, strict=True):
            for group, rate in zip(optimizer.param_groups, lrs, strict=True):
                group["lr"] = rate * _rate(done, recipe.warmup)
        plain = 0.0
        for _ in range(micros):
            ids, flags = next(source)
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = model(input_ids=ids, use_cache=False).logits
            each = F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none")
            weight = 1.0 + (recipe.copy_weight - 1.0) * flags[:, 1:].flatten()
            ((each * weight).sum() / weight.sum() / micros).backward()
            plain += each.detach().mean().item() / micros
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        recent = [*recent[-49:], plain]
        step += 1
        if step % 100 == 0:
            speed = step * recipe.tokens_per_step / (time.time() - started)
            log(f"step {step}  loss {sum(recent) / len(recent):.3f}  {speed:,.0f} tokens/s")
    return step * recipe.tokens_per_step, sum(recent) / max(1, len(recent))


def save(model: GPTNeoXForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path, card: str) -> None:
    """Write weights in float16, tokenizer and model card into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    model.to(torch.float16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(card, encoding="utf-8")
