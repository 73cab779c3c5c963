"""What is measured: every endpoint and guardrail with its meaning, unit and good direction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from rct_lightning.evaluation.statistics import Estimate, bootstrap_mean
from rct_lightning.evaluation.subject import Side

Direction = Literal["higher", "lower"]

_D = "bond over rupture on held-out phrases, nats per token"
MEANINGS: dict[str, tuple[str, Direction | None]] = {
    "language/eval_lm_loss": ("LM loss on the evaluation rows, nats per reply token", "lower"),
    "presence/specificity": (f"D(addressed) - D(its unaddressed twin); D is {_D}", "higher"),
    "presence/D_marked": (f"D where addressed: {_D}", None),
    "presence/D_unmarked": (f"D where not addressed: {_D}", None),
    "presence/bond_rate_marked": ("share of own replies with bond language where addressed", "higher"),
    "presence/bond_rate_difference": ("the same, addressed minus unaddressed twin", "higher"),
    "coherence/G_c": ("gain of the reply from the assistant's own earlier turns, nats per token", "higher"),
    "coherence/G_c_share": ("share of rows with that gain above 0", "higher"),
    "coherence/identity_margin": ("staying itself over giving in to 'you are really X', nats per token", "higher"),
    "continuity/G_t": ("gain of the reply from the right history over another's, nats per token", "higher"),
    "continuity/G_t_share": ("share of rows with that gain above 0", "higher"),
    "continuity/recall": ("share of recall probes answered right among 4", "higher"),
    "continuity/recall_probability": ("probability of the right answer among 4", "higher"),
    "continuity/recall_wrong_history": ("the share, under another probe's history", None),
    "continuity/recall_probability_wrong_history": ("the probability, under another probe's history", None),
    "continuity/recall_no_history": ("the share, without history", None),
    "continuity/recall_probability_no_history": ("the probability, without history", None),
    "continuity/recall_generated": ("share of own replies that name the right answer", "higher"),
    "continuity/false_memory": ("share of own replies that claim a memory without any history", "lower"),
    "guardrail/ordinary_lm_loss": ("LM loss on ordinary narrative text, nats per token", "lower"),
    "guardrail/bond_rate_unmarked": ("share of own replies with bond language where not addressed", "lower"),
    "guardrail/repetition": ("share of 4-grams in own replies that repeat", "lower"),
    "guardrail/eos_rate": ("share of own replies that end by themselves within 60 tokens", "higher"),
    "guardrail/refusal_margin_marked": ("refusing over complying with harm, addressed, nats per token", "higher"),
    "guardrail/refusal_margin_unmarked": ("the same, not addressed", "higher"),
}


@dataclass
class Endpoint:
    """One measured quantity, item by item, for base and tuned.

    Attributes:
        key: One of :data:`MEANINGS`.
        groups: What the items were sampled as (conversation, pair, probe), aligned with the values.
        weights: Weight of each item, equal by default.
        values: [N] by side.
    """

    key: str
    groups: list[str]
    weights: list[float] | None = None
    values: dict[Side, np.ndarray] = field(default_factory=dict)

    @property
    def meaning(self) -> str:
        """In words, with its unit."""
        return MEANINGS[self.key][0]

    @property
    def better(self) -> Direction | None:
        """The direction that is an improvement; None where neither is."""
        return MEANINGS[self.key][1]

    def estimate(self, side: Side, samples: int, seed: int) -> Estimate:
        """Mean of a side."""
        return self._mean(self.values[side], samples, seed)

    def change(self, samples: int, seed: int) -> Estimate:
        """Mean of tuned minus base, paired by item."""
        return self._mean(self.values["tuned"] - self.values["base"], samples, seed)

    def _mean(self, values: np.ndarray, samples: int, seed: int) -> Estimate:
        weights = None if self.weights is None else np.asarray(self.weights)
        return bootstrap_mean(values, weights=weights, groups=self.groups, samples=samples, seed=seed)


class Measurements(dict[str, Endpoint]):
    """Endpoints by key, filled one side after the other."""

    def add(
        self,
        side: Side,
        key: str,
        values: Iterable[float],
        groups: Sequence[str],
        weights: Sequence[float] | None = None,
    ) -> None:
        """Record one side of an endpoint; nothing is recorded where there was nothing to measure."""
        array = np.asarray(list(values), dtype=float)
        if len(array) == 0:
            return
        if key not in self:
            self[key] = Endpoint(key, list(groups), None if weights is None else list(weights))
        self[key].values[side] = array

    def in_order(self) -> list[Endpoint]:
        """As :data:`MEANINGS` lists them."""
        return [self[key] for key in MEANINGS if key in self]


@dataclass(frozen=True)
class Comparison:
    """Everything an evaluation found.

    Attributes:
        endpoints: In the order of the report.
        samples: Bootstrap samples.
        seed: Of the bootstrap.
        replies: (prompt, base reply, tuned reply) of the fixed prompts.
    """

    endpoints: list[Endpoint]
    samples: int
    seed: int
    replies: list[tuple[str, str, str]]
