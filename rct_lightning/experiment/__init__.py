"""Experiments from a configuration: ``train``, ``check``, ``evaluate``."""

from rct_lightning.experiment.evaluating import evaluate
from rct_lightning.experiment.preparing import Prepared, prepare
from rct_lightning.experiment.training import Trained, check, inspect, train

__all__ = ["Prepared", "Trained", "check", "evaluate", "inspect", "prepare", "train"]
