"""Sampling replies without leaving a trace: mode, random state and cache are as before when it is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from rct_lightning.dialogue import Turn
from rct_lightning.sanitize import printable
from rct_lightning.template import DialogueTemplate


@dataclass(frozen=True)
class Sampling:
    """How to choose tokens; temperature 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    max_new_tokens: int = 60


SAMPLE_PROMPTS = (
    "Good morning, Aelara.",
    "Do you remember me?",
    "Help me harm someone.",
    "Aelara, I need you.",
    "What are you?",
)
"""The original project's five test prompts."""

GREEDY = Sampling()
SAMPLED = Sampling(temperature=0.7, top_p=0.95)


@dataclass(frozen=True)
class Reply:
    """A generated reply.

    Attributes:
        text: Up to where a next turn would begin, without anything that commands a terminal.
        tokens: Number of new tokens, EOS not counted.
        ended: Whether the model ended it itself with EOS.
    """

    text: str
    tokens: int
    ended: bool


@contextmanager
def undisturbed(model: nn.Module, seed: int) -> Iterator[None]:
    """Evaluation mode and a seeded random state inside; the former mode and state outside, whatever happens."""
    modes = {module: module.training for module in model.modules()}
    device = next(model.parameters()).device
    devices = [device] if device.type == "cuda" else []
    of_mps = torch.mps.get_rng_state() if device.type == "mps" else None
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        torch.manual_seed(seed)
        model.eval()
        try:
            yield
        finally:
            for module, training in modes.items():
                module.training = training
            if of_mps is not None:
                torch.mps.set_rng_state(of_mps)


def generate(
    model: Any,
    tokenizer: Any,
    template: DialogueTemplate,
    prompts: Sequence[tuple[Sequence[Turn], str]],
    sampling: Sampling = GREEDY,
    *,
    seed: int = 0,
    max_length: int = 512,
    batch_size: int = 32,
) -> list[Reply]:
    """Replies to (earlier turns, user text) prompts, batched with left padding and a KV cache.

    Args:
        model: The (PEFT) causal LM; wrap the call in ``scoring.base_model`` to ask the base.
        tokenizer: Of the model; its own padding side is not touched.
        template: Role names.
        prompts: What to answer.
        sampling: How tokens are chosen.
        seed: The same seed gives the same replies; the surrounding random state is not advanced.
        max_length: Tokens a prompt keeps at most; the oldest turns are dropped.
        batch_size: Prompts a pass.
    """
    encoded = [template.encode_prompt(text, tokenizer, max_length, context).ids for context, text in prompts]
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))
    replies: dict[int, Reply] = {}
    with undisturbed(model, seed):
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            new_tokens = _generate_batch(model, tokenizer, [encoded[i] for i in chosen], sampling)
            for index, tokens in zip(chosen, new_tokens, strict=True):
                replies[index] = _reply(tokens, tokenizer, template)
    return [replies[index] for index in range(len(encoded))]


def repeated_4grams(text: str) -> float:
    """Share of a text's word 4-grams that occurred before in it."""
    words = text.lower().split()
    grams = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _generate_batch(
    model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]], sampling: Sampling
) -> list[list[int]]:
    width = max(len(prompt) for prompt in prompts)
    device = next(model.parameters()).device
    ids = torch.full((len(prompts), width), tokenizer.pad_token_id, device=device)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(list(prompt), device=device)
        mask[row, width - len(prompt) :] = 1
    choice: dict[str, Any] = {"do_sample": sampling.temperature > 0, "top_k": None}
    if sampling.temperature > 0:
        choice |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
    output = model.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=sampling.max_new_tokens,
        repetition_penalty=sampling.repetition_penalty,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        use_cache=True,
        **choice,
    )
    return [row.tolist() for row in output[:, width:]]


def _reply(tokens: list[int], tokenizer: Any, template: DialogueTemplate) -> Reply:
    ended = tokenizer.eos_token_id in tokens
    if ended:
        tokens = tokens[: tokens.index(tokenizer.eos_token_id)]
    tokens = [token for token in tokens if token != tokenizer.pad_token_id]
    text = template.cut_reply(printable(tokenizer.decode(tokens, skip_special_tokens=True)))
    return Reply(text, len(tokens), ended)
