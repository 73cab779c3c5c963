"""The parts of a run, each built from its section of the configuration."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from rct_lightning import backbone
from rct_lightning.callbacks import RunCheckpointIO
from rct_lightning.config import Config
from rct_lightning.data import Counterfactual, Recurrence, RelationalDataModule
from rct_lightning.errors import UserError
from rct_lightning.losses import LossSettings, PositivesLoss, RelationalLoss, SeedLoss, TokenWeightedLoss
from rct_lightning.losses.presence import PresenceSettings
from rct_lightning.losses.relational import PhraseBook
from rct_lightning.markers import Lexicon
from rct_lightning.module import Objective, OptimizerSettings, RelationalModule
from rct_lightning.runs import RunDir
from rct_lightning.template import DialogueTemplate


def make_lexicon(config: Config) -> Lexicon:
    """Build the presence markers and phrase banks."""
    return Lexicon.build(config.loss.markers.presence, config.loss.human_name)


def make_data(
    config: Config, tokenizer: Any, accelerator: str, template: DialogueTemplate | None = None
) -> RelationalDataModule:
    """Build the data module, with the corpus tokenised."""
    return RelationalDataModule(
        Path(config.data.train_file),
        Path(config.data.eval_file) if config.data.eval_file else None,
        tokenizer=tokenizer,
        template=template or DialogueTemplate(**config.data.roles.model_dump()),
        lexicon=make_lexicon(config),
        eval_size=config.data.eval_size,
        split_seed=config.data.split_seed,
        max_seq_length=config.data.max_seq_length,
        batch_size=config.data.batch_size,
        batch_tokens=config.data.batch_tokens,
        accumulate=config.trainer.accumulate_grad_batches,
        recurrence=Recurrence(
            config.loss.recurrence.max_document_frequency, config.loss.recurrence.num_candidates, config.seed
        ),
        counterfactual=make_counterfactual(config),
        placebo=config.data.placebo,
        rebuild_context=config.data.rebuild_context,
        seed=config.seed,
        num_workers=config.data.num_workers,
        processes=config.trainer.processes,
        pin_memory=accelerator == "gpu",
        token_cache=Path(config.data.token_cache) if config.data.token_cache else None,
    )


def make_counterfactual(config: Config) -> Counterfactual:
    """Build the augmentation of training rows; none if no term that needs it has weight.

    ``loss=positives`` uses the augmentation of the loss that it is compared with.
    """
    loss, share = config.loss, config.loss.counterfactual
    if loss.name == "positives" and loss.lambda_ * loss.weights.presence > 0:
        return Counterfactual(share.rename_share, share.readdress_share, config.seed)
    scale = 0.0 if loss.is_original else loss.lambda_
    trains_history = scale * (loss.weights.coherence + loss.weights.continuity) > 0
    trains_phrases = scale * (loss.weights.presence + loss.weights.continuity) > 0
    return Counterfactual(
        share.rename_share if trains_history else 0.0, share.readdress_share if trains_phrases else 0.0, config.seed
    )


def make_module(config: Config, base: backbone.Backbone, data: RelationalDataModule) -> RelationalModule:
    """Build the LightningModule from model, objective and optimizer settings."""
    return RelationalModule(
        base,
        make_objective(config, base, data),
        OptimizerSettings(**config.optimizer.model_dump()),
        data.template,
        max_length=config.data.max_seq_length,
        diagnostics_every_n_steps=config.diagnostics_every_n_steps,
        observe_every_n_steps=config.trainer.log_every_n_steps,
        card=make_card(config),
    )


def make_objective(config: Config, base: backbone.Backbone, data: RelationalDataModule) -> Objective:
    """Build the loss that the configuration names."""
    settings = LossSettings(
        lambda_=config.loss.lambda_,
        weights=config.loss.weights.model_dump(),
        presence=PresenceSettings(**config.loss.presence.model_dump()),
        recall_among=config.loss.recurrence.among,
        label_smoothing=config.loss.recurrence.label_smoothing,
        phrases_per_step=config.loss.phrases_per_step,
        seed=config.seed,
    )

    def tokenize(text: str) -> list[int]:
        return list(base.tokenizer(text, add_special_tokens=False)["input_ids"])

    if config.loss.name in ("seed", "original_v1"):
        decode = partial(base.tokenizer.decode, skip_special_tokens=True)
        return SeedLoss(settings, decode, repaired=config.loss.name == "original_v1")
    if config.loss.name == "original_v2":
        return TokenWeightedLoss(settings, tokenize)
    phrases = PhraseBook(make_lexicon(config), lambda text: tokenize(data.template.reply(text)))
    return PositivesLoss(settings, phrases) if config.loss.name == "positives" else RelationalLoss(settings, phrases)


def make_card(config: Config) -> backbone.AdapterCard:
    """Build the description stored in the adapter's folder."""
    name = config.model.hub_name or config.model.name
    how = f"loss={config.loss.name}, lambda={config.loss.lambda_:g}, seed={config.seed}"
    return backbone.AdapterCard(name, f"Trained by rct_lightning with {how}.")


def make_trainer(config: Config, accelerator: str, run: RunDir, *, purge_step: int | None = None) -> L.Trainer:
    """Build Lightning's Trainer with the configured callbacks and loggers.

    Args:
        config: Configuration of the run.
        accelerator: The resolved accelerator.
        run: Directory of all outputs.
        purge_step: TensorBoard discards what was logged from this step on.
    """
    given = {name: value for name, value in config.trainer.model_dump().items() if value is not None}
    given["accelerator"] = accelerator
    given.setdefault("enable_model_summary", False)
    callbacks = [_instantiate(spec) for spec in config.callbacks.values()]
    placed = {"save_dir": str(run.root), "name": run.tensorboard.name, "version": ""}
    again = {"purge_step": purge_step} if purge_step is not None else {}
    loggers = [
        _instantiate(placed | spec | (again if str(spec["_target_"]).endswith("BoardLogger") else {}))
        for spec in (config.logger or {}).values()
    ]
    try:
        return L.Trainer(
            **given,
            callbacks=callbacks,
            plugins=[RunCheckpointIO()],
            logger=loggers or False,
            default_root_dir=str(run.root),
            enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),  # not Lightning's
            use_distributed_sampler=False,
        )
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise UserError(f"trainer: Lightning refuses this setting: {error} See conf/trainer/default.yaml.") from error


def _instantiate(spec: Mapping[str, Any]) -> Any:
    """Call an allowed ``_target_`` (config.validate has checked it) with the other keys."""
    module, _, name = str(spec["_target_"]).rpartition(".")
    arguments = {key: value for key, value in spec.items() if key != "_target_"}
    try:
        return getattr(importlib.import_module(module), name)(**arguments)
    except (TypeError, ValueError, MisconfigurationException, ImportError) as error:
        raise UserError(f"{spec['_target_']}: {error}. See conf/callbacks and conf/logger for its keys.") from error
