"""The LightningModule: a quantised causal LM with adapters, trained on the LM loss and the relational terms."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import lightning as L
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, RunningMean

from rct_lightning import processes
from rct_lightning.backbone import AdapterCard, Backbone, adapter_state, save_adapter
from rct_lightning.data import IGNORE, Batch
from rct_lightning.errors import UserError
from rct_lightning.losses import TERMS, LossSettings, Outcome
from rct_lightning.memory import Heap
from rct_lightning.module.gradients import add_gradients_of_terms, gradients_of, norms_and_cosines
from rct_lightning.module.optimizer import OptimizerSettings, warmup_cosine
from rct_lightning.module.record import StepRecord, weighted_total
from rct_lightning.splitting import evaluate_in_parts, is_out_of_memory
from rct_lightning.template import DialogueTemplate


class Objective(Protocol):
    """What ``training_step`` asks for a loss; see :mod:`rct_lightning.losses`."""

    settings: LossSettings

    @property
    def phrase_tokens(self) -> int:
        """About as many tokens as a training step asks after each prompt."""
        ...

    @property
    def longest_phrase(self) -> int:
        """Tokens of the longest phrase that is asked behind a row."""
        ...

    def __call__(self, model: nn.Module, batch: Batch, step: int) -> Outcome:
        """With gradient."""
        ...

    def observe(self, model: nn.Module, batch: Batch) -> Outcome:
        """Everything there is to see, without gradient."""
        ...

    def counts(self, batch: Batch) -> dict[str, int]:
        """What each term of a batch that is a step by itself was divided by, where terms of batches make a mean."""
        ...


class RelationalModule(L.LightningModule):
    """Wraps a :class:`Backbone`; its state holds adapter tensors only.

    Args:
        backbone: Frozen base with trainable adapters.
        objective: The loss of a training batch, and what evaluation looks at.
        optimizer: AdamW settings.
        template: Role names, for whoever samples from the module.
        max_length: Tokens a prompt keeps at most when sampling.
        diagnostics_every_n_steps: Optimizer steps between measurements of each term's gradient; 0 for never.
        observe_every_n_steps: Optimizer steps between looks at terms that have no weight; 0 for never.
        card: What the adapter's folder says of it.
    """

    strict_loading = False

    def __init__(
        self,
        backbone: Backbone,
        objective: Objective,
        optimizer: OptimizerSettings,
        template: DialogueTemplate,
        *,
        max_length: int = 512,
        diagnostics_every_n_steps: int = 50,
        observe_every_n_steps: int = 10,
        card: AdapterCard | None = None,
    ) -> None:
        super().__init__()
        self.model = backbone.model
        self.learning = list(adapter_state(self.model).values())  # once: of thousands of modules
        self.tokenizer, self.template, self.max_length = backbone.tokenizer, template, max_length
        self.objective, self.optimizer_settings, self.card = objective, optimizer, card or AdapterCard()
        self.diagnostics_every_n_steps = diagnostics_every_n_steps
        self.observe_every_n_steps = observe_every_n_steps
        self.record = StepRecord()
        self.gradients: dict[str, Tensor] = {}  # of each term, summed over the micro-batches of a measured step
        self.heap: Heap | None = None
        self.step_bytes = 0  # that a training step takes, where that was estimated
        # NaN is to stay NaN: "ignore" would drop it from the mean, and "disable" drops the weights (torchmetrics 1.9)
        # every process evaluates every row, so there is nothing to add up over them
        self.eval_means: dict[str, MeanMetric] = defaultdict(
            lambda: MeanMetric(nan_strategy=math.nan, sync_on_compute=False)
        )
        self.unmeasured = 0  # the newest step whose gradients memory was not enough to measure
        self.parts = 1  # into which micro-batches are cut, since memory was not enough
        self.eval_rows: dict[int, tuple[float, int]] = {}
        self.eval_values: dict[str, float] = {}
        self.evaluated_at = -1  # optimizer step of the newest evaluation
        self.running_lm, self.running_relational = (RunningMean(window=20, sync_on_compute=False) for _ in range(2))

    def on_fit_start(self) -> None:
        """Put the model in training mode: a loaded model is in evaluation mode, and dropout would stay off."""
        self.heap = Heap(self.step_bytes) if self.device.type == "cpu" else None
        self.train()

    def on_train_epoch_start(self) -> None:
        """Evaluation in between must not leave the model in evaluation mode."""
        self.model.train()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of a micro-batch, scaled so that accumulation adds up to the step's loss."""
        if self._first_of_step(batch_idx):
            self.record, self.gradients = StepRecord(step=self.global_step + 1), {}
        self._batch = batch
        outcome = self._evaluate(batch)
        self.record.add(outcome, batch)
        self._add_unweighted_terms(outcome, batch)
        if _due(self.record.step, self.diagnostics_every_n_steps) and self.record.step != self.unmeasured:
            self._measure(outcome)
        self._show_progress(outcome, batch)
        # Lightning divides by accumulated micro-batches and DDP by processes; the terms are divided already.
        return outcome.total * self._parts_of_step

    def figures_of(self, records: Sequence[StepRecord]) -> list[dict[str, float]]:
        """Numbers for a log, of steps as all processes together saw them; all of them must ask."""
        if processes.are_several():
            everyones = processes.gather([record.on_cpu() for record in records])
            records = [StepRecord.of_processes(parts) for parts in zip(*everyones, strict=True)]
        return [record.values(self.objective.settings) for record in records]

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Of a micro-batch; where memory is not enough, the gradient of former ones is put back and this one cut."""
        before = gradients_of(self.learning)
        try:
            loss.backward()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        else:
            return
        del loss
        for parameter, gradient in zip(self.learning, before, strict=True):
            parameter.grad = gradient
        self._halve()
        self.backward(self._evaluate(self._batch).total * self._parts_of_step)

    def _evaluate(self, batch: Batch) -> Outcome:
        """The loss of a micro-batch, in as few parts as memory allows."""
        while True:
            try:
                if self.parts == 1:
                    return self.objective(self.model, batch, self.global_step)
                evaluate = partial(self.objective, self.model, step=self.global_step)
                return evaluate_in_parts(evaluate, self.model, batch, min(self.parts, len(batch)))
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            self._halve()

    def _measure(self, outcome: Outcome) -> None:
        """Each term's gradient of the step so far; where memory is not enough for it, of nothing at all."""
        try:
            add_gradients_of_terms(self.gradients, outcome.terms, self.learning)
        except RuntimeError as error:
            if not is_out_of_memory(error) or processes.are_several():  # the others would wait for this one's part
                raise
            self.gradients, self.record.gradients, self.unmeasured = {}, {}, self.record.step
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            return
        self.record.gradients = norms_and_cosines(self.gradients)

    def _halve(self) -> None:
        if processes.are_several():  # the others would wait for a gradient that comes another way
            raise UserError(
                f"Memory was not enough for a micro-batch of {len(self._batch)} rows, and several processes cannot cut "
                f"theirs. Use a lower data.batch_size and a higher trainer.accumulate_grad_batches."
            )
        if self.parts >= len(self._batch):
            raise UserError(
                f"Memory was not enough for a single row of {self._batch.input_ids.shape[1]} tokens. Use "
                f"model.gradient_checkpointing=true, model.dequantize=never, or a lower data.max_seq_length."
            )
        self.parts *= 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Learn nothing from a gradient that is not finite: without any, AdamW leaves weights and moments alone."""
        gradients = [parameter.grad for parameter in self.learning if parameter.grad is not None]
        if not bool(torch.nn.utils.get_total_norm(gradients).isfinite()):
            self.record.skipped = True
            for parameter in self.learning:
                parameter.grad = None

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Keep the process from growing."""
        if self.heap is not None:
            self.heap.tidy()

    def on_validation_batch_end(self, outputs: Any, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """The same while evaluating."""
        if self.heap is not None:
            self.heap.tidy()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """All terms, without gradient, and the loss of every single row."""
        outcome = self.objective.observe(self.model, batch)
        for name, count in self.objective.counts(batch).items():
            if name in outcome.terms and count > 0:
                self._mean(name).update(outcome.terms[name], count)
        for name, (total, number) in outcome.figures.items():
            if number > 0:
                self._mean(name).update(total / number, number)
        tokens = (batch.labels[:, 1:] != IGNORE).sum(1).tolist()
        rows = zip(batch.index.tolist(), outcome.row_nll.tolist(), tokens, strict=True)
        self.eval_rows |= {index: (nll, count) for index, nll, count in rows}

    def on_validation_epoch_start(self) -> None:
        """Forget the last evaluation."""
        self.eval_means.clear()
        self.eval_rows.clear()

    def on_validation_epoch_end(self) -> None:
        """Log the evaluation under ``eval/``: terms, total, perplexity and figures."""
        values = {name: float(mean.compute()) for name, mean in self.eval_means.items()}
        values["continuity"] = sum(values.get(f"continuity/{part}_loss", 0.0) for part in ("recall", "false_memory"))
        values["total"] = weighted_total(values, self.objective.settings)
        nll, tokens = (sum(column) for column in zip(*self.eval_rows.values(), strict=True))
        values["next_token"] = nll / tokens
        self.eval_values = values | {"perplexity": perplexity(values["next_token"])}
        self.evaluated_at = self.global_step
        for name, value in self.eval_values.items():
            self.log(eval_metric(name), value, logger=False, prog_bar=name == "lm", sync_dist=False)

    def configure_optimizers(self) -> Any:
        """AdamW over the adapters with linear warm-up and cosine decay, stepped once an optimizer step."""
        settings = self.optimizer_settings
        optimizer = torch.optim.AdamW(self.learning, lr=settings.lr, weight_decay=settings.weight_decay)
        total = max(int(self.trainer.estimated_stepping_batches), 1)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warmup_cosine(total, settings.warmup_ratio))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Adapter tensors only: the base is frozen and comes from its own files."""
        names = {f"model.{name}" for name in adapter_state(self.model)}
        return {name: value for name, value in super().state_dict(*args, **kwargs).items() if name in names}

    def save_adapter(self, folder: Path) -> None:
        """The adapter as it is now, as a PEFT folder that says how well it did in the newest evaluation."""
        measured = (
            f"Evaluation LM loss {self.eval_values['lm']:.4f} nats per reply token after step {self.evaluated_at}."
        )
        save_adapter(self.model, self.tokenizer, self.template, folder, self.card, measured)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The newest evaluation, and in how many parts micro-batches are read."""
        checkpoint["parts"] = self.parts
        checkpoint["evaluated"] = {"at": self.evaluated_at, "values": self.eval_values}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from there."""
        self.parts = checkpoint["parts"]
        self.evaluated_at, self.eval_values = checkpoint["evaluated"]["at"], checkpoint["evaluated"]["values"]

    def _show_progress(self, outcome: Outcome, batch: Batch) -> None:
        """Running means in the progress bar."""
        share = batch.own.reply_tokens / batch.totals.reply_tokens
        self.running_lm.update(outcome.terms["lm"].detach() / share)
        self.running_relational.update((outcome.total - outcome.terms["lm"]).detach() / share)
        self.log("lm", self.running_lm.compute(), prog_bar=True, logger=False)
        self.log("relational", self.running_relational.compute(), prog_bar=True, logger=False)

    @property
    def _accumulate(self) -> int:
        return int(self.trainer.accumulate_grad_batches)

    @property
    def _parts_of_step(self) -> int:
        """Micro-batches over which gradients are averaged."""
        return self._accumulate * int(self.trainer.world_size)

    def _first_of_step(self, batch_idx: int) -> bool:
        return batch_idx % self._accumulate == 0

    def _mean(self, name: str) -> MeanMetric:
        return self.eval_means[name].to(self.device)

    def _add_unweighted_terms(self, outcome: Outcome, batch: Batch) -> None:
        """On observed steps, look at terms that the loss left out (without gradient, dropout or random numbers)."""
        left_out = any(self.objective.settings.weight(name) == 0 for name in TERMS)
        if not left_out or not _due(self.record.step, self.observe_every_n_steps):
            return
        self.model.eval()
        seen = self.objective.observe(self.model, batch)
        self.model.train()
        for name in set(seen.terms) - set(outcome.terms):
            self.record.add_term(name, seen.terms[name])
        for name in set(seen.figures) - set(outcome.figures):
            self.record.add_figure(name, seen.figures[name])


def eval_metric(name: str) -> str:
    """The logged name of an evaluation figure: ``eval/lm_loss`` for the terms, ``eval/NAME`` for the rest."""
    return f"eval/{name}_loss" if name in ("lm", "total", "next_token", *TERMS) else f"eval/{name}"


def perplexity(nats: float) -> float:
    """The exponential of a mean negative log-likelihood in nats per token; infinite where no float holds it."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
