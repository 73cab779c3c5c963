"""Conversion of rows to tensors, done once when the dataset is built; a step only looks them up.

Everything that a loss needs to know about the text (labels, marker strength, recurrent positions and their candidates)
is part of the :class:`Batch`, so that no collator can drop it.
"""

from rct_lightning.data.batch import COHERENCE, CONTINUITY, IGNORE, Batch
from rct_lightning.data.dataset import RelationalDataset
from rct_lightning.data.module import RelationalDataModule
from rct_lightning.data.recurrence import Recurrence
from rct_lightning.data.row import Counterfactual
from rct_lightning.data.truncation import TruncationReport

__all__ = [
    "COHERENCE",
    "CONTINUITY",
    "IGNORE",
    "Batch",
    "Counterfactual",
    "Recurrence",
    "RelationalDataModule",
    "RelationalDataset",
    "TruncationReport",
]
