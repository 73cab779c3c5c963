"""Collects what a run reports, and raises alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rct_lightning.health.history import History, RepliesSeen, Values
from rct_lightning.health.rules import RULES, WINDOW, Watches


@dataclass(frozen=True)
class Alert:
    """An alert of a rule.

    Attributes:
        rule: Name of the rule, as in docs/guards.md.
        step: Optimizer step at which the problem was seen.
        seen: What was found, with its figures.
        means: What it usually means.
        remedy: What to do.
        fatal: Whether further training is pointless.
    """

    rule: str
    step: int
    seen: str
    means: str
    remedy: str
    fatal: bool

    def line(self) -> str:
        """Return the alert as one paragraph."""
        return f"{self.rule}, step {self.step}: {self.seen}. {self.means} {self.remedy}"


@dataclass
class Health:
    """Applies the rules after every report; each alerts once, and again only if its condition cleared in between."""

    history: History
    standing: set[tuple[str, str]] = field(default_factory=set)  # (rule, subject) of alerts that still hold

    def state_dict(self) -> dict[str, Any]:
        """Return all reports and standing alerts, as plain values."""
        history = self.history
        return {
            "steps": history.steps,
            "gradients": history.gradients,
            "evaluations": history.evaluations,
            "replies": [(step, asdict(seen)) for step, seen in history.replies],
            "moved": sorted(history.moved),
            "standing": sorted(self.standing),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore them."""
        history = self.history
        history.steps, history.gradients = list(state["steps"]), list(state["gradients"])
        history.evaluations = list(state["evaluations"])
        history.replies = [(step, RepliesSeen(**seen)) for step, seen in state["replies"]]
        history.moved = set(state["moved"])
        self.standing = set(state["standing"])

    def step(self, step: int, values: Values) -> list[Alert]:
        """Add a training step: terms, total, and gradients if measured."""
        history = self.history
        history.steps = [(at, seen) for at, seen in history.steps if at > step - WINDOW] + [(step, values)]
        history.moved |= {term for term in history.expected.weights if values.get(term, 0.0) > 0}
        if "grad/lm_norm" in values:
            history.gradients.append((step, values))
        return self._ask("step", step)

    def evaluation(self, step: int, values: Values) -> list[Alert]:
        """Add an evaluation; the first is the base's."""
        self.history.evaluations.append((step, values))
        return self._ask("evaluation", step)

    def spoken(self, step: int, replies: RepliesSeen) -> list[Alert]:
        """Add figures of the model's own replies; the first are the base's."""
        self.history.replies.append((step, replies))
        return self._ask("replies", step)

    def ended(self, step: int, logged: Sequence[tuple[int, str]]) -> list[Alert]:
        """Add the end of training, with step and phase of every row of loss_components.csv."""
        self.history.logged = logged
        return self._ask("end", step)

    def _ask(self, watches: Watches, step: int) -> list[Alert]:
        alerts = []
        for rule in RULES:
            if rule.watches != watches:
                continue
            seen = dict(rule.look(self.history))
            alerts += [
                Alert(rule.name, step, what, rule.means, rule.remedy, rule.fatal)
                for about, what in seen.items()
                if (rule.name, about) not in self.standing
            ]
            self.standing = {pair for pair in self.standing if pair[0] != rule.name}
            self.standing |= {(rule.name, about) for about in seen}
        return alerts
