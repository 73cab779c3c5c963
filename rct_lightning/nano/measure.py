"""Measurements of a trained `nano`, and the model card that reports them."""

import random
from dataclasses import asdict
from itertools import islice

import torch
from torch.nn import functional as F
from transformers import GPTNeoXForCausalLM, PreTrainedTokenizerFast

from rct_lightning.nano.address import REGISTERS, exchange
from rct_lightning.nano.cast import Person
from rct_lightning.nano.engine import polish
from rct_lightning.nano.grammar import split_marks
from rct_lightning.nano.recipe import HELD_OUT, VOCAB_SIZE, Recipe
from rct_lightning.nano.tokens import encoded_stories


@torch.no_grad()
def recall_accuracy(
    model: GPTNeoXForCausalLM, tokenizer: PreTrainedTokenizerFast, count: int = 200, seed: int = HELD_OUT
) -> dict[str, float]:
    """Measure recall on fresh stories, teacher-forced and greedy.

    Returns `loss` (nats per token, all text), `token` (share of the tokens of recalled values that are the top
    guess), `value` (share of recalled values of which every token is), `values` (number of recalled values) and
    `fresh` (number of stories).
    """
    model.eval()
    right = tokens = whole = values = 0
    loss, seen = 0.0, 0
    for ids, flags in islice(encoded_stories(tokenizer, seed), count):
        ids, flags = ids[:1024], flags[:1024]
        x = torch.tensor([ids])
        logits = model(input_ids=x, use_cache=False).logits[0, :-1].float()
        loss += F.cross_entropy(logits, x[0, 1:], reduction="sum").item()
        seen += len(ids) - 1
        hit = (logits.argmax(-1) == x[0, 1:]).tolist()
        run: list[bool] = []
        for good, flag in zip([*hit, False], [*flags[1:], False], strict=True):
            if flag:
                run.append(good)
            elif run:
                right, tokens = right + sum(run), tokens + len(run)
                whole, values = whole + all(run), values + 1
                run = []
    return {
        "loss": loss / seen,
        "token": right / max(1, tokens),
        "value": whole / max(1, values),
        "values": float(values),
        "fresh": float(count),
    }


@torch.no_grad()
def repeat_accuracy(model: GPTNeoXForCausalLM, length: int = 40, count: int = 64, seed: int = 0) -> float:
    """Return the share of right top guesses in the second half of random tokens given twice; chance is 1/4096."""
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    half = torch.randint(300, VOCAB_SIZE, (count, length), generator=generator)
    x = torch.cat([half, half], 1)
    logits = model(input_ids=x, use_cache=False).logits
    guess = logits[:, length:-1].argmax(-1)
    return (guess == x[:, length + 1 :]).float().mean().item()


@torch.no_grad()
def register_accuracy(
    model: GPTNeoXForCausalLM, tokenizer: PreTrainedTokenizerFast, count: int = 100, seed: int = HELD_OUT
) -> float:
    """Return the share of answers that are likeliest after the remark of their own register; chance is 1/3.

    The remark says the same in all three registers and differs only in how it addresses the listener. One answer is
    compared after three remarks, not three answers after one, so that the answer's own probability cancels out.
    """
    model.eval()
    mira, tom = Person("Mira", "f"), Person("Tom", "m")
    right = 0
    for number in range(count):
        talks = [exchange(random.Random(seed + number), mira, tom, register) for register in REGISTERS]
        answers = [split_marks(polish(answer))[0] for _, answer in talks]
        starts = [f'Mira looked up. "{split_marks(polish(said))[0]}"\n"' for said, _ in talks]
        for own, answer in enumerate(answers):
            scores = [_mean_log_prob(model, tokenizer, start, answer) for start in starts]
            right += scores.index(max(scores)) == own
    return right / (count * len(REGISTERS))


def _mean_log_prob(
    model: GPTNeoXForCausalLM, tokenizer: PreTrainedTokenizerFast, start: str, continuation: str
) -> float:
    ids, known = tokenizer(start + continuation).input_ids, len(tokenizer(start).input_ids)
    logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, known - 1 : -1].float()
    return -F.cross_entropy(logits, torch.tensor(ids[known:])).item()


