"""The LightningModule and its optimizer settings."""

from rct_lightning.module.optimizer import OptimizerSettings
from rct_lightning.module.record import StepRecord
from rct_lightning.module.relational import Objective, RelationalModule, eval_metric

__all__ = [
    "Objective",
    "OptimizerSettings",
    "RelationalModule",
    "StepRecord",
    "eval_metric",
]
