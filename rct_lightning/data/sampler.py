"""Assignment of rows to micro-batches, and of micro-batches to optimizer steps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from torch.utils.data import Sampler

from rct_lightning.data.batch import PAD_MULTIPLE

T = TypeVar("T")
Step = list[list[int]]
"""The rows of each micro-batch of an optimizer step."""


@dataclass(frozen=True)
class BatchRequest:
    """Rows of a micro-batch, all rows of the optimizer step it belongs to, and the epoch of a training batch."""

    indices: tuple[int, ...]
    step_indices: tuple[int, ...]
    epoch: int | None = None


class StepSampler(Sampler[BatchRequest]):
    """Micro-batches in an order that depends only on seed and epoch, and equally many in every epoch.

    Every row is seen once per epoch. The last step may be smaller: Lightning ends an epoch with what has accumulated.
    Several processes take turns within each step, so that all are at the same step with equally many micro-batches.
    """

    shuffle: bool
    epoch: int = 0
    begin: int = 0
    processes: int = 1
    rank: int = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration (called by Lightning)."""
        self.begin = self.begin if epoch == self.epoch else 0
        self.epoch = epoch

    def go_on(self, epoch: int, batch: int) -> None:
        """Start within an epoch, after the first ``batch`` micro-batches of this process."""
        self.epoch, self.begin = epoch, batch

    @abstractmethod
    def steps(self) -> list[Step]:
        """The optimizer steps of the current epoch."""

    def __iter__(self) -> Iterator[BatchRequest]:
        epoch, before = self.epoch if self.shuffle else None, self.begin
        for step in self.steps():
            of_step = tuple(index for rows in step for index in rows)
            for rows in step[self.rank :: self.processes]:
                if before > 0:
                    before -= 1
                else:
                    yield BatchRequest(tuple(rows), of_step, epoch)


class LengthBucketedSampler(StepSampler):
    """A fixed number of rows of similar length per micro-batch.

    Rows are shuffled, cut into windows of ``window`` optimizer steps and sorted by length within each window; the
    windows are cut into optimizer steps, and the steps are shuffled.
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
        processes: int = 1,
        rank: int = 0,
    ) -> None:
        self.lengths, self.batch_size, self.accumulate = lengths, batch_size, accumulate
        self.seed, self.shuffle, self.window = seed, shuffle, window
        self.processes, self.rank = processes, rank
        if len(lengths) < processes:
            raise ValueError(f"{len(lengths)} rows are too few for {processes} processes")

    @property
    def step_size(self) -> int:
        """Rows per optimizer step."""
        return self.batch_size * self.accumulate * self.processes

    def __len__(self) -> int:
        full, rest = divmod(len(self.lengths), self.step_size)
        if full and rest < self.processes:  # these rows join the step before
            rest = 0
        return full * self.accumulate + self._count(rest) // self.processes

    def steps(self) -> list[Step]:
        """Return the optimizer steps of the current epoch, each with its rows sorted by length."""
        size = self.step_size
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(len(self.lengths)) if self.shuffle else np.arange(len(self.lengths))
        bucketed = []
        for start in range(0, len(order), size * self.window):
            part = order[start : start + size * self.window]
            bucketed.append(part[np.argsort(self.lengths[part], kind="stable")])
        steps = _cut(np.concatenate(bucketed).tolist(), size)
        if self.shuffle:
            whole = [step for step in steps if len(step) == size]
            short = [step for step in steps if len(step) < size]
            steps = [whole[i] for i in random.permutation(len(whole))] + short
        if len(steps) > 1 and len(steps[-1]) < self.processes:
            steps[-2:] = [steps[-2] + steps[-1]]
        return [self._micro_batches(step) for step in steps]

    def _micro_batches(self, step: list[int]) -> list[list[int]]:
        """Cut a step into parts of ``batch_size`` rows, or more even ones if processes would get different numbers."""
        count = self._count(len(step))
        if count == -(-len(step) // self.batch_size):
            return _cut(step, self.batch_size)
        edges = [len(step) * at // count for at in range(count + 1)]
        return [step[start:stop] for start, stop in zip(edges, edges[1:], strict=False)]

    def _count(self, rows: int) -> int:
        """Return the number of micro-batches of a step: a multiple of the processes, and none of them empty."""
        least = -(-rows // self.batch_size)
        more = -(-least // self.processes) * self.processes
        most = min(rows, self.accumulate * self.processes)
        return more if more <= most else most // self.processes * self.processes


class TokenBudgetSampler(StepSampler):
    """As many rows per micro-batch as fit a budget of padded tokens (fairseq's max-tokens, Ott et al. 2019).

    All rows are sorted by padded length, in random order within each length, and cut where the budget is reached. The
    cuts depend only on the lengths, so that all epochs have equally many batches. A row above the budget is a batch of
    its own.
    """

    def __init__(self, lengths: np.ndarray, budget: int, accumulate: int = 1, *, seed: int = 0) -> None:
        self.widths = -(-lengths // PAD_MULTIPLE) * PAD_MULTIPLE
        self.budget, self.accumulate, self.seed, self.shuffle = budget, accumulate, seed, True

    def __len__(self) -> int:
        return len(self._batches(np.arange(len(self.widths))))

    def steps(self) -> list[Step]:
        """The optimizer steps of the current epoch."""
        random = np.random.default_rng([self.seed, self.epoch])
        batches = self._batches(random.permutation(len(self.widths)))
        return _cut([batches[at] for at in random.permutation(len(batches))], self.accumulate)

    def _batches(self, order: np.ndarray) -> list[list[int]]:
        batches: list[list[int]] = []
        for row in order[np.argsort(self.widths[order], kind="stable")].tolist():
            if batches and (len(batches[-1]) + 1) * self.widths[row] <= self.budget:
                batches[-1].append(row)
            else:
                batches.append([row])
        return batches


def _cut(items: list[T], size: int) -> list[list[T]]:
    """Cut into parts of a size; the last may be shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]
