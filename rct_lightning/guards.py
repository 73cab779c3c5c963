"""Checks before step 0: what would make this run fool its owner is named before it costs anything.

Each guard looks at the run as it is about to train (the very datasets, objective and model) and says what it saw; where
that is wrong, also what it usually means and what to do. Nothing is left changed: weights, gradients, modes, random
state and reference scores are as before, so that a run with guards is bit for bit the run without them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn

from rct_lightning.backbone import adapter_state
from rct_lightning.corpus.overlap import Passage, coverage, overlaps
from rct_lightning.data import COHERENCE, CONTINUITY, IGNORE, Batch, RelationalDataModule, RelationalDataset
from rct_lightning.dialogue import Example
from rct_lightning.generation import undisturbed
from rct_lightning.losses import TERMS
from rct_lightning.markers import Lexicon
from rct_lightning.module import Objective, RelationalModule

Status = Literal["ok", "warn", "stop"]

MARKED_SHARE = (0.1, 0.9)
CUT_ROWS_WARN, REPLY_TOKENS_KEPT = 0.05, 0.95
NEAR_DUPLICATE, SHARED_8_GRAMS = 0.8, 0.2
NUDGE = 0.02
"""Standard deviation of what is added to the adapters meanwhile: while B is zero, half of the gradient is zero too."""
ROWS = 8


@dataclass(frozen=True)
class Finding:
    """What a guard saw.

    Attributes:
        guard: Its name, as in docs/guards.md.
        status: ok, warn (the run goes on), or stop.
        seen: What was found, with its figures.
        remedy: What it usually means and what to do; empty where all is well.
    """

    guard: str
    status: Status
    seen: str
    remedy: str = ""


@dataclass(frozen=True)
class Run:
    """What is about to train.

    Attributes:
        module: Model, objective, template.
        data: Both sides of the split.
        lexicon: Markers and phrase banks.
        fresh_objective: Makes the same objective with no reference scores kept, for rows of its own.
        samples_baseline: Whether the base is asked before training.
    """

    module: RelationalModule
    data: RelationalDataModule
    lexicon: Lexicon
    fresh_objective: Callable[[], Objective]
    samples_baseline: bool = True

    @cached_property
    def objective(self) -> Objective:
        """One such objective for all guards: the reference is scored once a row."""
        return self.fresh_objective()

    @property
    def model(self) -> nn.Module:
        """The model in training."""
        return self.module.model


# --- what the corpus says -------------------------------------------------------------------------------------------


def check_labels(run: Run) -> Finding:
    """Labels are the reply and its EOS, nothing else; padding is told by length."""
    name, eos = "labels", run.module.tokenizer.eos_token_id
    if eos == run.module.tokenizer.pad_token_id:
        return _stop(
            name,
            "padding and end of sequence are the same token",
            "Masked as padding, EOS is never learnt and replies never end. Use a tokenizer with a padding token.",
        )
    for side, rows in _sides(run.data).items():
        for index in _spread(len(rows), 64):
            wrong = _wrong_labels(rows, index, run)
            if wrong:
                return _stop(
                    name,
                    f"{side} row {rows.examples[index].id}: {wrong}",
                    "The model would learn something else than the reply. Look at the template and the collation.",
                )
    return _ok(name, "labels decode to the reply, EOS is learnt")


def _wrong_labels(rows: RelationalDataset, index: int, run: Run) -> str:
    batch = rows.collate([index])
    labels = batch.labels[0]
    kept = labels[labels != IGNORE].tolist()
    eos, tokenizer = run.module.tokenizer.eos_token_id, run.module.tokenizer
    cut = rows.rows[index].encoded.reply_tokens_cut > 0
    if not kept:
        return "nothing of the reply is learnt"
    if not cut and kept[-1] != eos:
        return "its end-of-sequence token carries no label"
    expected = run.module.template.reply(rows.examples[index].output)
    found = tokenizer.decode([token for token in kept if token != eos])
    if not (expected.startswith(found) if cut else found == expected):
        return f"labels decode to {found[:40]!r}, the reply is {expected[:40]!r}"
    places = torch.nonzero(labels != IGNORE).flatten()
    if not torch.equal(batch.input_ids[0, places], labels[places]) or int(places[0]) != int(batch.prompt_length[0]):
        return "labels do not stand where the reply stands"
    return ""


def check_markers(run: Run) -> Finding:
    """Enough rows on both sides of presence."""
    rows = run.data.train_set.rows
    share = sum(row.strength > 0 for row in rows) / len(rows)
    seen = f"{share:.0%} of the training rows address the assistant"
    if MARKED_SHARE[0] <= share <= MARKED_SHARE[1]:
        return _ok("markers", seen)
    if _weight(run, "presence") == 0:
        return _warn("markers", seen, "Presence has no weight here; with weight it would have nothing to tell apart.")
    return _stop(
        "markers",
        seen,
        "Presence learns the difference between rows that address and rows that do not; it needs 10 to 90% of either. "
        "Set loss.markers.presence to the words of your dialogues, or loss.weights.presence=0.",
    )


def check_history(run: Run) -> Finding:
    """Rows with history, and recurrent words, where a history term has weight."""
    rows = run.data.train_set.rows
    history, recurrent = sum(row.has_history for row in rows), sum(bool(row.recurrent) for row in rows)
    seen = f"{history} of {len(rows)} training rows have a history, {recurrent} take up a word of it"
    weighted = [term for term in ("coherence", "continuity") if _weight(run, term) > 0]
    if recurrent or not weighted:
        return _ok("history", seen)
    return _stop(
        "history",
        seen,
        f"{' and '.join(weighted)} would be zero in every step. Give rows a context (data.rebuild_context=true takes "
        "earlier rows of a conversation), a larger data.max_seq_length, or set the weight to 0.",
    )


def check_truncation(run: Run) -> Finding:
    """What did not fit into max_seq_length."""
    name, limit = "truncation", run.data.max_seq_length
    report = run.data.truncation["train"]
    kept = 1 - report.reply_tokens_cut / max(report.reply_tokens, 1)
    cut = max(report.rows_with_cut_context, report.rows_with_cut_input, report.rows_with_cut_reply) / report.rows
    seen = f"{kept:.1%} of the reply tokens fit into {limit}, {cut:.1%} of the rows were cut"
    if kept < REPLY_TOKENS_KEPT:
        longest = max(len(row.encoded.ids) + row.encoded.reply_tokens_cut + row.encoded.input_tokens_cut
                      for row in run.data.train_set.rows)  # fmt: skip
        return _stop(name, seen, f"Replies would be learnt in part. data.max_seq_length={longest} holds every reply.")
    if cut > CUT_ROWS_WARN:
        return _warn(name, seen, "The oldest turns are missing there. A larger data.max_seq_length keeps them.")
    return _ok(name, seen)


def check_leakage(run: Run) -> Finding:
    """Nothing of the evaluation side is on the training side."""
    train, held = run.data.train_set.examples, run.data.eval_set.examples
    shared = {row.conversation for row in train} & {row.conversation for row in held}
    problems = [f"{len(shared)} conversations are on both sides"] if shared else []
    known = {(row.input, row.output) for row in train}
    same = sum((row.input, row.output) in known for row in held)
    problems += [f"{same} evaluation rows stand word for word among the training rows"] if same else []
    for what in ("input", "output"):
        passages = [[Passage(row.id, getattr(row, what)) for row in side if len(getattr(row, what).split()) >= 8]
                    for side in (held, train)]  # fmt: skip
        near = {pair.first for pair in overlaps(*passages) if pair.share >= NEAR_DUPLICATE}
        problems += [f"{len(near)} evaluation rows have nearly the {what} of a training row"] if near else []
    seen_before = coverage([row.output for row in held], [row.output for row in train], 8)
    if seen_before > SHARED_8_GRAMS:
        problems.append(f"{seen_before:.0%} of the 8-grams of evaluation replies occur in training replies")
    if not problems:
        return _ok("leakage", f"no conversation and no row on both sides; shared 8-grams {seen_before:.1%}")
    return _stop(
        "leakage",
        "; ".join(problems),
        "Evaluation would measure memory. Split by conversation: data.eval_file=null does it, duplicates taken out.",
    )


def check_phrases(run: Run) -> Finding:
    """Phrases that train are not the phrases that are scored, and no slot is left open."""
    halves = {half: [run.lexicon.phrases(bank, half) for bank in ("bond", "rupture", "plain", "memory_claim")]
              for half in ("train", "heldout")}  # fmt: skip
    train, held = ({" ".join(p.lower().split()) for bank in banks for p in bank} for banks in halves.values())
    both, open_slots = train & held, sorted(p for p in train | held if "{" in p)
    if both or open_slots:
        seen = f"{len(both)} phrases train and are scored" if both else f"{open_slots[0]!r} has an open slot"
        return _stop("phrases", seen, "Score other phrases than those that train, and fill every slot (markers.py).")
    return _ok("phrases", f"{len(train)} phrases train, {len(held)} others are scored")


# --- what the model and the loss do ---------------------------------------------------------------------------------


def check_trainable(run: Run) -> Finding:
    """Adapters train, the base does not."""
    trainable = list(adapter_state(run.model))
    base = [name for name in trainable if "lora_" not in name]
    if not trainable or base:
        seen = f"{base[0]} of the base is trainable" if base else "nothing is trainable"
        return _stop("trainable", seen, "Only adapters may train: the frozen base is what the result is set against.")
    return _ok("trainable", f"{len(trainable)} adapter tensors train, the base is frozen")


def check_next_token(run: Run) -> Finding:
    """Our LM loss is the model's own: each token is predicted from those before it."""
    rows = run.data.train_set
    batch = _on_device(rows.collate(_spread(len(rows), 4)), run)
    outcome = run.objective.observe(run.model, batch, training_rows=True)
    with torch.no_grad():
        own = run.model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, labels=batch.labels).loss
    ours, true = float(outcome.terms["lm"]), float(own)
    if abs(ours - true) <= _tolerance(run, 1e-4) * max(1.0, true):
        return _ok("next token", f"LM loss {ours:.4f}, the model's own {true:.4f}")
    return _stop(
        "next token",
        f"LM loss {ours:.4f}, the model's own next-token loss on the same labels {true:.4f}",
        "A loss that compares a token with the prediction made at its own place trains copying: its figure falls to "
        "0.05 while the model forgets how to write. Shift labels by one.",
    )


