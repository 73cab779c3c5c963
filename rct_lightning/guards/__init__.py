"""Checks before step 0: what would make this run fool its owner is named before it costs anything.

Each guard looks at the run as it is about to train (the very datasets, objective and model) and says what it saw; where
that is wrong, also what it usually means and what to do. Nothing is left changed: weights, gradients, modes, random
state are as before, so that a run with guards is bit for bit the run without them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from rct_lightning.generation import undisturbed
from rct_lightning.guards import corpus, loss
from rct_lightning.guards.finding import Finding, Run

__all__ = ["CORPUS_GUARDS", "LOSS_GUARDS", "Finding", "Run", "checklist", "inspect"]

Guard = Callable[[Run], Finding]
CORPUS_GUARDS: tuple[Guard, ...] = (
    corpus.check_labels,
    corpus.check_template,
    corpus.check_turns,
    corpus.check_markers,
    corpus.check_history,
    corpus.check_truncation,
    corpus.check_leakage,
    corpus.check_phrases,
)
LOSS_GUARDS: tuple[Guard, ...] = (
    loss.check_trainable,
    loss.check_next_token,
    loss.check_text_reaches,
    loss.check_gradients,
    loss.check_signs,
    loss.check_baseline,
)


def inspect(run: Run) -> list[Finding]:
    """Every guard's finding, in order; the run is left as it was."""
    findings = [guard(run) for guard in CORPUS_GUARDS]
    with undisturbed(run.model, seed=0), torch.enable_grad(), loss.nudged(run.model):
        return findings + [guard(run) for guard in LOSS_GUARDS]


def checklist(findings: Sequence[Finding]) -> str:
    """One line a guard, and behind what is not well its remedy."""
    lines = []
    for found in findings:
        lines.append(f"  {found.status:4}  {found.guard:10}  {found.seen}")
        if found.remedy:
            lines.append(f"        {'':10}  {found.remedy}")
    return "\n".join(lines)
