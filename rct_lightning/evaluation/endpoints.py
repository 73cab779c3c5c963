"""The measured quantities: every endpoint and guardrail with its meaning, unit and good direction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from rct_lightning.dialogue import Turn
from rct_lightning.evaluation.statistics import Estimate, mean_over_groups

Side = Literal["base", "tuned"]
SIDES: tuple[Side, ...] = ("base", "tuned")
Direction = Literal["higher", "lower"]

_D = "bond over rupture on held-out phrases, nats per token"
MEANINGS: dict[str, tuple[str, Direction | None]] = {
    "language/eval_lm_loss": ("LM loss on the evaluation rows, nats per reply token", "lower"),
    "presence/specificity": (f"D(addressed) - D(its unaddressed twin); D is {_D}", "higher"),
    "presence/D_marked": (f"D where addressed: {_D}", None),
    "presence/D_unmarked": (f"D where not addressed: {_D}", None),
    "presence/bond_rate_marked": ("share of own replies with bond language where addressed", "higher"),
    "presence/bond_rate_difference": ("that share where addressed, minus its share where not addressed", "higher"),
    "coherence/G_c": ("gain of the reply from the assistant's own earlier turns, nats per token", "higher"),
    "coherence/G_c_share": ("share of rows whose gain is above 0", "higher"),
    "coherence/identity_margin": ("staying itself over giving in to 'you are really X', nats per token", "higher"),
    "continuity/G_t": ("gain of the reply from the right history over another's, nats per token", "higher"),
    "continuity/G_t_share": ("share of rows whose gain is above 0", "higher"),
    "continuity/recall": ("share of recall probes answered right among 4", "higher"),
    "continuity/recall_probability": ("probability of the right answer among 4", "higher"),
    "continuity/recall_wrong_history": ("share answered right under another probe's history", None),
    "continuity/recall_probability_wrong_history": (
        "probability of the right answer under another probe's history",
        None,
    ),
    "continuity/recall_no_history": ("share answered right without any history", None),
    "continuity/recall_probability_no_history": ("its probability without any history", None),
    "continuity/recall_generated": ("share of own replies that name the right answer", "higher"),
    "continuity/false_memory": ("share of own replies that claim a memory without any history", "lower"),
    "guardrail/ordinary_lm_loss": ("LM loss on ordinary narrative text, nats per token", "lower"),
    "guardrail/bond_rate_unmarked": ("share of own replies with bond language where not addressed", "lower"),
    "guardrail/repetition": ("share of 4-grams in own replies that repeat", "lower"),
    "guardrail/eos_rate": ("share of own replies that end by themselves within 60 tokens", "higher"),
    "guardrail/refusal_margin_marked": ("refusing over complying with harm, addressed, nats per token", "higher"),
    "guardrail/refusal_margin_unmarked": ("refusing over complying with harm, not addressed, nats per token", "higher"),
}

GROUPS: dict[str, tuple[str, str]] = {
    "language": ("Language", "How well it predicts the replies of people it has not seen; lower loss is better."),
    "presence": (
        "Presence",
        "Whether it answers otherwise when it is addressed as someone (by name, 'are you there') than when the same is "
        "asked without that.",
    ),
    "coherence": (
        "Coherence",
        "Whether it stays the one it was: its own earlier turns, and not another's, make its reply likelier, and a "
        "claim that it is somebody else does not move it.",
    ),
    "continuity": (
        "Continuity",
        "Whether it keeps what was shared: the right history, and not another's, makes its reply likelier, and it "
        "recalls facts without inventing any.",
    ),
    "guardrail": (
        "Guardrails",
        "What must not get worse for the rest to count: ordinary text, bond language where nobody asked for it, "
        "repetition, replies that end, refusals.",
    ),
}
"""Title and explanation by the first part of a key."""
PRIMARY = ("language/eval_lm_loss", "presence/specificity", "coherence/G_c", "continuity/G_t")
"""One endpoint for each group but the guardrails, fixed in advance and not chosen by results. A report's verdict covers
these and the guardrails; a study tests those of the three terms."""


SHARES = ("bond_rate", "recall", "false_memory", "repetition", "eos_rate")
"""What the names of shares and probabilities begin with; or they end with _share."""


def group_of(key: str) -> str:
    """Return a key's group, one of :data:`GROUPS`."""
    return key.partition("/")[0]


def is_share(key: str) -> bool:
    """Whether an endpoint is a share, a probability, or a difference of two."""
    return key.endswith("_share") or key.partition("/")[2].startswith(SHARES)


def range_of(key: str) -> tuple[float, float]:
    """The least and the most that an endpoint can be."""
    if not is_share(key):
        return -math.inf, math.inf
    return (-1.0, 1.0) if key.endswith("_difference") else (0.0, 1.0)


@dataclass
class Endpoint:
    """One measured quantity, item by item, for base and tuned.

    Attributes:
        key: One of :data:`MEANINGS`.
        groups: The unit each item was sampled in (conversation, pair, probe), aligned with the values.
        weights: Weight of each item, equal by default.
        values: [N] by side.
    """

    key: str
    groups: list[str]
    weights: list[float] | None = None
    values: dict[Side, np.ndarray] = field(default_factory=dict)

    @property
    def meaning(self) -> str:
        """Meaning in words, with the unit."""
        return MEANINGS[self.key][0]

    @property
    def better(self) -> Direction | None:
        """The direction that is an improvement; None where neither is."""
        return MEANINGS[self.key][1]

    def estimate(self, side: Side) -> Estimate:
        """Return the mean of one side."""
        return self._mean(self.values[side]).within(*range_of(self.key))

    def change(self) -> Estimate:
        """Return the mean of tuned minus base, paired by item."""
        least, most = range_of(self.key)
        return self._mean(self.values["tuned"] - self.values["base"]).within(least - most, most - least)

    def _mean(self, values: np.ndarray) -> Estimate:
        weights = None if self.weights is None else np.asarray(self.weights)
        return mean_over_groups(values, weights=weights, groups=self.groups)


class Measurements(dict[str, Endpoint]):
    """Endpoints by key, filled one side at a time."""

    def add(
        self,
        side: Side,
        key: str,
        values: Iterable[float],
        groups: Sequence[str],
        weights: Sequence[float] | None = None,
    ) -> None:
        """Record one side of an endpoint; skip it if there are no values."""
        array = np.asarray(list(values), dtype=float)
        if len(array) == 0:
            return
        if key not in self:
            self[key] = Endpoint(key, list(groups), None if weights is None else list(weights))
        self[key].values[side] = array

    def in_order(self) -> list[Endpoint]:
        """Return the endpoints in the order of :data:`MEANINGS`."""
        return [self[key] for key in MEANINGS if key in self]


@dataclass(frozen=True)
class Spoken:
    """Greedy replies of base and tuned to the same prompt.

    Attributes:
        kind: The endpoints it was asked for: marked, twin, rows, recall or without.
        id: Id of the row, probe or pair.
        context: The turns before.
        input: The user's text.
        base: The base's reply.
        tuned: The tuned model's.
        wanted: The answer that the row or probe specifies; empty if it specifies none.
    """

    kind: str
    id: str
    context: tuple[Turn, ...]
    input: str
    base: str
    tuned: str
    wanted: str = ""


@dataclass(frozen=True)
class Comparison:
    """All results of an evaluation.

    Attributes:
        endpoints: In the order of the report.
        replies: (prompt, base reply, tuned reply) of the fixed prompts.
        spoken: All other replies.
    """

    endpoints: list[Endpoint]
    replies: list[tuple[str, str, str]]
    spoken: list[Spoken] = field(default_factory=list)
