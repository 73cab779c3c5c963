"""Rows become tensors here, once, when the dataset is built; a step only looks them up.

Everything that a loss needs of the text (labels, marker strength, recurrent positions and their candidates) is part of
the :class:`Batch`, so no collator can drop it on the way.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from rct_lightning.dialogue import Example, read_jsonl
from rct_lightning.errors import UserError
from rct_lightning.markers import Lexicon
from rct_lightning.template import DialogueTemplate, Encoded

IGNORE = -100
PAD_MULTIPLE = 8
COHERENCE, CONTINUITY = 0, 1
"""Source of a recurrent position: first said by the assistant, first said by the user."""


@dataclass(frozen=True)
class Totals:
    """Denominators of the terms over one whole optimizer step (all micro-batches, all processes)."""

    reply_tokens: int
    rows: int
    coherence_positions: int
    continuity_positions: int
    rows_without_history: int

    def __add__(self, other: Totals) -> Totals:
        return Totals(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class Batch:
    """B rows, right-padded to T tokens; P recurrent positions over all rows; K candidates each.

    Attributes:
        input_ids: int64 [B, T].
        attention_mask: int64 [B, T], 0 on padding.
        labels: int64 [B, T], the token itself on the reply and its EOS, -100 elsewhere.
        prompt_length: int64 [B], where the reply begins.
        strength: float32 [B], marker strength of the user's text in [0, 1].
        has_history: bool [B], whether any earlier turn is in the row.
        recurrent_row: int64 [P], row of a recurrent position.
        recurrent_position: int64 [P], index of the recurrent token in its row.
        recurrent_source: int64 [P], 0 coherence (the assistant said it first), 1 continuity (the user did).
        candidates: int64 [P, K], the recurrent token first, then content tokens of other conversations.
        index: int64 [B], position of each row in its dataset.
        totals: Denominators over the whole optimizer step this batch is part of.
        own: The same counts over this batch alone.
    """

    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor
    prompt_length: Tensor
    strength: Tensor
    has_history: Tensor
    recurrent_row: Tensor
    recurrent_position: Tensor
    recurrent_source: Tensor
    candidates: Tensor
    index: Tensor
    totals: Totals
    own: Totals

    def __len__(self) -> int:
        return len(self.input_ids)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The batch with every tensor on a device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """The batch in page-locked memory, for asynchronous copies to a GPU."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return replace(self, **{name: function(v) for name, v in values.items() if isinstance(v, Tensor)})


@dataclass(frozen=True)
class Recurrence:
    """How recurrent positions are found and what they compete with (settled in docs/losses.md).

    Attributes:
        max_document_frequency: A token is content if it occurs in at most this share of training conversations.
        num_candidates: Competing tokens at a position, besides the true one.
        seed: Seed of the draw of candidates.
    """

    max_document_frequency: float = 0.05
    num_candidates: int = 31
    seed: int = 0


@dataclass(frozen=True)
class Row:
    """One row as tensors, before padding."""

    encoded: Encoded
    strength: float
    positions: np.ndarray
    sources: np.ndarray
    candidates: np.ndarray

    @property
    def has_history(self) -> bool:
        """Whether any earlier turn survived truncation."""
        return any(span.kind in ("human", "assistant") for span in self.encoded.spans)

    @property
    def counts(self) -> Totals:
        """What this row adds to the denominators."""
        return Totals(
            reply_tokens=len(self.encoded.ids) - self.encoded.prompt_length,
            rows=1,
            coherence_positions=int((self.sources == COHERENCE).sum()),
            continuity_positions=int((self.sources == CONTINUITY).sum()),
            rows_without_history=int(not self.has_history),
        )


