"""Checkpoints at regular steps and on signals, from which a run resumes as if it had never been interrupted."""

from __future__ import annotations

import random
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn

import lightning as L
import numpy as np
import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import Checkpoint, Timer

from rct_lightning import checkpoint, processes
from rct_lightning.callbacks.common import StepCallback, run_of, write_event
from rct_lightning.config import as_override
from rct_lightning.errors import Interrupted

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))


class _End(NamedTuple):
    why: str
    exit_code: int


class Checkpointing(StepCallback, Checkpoint):
    """Writes ``checkpoints/step-N``; called after all other callbacks, so that their states are those after step N.

    SIGINT, SIGTERM and SIGUSR1 end the run within one optimizer step, with a checkpoint; behind the last step, without
    a new one. Before and after training they mean what they mean without Lightning.

    Args:
        every_n_steps: Optimizer steps between checkpoints; 0 for one only when the run is interrupted.
        keep_last: Number of checkpoints kept.
    """

    def __init__(self, every_n_steps: int = 100, keep_last: int = 2) -> None:
        super().__init__()
        if every_n_steps < 0 or keep_last < 2:
            raise ValueError("every_n_steps must be 0 or more, keep_last 2 or more: the newest may be damaged")
        self.every_n_steps, self.keep_last = every_n_steps, keep_last
        self.received: int | None = None
        self._due = False
        self._between_steps = True
        self._before: dict[int, Any] = {}
        self._outside: Any = None
        self._random: list[dict[str, Any]] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return all random states of all processes."""
        return {"random": processes.gather(random_state())}

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the current sizes of the run's files."""
        checkpoint["sizes"] = run_of(trainer).sizes()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remember the random states; they are restored at the first batch, since making a loader draws numbers."""
        self._random = state_dict["random"]

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Remember the handler of SIGTERM before Lightning installs its own."""
        self._outside = signal.getsignal(signal.SIGTERM)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Outside training, replace Lightning's handler of SIGTERM, which ends with exit code 0, or not at all."""
        alone = trainer.world_size == 1 and threading.current_thread() is threading.main_thread()
        if trainer.state.fn == "validate" and alone and self._outside is not None:
            signal.signal(signal.SIGTERM, self._outside)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Install the signal handlers; in a resumed run, remove damaged newer checkpoints."""
        super().on_train_start(trainer, pl_module)
        if self._random is not None:
            write_event(trainer, "resumed")
            if trainer.is_global_zero:
                for folder in checkpoint.committed(run_of(trainer).checkpoints):
                    if checkpoint.step_of(folder) > trainer.global_step:  # damaged: it would count towards keep_last
                        checkpoint.remove(folder)
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._remember) for number in SIGNALS}
            if trainer.received_sigterm:  # since ``fit`` was called; Lightning would end with exit code 0
                self.received, trainer._signal_connector.received_sigterm = int(signal.SIGTERM), False

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Restore the random states at the first batch of a resumed run."""
        if self._random is not None:
            set_random_state(self._random[trainer.global_rank])
            self._random = None

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Write a checkpoint if one is due or requested; if an evaluation follows this step, after it."""
        self._between_steps = self.step_ended(trainer)
        if self._between_steps:
            self._due = self.every_n_steps > 0 and trainer.global_step % self.every_n_steps == 0
            asked = self._asked_to_end(trainer)
            if not (_last_of_epoch(trainer) or _evaluation_follows(trainer, asked)):
                self._save_where_due(trainer, asked)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write a checkpoint after an evaluation within an epoch.

        Not within an accumulating step: a checkpoint does not hold its gradient.
        """
        if trainer.state.fn == "fit" and self._between_steps and not _last_of_epoch(trainer):
            self._save_where_due(trainer, self._asked_to_end(trainer))

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write a checkpoint after the last step of an epoch and its evaluation."""
        self._save_where_due(trainer, self._asked_to_end(trainer))

    def _save_where_due(self, trainer: L.Trainer, asked: _End | None) -> None:
        if self._due or asked is not None:
            self._due = False
            self.save(trainer)
        if asked is not None:
            self._end(trainer, asked)

    def _end(self, trainer: L.Trainer, asked: _End) -> NoReturn:
        if not trainer.is_global_zero:
            raise SystemExit(0)  # Lightning treats anything else as a failure and kills the others
        raise Interrupted(asked.why, trainer.global_step, self._how_to_go_on(trainer), asked.exit_code)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """End the run after a signal that came behind its last step: evaluation and comparison are still to come.

        Without a checkpoint: the other callbacks have written what a resumed run will write again.
        """
        received = next((number for number in processes.gather(self.received) if number is not None), None)
        if received is not None:
            self._end(trainer, _by_signal(received))

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Restore the former signal handlers, unless Lightning, called first, has restored those from before it."""
        for number, handler in self._before.items():
            if signal.getsignal(number) == self._remember:
                signal.signal(number, handler)
        self._before = {}
        if self.received is not None:
            self._end(trainer, _by_signal(self.received))

    def save(self, trainer: L.Trainer) -> None:
        """Write a checkpoint now; a failure is reported, and the run continues."""
        parent, io = run_of(trainer).checkpoints, trainer.strategy.checkpoint_io
        assert isinstance(io, RunCheckpointIO)
        trainer.save_checkpoint(parent / f"step-{trainer.global_step}")
        if not trainer.is_global_zero:
            return
        if io.failed is not None:
            print(f"\ncheckpoint: {io.failed}", flush=True)
            write_event(trainer, "checkpoint_failed", error=str(io.failed))
            return
        write_event(trainer, "checkpoint", name=f"step-{trainer.global_step}")
        for old in checkpoint.committed(parent)[self.keep_last :]:
            checkpoint.remove(old)

    def _how_to_go_on(self, trainer: L.Trainer) -> str:
        """Return how to resume from the newest checkpoint: that of this step, unless it could not be written."""
        run = run_of(trainer)
        found = checkpoint.committed(run.checkpoints)
        if not found:
            return "There is no checkpoint, so it cannot go on."
        here = found[0].name == f"step-{trainer.global_step}"
        command = f"python train.py {as_override('resume', str(run.root))}"
        return f"Go on{'' if here else f' from {found[0].name}'} with {command}"

    def _asked_to_end(self, trainer: L.Trainer) -> _End | None:
        """Return why the run must end: a signal to any process, or trainer.max_time is over before the last step."""
        everyones = processes.gather((self.received, _time_is_over(trainer)))
        received = next((number for number, _ in everyones if number is not None), None)
        if received is not None:
            return _by_signal(received)
        if everyones[0][1] and trainer.global_step < trainer.estimated_stepping_batches:
            return _End("trainer.max_time was over", 0)
        return None

    def _remember(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: the first ends the run after this step, the second immediately."""
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number


class RunCheckpointIO(CheckpointIO):
    """Lightning's interface to :mod:`rct_lightning.checkpoint`."""

    def __init__(self) -> None:
        self.failed: checkpoint.CheckpointError | None = None

    def save_checkpoint(self, checkpoint_: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write Lightning's dictionary; an error is only stored, since other processes wait for this one."""
        self.failed = None
        try:
            checkpoint.write(Path(path), checkpoint_)
        except checkpoint.CheckpointError as error:
            self.failed = error

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read and verify a checkpoint; its tensors are on the CPU."""
        state = checkpoint.read(Path(path))
        state["callbacks"].pop("Timer", None)  # trainer.max_time counts from the resumption
        return state

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint."""
        checkpoint.remove(Path(path))


def _by_signal(number: int) -> _End:
    return _End(signal.Signals(number).name, 128 + number)


def _last_of_epoch(trainer: L.Trainer) -> bool:
    return trainer.fit_loop.epoch_loop.batch_progress.is_last_batch


def _evaluation_follows(trainer: L.Trainer, asked: _End | None) -> bool:
    """Return whether Lightning will evaluate after this batch, by its own rule.

    The evaluation that it adds only because the run is being stopped does not count: an uninterrupted run has none.
    """
    fetcher, stopping = trainer.fit_loop._data_fetcher, trainer.should_stop
    try:
        trainer.should_stop = stopping and asked is None
        return fetcher is not None and trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher)
    finally:
        trainer.should_stop = stopping


def _time_is_over(trainer: L.Trainer) -> bool:
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]  # type: ignore[attr-defined]
    remaining = [timer.time_remaining() for timer in timers]
    return any(seconds is not None and seconds <= 0 for seconds in remaining)


def random_state() -> dict[str, Any]:
    """Return the random states of Python, numpy and torch on every device, as numbers and tensors."""
    of_numpy: Any = np.random.get_state(legacy=True)
    _, keys, *rest = of_numpy
    return {
        "python": random.getstate(),
        "numpy": [torch.from_numpy(keys.astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Restore what :func:`random_state` returned."""
    random.setstate(state["python"])
    keys, *rest = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available():
        for device, of_device in zip(range(torch.cuda.device_count()), state["cuda"], strict=False):
            torch.cuda.set_rng_state(of_device, device)  # the run may have begun where more devices are
    if state["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])