def check_text_reaches(run: Run) -> Finding:
    """Blanking the text changes every relational term that has weight."""
    rows = run.data.train_set
    blank = [replace(row, input=".", context=()) for row in rows.examples]
    readings = ((rows.examples, run.objective), (blank, run.fresh_objective()))
    deaf = []
    for term, indices in _rows_by_term(run).items():
        values = []
        for examples, objective in readings:
            batch = replace(_from_text(run, [examples[i] for i in indices]), index=torch.tensor(indices))
            seen = objective.observe(run.model, batch, training_rows=True)
            values.append(float(seen.terms[term]) if term in seen.terms else 0.0)
        if abs(values[0] - values[1]) <= 1e-6:
            deaf.append(f"{term} is {values[0]:.4f} with and without its text")
    if deaf:
        return _stop(
            "text",
            "; ".join(deaf),
            "The term does not see what was said, so it trains nothing: text is lost between file and loss.",
        )
    return _ok("text", "every relational term changes when the text is blanked")


def _from_text(run: Run, examples: list[Example]) -> Batch:
    """The batch that the data module makes of some rows, from their text."""
    rows, module = run.data.train_set, run.module
    encoded = [module.template.encode(example, module.tokenizer, run.data.max_seq_length) for example in examples]
    side = RelationalDataset(examples, encoded, rows.vocabulary, run.lexicon, rows.pad_id)
    return _on_device(side.collate(range(len(examples))), run)


