"""Check that an exported folder answers as its run does: reload it with plain libraries and compare the logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rct_lightning.dialogue import Turn
from rct_lightning.errors import UserError
from rct_lightning.generation import SAMPLE_PROMPTS, Sampling, generate
from rct_lightning.scoring import positions_of
from rct_lightning.template import BEGINS
from rct_lightning.trained import TrainedModel

Asked = tuple[tuple[Turn, ...], str]

REPLIES = Sampling(max_new_tokens=60)
"""Greedy replies, on whose tokens logits are compared."""
SAME = 1e-5
"""Largest difference of logits allowed for an adapter on the same base."""
MERGED_WITHIN = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Largest difference allowed for a merged model, as a share of the largest logit, by the format of its weights or of
its computation: about five times what rounding causes with a healthy adapter. A base without its adapter exceeds all
of them."""


@dataclass(frozen=True)
class Reference:
    """The answers of a run's model.

    Attributes:
        asked: Dialogues up to a reply.
        ids: Tokens of each dialogue with the run's own greedy reply.
        logits: Logits of each, [T, V], on the CPU.
    """

    asked: list[Asked]
    ids: list[list[int]]
    logits: list[Tensor]


@dataclass(frozen=True)
class Agreement:
    """Agreement of two models on the same tokens.

    Attributes:
        largest: Largest difference of any logit.
        scale: Largest absolute logit of the first model.
        greedy: Share of positions where both models have the same most likely token.
        positions: Number of positions.
    """

    largest: float
    scale: float
    greedy: float
    positions: int

    def __str__(self) -> str:
        return (
            f"largest difference of a logit {self.largest:.2g} (logits reach {self.scale:.3g}), the same likeliest "
            f"token at {self.greedy:.1%} of {self.positions} positions"
        )


def refer(trained: TrainedModel) -> Reference:
    """Ask a run's model the fixed prompts, each alone and all as one dialogue."""
    model, tokenizer, template = trained.model.eval(), trained.tokenizer, trained.template
    longest = trained.config.data.max_seq_length
    alone: list[Asked] = [((), prompt) for prompt in SAMPLE_PROMPTS]
    replies = [reply.text for reply in generate(model, tokenizer, template, alone, REPLIES, max_length=longest)]
    earlier = zip(SAMPLE_PROMPTS[:-1], replies[:-1], strict=True)
    turns = [turn for prompt, reply in earlier for turn in (Turn("human", prompt), Turn("assistant", reply))]
    asked = [*alone, (tuple(turns), SAMPLE_PROMPTS[-1])]
    prompts = [template.encode_prompt(text, tokenizer, longest, context).ids for context, text in asked]
    tails = [tokenizer(template.reply(reply), add_special_tokens=False)["input_ids"] for reply in replies]
    most = positions_of(model)  # a row may be as long as these, without a reply behind it
    ids = [[*prompt, *tail][:most] for prompt, tail in zip(prompts, [*tails, tails[-1]], strict=True)]
    return Reference(asked, ids, logits_of(model, ids))


def logits_of(model: Any, ids: Sequence[Sequence[int]]) -> list[Tensor]:
    """Compute logits at every position of each sequence, one sequence at a time: [T, V] each, float32."""
    device = next(model.parameters()).device
    with torch.no_grad():
        return [model(input_ids=torch.tensor([list(one)], device=device)).logits[0].float().cpu() for one in ids]


def compare(expected: Sequence[Tensor], found: Sequence[Tensor]) -> Agreement:
    """Measure how far two models agree; a difference of NaN counts as infinite."""
    first, second = torch.cat(list(expected)), torch.cat(list(found))
    largest = (first - second).abs().max().nan_to_num(nan=torch.inf)
    same = (first.argmax(-1) == second.argmax(-1)).float().mean()
    return Agreement(float(largest), float(first.abs().max()), float(same), len(first))


def check_adapter_logits(agreement: Agreement) -> None:
    """Check that an adapter was exported intact.

    Raises:
        UserError: Its logits differ from those of the run's model.
    """
    if not agreement.largest <= SAME:
        raise UserError(_not_the_same("adapter", agreement, f"{SAME:g}"))


def check_merged_logits(agreement: Agreement, *formats: torch.dtype) -> None:
    """Check that a merged model answers as the adapter did, within the precision of the number formats.

    Raises:
        UserError: Its logits differ by more than that.
    """
    share = max(MERGED_WITHIN[dtype] for dtype in formats)
    if not agreement.largest <= share * agreement.scale:
        raise UserError(_not_the_same("merged model", agreement, f"{share:.0e} of the largest"))


def check_template(folder: Path, trained: TrainedModel, asked: Sequence[Asked]) -> int:
    """Check that the exported tokenizer writes dialogues as the run does.

    Returns:
        Number of dialogues that are tokenised differently than in training: some tokenizers join characters across two
        turns, and the run tokenises turn by turn.

    Raises:
        UserError: It writes a different text.
    """
    from transformers import AutoTokenizer

    plain = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
    begin = plain.bos_token if plain.chat_template.startswith(BEGINS) else ""
    others = 0
    for context, text in asked:
        messages = [{"role": turn.role.replace("human", "user"), "content": turn.content} for turn in context]
        messages.append({"role": "user", "content": text})
        written = plain.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        if written != begin + trained.template.prompt(text, context):
            raise UserError("The chat template does not write what the run's own does. Nothing was exported.")
        ids = plain.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        others += ids != trained.template.encode_prompt(text, trained.tokenizer, 1 << 30, context).ids
    return others


def _not_the_same(what: str, agreement: Agreement, most: str) -> str:
    return (
        f"The {what}, loaded again, is not what the run's model is: {agreement}; at most {most} was expected. Nothing "
        f"was exported. Try another --dtype, or evaluate the run again: its adapter may be damaged."
    )
