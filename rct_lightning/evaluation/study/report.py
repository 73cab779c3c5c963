"""All results of a study, before they are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rct_lightning.evaluation.study.claims import Answer, Claim, claims
from rct_lightning.evaluation.study.contrasts import Contrast, contrasts
from rct_lightning.evaluation.study.falsifiers import Falsifier, Finding, falsifiers, history_placebo
from rct_lightning.evaluation.study.folder import Absent
from rct_lightning.evaluation.study.guardrails import Guarded, Kept, guarded
from rct_lightning.evaluation.study.scores import NotThere, Study

OF_A_GUARDRAIL: dict[Kept, Answer] = {"kept": "holds", "broken": "fails", "cannot be told": "cannot be told"}
"""What a guardrail says of the hypothesis."""


@dataclass(frozen=True)
class StudyReport:
    """All results of a study.

    Attributes:
        study: The evaluated runs.
        absent: Runs of the study that were left out, and why.
        claims: One per term.
        falsifiers: The six falsifiers.
        placebo: The additional findings on wrong_history.
        guarded: Guardrails of every arm.
        contrasts: Every arm against each reference on every endpoint.
    """

    study: Study
    absent: Sequence[Absent]
    claims: Sequence[Claim]
    falsifiers: Sequence[Falsifier]
    placebo: Sequence[Finding]
    guarded: Sequence[Guarded]
    contrasts: Sequence[Contrast]

    @classmethod
    def of(cls, study: Study, absent: Sequence[Absent] = ()) -> StudyReport:
        """Compute all results.

        Raises:
            UserError: Runs were evaluated on different items.
        """
        return cls(
            study, absent, claims(study), falsifiers(study), history_placebo(study), guarded(study), contrasts(study)
        )

    @property
    def answer(self) -> Answer:
        """The hypothesis as a whole: six falsifiers, three claims and the guardrails of its arm.

        It fails where one of them does, and holds only where all of them hold.
        """
        try:
            treated = self.study.treated()
        except NotThere:
            return "cannot be told"
        answers = {each.answer for each in self.falsifiers} | {each.answer for each in self.claims}
        answers |= {OF_A_GUARDRAIL[each.answer] for each in self.guarded if each.arm == treated}
        return "fails" if "fails" in answers else "holds" if answers == {"holds"} else "cannot be told"

    def plain(self) -> dict[str, Any]:
        """Return plain numbers and words, for programs; NaN and infinity become null."""
        plain: dict[str, Any] = _without_nan(
            {
                "answer": self.answer,
                "arms": {arm.name: sorted(self.study.of(arm.name)) for arm in self.study.arms()},
                "absent": [{"run": str(each.root), "why": each.why} for each in self.absent],
                "claims": [asdict(each) for each in self.claims],
                "falsifiers": [asdict(each) | {"answer": each.answer} for each in self.falsifiers],
                "wrong_history": [asdict(each) for each in self.placebo],
                "guardrails": [asdict(each) for each in self.guarded],
                "contrasts": [asdict(each) for each in self.contrasts],
                "bootstrap_samples": self.study.samples,
                "seed": self.study.seed,
            }
        )
        return plain


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return value