def check_gradients(run: Run) -> Finding:
    """Each term that has weight has a gradient over the adapters, it is the slope, and a step down it goes down."""
    problems, norms = [], []
    for term, indices in {"lm": _spread(len(run.data.train_set), ROWS), **_rows_by_term(run)}.items():
        batch = _on_device(run.data.train_set.collate(indices), run)
        problem, norm = _slope_problem(run, batch, term)
        problems += [f"{term}: {problem}"] if problem else []
        norms.append(f"{term} {norm:.2g}")
    if problems:
        return _stop(
            "gradients",
            "; ".join(problems),
            "A term without a gradient of its own is a number in a log. It must be made of the model's outputs, "
            "never of decoded text.",
        )
    return _ok("gradients", f"norms {', '.join(norms)}; each equals a finite difference")


def _slope_problem(run: Run, batch: Batch, term: str) -> tuple[str, float]:
    """What is wrong with a term's gradient (empty: nothing), and its norm."""
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
    """A small step down each term moves what the term names."""
    wrong = []
    for term, what, indices in _sign_cases(run):
        batch, parameters = (
            _on_device(run.data.train_set.collate(indices), run),
            list(adapter_state(run.model).values()),
        )
        found = run.objective(run.model, batch, 0).terms.get(term)
        if found is None or not found.requires_grad:
            continue  # the gradients' guard says so
        gradient = _gradient(found, parameters)
        norm = _norm(gradient)
        if norm == 0:
            continue
        before = _what_it_names(run, batch, term)
        with _moved(parameters, [g * (-1e-2 / norm) for g in gradient]):
            after = _what_it_names(run, batch, term)
        if not after > before:
            wrong.append(f"a step down {term} does not raise {what}")
    if wrong:
        return _stop("signs", "; ".join(wrong), "The term trains something else than it is meant to. Look at its sign.")
    return _ok("signs", "a step down each term moves what it names")


