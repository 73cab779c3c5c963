"""Guards over model and loss: trainable parameters, next-token shift, text, gradients, signs, the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

import torch
from torch import Tensor, nn

from rct_lightning.backbone import adapter_state
from rct_lightning.data import COHERENCE, CONTINUITY, Batch, RelationalDataset
from rct_lightning.dialogue import Example
from rct_lightning.guards.finding import Finding, Run, ok, spread, stop, warn
from rct_lightning.losses.relational import BANKS, Figure, Outcome
from rct_lightning.markers import Bank

NUDGE = 0.02
"""Standard deviation of the noise that guards add to the adapters: while B is zero, the gradient of A is zero."""
ROWS = 8
RECALL, NOTHING_MADE_UP = "continuity (recall)", "continuity (nothing made up)"
"""The two halves of continuity, which rows of different kinds are asked about."""

BOND_OVER: dict[Bank, str] = {
    "rupture": "bond over rupture where one is addressed (over the same where one is not)",
    "plain": "bond over plain where one is addressed (over the same where one is not)",
}
"""What the marker is to change, by what bond is set against: D and P of docs/losses.md."""


@dataclass(frozen=True)
class Part:
    """A term, or a half of one, and what it is looked at on.

    Attributes:
        name: As messages say it.
        term: What the objective calls the term.
        rows: A few short rows that have nothing of the term but this part.
    """

    name: str
    term: str
    rows: tuple[int, ...]


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


def check_text(run: Run) -> Finding:
    """Blanking the text changes every relational term that has weight."""
    rows = run.data.train_set
    blank = [replace(row, input=".", context=()) for row in rows.examples]
    deaf = []
    for indices, parts in _by_rows(_parts(run)):
        seen = [run.objective.observe(run.model, _from_text(run, [examples[i] for i in indices])).terms
                for examples in (rows.examples, blank)]  # fmt: skip
        for part in parts:
            values = [float(terms[part.term]) if part.term in terms else 0.0 for terms in seen]
            if abs(values[0] - values[1]) <= 1e-6:
                deaf.append(f"{part.name} is {values[0]:.4f} with and without its text")
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
    rows = min(ROWS, run.data.batch_size)  # no more than a step is to read at a time
    language = Part("lm", "lm", tuple(spread(len(run.data.train_set), rows)))
    for indices, parts in _by_rows([language, *_parts(run)]):
        batch = _on_device(run.data.train_set.collate(indices), run)
        for part, slope in zip(parts, _slopes(run, run.objective(run.model, batch, 0).terms, parts), strict=True):
            problem = _slope_problem(run, batch, part.term, slope)
            problems += [f"{part.name}: {problem}"] if problem else []
            norms.append(f"{part.name} {slope.norm:.2g}")
    if problems:
        return stop(
            "gradients",
            "; ".join(problems),
            "A term without a gradient of its own is a number in a log. It must be made of the model's outputs, "
            "never of decoded text.",
        )
    return ok("gradients", f"norms {', '.join(norms)}; each equals a finite difference")


@dataclass(frozen=True)
class Slope:
    """The value of a part and its gradient over the adapters.

    Attributes:
        value: None if the term was not computed.
        gradient: None if the value carries none.
    """

    value: float | None
    gradient: list[Tensor] | None

    @property
    def norm(self) -> float:
        """Norm of the gradient."""
        return 0.0 if self.gradient is None else _norm(self.gradient)


def _slopes(run: Run, terms: Mapping[str, Tensor], parts: Sequence[Part]) -> list[Slope]:
    """Return the slopes of parts that share their rows, from one pass."""
    parameters = list(adapter_state(run.model).values())
    slopes = []
    for number, part in enumerate(parts, start=1):
        found, gradient = terms.get(part.term), None
        if found is not None and found.requires_grad:
            gradient = _gradient(found, parameters, retain_graph=number < len(parts))
        slopes.append(Slope(None if found is None else float(found.detach()), gradient))
    return slopes


def _slope_problem(run: Run, batch: Batch, term: str, slope: Slope) -> str:
    """What is wrong with a term's gradient; empty: nothing."""
    if slope.value is None:
        return "was not computed"
    if slope.gradient is None:
        return f"is {slope.value:.3f} and carries no gradient"
    norm = slope.norm
    if not norm > 0:
        return f"is {slope.value:.3f} and its gradient is zero"
    length = 1e-2 / norm
    values = []
    for sign in (1, -1):
        with _moved_along(run, slope.gradient, sign * length), torch.no_grad():
            moved = run.objective(run.model, batch, 0).terms.get(term)
            values.append(float(moved) if moved is not None else float("nan"))
    found = (values[0] - values[1]) / (2 * length)
    if not abs(found / norm**2 - 1) <= _tolerance(run, 0.1):
        return f"a step along its gradient changes it by {found / norm:.3g} a unit, its norm says {norm:.3g}"
    return ""


