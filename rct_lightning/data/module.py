"""The DataModule: splits the corpus, tokenises it and builds the loaders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch.utils.data import DataLoader

from rct_lightning.corpus.split import split
from rct_lightning.data.batch import Batch
from rct_lightning.data.dataset import RelationalDataset
from rct_lightning.data.placebo import Placebo
from rct_lightning.data.recurrence import ContentVocabulary, Recurrence
from rct_lightning.data.row import Counterfactual
from rct_lightning.data.sampler import LengthBucketedSampler, StepSampler, TokenBudgetSampler
from rct_lightning.data.tokens import RememberedTokens
from rct_lightning.data.truncation import TruncationReport
from rct_lightning.dialogue import Example, read_jsonl
from rct_lightning.errors import UserError
from rct_lightning.markers import Lexicon
from rct_lightning.template import DialogueTemplate

CLAUSE_ENDS = tuple(".!?,;:")
EVAL_TWIN_EVERY = 2
"""Presence is evaluated on every n-th evaluation row during training; evaluate.py uses all of them, and probes."""


class RelationalDataModule(L.LightningDataModule):
    """Splits the corpus, tokenises it and builds the loaders.

    Args:
        train_file: JSONL of training rows.
        eval_file: JSONL of evaluation rows; None splits them off the training file, as `rct corpus split` does.
        eval_size: Rows to split off when there is no ``eval_file``.
        split_seed: Seed of that split.
        tokenizer: Tokenizer of the backbone.
        template: Role names.
        lexicon: Presence markers.
        max_seq_length: Maximum tokens of a row.
        batch_size: Rows per micro-batch.
        batch_tokens: Tokens per training micro-batch, padding included; replaces ``batch_size``.
        accumulate: Micro-batches per optimizer step.
        recurrence: How recurrent positions are found.
        counterfactual: Augmentation of training rows.
        placebo: A term's input is taken from other training rows.
        rebuild_context: Take earlier rows of a conversation as context where a row has none.
        seed: Seed of the order.
        num_workers: Loader processes.
        processes: Number of processes that train together; each has ``batch_size`` rows of its own.
        pin_memory: Use page-locked memory, for copies to a GPU.
        token_cache: Folder where tokens are cached between runs; None: no cache.

    Raises:
        UserError: A file cannot be read, or no prompt fits into ``max_seq_length``.
    """

    def __init__(
        self,
        train_file: Path,
        eval_file: Path | None,
        *,
        tokenizer: Any,
        template: DialogueTemplate,
        lexicon: Lexicon,
        eval_size: int = 82,
        split_seed: int = 0,
        max_seq_length: int = 512,
        batch_size: int = 8,
        batch_tokens: int | None = None,
        accumulate: int = 1,
        recurrence: Recurrence | None = None,
        counterfactual: Counterfactual | None = None,
        placebo: Placebo | None = None,
        rebuild_context: bool = True,
        seed: int = 42,
        num_workers: int = 0,
        processes: int = 1,
        pin_memory: bool = False,
        token_cache: Path | None = None,
    ) -> None:
        super().__init__()
        self.template, self.max_seq_length = template, max_seq_length
        self.batch_size, self.batch_tokens = batch_size, batch_tokens
        self.accumulate, self.seed, self.processes = accumulate, seed, processes
        self._seen = 0, 0  # epoch, and micro-batches of it that were trained on
        self._loader = _loader(num_workers, pin_memory)
        train, held = _sides(train_file, eval_file, eval_size, split_seed, lexicon, rebuild_context)
        self.tokens = RememberedTokens(tokenizer, token_cache, str(train_file.resolve()))
        self._check_prompts_fit([*train, *held], self.tokens)
        encode = partial(self.template.encode, tokenizer=self.tokens, max_length=max_seq_length)
        encoded = {"train": [encode(example) for example in train], "eval": [encode(example) for example in held]}
        self.truncation = {side: TruncationReport.of(rows) for side, rows in encoded.items()}
        self.vocabulary = ContentVocabulary(train, encoded["train"], tokenizer, recurrence or Recurrence())
        build = partial(
            RelationalDataset,
            vocabulary=self.vocabulary,
            lexicon=lexicon,
            pad_id=tokenizer.pad_token_id,
            clause_ends=_clause_ends(tokenizer),
        )
        twins = encode if counterfactual is not None and counterfactual.readdress_share > 0 else None
        self.train_set = build(train, encoded["train"], counterfactual=counterfactual, encode=twins, placebo=placebo)
        self.eval_set = build(held, encoded["eval"], encode=encode, twin_every=EVAL_TWIN_EVERY)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the loader of shuffled, length-bucketed micro-batches."""
        sampler = self._train_sampler()
        sampler.go_on(*self._seen)
        return self._loader(self.train_set, sampler=sampler)

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch and how many of its micro-batches were seen."""
        assert self.trainer is not None
        epoch, seen = self.trainer.current_epoch, self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        over = seen >= self.trainer.num_training_batches  # the epoch has ended, which Lightning does not count yet
        return {"epoch": epoch + over, "batches": 0 if over else seen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the saved position."""
        self._seen = state_dict["epoch"], state_dict["batches"]

    def widest_batches(self, epochs: int = 5) -> Iterator[Batch]:
        """Yield the widest micro-batch of each of the first epochs; twins differ from epoch to epoch."""
        sampler = self._train_sampler()
        for epoch in range(epochs):
            sampler.set_epoch(epoch)
            yield self.train_set[max(sampler, key=lambda request: self._padded_tokens(request.indices))]

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the loader of evaluation rows, sorted by length within windows, always in the same order."""
        sampler = LengthBucketedSampler(self.eval_set.lengths, self.batch_size, shuffle=False)
        return self._loader(self.eval_set, sampler=sampler)

    def _train_sampler(self) -> StepSampler:
        lengths = self.train_set.lengths
        if self.batch_tokens is not None:
            return TokenBudgetSampler(lengths, self.batch_tokens, self.accumulate, seed=self.seed)
        rank = self.trainer.global_rank if self.trainer is not None else 0
        return LengthBucketedSampler(
            lengths, self.batch_size, self.accumulate, seed=self.seed, processes=self.processes, rank=rank
        )

    def _padded_tokens(self, indices: Sequence[int]) -> int:
        return len(indices) * int(self.train_set.lengths[list(indices)].max())

    def _check_prompts_fit(self, examples: Sequence[Example], tokenizer: Any) -> None:
        shortest = min(self.template.shortest_prompt(example.input, tokenizer) for example in examples)
        if self.max_seq_length <= shortest:
            raise UserError(
                f"data.max_seq_length={self.max_seq_length} is shorter than every prompt (the shortest has {shortest} "
                f"tokens without any reply), so nothing could be learnt. Use at least {2 * shortest}, or 512."
            )


def _sides(
    train_file: Path, eval_file: Path | None, eval_size: int, split_seed: int, lexicon: Lexicon, rebuild_context: bool
) -> tuple[list[Example], list[Example]]:
    """Return training and evaluation rows, from two files or by splitting the first."""
    train = read_jsonl(train_file, rebuild_context=rebuild_context)
    if eval_file is not None:
        return train, read_jsonl(eval_file, rebuild_context=rebuild_context)
    sides = split(train, eval_size, split_seed, lexicon)
    return sides.train, sides.held


def _clause_ends(tokenizer: Any) -> frozenset[int]:
    return frozenset(token for piece, token in tokenizer.get_vocab().items() if piece[-1:] in CLAUSE_ENDS)


def _loader(num_workers: int, pin_memory: bool) -> Callable[..., DataLoader[Batch]]:
    """Return a function that makes a loader from a dataset and a sampler."""
    return partial(
        DataLoader,
        batch_size=None,
        collate_fn=_as_it_is,
        num_workers=num_workers,
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        generator=torch.Generator(),  # its own, so that creating an iterator does not advance the global random state
    )


def _as_it_is(batch: Any) -> Any:
    """Return the batch unchanged: the dataset has already collated it."""
    return batch