def _sign_cases(run: Run) -> list[tuple[str, str, list[int]]]:
    """Terms with weight, what a step down must raise, and the rows that say so."""
    cases, rows = [], run.data.train_set.rows
    for term, indices in _rows_by_term(run).items():
        if term != "presence":
            cases.append((term, "the words of the history", indices))
            continue
        marked = [index for index in indices if rows[index].strength > 0]
        unmarked = [index for index in indices if rows[index].strength == 0]
        cases += [(term, "bond language where one is addressed", marked)] if marked else []
        cases += [(term, "plain words over bond where one is not addressed", unmarked)] if unmarked else []
    return cases


def _what_it_names(run: Run, batch: Batch, term: str) -> float:
    """The figure that a step down a term must raise on a batch of one kind of row."""
    with torch.no_grad():
        if term == "presence":
            figures = run.objective(run.model, batch, 0).figures
            marked = bool((batch.strength > 0).any())
            total, count = figures["presence/D_marked" if marked else "presence/P_unmarked"]
            return float(total / count) * (1 if marked else -1)
        logits = run.model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
    chosen = batch.recurrent_source == (COHERENCE if term == "coherence" else CONTINUITY)
    states = logits[batch.recurrent_row[chosen], batch.recurrent_position[chosen] - 1].float()
    return float(states.log_softmax(1).gather(1, batch.candidates[chosen][:, :1]).mean())


def check_baseline(run: Run) -> Finding:
    """The base's replies are kept, to be set against the tuned model's."""
    if run.samples_baseline:
        return _ok("baseline", "the base is asked before step 0")
    return _warn("baseline", "the base's replies are not kept", "Without callbacks.baseline_comparison nothing shows "
                 "what training changed.")  # fmt: skip


