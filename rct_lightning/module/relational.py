"""The LightningModule: a causal LM with adapters, trained on the LM loss and the relational terms."""

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
    """Interface of the loss that ``training_step`` calls; see :mod:`rct_lightning.losses`."""

    settings: LossSettings

    @property
    def phrase_tokens(self) -> int:
        """Approximate number of phrase tokens scored after each prompt in a training step."""
        ...

    @property
    def longest_phrase(self) -> int:
        """Tokens of the longest phrase that is scored after a prompt."""
        ...

    def __call__(self, model: nn.Module, batch: Batch, step: int) -> Outcome:
        """Compute the loss of a training batch, with gradient."""
        ...

    def observe(self, model: nn.Module, batch: Batch) -> Outcome:
        """Compute all terms and figures, without gradient."""
        ...

    def counts(self, batch: Batch) -> dict[str, int]:
        """Return, for each term, the weight of this batch's mean when batch means are averaged over an evaluation."""
        ...


class RelationalModule(L.LightningModule):
    """LightningModule around a :class:`Backbone`. Its state_dict holds adapter tensors only.

    Args:
        backbone: Frozen base with trainable adapters.
        objective: Computes the loss in training and all terms in evaluation.
        optimizer: AdamW settings.
        template: Role names, for sampling from the module.
        max_length: Maximum tokens of a prompt when sampling.
        diagnostics_every_n_steps: Optimizer steps between measurements of each term's gradient; 0 for never.
        observe_every_n_steps: Optimizer steps between evaluations of terms that have no weight; 0 for never.
        card: Description stored in the adapter's folder.
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
        self.learning = list(adapter_state(self.model).values())  # once: it searches thousands of modules
        self.tokenizer, self.template, self.max_length = backbone.tokenizer, template, max_length
        self.objective, self.optimizer_settings, self.card = objective, optimizer, card or AdapterCard()
        self.diagnostics_every_n_steps = diagnostics_every_n_steps
        self.observe_every_n_steps = observe_every_n_steps
        self.record = StepRecord()
        self.gradients: dict[str, Tensor] = {}  # of each term, summed over the micro-batches of a measured step
        self.heap: Heap | None = None
        self.step_bytes = 0  # estimated memory of a training step; 0: unknown
        # A NaN must stay visible: "ignore" would drop it from the mean, and "disable" drops the weights (torchmetrics
        # 1.9). Every process evaluates every row, so there is nothing to sum over processes.
        self.eval_means: dict[str, MeanMetric] = defaultdict(
            lambda: MeanMetric(nan_strategy=math.nan, sync_on_compute=False)
        )
        self.unmeasured = 0  # latest step whose term gradients did not fit into memory
        self.parts = 1  # number of parts each micro-batch is split into; doubled on out-of-memory
        self.eval_rows: dict[int, tuple[float, int]] = {}
        self.eval_values: dict[str, float] = {}
        self.evaluated_at = -1  # optimizer step of the latest evaluation
        self.running_lm, self.running_relational = (RunningMean(window=20, sync_on_compute=False) for _ in range(2))

    def on_fit_start(self) -> None:
        """Put the model in training mode: a loaded model is in evaluation mode, and dropout would stay off."""
        self.heap = Heap(self.step_bytes) if self.device.type == "cpu" else None
        self.train()

    def on_train_epoch_start(self) -> None:
        """Restore training mode, which an evaluation in between may have ended."""
        self.model.train()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a micro-batch, scaled so that Lightning's accumulation gives the step's loss."""
        if self._first_of_step(batch_idx):
            self.record, self.gradients = StepRecord(step=self.global_step + 1), {}
        self._batch = batch
        outcome = self._evaluate(batch)
        self.record.add(outcome, batch)
        self._add_unweighted_terms(outcome, batch)
        if _due(self.record.step, self.diagnostics_every_n_steps) and self.record.step != self.unmeasured:
            self._measure(outcome)
        self._show_progress(outcome, batch)
        # Lightning divides by accumulated micro-batches and DDP by processes; the terms are already divided.
        return outcome.total * self._parts_of_step

    def figures_of(self, records: Sequence[StepRecord]) -> list[dict[str, float]]:
        """Return numbers to log for steps, merged over all processes; every process must call this."""
        if processes.are_several():
            everyones = processes.gather([record.on_cpu() for record in records])
            records = [StepRecord.of_processes(parts) for parts in zip(*everyones, strict=True)]
        return [record.values(self.objective.settings) for record in records]

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Backpropagate a micro-batch.

        On out-of-memory, restore the gradients accumulated so far, halve the micro-batch and retry.
        """
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
        total = self._evaluate(self._batch).total * self._parts_of_step
        self.backward(total / self._accumulate * self._loss_scale)  # what Lightning made of the first loss

    def _evaluate(self, batch: Batch) -> Outcome:
        """Compute the loss of a micro-batch; on out-of-memory, double the number of parts and retry."""
        while True:
            try:
                if self.parts == 1:
                    return self.objective(self.model, batch, self.global_step)
                evaluate = partial(self.objective, self.model, step=self.global_step)
                return evaluate_in_parts(evaluate, self.model, batch, min(self.parts, len(batch)), self._loss_scale)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            self._halve()

    def _measure(self, outcome: Outcome) -> None:
        """Measure each term's gradient over the step so far; on out-of-memory, measure nothing at this step."""
        if self.parts > 1:  # this micro-batch has no gradient per term, and without it the others' are not the step's
            self.gradients, self.record.gradients = {}, {}
            return
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
        if processes.are_several():  # the others would wait for gradients that take another path here
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
        """Note the learning rate, and drop a gradient that is not finite.

        Without a gradient, AdamW leaves weights and moments unchanged.
        """
        self.record.lr = float(optimizer.param_groups[0]["lr"])
        gradients = [parameter.grad for parameter in self.learning if parameter.grad is not None]
        if not bool(torch.nn.utils.get_total_norm(gradients).isfinite()):
            self.record.skipped = True
            for parameter in self.learning:
                parameter.grad = None

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Trim the heap, so that the process does not grow."""
        if self.heap is not None:
            self.heap.tidy()

    def on_validation_batch_end(self, outputs: Any, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Trim the heap during evaluation as well."""
        if self.heap is not None:
            self.heap.tidy()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Accumulate all terms and figures, and the loss of every single row."""
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
        """Reset the previous evaluation."""
        self.eval_means.clear()
        self.eval_rows.clear()

    def on_validation_epoch_end(self) -> None:
        """Log the evaluation under ``eval/``: terms, total, perplexity and figures."""
        values = {name: float(mean.compute()) for name, mean in self.eval_means.items()}
        parts = [f"continuity/{part}_loss" for part in ("recall", "false_memory")]
        if any(part in values for part in parts):
            values["continuity"] = sum(values.get(part, 0.0) for part in parts)
        values["total"] = weighted_total(values, self.objective.settings)
        nll, tokens = (sum(column) for column in zip(*self.eval_rows.values(), strict=True))
        values["next_token"] = nll / tokens
        self.eval_values = values | {"perplexity": perplexity(values["next_token"])}
        self.evaluated_at = self.global_step
        for name, value in self.eval_values.items():
            self.log(eval_metric(name), value, logger=False, prog_bar=name == "lm", sync_dist=False)

    def configure_optimizers(self) -> Any:
        """Return AdamW over the adapters with linear warm-up and cosine decay, advanced every optimizer step."""
        settings = self.optimizer_settings
        optimizer = torch.optim.AdamW(self.learning, lr=settings.lr, weight_decay=settings.weight_decay)
        total = max(int(self.trainer.estimated_stepping_batches), 1)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warmup_cosine(total, settings.warmup_ratio))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Return adapter tensors only: the base is frozen and is loaded from its own files."""
        names = {f"model.{name}" for name in adapter_state(self.model)}
        return {name: value for name, value in super().state_dict(*args, **kwargs).items() if name in names}

    def save_adapter(self, folder: Path) -> None:
        """Save the current adapter as a PEFT folder, with the LM loss of the latest evaluation in its card."""
        measured = (
            f"Evaluation LM loss {self.eval_values['lm']:.4f} nats per reply token after step {self.evaluated_at}."
        )
        save_adapter(self.model, self.tokenizer, self.template, folder, self.card, measured)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the latest evaluation and the number of parts micro-batches are split into."""
        checkpoint["parts"] = self.parts
        checkpoint["evaluated"] = {"at": self.evaluated_at, "values": self.eval_values}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore what :meth:`on_save_checkpoint` saved."""
        self.parts = checkpoint["parts"]
        self.evaluated_at, self.eval_values = checkpoint["evaluated"]["at"], checkpoint["evaluated"]["values"]

    def _show_progress(self, outcome: Outcome, batch: Batch) -> None:
        """Show running means in the progress bar."""
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

    @property
    def _loss_scale(self) -> float:
        """Factor by which float16 training scales losses before their backward pass."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        return 1.0 if scaler is None else float(scaler.get_scale())

    def _first_of_step(self, batch_idx: int) -> bool:
        return batch_idx % self._accumulate == 0

    def _mean(self, name: str) -> MeanMetric:
        return self.eval_means[name].to(self.device)

    def _add_unweighted_terms(self, outcome: Outcome, batch: Batch) -> None:
        """On observed steps, record terms that the loss left out (without gradient, dropout or random numbers)."""
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
    """Return the logged name of an evaluation figure: ``eval/lm_loss`` for the terms, ``eval/NAME`` for the rest."""
    return f"eval/{name}_loss" if name in ("lm", "total", "next_token", *TERMS) else f"eval/{name}"


def perplexity(nats: float) -> float:
    """The exponential of a mean negative log-likelihood in nats per token; infinite where no float holds it."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