class ContentVocabulary:
    """Which tokens carry content, and which content tokens each role used in each conversation.

    A content token begins a word and occurs in few training conversations.
    """

    def __init__(
        self, examples: Sequence[Example], encoded: Sequence[Encoded], tokenizer: Any, recurrence: Recurrence
    ) -> None:
        self.recurrence = recurrence
        self.word_starts = _word_starts(tokenizer)
        seen: dict[str, set[int]] = defaultdict(set)
        by_role: dict[str, set[tuple[str, int]]] = {"human": set(), "assistant": set()}
        for example, row in zip(examples, encoded, strict=True):
            seen[example.conversation].update(row.ids)
            for span in row.spans:
                role = _ROLE_OF_SPAN.get(span.kind)
                if role is not None:
                    tokens = row.ids[span.start : span.stop]
                    by_role[role].update((example.conversation, token) for token in tokens)
        frequency = Counter(token for tokens in seen.values() for token in tokens)
        limit = max(1.0, recurrence.max_document_frequency * len(seen))
        self._common = {token for token, count in frequency.items() if count > limit}
        self._pool = {
            role: np.array(sorted(pair for pair in pairs if self.is_content(pair[1])), dtype=object).reshape(-1, 2)
            for role, pairs in by_role.items()
        }

    def is_content(self, token: int) -> bool:
        """Whether a token is content. One that training never saw is, if it begins a word."""
        return bool(self.word_starts[token]) and token not in self._common

    def draw(self, role: str, conversation: str, excluded: set[int], seed: int) -> np.ndarray | None:
        """Distinct content tokens that a role used in other conversations: int64 [n], None where too few exist."""
        pool, wanted = self._pool[role], self.recurrence.num_candidates
        random = np.random.default_rng(seed)
        chosen: dict[int, None] = {}
        for _ in range(8 if len(pool) else 0):
            for at in random.integers(len(pool), size=2 * wanted):
                owner, token = pool[at]
                if owner != conversation and token not in excluded:
                    chosen[token] = None
                    if len(chosen) == wanted:
                        return np.fromiter(chosen, dtype=np.int64)
        return None


_ROLE_OF_SPAN = {"human": "human", "input": "human", "assistant": "assistant", "reply": "assistant"}


