"""Sampling of replies without side effects: mode, random state and cache are restored afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from rct_lightning.dialogue import Turn
from rct_lightning.sanitize import Stream, printable
from rct_lightning.scoring import cache_argument, positions_of, trunk_and_head
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
        text: The reply up to where a next turn would begin, without terminal control sequences.
        tokens: Number of new tokens, EOS not counted.
        ended: Whether the model ended the reply with EOS.
    """

    text: str
    tokens: int
    ended: bool


@dataclass(frozen=True)
class Piece:
    """The part of a streamed reply added by one more token.

    Attributes:
        text: Text that can be shown now; empty while it may be the start of a control sequence or of a next turn.
        tokens: Tokens so far, EOS not counted.
        ended: Whether the model has ended the reply with EOS.
    """

    text: str
    tokens: int
    ended: bool


@contextmanager
def undisturbed(model: nn.Module, seed: int) -> Iterator[None]:
    """Use evaluation mode and a seeded random state inside; restore the former mode and state in any case."""
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
    """Generate replies to (earlier turns, user text) prompts, batched with left padding and a KV cache.

    Args:
        model: The (PEFT) causal LM; wrap the call in ``scoring.base_model`` to sample from the base.
        tokenizer: Tokenizer of the model; its padding side is not changed.
        template: Role names.
        prompts: The prompts to answer.
        sampling: How tokens are chosen.
        seed: The same seed gives the same replies; the surrounding random state is not advanced.
        max_length: Maximum tokens of a prompt, or fewer where the model could not read the reply after it; the oldest
            turns are dropped first.
        batch_size: Prompts per pass.
    """
    room, sampling = _fitted(model, max_length, sampling)
    encoded = [template.encode_prompt(text, tokenizer, room, context).ids for context, text in prompts]
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))
    replies: dict[int, Reply] = {}
    with undisturbed(model, seed):
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            new_tokens = _generate_batch(model, tokenizer, [encoded[i] for i in chosen], sampling)
            for index, tokens in zip(chosen, new_tokens, strict=True):
                replies[index] = _reply(tokens, tokenizer, template)
    return [replies[index] for index in range(len(encoded))]


def stream(
    model: Any,
    tokenizer: Any,
    template: DialogueTemplate,
    text: str,
    context: Sequence[Turn] = (),
    sampling: Sampling = GREEDY,
    *,
    seed: int = 0,
    max_length: int = 512,
) -> Iterator[Piece]:
    """Yield a reply while it is generated: what :func:`generate` returns for this prompt alone, one piece per token.

    It ends where a next turn begins, and can be abandoned after any piece: between pieces, mode, gradients and random
    state are those of the caller, and the reply's own random state is saved.

    Args:
        model: As for :func:`generate`.
        tokenizer: Tokenizer of the model.
        template: Role names.
        text: The user text to answer.
        context: Earlier turns.
        sampling: How tokens are chosen.
        seed: The same seed gives the same reply.
        max_length: As for :func:`generate`.
    """
    from transformers import DynamicCache

    device = next(model.parameters()).device
    room, sampling = _fitted(model, max_length, sampling)
    ids = torch.tensor([template.encode_prompt(text, tokenizer, room, context).ids], device=device)
    cache = {cache_argument(trunk_and_head(model)[0]): DynamicCache()}
    writing, random_state, tokens = _Writing(tokenizer, template), None, []
    for left in reversed(range(sampling.max_new_tokens)):
        with undisturbed(model, seed):
            if random_state is not None:
                _set_random_state(device, random_state)
            ids = _continue(model, tokenizer, ids, torch.ones_like(ids), sampling, max_new_tokens=1, **cache)
            random_state = _random_state(device)
        token = int(ids[0, -1])
        ended = token == tokenizer.eos_token_id
        tokens += [] if ended else [token]
        shown, over = writing.more(tokens, last=ended or not left)
        yield Piece(shown, len(tokens), ended)
        if ended or over:
            return


class _Writing:
    """Decodes a growing list of tokens, and returns text as soon as it can be shown."""

    def __init__(self, tokenizer: Any, template: DialogueTemplate) -> None:
        self.tokenizer, self.template, self.sanitizer = tokenizer, template, Stream()
        self.decoded, self.clean, self.shown = "", "", ""

    def more(self, tokens: list[int], *, last: bool) -> tuple[str, bool]:
        """Return the new text, and whether a next turn has begun; after the last token nothing is held back."""
        decoded = self.tokenizer.decode(tokens, skip_special_tokens=True)
        if last or not decoded.endswith("\ufffd"):  # otherwise a character whose other bytes are still to come
            self.clean += self.sanitizer.feed(decoded[len(self.decoded) :])
            self.decoded = decoded
        if last:
            self.clean += self.sanitizer.end()
        reply, over = self.template.reply_so_far(self.clean)
        reply = self.template.cut_reply(self.clean) if last else reply
        new, self.shown = reply[len(self.shown) :], reply
        return new, over


def repeated_4grams(text: str) -> float:
    """Return the share of a text's word 4-grams that occurred earlier in it."""
    words = text.lower().split()
    grams = [tuple(words[i : i + 4]) for i in range(len(words) - 3)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _fitted(model: Any, max_length: int, sampling: Sampling) -> tuple[int, Sampling]:
    """Return the maximum tokens of a prompt, and the sampling, so that both fit into the positions of the model.

    A long reply leaves half of them to the prompt.
    """
    positions = positions_of(model)
    if positions is None:
        return max_length, sampling
    room = min(max_length, max(positions - sampling.max_new_tokens, positions // 2))
    return room, replace(sampling, max_new_tokens=min(sampling.max_new_tokens, positions - room))


def _generate_batch(
    model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]], sampling: Sampling
) -> list[list[int]]:
    width = max(len(prompt) for prompt in prompts)
    device = next(model.parameters()).device
    # the mask hides the padding from the model, but not from the repetition penalty: a prompt's first token is in it
    ids = torch.tensor([prompt[0] for prompt in prompts], device=device)[:, None].repeat(1, width)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(list(prompt), device=device)
        mask[row, width - len(prompt) :] = 1
    output = _continue(model, tokenizer, ids, mask, sampling, max_new_tokens=sampling.max_new_tokens)
    return [row.tolist() for row in output[:, width:]]


def _continue(
    model: Any, tokenizer: Any, ids: Tensor, mask: Tensor, sampling: Sampling, *, max_new_tokens: int, **cache: Any
) -> Tensor:
    """Return rows with the model's continuation: int64 [B, T] -> [B, T + new]."""
    choice: dict[str, Any] = {"do_sample": sampling.temperature > 0, "top_k": None}
    if sampling.temperature > 0:
        choice |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
    return model.generate(
        input_ids=ids,
        attention_mask=mask,
        max_new_tokens=max_new_tokens,
        repetition_penalty=sampling.repetition_penalty,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        use_cache=True,
        **choice,
        **cache,
    )


def _random_state(device: torch.device) -> list[Tensor]:
    """Return the random state of the CPU, and of the accelerator if it has its own."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    elif device.type == "mps":
        states.append(torch.mps.get_rng_state())
    return states


def _set_random_state(device: torch.device, states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(states[1])


def _reply(tokens: list[int], tokenizer: Any, template: DialogueTemplate) -> Reply:
    ended = tokenizer.eos_token_id in tokens
    if ended:
        tokens = tokens[: tokens.index(tokenizer.eos_token_id)]
    text = template.cut_reply(printable(tokenizer.decode(tokens, skip_special_tokens=True)))
    return Reply(text, len(tokens), ended)