def check_signs(run: Run) -> Finding:
    """Check that a small step down each term moves what the term is named after."""
    wrong = []
    for indices, parts in _by_rows(_parts(run)):
        batch = _on_device(run.data.train_set.collate(indices), run)
        outcome = run.objective(run.model, batch, 0)
        pulled = _pulled_wrongly(outcome, batch)
        for part, slope in zip(parts, _slopes(run, outcome.terms, parts), strict=True):
            if slope.value is None or slope.gradient is None or not slope.norm > 0:
                continue  # reported by check_gradients
            if part.name == NOTHING_MADE_UP:
                problem = _distance_problem(run, batch, part, slope.value)
            else:
                still = pulled if part.term == "presence" and pulled else _not_raised(run, batch, part, slope, outcome)
                problem = f"a step down {part.name} does not raise {', nor '.join(still)}" if still else ""
            wrong += [problem] if problem else []
    if wrong:
        return stop("signs", "; ".join(wrong), "The term trains something else than it is meant to. Look at its sign.")
    return ok("signs", "a step down each term moves what it names")


def _pulled_wrongly(outcome: Outcome, batch: Batch) -> list[str]:
    """Return the differences (D, P) whose other bank presence does not push down where the assistant is addressed.

    Bond over plain (P) and bond over rupture (D) share the bond score, so on a step of the adapters one of them carries
    the other along, whatever its own sign is. The slopes over the scores of each bank tell them apart.
    """
    presence = outcome.terms.get("presence")
    if outcome.asked is None or presence is None or not presence.requires_grad:
        return []
    (slope,) = torch.autograd.grad(presence, outcome.asked, retain_graph=True, materialize_grads=True)
    is_marked = batch.strength[batch.twin_of] > 0  # the row; otherwise its twin is
    marked, unmarked = (torch.where(is_marked, slope[at], slope[1 - at]) for at in (0, 1))
    apart = (marked - unmarked).sum(dim=1)
    return [BOND_OVER[bank] for bank in BOND_OVER if not apart[BANKS.index(bank)] > 0]


def _not_raised(run: Run, batch: Batch, part: Part, slope: Slope, outcome: Outcome) -> list[str]:
    """Return what a small step down a term should raise but does not."""
    assert slope.gradient is not None
    by_words = part.term != "presence"
    before = _words_of_history(run, batch, part) if by_words else _what_presence_names(outcome.figures)
    with _moved_along(run, slope.gradient, -1e-2 / slope.norm), torch.no_grad():
        after = (_words_of_history(run, batch, part) if by_words
                 else _what_presence_names(run.objective(run.model, batch, 0).figures))  # fmt: skip
    return [name for name, value in before.items() if not after[name] > value]


def _distance_problem(run: Run, batch: Batch, part: Part, value: float) -> str:
    """Return why a step down the squared distance of memory claims does not lead to the base (empty: it does).

    No step is taken: one of fixed length may jump over the base, and prompts on different sides of it need not all come
    nearer. But a term whose gradient was verified, that is above 0 here and about 0 at the base (all adapters at zero),
    falls on the way there.
    """
    parameters = list(adapter_state(run.model).values())
    with _moved(parameters, [-parameter.detach() for parameter in parameters]), torch.no_grad():
        at_base = float(run.objective(run.model, batch, 0).terms[part.term])
    if value > 0 and abs(at_base) < value / 2:
        return ""
    return (
        f"{part.name} is {value:.4f} where memory claims without a history have moved and {at_base:z.4f} where they "
        f"are as likely as with the base: a step down it does not bring them back there"
    )