class RelationalDataset(Dataset[Batch]):
    """Rows of one side of the split; indexing with a :class:`BatchRequest` gives a collated batch."""

    def __init__(
        self,
        examples: Sequence[Example],
        encoded: Sequence[Encoded],
        vocabulary: ContentVocabulary,
        lexicon: Lexicon,
        pad_id: int,
    ) -> None:
        self.examples = list(examples)
        self.pad_id = pad_id
        self.num_candidates = vocabulary.recurrence.num_candidates
        self.rows = [
            _make_row(example, row, vocabulary, lexicon, number)
            for number, (example, row) in enumerate(zip(examples, encoded, strict=True))
        ]
        self.lengths = np.array([len(row.encoded.ids) for row in self.rows])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, request: BatchRequest) -> Batch:
        return self.collate(request.indices, request.step_indices)

    def counts(self, indices: Sequence[int]) -> Totals:
        """Denominators over some rows."""
        total = Totals(0, 0, 0, 0, 0)
        for index in indices:
            total = total + self.rows[index].counts
        return total

    def collate(self, indices: Sequence[int], step_indices: Sequence[int] | None = None) -> Batch:
        """Pad rows to one batch whose totals count all rows of the optimizer step (default: these rows)."""
        rows = [self.rows[index] for index in indices]
        longest = max(len(row.encoded.ids) for row in rows)
        width = -(-longest // PAD_MULTIPLE) * PAD_MULTIPLE
        ids = np.full((len(rows), width), self.pad_id, dtype=np.int64)
        mask = np.zeros((len(rows), width), dtype=np.int64)
        labels = np.full((len(rows), width), IGNORE, dtype=np.int64)
        for at, row in enumerate(rows):
            length, prompt = len(row.encoded.ids), row.encoded.prompt_length
            ids[at, :length] = row.encoded.ids
            mask[at, :length] = 1
            labels[at, prompt:length] = row.encoded.ids[prompt:]
        own = self.counts(indices)
        candidates = [row.candidates.reshape(-1, self.num_candidates + 1) for row in rows]
        return Batch(
            input_ids=torch.from_numpy(ids),
            attention_mask=torch.from_numpy(mask),
            labels=torch.from_numpy(labels),
            prompt_length=torch.tensor([row.encoded.prompt_length for row in rows]),
            strength=torch.tensor([row.strength for row in rows], dtype=torch.float32),
            has_history=torch.tensor([row.has_history for row in rows]),
            recurrent_row=torch.tensor([at for at, row in enumerate(rows) for _ in row.positions], dtype=torch.int64),
            recurrent_position=torch.from_numpy(np.concatenate([row.positions for row in rows])),
            recurrent_source=torch.from_numpy(np.concatenate([row.sources for row in rows])),
            candidates=torch.from_numpy(np.concatenate(candidates)),
            index=torch.tensor(list(indices)),
            totals=own if step_indices is None else self.counts(step_indices),
            own=own,
        )


@dataclass(frozen=True)
class BatchRequest:
    """Rows of a micro-batch, and all rows of the optimizer step it belongs to."""

    indices: tuple[int, ...]
    step_indices: tuple[int, ...]


class LengthBucketedSampler(Sampler[BatchRequest]):
    """Micro-batches of rows of similar length, in an order that depends on seed and epoch alone.

    Rows are shuffled, cut into windows of ``window`` optimizer steps, sorted by length within a window, cut into
    optimizer steps, and the steps shuffled. Every row is seen once an epoch; the last step may be smaller.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        batch_size: int,
        accumulate: int = 1,
        *,
        seed: int = 0,
        shuffle: bool = True,
        window: int = 16,
    ) -> None:
        self.lengths, self.batch_size, self.accumulate = lengths, batch_size, accumulate
        self.seed, self.shuffle, self.window = seed, shuffle, window
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next (Lightning calls this)."""
        self.epoch = epoch

    def __len__(self) -> int:
        step = self.batch_size * self.accumulate
        full, rest = divmod(len(self.lengths), step)
        return full * self.accumulate + -(-rest // self.batch_size)

    def __iter__(self) -> Iterator[BatchRequest]:
        for step in self.steps():
            for start in range(0, len(step), self.batch_size):
                yield BatchRequest(tuple(step[start : start + self.batch_size]), tuple(step))

    def steps(self) -> list[list[int]]:
        """Rows of each optimizer step of the current epoch, each sorted by length."""
        size = self.batch_size * self.accumulate
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(len(self.lengths)) if self.shuffle else np.arange(len(self.lengths))
        bucketed = []
        for start in range(0, len(order), size * self.window):
            part = order[start : start + size * self.window]
            bucketed.append(part[np.argsort(self.lengths[part], kind="stable")])
        rows = np.concatenate(bucketed)
        steps = [rows[start : start + size].tolist() for start in range(0, len(rows), size)]
        if self.shuffle:  # the short step stays last: Lightning ends an epoch with whatever has accumulated
            whole = [step for step in steps if len(step) == size]
            short = [step for step in steps if len(step) < size]
            steps = [whole[i] for i in random.permutation(len(whole))] + short
        return steps


@dataclass(frozen=True)
class TruncationReport:
    """What did not fit into ``max_seq_length``."""

    rows: int
    rows_with_cut_context: int
    rows_with_cut_input: int
    rows_with_cut_reply: int
    reply_tokens: int
    reply_tokens_cut: int

    def line(self, side: str, max_length: int) -> str:
        """One line for the console."""
        return (
            f"{side}: {self.rows} rows at most {max_length} tokens; oldest turns cut in {self.rows_with_cut_context}, "
            f"user text cut in {self.rows_with_cut_input}, reply cut in {self.rows_with_cut_reply} "
            f"({self.reply_tokens_cut} of {self.reply_tokens} reply tokens lost)"
        )


class RelationalDataModule(L.LightningDataModule):
    """The split, the template, and the loaders.

    Args:
        train_file: JSONL of training rows.
        eval_file: JSONL of evaluation rows; None splits them off by conversation.
        eval_size: Rows to split off when there is no ``eval_file``.
        tokenizer: Of the backbone.
        template: Role names.
        lexicon: Presence markers.
        max_seq_length: Tokens of a row at most.
        batch_size: Rows of a micro-batch.
        accumulate: Micro-batches of an optimizer step.
        recurrence: How recurrent positions are found.
        rebuild_context: Take earlier rows of a conversation as context where a row has none.
        seed: Of order and split.
        num_workers: Loader processes.
        pin_memory: For copies to a GPU.

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
        max_seq_length: int = 512,
        batch_size: int = 8,
        accumulate: int = 1,
        recurrence: Recurrence | None = None,
        rebuild_context: bool = True,
        seed: int = 42,
        num_workers: int = 0,
        pin_memory: bool = False,
    ) -> None:
        super().__init__()
        self.template, self.max_seq_length = template, max_seq_length
        self.batch_size, self.accumulate, self.seed = batch_size, accumulate, seed
        self._loader = partial(
            DataLoader,
            batch_size=None,
            collate_fn=_as_it_is,
            num_workers=num_workers,
            pin_memory=pin_memory,
            persistent_workers=num_workers > 0,
            generator=torch.Generator(),  # its own, so that making an iterator leaves the training's random state alone
        )
        train = read_jsonl(train_file, rebuild_context=rebuild_context)
        if eval_file is None:
            train, held = split_by_conversation(train, eval_size, seed)
        else:
            held = read_jsonl(eval_file, rebuild_context=rebuild_context)
        self._check_prompts_fit([*train, *held], tokenizer)
        encode = partial(self.template.encode, tokenizer=tokenizer, max_length=max_seq_length)
        encoded = {"train": [encode(example) for example in train], "eval": [encode(example) for example in held]}
        self.truncation = {side: _truncation(rows) for side, rows in encoded.items()}
        self.vocabulary = ContentVocabulary(train, encoded["train"], tokenizer, recurrence or Recurrence())
        build = partial(RelationalDataset, vocabulary=self.vocabulary, lexicon=lexicon, pad_id=tokenizer.pad_token_id)
        self.train_set = build(train, encoded["train"])
        self.eval_set = build(held, encoded["eval"])

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled, length-bucketed micro-batches."""
        sampler = LengthBucketedSampler(
            self.train_set.lengths, self.batch_size, self.accumulate, seed=self.seed, shuffle=True
        )
        return self._loader(self.train_set, sampler=sampler)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader[Batch]:
        """Evaluation rows, sorted by length within windows, always the same order."""
        sampler = LengthBucketedSampler(self.eval_set.lengths, self.batch_size, shuffle=False)
        return self._loader(self.eval_set, sampler=sampler)  # type: ignore[arg-type]

    def _check_prompts_fit(self, examples: Sequence[Example], tokenizer: Any) -> None:
        shortest = min(self.template.shortest_prompt(example.input, tokenizer) for example in examples)
        if self.max_seq_length <= shortest:
            raise UserError(
                f"data.max_seq_length={self.max_seq_length} is shorter than every prompt (the shortest has {shortest} "
                f"tokens without any reply), so nothing could be learnt. Use at least {2 * shortest}, or 512."
            )


def split_by_conversation(
    examples: Sequence[Example], eval_size: int, seed: int
) -> tuple[list[Example], list[Example]]:
    """Hold out whole conversations until exactly or just under ``eval_size`` rows are held out.

    Raises:
        UserError: No conversation fits, or nothing would be left to train on.
    """
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[example.conversation].append(example)
    names = sorted(groups)
    held: set[str] = set()
    taken = 0
    for i in np.random.default_rng(seed).permutation(len(names)):
        if taken + len(groups[names[i]]) <= eval_size:
            held.add(names[i])
            taken += len(groups[names[i]])
    train = [example for example in examples if example.conversation not in held]
    if not held or not train:
        raise UserError(
            f"data.eval_size={eval_size}: {len(examples)} rows in {len(groups)} conversation(s) cannot be split so that "
            f"both sides have rows and no conversation is on both. Give data.eval_file, or another data.eval_size."
        )
    return train, [example for example in examples if example.conversation in held]


def _make_row(example: Example, encoded: Encoded, vocabulary: ContentVocabulary, lexicon: Lexicon, number: int) -> Row:
    first_said = _first_speaker(encoded)
    present = {t for span in encoded.spans if span.kind == "input" for t in encoded.ids[span.start : span.stop]}
    everything_said = set(first_said) | present
    positions, sources, candidates, seen = [], [], [], set()
    for position in range(encoded.prompt_length, len(encoded.ids)):
        token = encoded.ids[position]
        if token in seen:  # a token that this reply has said already may be copied from the reply itself
            continue
        seen.add(token)
        if token not in first_said or token in present or not vocabulary.is_content(token):
            continue
        role = first_said[token]
        seed = vocabulary.recurrence.seed * 1_000_003 + number * 1009 + position
        others = vocabulary.draw(role, example.conversation, everything_said, seed)
        if others is not None:
            positions.append(position)
            sources.append(COHERENCE if role == "assistant" else CONTINUITY)
            candidates.append(np.concatenate([[token], others]))
    width = vocabulary.recurrence.num_candidates + 1
    return Row(
        encoded,
        lexicon.strength(example.input),
        np.array(positions, dtype=np.int64),
        np.array(sources, dtype=np.int64),
        np.array(candidates, dtype=np.int64).reshape(-1, width),
    )


def _first_speaker(encoded: Encoded) -> Mapping[int, str]:
    """The role that said a token first in the history."""
    speaker: dict[int, str] = {}
    for span in encoded.spans:
        if span.kind in ("human", "assistant"):
            for token in encoded.ids[span.start : span.stop]:
                speaker.setdefault(token, span.kind)
    return speaker


def _word_starts(tokenizer: Any) -> np.ndarray:
    """For each token id, whether it begins a word: bool [V]."""
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    return np.array([token is not None and token[:1] in "\u0120\u2581" and token[1:2].isalnum() for token in tokens])


def _truncation(rows: Sequence[Encoded]) -> TruncationReport:
    lost = sum(row.reply_tokens_cut for row in rows)
    return TruncationReport(
        rows=len(rows),
        rows_with_cut_context=sum(row.turns_cut > 0 for row in rows),
        rows_with_cut_input=sum(row.input_tokens_cut > 0 for row in rows),
        rows_with_cut_reply=sum(row.reply_tokens_cut > 0 for row in rows),
        reply_tokens=sum(len(row.ids) - row.prompt_length for row in rows) + lost,
        reply_tokens_cut=lost,
    )


def _as_it_is(batch: Batch) -> Batch:
    """The dataset collates; the loader has nothing to add."""
    return batch
