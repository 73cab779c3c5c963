"""Checks before step 0: they report what would make the run's results misleading before it costs anything.

Each guard inspects the run as it is about to train (its actual datasets, objective and model) and reports what it saw;
if that is wrong, also what it usually means and what to do. Nothing is left changed: weights, gradients, modes and
random state are restored, so that a run with guards is bit for bit the run without them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from rct_lightning.generation import undisturbed
from rct_lightning.guards import corpus, loss
from rct_lightning.guards.finding import Finding, Run, warn
from rct_lightning.splitting import is_out_of_memory

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
    loss.check_text,
    loss.check_gradients,
    loss.check_signs,
    loss.check_baseline,
)


def inspect(run: Run) -> list[Finding]:
    """Return every guard's finding, in order; the run is left unchanged."""
    findings = [guard(run) for guard in CORPUS_GUARDS]
    with undisturbed(run.model, seed=0), torch.enable_grad(), loss.nudged(run.model):
        return findings + [_within_memory(guard, run) for guard in LOSS_GUARDS]


def _within_memory(guard: Guard, run: Run) -> Finding:
    """Return a guard's finding; a guard that needs more memory than there is stops no run that needs less."""
    try:
        return guard(run)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    if run.module.device.type == "cuda":
        torch.cuda.empty_cache()
    return warn(
        guard.__name__.removeprefix("check_").replace("_", " "),
        "not checked: memory was not enough to look at several rows without recomputation",
        "Training cuts its micro-batches in such a case. For this check, use a lower data.max_seq_length once, with "
        "check=only.",
    )


def checklist(findings: Sequence[Finding]) -> str:
    """Return one line per guard, followed by its remedy if there is one."""
    lines = []
    for found in findings:
        lines.append(f"  {found.status:4}  {found.guard:10}  {found.seen}")
        if found.remedy:
            lines.append(f"        {'':10}  {found.remedy}")
    return "\n".join(lines)
