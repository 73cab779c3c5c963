"""Guards over model and loss: trainable parameters, next-token shift, text, gradients, signs, the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from rct_lightning.backbone import adapter_state
from rct_lightning.data import COHERENCE, CONTINUITY, Batch, RelationalDataset
from rct_lightning.dialogue import Example
from rct_lightning.guards.finding import Finding, Run, ok, spread, stop, warn

NUDGE = 0.02
"""Standard deviation of the noise that guards add to the adapters: while B is zero, the gradient of A is zero."""
ROWS = 8
WHAT_A_STEP_RAISES = {
    "presence": "bond language where one is addressed (over bond language where one is not)",
    "coherence": "the words of the history",
    "continuity": "the words of the history",
}


def check_trainable(run: Run) -> Finding:
    """Only adapters are trainable, not the base."""
    trainable = list(adapter_state(run.model))
    base = [name for name in trainable if "lora_" not in name]
    if not trainable or base:
        seen = f"{base[0]} of the base is trainable" if base else "nothing is trainable"
        return stop("trainable", seen, "Only adapters may train: the frozen base is what the result is set against.")
    return ok("trainable", f"{len(trainable)} adapter tensors train, the base is frozen")


def check_next_token(run: Run) -> Finding:
    """The objective's LM loss is the model's own: each token is predicted from those before it."""
    rows = run.data.train_set
    batch = _on_device(rows.collate(spread(len(rows), 4)), run)
    with torch.no_grad():
        own = run.model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, labels=batch.labels).loss
        trained = run.objective(run.model, batch, 0)  # training and evaluation compute the loss in separate passes
    watched, true = run.objective.observe(run.model, batch), float(own)
    ours, seen = (float(outcome.terms["lm"]) for outcome in (trained, watched))
    furthest = max(ours, seen, key=lambda value: abs(value - true))
    if abs(furthest - true) <= _tolerance(run, 1e-4) * max(1.0, true):
        return ok("next token", f"LM loss {ours:.4f}, the model's own {true:.4f}")
    where = "" if furthest == ours == seen else " of a training step" if furthest == ours else " of an evaluation"
    return stop(
        "next token",
        f"LM loss{where} {furthest:.4f}, the model's own next-token loss on the same labels {true:.4f}",
        "A loss that compares a token with the prediction made at its own place trains copying: its figure falls to "
        "0.05 while the model forgets how to write. Shift labels by one.",
    )


def check_text_reaches(run: Run) -> Finding:
    """Blanking the text changes every relational term that has weight."""
    rows = run.data.train_set
    blank = [replace(row, input=".", context=()) for row in rows.examples]
    deaf = []
    for term, indices in _rows_by_term(run).items():
        values = []
        for examples in (rows.examples, blank):
            seen = run.objective.observe(run.model, _from_text(run, [examples[i] for i in indices]))
            values.append(float(seen.terms[term]) if term in seen.terms else 0.0)
        if abs(values[0] - values[1]) <= 1e-6:
            deaf.append(f"{term} is {values[0]:.4f} with and without its text")
    if deaf:
        return stop(
            "text",
            "; ".join(deaf),
            "The term does not see what was said, so it trains nothing: text is lost between file and loss.",
        )
    return ok("text", "every relational term changes when the text is blanked")


def _from_text(run: Run, examples: list[Example]) -> Batch:
    """Build the batch of some rows from their text, as the data module does."""
    rows, module = run.data.train_set, run.module
    encode = partial(module.template.encode, tokenizer=module.tokenizer, max_length=run.data.max_seq_length)
    encoded = [encode(example) for example in examples]
    side = RelationalDataset(examples, encoded, rows.vocabulary, run.lexicon, rows.pad_id, encode=encode)
    return _on_device(side.collate(range(len(examples))), run)


def check_gradients(run: Run) -> Finding:
    """Each term that has weight has a gradient over the adapters, and a finite difference along it agrees."""
    problems, norms = [], []
    for term, indices in {"lm": spread(len(run.data.train_set), ROWS), **_rows_by_term(run)}.items():
        batch = _on_device(run.data.train_set.collate(indices), run)
        problem, norm = _slope_problem(run, batch, term)
        problems += [f"{term}: {problem}"] if problem else []
        norms.append(f"{term} {norm:.2g}")
    if problems:
        return stop(
            "gradients",
            "; ".join(problems),
            "A term without a gradient of its own is a number in a log. It must be made of the model's outputs, "
            "never of decoded text.",
        )
    return ok("gradients", f"norms {', '.join(norms)}; each equals a finite difference")


def _slope_problem(run: Run, batch: Batch, term: str) -> tuple[str, float]:
    """Return what is wrong with a term's gradient (empty: nothing), and its norm."""
    parameters = list(adapter_state(run.model).values())

    def value(*, with_gradient: bool = False) -> Tensor | None:
        with torch.set_grad_enabled(with_gradient):
            return run.objective(run.model, batch, 0).terms.get(term)

    found = value(with_gradient=True)
    if found is None:
        return "was not computed", 0.0
    if not found.requires_grad:
        return f"is {float(found):.3f} and carries no gradient", 0.0
    gradient = _gradient(found, parameters)
    norm = _norm(gradient)
    if not norm > 0:
        return f"is {float(found.detach()):.3f} and its gradient is zero", norm
    length = 1e-2 / norm
    values = []
    for sign in (1, -1):
        with _moved(parameters, [g * (sign * length) for g in gradient]):
            moved = value()
            values.append(float(moved) if moved is not None else float("nan"))
    slope = (values[0] - values[1]) / (2 * length)
    if not abs(slope / norm**2 - 1) <= _tolerance(run, 0.1):
        return f"a step along its gradient changes it by {slope / norm:.3g} a unit, its norm says {norm:.3g}", norm
    return "", norm


