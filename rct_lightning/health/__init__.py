"""Health while training: rules over what a run reports, relative to its own base and corpus.

A rule looks at numbers alone (losses and gradients of steps, evaluations, figures of the model's own replies), so that
a finished run can be judged again from its events. Each says what was seen, what it usually means, and what to do. It
speaks once, and again only when what it saw had gone in between.
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
