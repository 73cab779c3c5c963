"""Health checks during training: rules over what a run reports, relative to its own base and corpus.

A rule uses numbers only (losses and gradients of steps, evaluations, figures of the model's own replies), so that a
finished run can be re-checked from its events. Each alert says what was seen, what it usually means, and what to do. A
rule alerts once, and again only if the condition had cleared in between.
"""

from rct_lightning.health.bands import bands, largest_proportions
from rct_lightning.health.history import Expected, History, RepliesSeen, bigram_floor
from rct_lightning.health.rules import RULES, WINDOW
from rct_lightning.health.watch import Alert, Health

__all__ = [
    "RULES",
    "WINDOW",
    "Alert",
    "Expected",
    "Health",
    "History",
    "RepliesSeen",
    "bands",
    "bigram_floor",
    "largest_proportions",
]
