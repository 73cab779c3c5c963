"""From stories to a model: tokenizer, packed batches, the training loop, and the measures on the model card."""

import ctypes
import math
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional as F
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

from rct_lightning.nano import lexicon
from rct_lightning.nano.grammar import marked_stories, split_marks, stories

EOS, PAD = "<|endoftext|>", "<|padding|>"
VOCAB_SIZE = 4096
HELD_OUT = 1_000_003  # seed of the stories that no training run sees


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights; lengths and sizes are in tokens, `steps` are optimizer steps."""

    steps: int = 2200
    seed: int = 0
    tokens_per_step: int = 4096
    micro_tokens: int = 4096  # tokens a forward pass; small passes stay in the processor's cache
    short_length: int = 256  # block length of the first part of the run
    length: int = 512  # block length of the rest
    short_share: float = 0.7  # share of the steps with short blocks
    learning_rate: float = 3e-3  # AdamW: embeddings, norms, biases
    muon_rate: float = 0.01  # Muon: weight matrices; 0 trains them with AdamW as well
    rehearsal: int = 60  # steps at the start on repeated random tokens
    echo_share: float = 0.03  # share of such blocks afterwards
    warmup: float = 0.05  # share of the steps
    weight_decay: float = 0.1
    copy_weight: float = 3.0  # weight in the loss of a token that can be copied from earlier text
    hidden_size: int = 128
    layers: int = 6
    heads: int = 2
    intermediate_size: int = 512
    rotary_pct: float = 0.25
    embed_std: float = 0.1
    look_back: float = 8.0  # size of the biases of the look-back head; 0 starts without the copying circuit
    match: float = 3.0  # scale of the comparing heads' queries and keys
    tokenizer_stories: int = 20_000


def _word_counts(recipe: Recipe) -> dict[str, int]:
    """Words of the tokenizer's sample with damped counts, so that everyday words win the vocabulary over names."""
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False)
    counts: Counter[str] = Counter()
    for story in islice(stories(recipe.seed + HELD_OUT + 1), recipe.tokenizer_stories):
        counts.update(story[start:end] for _, (start, end) in cut.pre_tokenize_str(story))
    for word in lexicon.COMMON:
        counts[" " + re.split("'", word)[0]] += 4000
    names = {word.strip() for word in counts} - {word.strip().capitalize() for word in counts if word.strip().islower()}
    return {
        word: max(1, round(count**0.45 * (0.3 if word.strip() in names and word.strip().istitle() else 1.0)))
        for word, count in counts.items()
        if count > 1
    }


def train_tokenizer(recipe: Recipe) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer on the grammar's words; adds no BOS, pad differs from EOS."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=[EOS, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words = ([word] * count for word, count in _word_counts(recipe).items())
    tokenizer.train_from_iterator(chain.from_iterable(words), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=EOS, pad_token=PAD, model_max_length=1024, clean_up_tokenization_spaces=False
    )


def build_model(recipe: Recipe) -> GPTNeoXForCausalLM:
    """A GPT-NeoX with fresh weights, seeded by the recipe."""
    torch.manual_seed(recipe.seed)
    config = GPTNeoXConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=recipe.hidden_size,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        intermediate_size=recipe.intermediate_size,
        rotary_pct=recipe.rotary_pct,
        max_position_embeddings=1024,
        use_parallel_residual=True,
        tie_word_embeddings=False,
        attention_dropout=0.0,
        hidden_dropout=0.0,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    model = GPTNeoXForCausalLM(config)
    if recipe.look_back > 0:
        seed_copying(model, recipe)
    return model