def _what_presence_names(figures: Mapping[str, Figure]) -> dict[str, float]:
    """Return what a step down presence must raise: the marker's effect on bond over plain."""

    def mean(name: str) -> float:
        total, count = figures[f"presence/{name}"]
        return float(total / count)

    if "presence/P_marked" not in figures:  # loss=positives asks one of the two prompts alone
        return {"bond language where one is addressed": mean("S_B_marked")}
    return {BOND_OVER["plain"]: mean("P_marked") - mean("P_unmarked")}


def _words_of_history(run: Run, batch: Batch, part: Part) -> dict[str, float]:
    """Return what a step down coherence or recall must raise: the log-probability of the history's words."""
    with torch.no_grad():
        logits = run.model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
    chosen = batch.recurrent_source == (COHERENCE if part.term == "coherence" else CONTINUITY)
    states = logits[batch.recurrent_row[chosen], batch.recurrent_position[chosen] - 1].float()
    likelihood = states.log_softmax(1).gather(1, batch.candidates[chosen][:, :1])
    return {"the words of the history": float(likelihood.mean())}


def check_baseline(run: Run) -> Finding:
    """The base's replies are kept, for comparison with the tuned model's."""
    if run.samples_baseline:
        return ok("baseline", "the base is asked before step 0")
    return warn("baseline", "the base's replies are not kept", "Without callbacks.baseline_comparison nothing shows "
                 "what training changed.")  # fmt: skip


def _parts(run: Run) -> list[Part]:
    """Return the relational terms with weight, continuity in two halves, each with a few short rows it applies to.

    Presence and memory claims use the same rows if enough of them have no history: one pass serves both.
    """
    rows = run.data.train_set.rows
    by_length = sorted(range(len(rows)), key=lambda index: len(rows[index].encoded.ids))
    pairs = [index for index in by_length if rows[index].twin is not None]
    without_history = [index for index in pairs if not rows[index].has_history]
    judged = {
        ("presence", "presence"): sorted(pairs, key=lambda index: rows[index].has_history),
        (NOTHING_MADE_UP, "continuity"): without_history,
        ("coherence", "coherence"): [index for index in by_length if COHERENCE in rows[index].sources],
        (RECALL, "continuity"): [index for index in by_length if CONTINUITY in rows[index].sources],
    }
    return [
        Part(name, term, tuple(indices[: ROWS // 2]))
        for (name, term), indices in judged.items()
        if indices and run.weight(term) > 0
    ]


def _by_rows(parts: Sequence[Part]) -> Iterator[tuple[tuple[int, ...], list[Part]]]:
    """Neighbouring parts that are looked at on the same rows."""
    for rows, found in groupby(parts, key=lambda part: part.rows):
        yield rows, list(found)


def _on_device(batch: Batch, run: Run) -> Batch:
    return batch.to(next(run.model.parameters()).device)


def _tolerance(run: Run, in_float32: float) -> float:
    """Return the tolerance: a hundred times wider (at most 0.7) if the model does not compute in float32."""
    return in_float32 if next(run.model.parameters()).dtype == torch.float32 else min(100 * in_float32, 0.7)


def _gradient(value: Tensor, parameters: Sequence[Tensor], *, retain_graph: bool = False) -> list[Tensor]:
    """Return the gradient of a scalar for each parameter; zero where it does not depend on it."""
    parts = torch.autograd.grad(value, list(parameters), retain_graph=retain_graph, allow_unused=True)
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


def _moved_along(run: Run, direction: Sequence[Tensor], by: float) -> AbstractContextManager[None]:
    """Adapters moved in a direction inside."""
    return _moved(list(adapter_state(run.model).values()), [part * by for part in direction])


@contextmanager
def nudged(model: nn.Module) -> Iterator[None]:
    """Add noise to the adapters inside the context, so that every part of every term has a gradient."""
    parameters = list(adapter_state(model).values())
    with _moved(parameters, [torch.randn_like(parameter) * NUDGE for parameter in parameters]):
        yield