GUARDS: tuple[Callable[[Run], Finding], ...] = (
    check_labels,
    check_markers,
    check_history,
    check_truncation,
    check_leakage,
    check_phrases,
    check_trainable,
    check_next_token,
    check_text_reaches,
    check_gradients,
    check_signs,
    check_baseline,
)


def inspect(run: Run) -> list[Finding]:
    """Every guard's finding, in the order of :data:`GUARDS`; the run is left as it was."""
    corpus = [guard(run) for guard in GUARDS[:6]]
    with undisturbed(run.model, seed=0), torch.enable_grad(), _nudged(run.model):
        return corpus + [guard(run) for guard in GUARDS[6:]]


def checklist(findings: Sequence[Finding]) -> str:
    """One line a guard, and behind what is not well its remedy."""
    lines = []
    for found in findings:
        lines.append(f"  {found.status:4}  {found.guard:10}  {found.seen}")
        if found.remedy:
            lines.append(f"        {'':10}  {found.remedy}")
    return "\n".join(lines)


# --- helpers --------------------------------------------------------------------------------------------------------


def _ok(guard: str, seen: str) -> Finding:
    return Finding(guard, "ok", seen)


def _warn(guard: str, seen: str, remedy: str) -> Finding:
    return Finding(guard, "warn", seen, remedy)


def _stop(guard: str, seen: str, remedy: str) -> Finding:
    return Finding(guard, "stop", seen, remedy)


def _sides(data: RelationalDataModule) -> dict[str, RelationalDataset]:
    return {"train": data.train_set, "eval": data.eval_set}


def _spread(length: int, count: int) -> list[int]:
    """Up to ``count`` indices, evenly spread."""
    return list(range(0, length, max(1, -(-length // count))))


def _weight(run: Run, term: str) -> float:
    return run.module.objective.settings.weight(term)


def _rows_by_term(run: Run) -> dict[str, list[int]]:
    """For each relational term with weight, a few short rows that it judges."""
    rows = run.data.train_set.rows
    by_length = sorted(range(len(rows)), key=lambda index: len(rows[index].encoded.ids))
    marked = [index for index in by_length if rows[index].strength > 0][: ROWS // 2]
    unmarked = [index for index in by_length if rows[index].strength == 0][: ROWS // 2]
    found = {"presence": marked + unmarked}
    for term, source in (("coherence", COHERENCE), ("continuity", CONTINUITY)):
        found[term] = [index for index in by_length if source in rows[index].sources][: ROWS // 2]
    return {term: indices for term, indices in found.items() if indices and _weight(run, term) > 0 and term in TERMS}


def _on_device(batch: Batch, run: Run) -> Batch:
    return batch.to(next(run.model.parameters()).device)


def _tolerance(run: Run, in_float32: float) -> float:
    """A hundred times wider where the model computes in 16 bits."""
    return in_float32 if next(run.model.parameters()).dtype == torch.float32 else min(100 * in_float32, 0.7)


def _gradient(value: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """Of a scalar over parameters; zero where it does not depend on one."""
    parts = torch.autograd.grad(value, list(parameters), allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for g, p in zip(parts, parameters, strict=True)]


def _norm(tensors: Sequence[Tensor]) -> float:
    return float(torch.stack([tensor.double().square().sum() for tensor in tensors]).sum().sqrt())


@contextmanager
def _moved(parameters: Sequence[Tensor], by: Sequence[Tensor]) -> Iterator[None]:
    """Parameters moved inside, exactly as before outside."""
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
def _nudged(model: nn.Module) -> Iterator[None]:
    """Adapters that already change something, so that every part of every term is at work."""
    parameters = list(adapter_state(model).values())
    with _moved(parameters, [torch.randn_like(parameter) * NUDGE for parameter in parameters]):
        yield
