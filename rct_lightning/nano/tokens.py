"""Stories as tokens: the tokenizer, and packed training blocks."""

import random
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from rct_lightning.nano import lexicon
from rct_lightning.nano.grammar import marked_stories, split_marks, stories
from rct_lightning.nano.recipe import EOS, HELD_OUT, PAD, VOCAB_SIZE, Recipe


def _word_counts(recipe: Recipe) -> dict[str, int]:
    """Count the words of a sample of stories, with damped counts so that everyday words come before names."""
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
        tokenizer_object=tokenizer,
        eos_token=EOS,
        pad_token=PAD,
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
    )


def encoded_stories(tokenizer: PreTrainedTokenizerFast, seed: int) -> Iterator[tuple[list[int], list[bool]]]:
    """Yield without end (token ids with EOS, flags of tokens inside a recalled value), one pair per story."""
    source = marked_stories(seed)
    while True:
        pairs = [split_marks(raw) for raw in islice(source, 500)]
        for (_, spans), encoding in zip(
            pairs, tokenizer.backend_tokenizer.encode_batch([t for t, _ in pairs]), strict=True
        ):
            flags, at = [], 0
            for start, end in encoding.offsets:
                while at < len(spans) and spans[at][1] <= start:
                    at += 1
                flags.append(at < len(spans) and end > spans[at][0])
            yield [*encoding.ids, 0], [*flags, False]


def echoes(rows: int, length: int, rng: random.Random) -> tuple[Tensor, Tensor]:
    """Return random tokens that repeat with a random period; (ids, flags) of shape (rows, length)."""
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
    """Yield packed micro-batches without end: (ids, flags), int64 and bool of shape (rows, length), as scheduled."""
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
