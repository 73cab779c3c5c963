"""Which rows make a micro-batch, and which micro-batches an optimizer step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler


@dataclass(frozen=True)
class BatchRequest:
    """Rows of a micro-batch, all rows of the optimizer step it belongs to, and the epoch of a training batch."""

    indices: tuple[int, ...]
    step_indices: tuple[int, ...]
    epoch: int | None = None


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
                rows = tuple(step[start : start + self.batch_size])
                yield BatchRequest(rows, tuple(step), self.epoch if self.shuffle else None)

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