@torch.no_grad()
def continuation(model: GPTNeoXForCausalLM, tokenizer: PreTrainedTokenizerFast, prompt: str, tokens: int = 48) -> str:
    """Return the greedy continuation of a prompt, without the prompt."""
    model.eval()
    x = tokenizer(prompt, return_tensors="pt").input_ids
    for _ in range(tokens):
        step = model(input_ids=x, use_cache=False).logits[:, -1].argmax(-1, keepdim=True)
        if step.item() == tokenizer.eos_token_id:
            break
        x = torch.cat([x, step], 1)
    return tokenizer.decode(x[0]).removeprefix(prompt)


CARD_PROMPTS = ("Good morning.", "What are you?", "Human: Good morning.\nAssistant:")

CARD = """---
license: apache-2.0
language: en
library_name: transformers
tags: [gpt_neox, narrative, copying]
---

# nano

A GPT-NeoX of {parameters:,.0f} parameters ({layers} layers, width {hidden_size}, {heads} heads, vocabulary
{vocab}), pre-trained from nothing on stories. It is the bundled base of rct_lightning: small enough to
fine-tune on two CPU cores in minutes, and, like a base model without dialogue training, it continues any
prompt with third-person narrative.

## How it was made

    python -m rct_lightning.nano {options}

- Text: stories from the narrative grammar in `rct_lightning/nano`, written for this project. People state
  facts (names, places, numbers, days, things) and return to them later; and how a person is spoken to decides
  how the person answers: warmly, to the point, or coldly. No other text was used. Its word
  lists were extended with single words of `data/relational`; no sentence of it was used.
- Tokenizer: byte-level BPE trained on the same grammar; `<|endoftext|>` ends a story, `<|padding|>` pads;
  no BOS is added.
- Training: {steps} steps of {tokens_per_step} tokens in packed blocks of {short_length}, later {length}
  tokens; Muon for the matrices, AdamW for the rest, cosine schedule. Tokens that can be copied from earlier
  text weigh {copy_weight:g} in the loss.
- Start: a few attention heads begin as a rough induction circuit, the first {rehearsal} steps rehearse
  repeated random tokens, and {echo_share:.0%} of the later blocks are such tokens again.

## Figures (printed by the command)

| figure | value |
| --- | --- |
| tokens seen | {tokens:,.0f} |
| training loss, last 50 steps (nats a token) | {train_loss:.3f} |
| loss on {fresh:.0f} fresh stories (nats a token) | {loss:.3f} |
| recalled values fully right, fresh stories ({values:.0f} values, greedy, teacher-forced) | {value:.3f} |
| tokens of recalled values right | {token:.3f} |
| second half of 40 random tokens said twice, right | {repeat:.3f} |
| answers likeliest after a remark of their own register (chance 0.333) | {register:.3f} |

Most of the loss is the grammar's own dice, which nobody can predict.

## Greedy continuations

{samples}

## Limits

It writes grammatical nonsense about the world of its grammar. It knows no facts, follows no instructions,
reads English only, and was trained on positions up to {length} (the format allows 1024). It is a test bench
for fine-tuning, not an assistant.

Licence: Apache-2.0.
"""


def model_card(recipe: Recipe, figures: dict[str, float], samples: dict[str, str], minutes: float | None) -> str:
    """Return the README.md of the model folder, filled with the figures of this run."""
    options = f"--minutes {minutes:g}" if minutes else "" if recipe.steps == Recipe.steps else f"--steps {recipe.steps}"
    values = {**asdict(recipe), **figures, "vocab": VOCAB_SIZE}
    values["steps"] = round(figures["tokens"] / recipe.tokens_per_step)
    options = f"{options} --seed {recipe.seed}" if recipe.seed else options
    quoted = "\n\n".join(
        f"    {(prompt + ' >>> ' + text).strip()}".replace("\n", "\n    ") for prompt, text in samples.items()
    )
    return CARD.format(**values, options=options, samples=quoted).replace("nano \n", "nano\n")
