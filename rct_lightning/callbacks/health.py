"""Applies the health rules to steps, evaluations and sampled replies, and reports what they find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

import lightning as L

from rct_lightning import health
from rct_lightning.callbacks.common import StepCallback, run_of, write_event
from rct_lightning.callbacks.tensorboard import board_of
from rct_lightning.data import RelationalDataset
from rct_lightning.errors import UserError
from rct_lightning.generation import Sampling, generate, repeated_4grams
from rct_lightning.health import Alert, Expected, History, RepliesSeen
from rct_lightning.losses import TERMS
from rct_lightning.markers import Lexicon
from rct_lightning.module import RelationalModule, StepRecord


class Health(StepCallback):
    """Reports alerts on the console, in events.jsonl and in TensorBoard; fatal ones always end the run.

    Args:
        on_alert: ``warn`` continues; ``stop`` ends training after the step and keeps the current adapter.
        replies: Unmarked evaluation prompts that are answered after every evaluation; 0 for none.
        max_new_tokens: Maximum tokens of such a reply.
        every_n_steps: Optimizer steps that are checked together, since reading losses makes a GPU wait.
    """

    def __init__(
        self,
        on_alert: Literal["warn", "stop"] = "warn",
        replies: int = 12,
        max_new_tokens: int = 80,
        every_n_steps: int = 10,
    ) -> None:
        super().__init__()
        if on_alert not in ("warn", "stop"):
            raise ValueError("on_alert must be warn or stop")
        if replies == 1 or replies < 0 or max_new_tokens < 1 or every_n_steps < 1:
            raise ValueError("replies must be 0 or at least 2, max_new_tokens and every_n_steps at least 1")
        self.on_alert, self.replies, self.every_n_steps = on_alert, replies, every_n_steps
        self.sampling = Sampling(max_new_tokens=max_new_tokens)
        self.lexicon = Lexicon()
        self.waiting: list[StepRecord] = []
        self.health: health.Health | None = None
        self.alerts: list[Alert] = []
        self._remembered: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """Return the inputs of the rules, and all alerts so far."""
        return {
            "waiting": [vars(record) for record in self.waiting],
            "alerts": [asdict(alert) for alert in self.alerts],
            "health": None if self.health is None else self.health.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore them."""
        self.waiting = [StepRecord(**record) for record in state_dict["waiting"]]
        self.alerts = [Alert(**alert) for alert in state_dict["alerts"]]
        self._remembered = state_dict["health"]

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Set the length of the run, which is known now."""
        assert isinstance(pl_module, RelationalModule)
        self._judge(trainer, pl_module).history.total_steps = int(trainer.estimated_stepping_batches)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Check the steps since the last check, every ``every_n_steps`` steps."""
        assert isinstance(pl_module, RelationalModule)
        if not self.step_ended(trainer):
            return
        self.waiting.append(pl_module.record)
        if len(self.waiting) >= self.every_n_steps:
            self._look_at_steps(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Check the remaining steps, and loss_components.csv."""
        assert isinstance(pl_module, RelationalModule)
        self._look_at_steps(trainer, pl_module)
        if trainer.is_global_zero:  # the process that wrote it
            logged = [(row["step"], row["phase"]) for row in run_of(trainer).read_loss_components()]
            self._say(trainer, self._judge(trainer, pl_module).ended(trainer.global_step, logged))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Check the evaluation, and sampled replies of the model."""
        assert isinstance(pl_module, RelationalModule)
        judge = self._judge(trainer, pl_module)
        self._look_at_steps(trainer, pl_module)
        self._say(trainer, judge.evaluation(trainer.global_step, pl_module.eval_values))
        seen = self._own_replies(trainer, pl_module)
        if seen is not None:
            write_event(trainer, "replies", **asdict(seen))
            self._say(trainer, judge.spoken(trainer.global_step, seen))

    def _look_at_steps(self, trainer: L.Trainer, module: RelationalModule) -> None:
        judge, waiting = self._judge(trainer, module), self.waiting
        self.waiting = []
        for record, figures in zip(waiting, module.figures_of(waiting), strict=True):
            self._say(trainer, judge.step(record.step, figures))

    def _judge(self, trainer: L.Trainer, module: RelationalModule) -> health.Health:
        if self.health is None:
            settings = module.objective.settings
            replies = _replies_of(trainer.datamodule.eval_set)  # type: ignore[attr-defined]
            expected = Expected(
                weights={term: settings.weight(term) for term in TERMS},
                floor=health.bigram_floor(replies),
                reply_tokens=sum(len(reply) - 1 for reply in replies) / len(replies),
            )
            self.health = health.Health(History(expected))
            if self._remembered is not None:
                self.health.load_state_dict(self._remembered)
        return self.health

    def _own_replies(self, trainer: L.Trainer, module: RelationalModule) -> RepliesSeen | None:
        rows: RelationalDataset = trainer.datamodule.eval_set  # type: ignore[attr-defined]
        unmarked = [i for i, row in enumerate(rows.rows) if row.strength == 0]
        chosen = unmarked[:: max(1, len(unmarked) // self.replies)][: self.replies] if self.replies else []
        if len(chosen) < 2:
            return None
        replies = generate(
            module.model,
            module.tokenizer,
            module.template,
            [(rows.examples[i].context, rows.examples[i].input) for i in chosen],
            self.sampling,
            max_length=module.max_length,
        )
        texts = [reply.text for reply in replies]
        return RepliesSeen.of(
            texts,
            ended=[reply.ended for reply in replies],
            bond=[self.lexicon.has_bond_language(text) for text in texts],
            repetition=[repeated_4grams(text) for text in texts],
            most_tokens=self.sampling.max_new_tokens,
        )

    def _say(self, trainer: L.Trainer, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            self.alerts.append(alert)
            if trainer.is_global_zero:
                print(f"\nhealth: {alert.line()}", flush=True)
            write_event(trainer, "alert", **asdict(alert))
            board = board_of(trainer)
            if board is not None:
                board.show_alert(alert)
            if alert.fatal:
                raise UserError(f"Training was ended at step {alert.step}. {alert.line()} No adapter was written.")
            if self.on_alert == "stop":
                trainer.should_stop = True


def _replies_of(rows: RelationalDataset) -> list[list[int]]:
    """Return the tokens of every reply, starting with the last token of its prompt."""
    return [list(row.encoded.ids[row.encoded.prompt_length - 1 :]) for row in rows.rows]
