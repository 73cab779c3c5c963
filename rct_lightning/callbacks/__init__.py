"""Callbacks that watch a run, one per file. A callback reads the module; the module does not know the callbacks."""

from rct_lightning.callbacks.baseline_comparison import BaselineComparison
from rct_lightning.callbacks.best_adapter import BestAdapter
from rct_lightning.callbacks.checkpointing import Checkpointing, RunCheckpointIO
from rct_lightning.callbacks.eval_sanity import EvalSanity
from rct_lightning.callbacks.events import Events
from rct_lightning.callbacks.generation_sampling import GenerationSampling
from rct_lightning.callbacks.health import Health
from rct_lightning.callbacks.loss_components import LossComponents
from rct_lightning.callbacks.tensorboard import BoardLogger

__all__ = [
    "BaselineComparison",
    "BestAdapter",
    "BoardLogger",
    "Checkpointing",
    "EvalSanity",
    "Events",
    "GenerationSampling",
    "Health",
    "LossComponents",
    "RunCheckpointIO",
]
