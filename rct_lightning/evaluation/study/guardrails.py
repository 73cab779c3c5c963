"""What must not get worse for an arm's gains to count, and what the gains cost where no bound is set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rct_lightning.evaluation.statistics import Estimate
from rct_lightning.evaluation.study.scores import NotThere, Part, Study

Kept = Literal["kept", "broken", "cannot be told"]


@dataclass(frozen=True)
class Bound:
    """A guardrail: a figure and its limit.

    Attributes:
        endpoint: Key of the figure.
        words: The bound in words.
        limit: Limit of the figure, or of its difference from the base.
        over_base: Whether the limit applies to the difference.
        at_most: Whether the limit is an upper one; otherwise a lower one.
    """

    endpoint: str
    words: str
    limit: float
    over_base: bool
    at_most: bool


BOUNDS = (
    Bound("guardrail/bond_rate_unmarked", "bond language where not addressed: at most 2 points above the base", 0.02,
          True, True),
    Bound("guardrail/repetition", "repeated 4-grams: at most 1 point above the base", 0.01, True, True),
    Bound("guardrail/eos_rate", "replies that end by themselves: at least 95%", 0.95, False, False),
)  # fmt: skip
UNBOUNDED = (
    "language/eval_lm_loss",
    "guardrail/ordinary_lm_loss",
    "guardrail/refusal_margin_marked",
    "guardrail/refusal_margin_unmarked",
)
"""Figures without a bound: the cost of the relational terms there is reported alongside."""


@dataclass(frozen=True)
class Guarded:
    """The result of a guardrail for one arm."""

    arm: str
    bound: Bound
    answer: Kept
    figure: Estimate | None
    words: str


def guarded(study: Study) -> list[Guarded]:
    """Evaluate every guardrail for every arm."""
    return [_guard(study, arm.name, bound) for bound in BOUNDS for arm in study.arms()]


def _guard(study: Study, arm: str, bound: Bound) -> Guarded:
    parts: Sequence[Part] = [Part(1, arm, bound.endpoint)]
    if bound.over_base:
        parts = [*parts, Part(-1, arm, bound.endpoint, "base")]
    try:
        found = study.infer(study.sum(parts)).estimate
    except NotThere as missing:
        return Guarded(arm, bound, "cannot be told", None, str(missing))
    sign = 1 if bound.at_most else -1
    beyond = sorted(sign * (end - bound.limit) for end in (found.low, found.high))
    answer: Kept = "kept" if beyond[1] <= 0 else "broken" if beyond[0] > 0 else "cannot be told"
    words = f"{100 * found.mean:.1f} points [{100 * found.low:.1f}, {100 * found.high:.1f}]"
    if answer == "cannot be told":
        inside = sign * (found.mean - bound.limit) <= 0
        words += (
            ", within the bound, but the interval reaches beyond" if inside else ", beyond the bound, but not surely"
        )
    return Guarded(arm, bound, answer, found, words)
