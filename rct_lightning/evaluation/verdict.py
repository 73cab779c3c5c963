"""The verdict of a comparison: one word per endpoint and two sentences overall, by a rule that can go either way.

The rule is fixed before anything is measured (docs/report.md). An endpoint with a good direction is *better* or *worse*
where the 95% interval of its change lies on one side of zero; otherwise there is *no clear change*. With fewer than
:data:`FEWEST_GROUPS` it is not judged. The first sentence gives the word of every primary endpoint; the second counts
the guardrails and all others, and names whatever got worse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rct_lightning.evaluation.endpoints import GROUPS, PRIMARY, Comparison, Direction, Endpoint, group_of
from rct_lightning.evaluation.statistics import Estimate
from rct_lightning.page import Tone

Word = Literal["better", "WORSE", "no clear change", ""]

COUNTED: dict[Word, str] = {
    "better": "got better",
    "no clear change": "did not clearly change",
    "": "cannot be judged",
}
TONES: dict[Word, Tone] = {"better": "good", "WORSE": "bad", "no clear change": "quiet", "": "quiet"}


FEWEST_GROUPS = 6
"""Conversations, pairs or probes below which there is no word. Five that all change alike do so by chance once in 16
times (2 / 2^5), six once in 32: with fewer, nothing that assumes no distribution can be told at 5%."""


@dataclass(frozen=True)
class Judged:
    """An endpoint's figures and its verdict; no word where it has no good direction, or too few groups."""

    endpoint: Endpoint
    base: Estimate
    tuned: Estimate
    change: Estimate

    @property
    def key(self) -> str:
        """The endpoint's key."""
        return self.endpoint.key

    @property
    def better(self) -> Direction | None:
        """The direction that is an improvement."""
        return self.endpoint.better

    @property
    def word(self) -> Word:
        """The verdict on this endpoint alone."""
        return word_of(self.better, self.change, self.endpoint.groups)

    @property
    def unjudged(self) -> Literal["", "few", "diverged"]:
        """Why there is no word although a direction is good; empty where there is a word."""
        if self.word or self.better is None:
            return ""
        return "diverged" if math.isnan(self.change.mean) else "few"

    @property
    def from_to(self) -> str:
        """Both means, in words."""
        return f"{self.base.mean:.3f} to {self.tuned.mean:.3f}"


def word_of(better: Direction | None, change: Estimate, groups: Sequence[str]) -> Word:
    """Return the verdict on a change, given the endpoint's good direction and the groups of its items."""
    if better is None or math.isnan(change.low) or len(set(groups)) < FEWEST_GROUPS:
        return ""
    if not change.excludes_zero():
        return "no clear change"
    return "better" if (change.low > 0) == (better == "higher") else "WORSE"


def judge(comparison: Comparison) -> list[Judged]:
    """Judge every endpoint, in order."""
    return [Judged(e, e.estimate("base"), e.estimate("tuned"), e.change()) for e in comparison.endpoints]


@dataclass(frozen=True)
class Sentence:
    """Half of the verdict; bad if it names anything that got worse, otherwise good if anything got better."""

    text: str
    tone: Literal["quiet", "good", "bad"]


def verdict(found: Sequence[Judged]) -> tuple[Sentence, Sentence]:
    """Return the report's two lead sentences: on the primary endpoints, and on all others with a good direction."""
    primary = [each for each in found if each.key in PRIMARY]
    guards = [each for each in found if group_of(each.key) == "guardrail" and each.better]
    others = [each for each in found if each.better and each not in primary and each not in guards]
    return (
        Sentence(_primary(primary), _tone(primary)),
        Sentence(_rest(guards, others), _tone([*guards, *others])),
    )


def _tone(found: Sequence[Judged]) -> Literal["quiet", "good", "bad"]:
    words = {each.word for each in found}
    return "bad" if "WORSE" in words else "good" if "better" in words else "quiet"


def _primary(found: Sequence[Judged]) -> str:
    if not found:
        return "No primary endpoint was measured."
    parts = [_told(found, "better", "better"), _told(found, "WORSE", "worse"), _told(found, "no clear change")]
    for reason, why in (("few", "too few items"), ("diverged", "figures that are no numbers")):
        missing = [_name(each) for each in found if each.unjudged == reason]
        parts += [f"not to be judged on {_and(missing)} ({why})"] if missing else []
    said = "; ".join(part for part in parts if part)
    return f"Against its own base the tuned model is {said}."


def _told(found: Sequence[Judged], word: Word, said: str = "") -> str:
    named = [f"{_name(each)} ({each.key.partition('/')[2]} {each.from_to})" for each in found if each.word == word]
    if not said:
        return f"not clearly changed on {_and(named)}" if named else ""
    return f"{said} on {_and(named) if named else 'none of the primary endpoints'}"


def _rest(guards: Sequence[Judged], others: Sequence[Judged]) -> str:
    parts = [_counted(guards, "guardrail"), _counted(others, "other endpoint")]
    return f"Of {', and of '.join(part for part in parts if part) or 'nothing else'}."


def _counted(found: Sequence[Judged], what: str) -> str:
    if not found:
        return ""
    worse = [f"{each.key.partition('/')[2]} {each.from_to}" for each in found if each.word == "WORSE"]
    counts = [f"{len(worse)} got worse ({', '.join(worse)})" if worse else "none got worse"]
    for word, told in COUNTED.items():
        number = sum(each.word == word for each in found)
        counts += [f"{number} {told}"] if number else []
    return f"{len(found)} {what}{'s' if len(found) != 1 else ''} {_and(counts)}"


def _name(each: Judged) -> str:
    return GROUPS[group_of(each.key)][0].lower()


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
