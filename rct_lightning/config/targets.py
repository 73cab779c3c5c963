"""The allowlist of ``_target_``: what a configuration may ask to be called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rct_lightning.config.schema import hint
from rct_lightning.errors import UserError

ALLOWED_TARGETS = frozenset(
    {
        "lightning.pytorch.Trainer",
        "lightning.pytorch.loggers.TensorBoardLogger",
        "lightning.pytorch.loggers.CSVLogger",
        "lightning.pytorch.callbacks.LearningRateMonitor",
        "lightning.pytorch.callbacks.EarlyStopping",
        "lightning.pytorch.callbacks.RichProgressBar",
        "lightning.pytorch.callbacks.TQDMProgressBar",
        "rct_lightning.callbacks.BaselineComparison",
        "rct_lightning.callbacks.BestAdapter",
        "rct_lightning.callbacks.Checkpointing",
        "rct_lightning.callbacks.EvalSanity",
        "rct_lightning.callbacks.Events",
        "rct_lightning.callbacks.GenerationSampling",
        "rct_lightning.callbacks.Health",
        "rct_lightning.callbacks.LossComponents",
    }
)
"""The only names that a configuration can ask to be called: exact names, so that no attribute path leads elsewhere."""


def check_targets(node: Any, place: str = "") -> None:
    """Refuse every ``_target_`` that is not on the list, however deep.

    Raises:
        UserError: There is one; names its key.
    """
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name == "_target_" and not (isinstance(value, str) and value in ALLOWED_TARGETS):
                nearest = hint(str(value), ALLOWED_TARGETS)
                raise UserError(
                    f"{place}_target_={value!r} is not on the list of what a configuration may call.{nearest}"
                )
            check_targets(value, f"{place}{name}.")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            check_targets(value, f"{place}{index}.")
