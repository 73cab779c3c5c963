"""The outcome of a run as one row in a table of many: its settings, its last evaluation, and its endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import lightning as L

from rct_lightning.callbacks import BoardLogger
from rct_lightning.callbacks.tensorboard import write_evaluation
from rct_lightning.config import Config
from rct_lightning.evaluation.endpoints import MEANINGS
from rct_lightning.evaluation.metrics import read_endpoints
from rct_lightning.runs import RunDir, WhichAdapter

AT_THE_END = (
    "lm",
    "total",
    "presence/D_marked",
    "presence/D_unmarked",
    "coherence/candidate_accuracy",
    "continuity/candidate_accuracy",
)
"""Figures of the last evaluation during training."""
COLUMNS = (
    *(f"end/{name}" for name in AT_THE_END),
    *(f"evaluation/{key}" for key, (_, better) in MEANINGS.items() if better is not None),
)
"""Names of all figures; those of evaluate.py arrive later, or never."""


def settings_of(config: Config) -> dict[str, str | float]:
    """Return the settings in which runs differ."""
    model = config.model
    return {
        "model": model.name,
        "quantization": model.quantization,
        "lora_r": model.lora.r,
        "lora_alpha": model.lora.alpha,
        "lora_dropout": model.lora.dropout,
        "data": config.data.name,
        "rows_a_step": config.data.batch_size * config.trainer.accumulate_grad_batches,
        "max_epochs": config.trainer.max_epochs or -1,
        "loss": config.loss.name,
        "lambda": config.loss.lambda_,
        **{f"weight_{name}": value for name, value in config.loss.weights.model_dump().items()},
        "lr": config.optimizer.lr,
        "weight_decay": config.optimizer.weight_decay,
        "seed": config.seed,
    }


def log_outcome(config: Config, trainer: L.Trainer, values: Mapping[str, float]) -> None:
    """Report the final figures of a run to every logger.

    Args:
        config: The run's configuration.
        trainer: The trainer whose loggers are written to.
        values: Figures of the last evaluation.
    """
    outcome = {f"end/{name}": values[name] for name in AT_THE_END if name in values}
    for logger in trainer.loggers:
        if isinstance(logger, BoardLogger):
            logger.show_outcome(settings_of(config), outcome, COLUMNS)
        else:
            logger.log_hyperparams(settings_of(config))
        logger.finalize("success")


def show_endpoints(config: Config, run: RunDir, metrics: Path, which: WhichAdapter) -> None:
    """Add the endpoints of an evaluation to a run's TensorBoard event files, if it has any.

    Args:
        config: The run's configuration.
        run: The run directory with the event files.
        metrics: The evaluation's metrics.json.
        which: The adapter that was evaluated.
    """
    page = "evaluation" if which == "last" else "evaluation_of_best"
    endpoints = {
        f"{page}/{key}": (one["base"]["mean"], one["tuned"]["mean"]) for key, one in read_endpoints(metrics).items()
    }
    write_evaluation(run, run.step_of(which) or 1, endpoints, settings_of(config), COLUMNS)
