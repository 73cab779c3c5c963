"""A study's claim, by term: the relational arm beats both lm_only and positives_only on the primary endpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rct_lightning.evaluation.endpoints import PRIMARY, group_of
from rct_lightning.evaluation.significance import holm, smallest_p
from rct_lightning.evaluation.study.arms import POSITIVES
from rct_lightning.evaluation.study.contrasts import Contrast, contrast
from rct_lightning.evaluation.study.scores import NotThere, Study

Answer = Literal["holds", "fails", "cannot be told"]

TERMS = {group_of(key): key for key in PRIMARY if group_of(key) != "language"}
"""The primary endpoint of each term. They are log-likelihoods, so every item is informative; generated text is tested
by the falsifiers, in addition to these and not instead of them."""
LEVEL_OF_TEST = 0.05


@dataclass(frozen=True)
class Claim:
    """The claim about one term.

    Attributes:
        term: presence, coherence or continuity.
        endpoint: The term's primary endpoint.
        answer: Whether the treated arm beats both other arms.
        why: The reason, in one sentence.
        p: Holm-adjusted over the three terms; NaN if it could not be computed.
        against: The available contrasts.
    """

    term: str
    endpoint: str
    answer: Answer
    why: str
    p: float
    against: Sequence[Contrast]


def claims(study: Study) -> list[Claim]:
    """Return one claim per term.

    A term's p is the largest of four, since all four must hold: against lm_only and against positives_only, by the
    interval's method (other seeds and other conversations) and by the sign-flip test (exact, other seeds). It is 1 if a
    difference points the wrong way. The three p values are adjusted by Holm's method.
    """
    asked = {term: _against_both(study, endpoint) for term, endpoint in TERMS.items()}
    raw = [_p_of_both(found) if not missing else float("nan") for found, missing in asked.values()]
    adjusted = holm(raw, number=len(TERMS))
    return [
        _claim(term, endpoint, found, missing, p)
        for (term, endpoint), (found, missing), p in zip(TERMS.items(), asked.values(), adjusted, strict=True)
    ]


def _against_both(study: Study, endpoint: str) -> tuple[list[Contrast], list[str]]:
    """Return the contrasts with both references, and the reason for each that is missing."""
    try:
        treated = study.treated()
    except NotThere as missing:
        return [], [str(missing)]
    found, reasons = [], []
    for reference in (study.reference_of(treated), POSITIVES):
        try:
            found.append(contrast(study, treated, reference, endpoint))
        except NotThere as missing:
            reasons.append(str(missing))
    return found, reasons


def _p_of_both(found: Sequence[Contrast]) -> float:
    """Return the largest p; NaN if any is NaN, which ``max`` alone would miss."""
    asked = [p for each in found for p in (each.p, each.p_signs)]
    if any(map(math.isnan, [*asked, *(each.difference.mean for each in found)])):
        return math.nan
    if any(each.gain * each.difference.mean <= 0 for each in found):
        return 1.0
    return max(asked)


def _claim(term: str, endpoint: str, found: Sequence[Contrast], missing: Sequence[str], p: float) -> Claim:
    def said(answer: Answer, why: str) -> Claim:
        return Claim(term, endpoint, answer, why, p, found)

    if missing:
        return said("cannot be told", "; ".join(missing))
    seeds = min(len(each.seeds) for each in found)
    needed = next(number for number in range(2, 99) if len(TERMS) * smallest_p(number) <= LEVEL_OF_TEST)
    if seeds < needed:
        return said(
            "cannot be told",
            f"{seeds} {'seed is' if seeds == 1 else 'seeds are'} too few: the exact test over seeds cannot go below "
            f"p = {smallest_p(seeds):.3f}, and three questions at once need {needed} seeds",
        )
    if p != p:
        return said("cannot be told", "there is no interval: a model's figures are no numbers, or there is one item")
    if p <= LEVEL_OF_TEST:
        return said("holds", f"it beats both arms in all that was asked (p = {p:.3f} after Holm)")
    short = [each.reference for each in found if not each.is_better] or ["both, once three questions are counted"]
    return said("fails", f"it is not above {' and not above '.join(short)} (p = {p:.3f} after Holm)")