def check_signs(run: Run) -> Finding:
    """A small step down each term raises what the term is meant to raise."""
    wrong, parameters = [], list(adapter_state(run.model).values())
    for term, indices in _rows_by_term(run).items():
        batch = _on_device(run.data.train_set.collate(indices), run)
        found = run.objective(run.model, batch, 0).terms.get(term)
        if found is None or not found.requires_grad:
            continue  # reported by check_gradients
        gradient = _gradient(found, parameters)
        norm = _norm(gradient)
        if norm == 0:
            continue
        before = _what_it_names(run, batch, term)
        with _moved(parameters, [g * (-1e-2 / norm) for g in gradient]):
            after = _what_it_names(run, batch, term)
        if not after > before:
            wrong.append(f"a step down {term} does not raise {WHAT_A_STEP_RAISES[term]}")
    if wrong:
        return stop("signs", "; ".join(wrong), "The term trains something else than it is meant to. Look at its sign.")
    return ok("signs", "a step down each term moves what it names")


def _what_it_names(run: Run, batch: Batch, term: str) -> float:
    """Return what a step down a term must raise.

    For presence, the effect of the marker on bond over plain; for the history terms, the log-probability of the
    recurrent words.
    """
    with torch.no_grad():
        if term == "presence":
            figures = run.objective(run.model, batch, 0).figures
            if "presence/P_rise_marked" not in figures:  # loss=positives scores only one of the two prompts
                return float(figures["presence/S_B_marked"][0] / figures["presence/S_B_marked"][1])
            marked, unmarked = (figures[f"presence/P_rise_{side}"] for side in ("marked", "unmarked"))
            return float(marked[0] / marked[1] - unmarked[0] / unmarked[1])
        logits = run.model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
    chosen = batch.recurrent_source == (COHERENCE if term == "coherence" else CONTINUITY)
    states = logits[batch.recurrent_row[chosen], batch.recurrent_position[chosen] - 1].float()
    return float(states.log_softmax(1).gather(1, batch.candidates[chosen][:, :1]).mean())


def check_baseline(run: Run) -> Finding:
    """The base's replies are kept, for comparison with the tuned model's."""
    if run.samples_baseline:
        return ok("baseline", "the base is asked before step 0")
    return warn("baseline", "the base's replies are not kept", "Without callbacks.baseline_comparison nothing shows "
                 "what training changed.")  # fmt: skip


def _rows_by_term(run: Run) -> dict[str, list[int]]:
    """Return, for each relational term with weight, a few short rows to which it applies."""
    rows = run.data.train_set.rows
    by_length = sorted(range(len(rows)), key=lambda index: len(rows[index].encoded.ids))
    found = {"presence": [index for index in by_length if rows[index].twin is not None][: ROWS // 2]}
    for term, source in (("coherence", COHERENCE), ("continuity", CONTINUITY)):
        found[term] = [index for index in by_length if source in rows[index].sources][: ROWS // 2]
    return {term: indices for term, indices in found.items() if indices and run.weight(term) > 0}


def _on_device(batch: Batch, run: Run) -> Batch:
    return batch.to(next(run.model.parameters()).device)


def _tolerance(run: Run, in_float32: float) -> float:
    """Return the tolerance: a hundred times wider (at most 0.7) if the model does not compute in float32."""
    return in_float32 if next(run.model.parameters()).dtype == torch.float32 else min(100 * in_float32, 0.7)


def _gradient(value: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Return the gradient of a scalar for each parameter; zero where it does not depend on it."""
    parts = torch.autograd.grad(value, list(parameters), allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for g, p in zip(parts, parameters, strict=True)]


def _norm(tensors: Sequence[Tensor]) -> float:
    return float(torch.stack([tensor.float().square().sum() for tensor in tensors]).sum().sqrt())  # MPS has no float64


@contextmanager
def _moved(parameters: Sequence[Tensor], by: Sequence[Tensor]) -> Iterator[None]:
    """Move parameters inside the context, and restore them exactly afterwards."""
    before = [parameter.detach().clone() for parameter in parameters]
    try:
        with torch.no_grad():
            for parameter, step in zip(parameters, by, strict=True):
                parameter += step
        yield
    finally:
        with torch.no_grad():
            for parameter, old in zip(parameters, before, strict=True):
                parameter.copy_(old)


@contextmanager
def nudged(model: nn.Module) -> Iterator[None]:
    """Add noise to the adapters inside the context, so that every part of every term has a gradient."""
    parameters = list(adapter_state(model).values())
    with _moved(parameters, [torch.randn_like(parameter) * NUDGE for parameter in parameters]):
        yield