@torch.no_grad()
def seed_copying(model: GPTNeoXForCausalLM, recipe: Recipe) -> None:
    """Start with a rough induction circuit (Olsson et al. 2022), which training then sharpens.

    Layer 0, head 0 looks one token back (its query and key biases differ by one rotary step) and writes what it finds into
    one half of the residual space; in the next layers head 0 compares that half, at every earlier position, with its own
    token and passes on the token that followed. Without it a model of this size needs far more text before it copies.
    """
    width = recipe.hidden_size // recipe.heads
    rotary = int(width * recipe.rotary_pct)
    layers = model.gpt_neox.layers
    generator = torch.Generator().manual_seed(recipe.seed + 1)
    basis = torch.linalg.qr(torch.randn(recipe.hidden_size, recipe.hidden_size, generator=generator))[0]
    read, write = basis[:width], basis[-width:]  # (width, hidden): what is compared, where the previous token is kept
    embed = model.gpt_neox.embed_in.weight
    embed.copy_(torch.randn(embed.shape, generator=generator) * recipe.embed_std)
    model.get_output_embeddings().weight.copy_(embed * 0.02 / recipe.embed_std)

    angle = 10000.0 ** -(torch.arange(0, rotary, 2) / rotary)
    bias = layers[0].attention.query_key_value.bias
    loud = recipe.look_back * (angle > 0.01)
    bias[: rotary // 2] = loud
    bias[width : width + rotary // 2] = loud * angle.cos()
    bias[width + rotary // 2 : width + rotary] = loud * angle.sin()
    layers[0].attention.query_key_value.weight[2 * width : 3 * width] = read
    layers[0].attention.dense.weight[:, :width] = write.T * recipe.embed_std
    for layer in layers[1:3]:
        qkv, dense = layer.attention.query_key_value.weight, layer.attention.dense.weight
        still = torch.arange(width) >= rotary  # channels that carry no position
        qkv[:width] = read * still[:, None] * recipe.match
        qkv[width : 2 * width] = write * still[:, None] * recipe.match
        qkv[2 * width : 3 * width] = read
        dense[:, :width] = read.T * recipe.embed_std


def encoded_stories(tokenizer: PreTrainedTokenizerFast, seed: int) -> Iterator[tuple[list[int], list[bool]]]:
    """Endless (token ids with EOS, flags of the tokens inside a recalled value), one pair a story."""
    source = marked_stories(seed)
    while True:
        pairs = [split_marks(raw) for raw in islice(source, 500)]
        for (_, spans), encoding in zip(pairs, tokenizer.backend_tokenizer.encode_batch([t for t, _ in pairs]), strict=True):
            flags, at = [], 0
            for start, end in encoding.offsets:
                while at < len(spans) and spans[at][1] <= start:
                    at += 1
                flags.append(at < len(spans) and end > spans[at][0])
            yield [*encoding.ids, 0], [*flags, False]


def echoes(rows: int, length: int, rng: random.Random) -> tuple[Tensor, Tensor]:
    """Random tokens that repeat with a random period, (ids, flags) of shape (rows, length): a rehearsal of copying."""
    ids = torch.empty(rows, length, dtype=torch.int64)
    flags = torch.zeros(rows, length, dtype=torch.bool)
    for row in range(rows):
        at = 0
        while at < length:
            period = rng.randrange(4, length // 4)
            span = [rng.randrange(2, VOCAB_SIZE) for _ in range(period)]
            piece = (span * rng.randrange(2, 5))[: length - at]
            ids[row, at : at + len(piece)] = torch.tensor(piece)
            flags[row, at + period : at + len(piece)] = True
            at += len(piece)
    return ids, flags


def blocks(tokenizer: PreTrainedTokenizerFast, recipe: Recipe) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless packed micro-batches: (ids, flags), int64 and bool of shape (rows, length), following the schedule."""
    source = encoded_stories(tokenizer, recipe.seed)
    ids: list[int] = []
    flags: list[bool] = []
    micros = recipe.tokens_per_step // recipe.micro_tokens
    rng, made = random.Random(recipe.seed), 0
    while True:
        short = made < recipe.short_share * recipe.steps * micros
        length = recipe.short_length if short else recipe.length
        if made < recipe.rehearsal * micros or rng.random() < recipe.echo_share:
            yield echoes(recipe.micro_tokens // length, length, rng)
            made += 1
            continue
        while len(ids) < recipe.micro_tokens:
            story, marked = next(source)
            ids += story
            flags += marked
        cut = recipe.micro_tokens
        yield torch.tensor(ids[:cut]).view(-1, length), torch.tensor(flags[:cut]).view(-1, length)
        ids, flags = ids[cut:], flags[cut:]
        made += 1


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
                matrices, lr=recipe.muon_rate, weight_decay=recipe.weight_decay, adjust_lr_fn="match_rms_adamw"
            )
        )
    return made


def _rate(done: float, warmup: float) -> float:
    """Warm-up and cosine down to 2%, as a factor; `done` is the share of the run that is over."""
    if done < warmup:
        return max(done, 1e-3) / warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


def _steady_memory() -> None:
    """Keep freed blocks in the process (glibc): a third faster on CPU, no effect elsewhere."""
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 1 << 30)
        libc.mallopt(-1, 2**31 - 1)
    except (OSError, AttributeError, TypeError):
        pass


def use_bf16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware; elsewhere it is slower than float32."""
    check = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(check and check())


def train(
    model: GPTNeoXForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    recipe: Recipe,
    minutes: float | None = None,
    log: Callable[[str], None] = print,
) -> tuple[int, float]:
    """Train in place; return (tokens seen, mean plain loss of the last 50 steps in nats a token).

    With `minutes` the schedule follows the clock and the result depends on the machine; without, it follows the steps.
    """
    _steady_memory()
    model.train()
    optimizers = _optimizers(model, recipe)
    rates = [[g["lr"] for g in o.param_groups] for o in optimizers]
    source, micros, bf16 = blocks(tokenizer, recipe), recipe.tokens_per_step // recipe.micro_tokens, use_bf16()
    started, recent, step = time.time(), [], 0
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


@torch.no_grad()
def recall_accuracy(
    model: GPTNeoXForCausalLM, tokenizer: PreTrainedTokenizerFast, count: int = 200, seed: int = HELD_OUT
) -> dict[str, float]:
    """Recall on fresh stories, teacher-forced and greedy.

    Returns `loss` (nats a token, all text), `token` (share of tokens of recalled values that are the top guess), `value`
    (share of recalled values of which every token is) and `values` (how many there were).
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
    return {"loss": loss / seen, "token": right / max(1, tokens), "value": whole / max(1, values), "values": float(values)}


@torch.no_grad()
def repeat_accuracy(model: GPTNeoXForCausalLM, length: int = 40, count: int = 64, seed: int = 0) -> float:
    """Share of right top guesses in the second half of [random tokens, the same again]; chance is 1/4096."""
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    half = torch.randint(300, VOCAB_SIZE, (count, length), generator=generator)
    x = torch.cat([half, half], 1)
    logits = model(input_ids=x, use_cache=False).logits
    guess = logits[:, length:-1].argmax(-1)
    return (guess == x[:, length + 1 :]).float().mean().item()


@torch.no_grad()
def continuation(model: GPTNeoXForCausalLM, tokenizer: PreTrainedTokenizerFast, prompt: str, tokens: int = 48) -> str:
    """Greedy continuation of a prompt, without the prompt."""
    model.eval()
    x = tokenizer(prompt, return_tensors="pt").input_ids
    for _ in range(tokens):
        step = model(input_ids=x, use_cache=False).logits[:, -1].argmax(-1, keepdim=True)
        if step.item() == tokenizer.eos_token_id:
            break
        x = torch.cat([x, step], 1)
    return tokenizer.decode(x[0]).removeprefix(prompt)


def save(model: GPTNeoXForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path, card: str) -> None:
    """Write weights in float16, tokenizer and model card into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    model.to(torch.float16).save_pretrained(folder)  # type: ignore[arg-type]
    tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(card, encoding="utf-8")
