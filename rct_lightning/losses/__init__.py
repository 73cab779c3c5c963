"""The language-model loss and the relational terms; formulas and sources are in docs/losses.md."""

from rct_lightning.losses.positives import PositivesLoss
from rct_lightning.losses.relational import TERMS, LossSettings, Outcome, RelationalLoss
from rct_lightning.losses.seed import SeedLoss, TokenWeightedLoss

__all__ = [
    "TERMS",
    "LossSettings",
    "Outcome",
    "PositivesLoss",
    "RelationalLoss",
    "SeedLoss",
    "TokenWeightedLoss",
]
