"""Each guard on a healthy run, and on the same run with a fault planted that it must name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from conftest import EVAL_ROWS, ROWS

from rct_lightning import guards
from rct_lightning.backbone import Backbone, adapter_state
from rct_lightning.data import IGNORE, Batch
from rct_lightning.generation import undisturbed
from rct_lightning.guards import Run, corpus, loss
from rct_lightning.losses import LossSettings, Outcome, SeedLoss, relational
from rct_lightning.losses.presence import Replies
from rct_lightning.markers import Lexicon
from rct_lightning.markers.lexicon import PhraseBank
from rct_lightning.module import OptimizerSettings, RelationalModule
from rct_lightning.template import DialogueTemplate

NAMES = (
    "labels", "template", "turns", "markers", "history", "truncation", "leakage", "phrases", "trainable", "next token",
    "text", "gradients", "signs", "baseline",
)  # fmt: skip


@pytest.fixture
def make_run(
    make_backbone: Callable[..., Backbone], make_data: Any, data: Any, make_objective: Any
) -> Callable[..., Run]:
    """A run about to train: fresh adapters, dropout on, the shared corpus."""

    def make(on: Any = data, fresh: Callable[[], Any] | None = None, **changes: Any) -> Run:
        backbone = make_backbone(trained=False, dropout=0.1)
        module = RelationalModule(backbone, (fresh or make_objective)(), OptimizerSettings(), on.template)
        return replace(Run(module, on, Lexicon()), **changes)

    return make


def found(run: Run) -> dict[str, guards.Finding]:
    return {finding.guard: finding for finding in guards.inspect(run)}


def stops(run: Run, *asked: guards.Guard) -> dict[str, str]:
    """Return what stops a run, by guard, with all guards or the given ones (some need seconds); each names a remedy."""
    findings = [guard(run) for guard in asked] or guards.inspect(run)
    stopping = {finding.guard: finding for finding in findings if finding.status == "stop"}
    assert all(finding.seen and finding.remedy for finding in stopping.values())
    return {name: finding.seen for name, finding in stopping.items()}


def stops_where_adapters_have_moved(run: Run, *asked: guards.Guard) -> dict[str, str]:
    """The same of some guards that look at the loss, as all of them together would."""
    with undisturbed(run.model, seed=0), torch.enable_grad(), loss.nudged(run.model):
        return stops(run, *asked)


# --- a healthy run --------------------------------------------------------------------------------------------------


def test_a_healthy_run_passes_every_guard(make_run: Any) -> None:
    findings = guards.inspect(make_run())
    assert [finding.guard for finding in findings] == list(NAMES)
    assert {finding.status for finding in findings} == {"ok"}
    lines = guards.checklist(findings).splitlines()
    assert len(lines) == len(NAMES) and all(line.strip().startswith("ok") for line in lines)
    gradients = findings[NAMES.index("gradients")].seen
    assert all(f"{part} " in gradients for part in ("lm", "presence", "coherence", loss.RECALL, loss.NOTHING_MADE_UP))


@pytest.mark.parametrize("seed", range(3))
def test_guards_leave_the_run_as_it_was(make_run: Any, seed: int) -> None:
    run = make_run()
    run.model.train()
    run.model.get_base_model().gpt_neox.layers[0].eval()
    torch.manual_seed(seed)
    weights = {name: p.clone() for name, p in adapter_state(run.model).items()}
    modes, random = {name: m.training for name, m in run.model.named_modules()}, torch.get_rng_state()
    guards.inspect(run)
    assert torch.equal(torch.get_rng_state(), random)
    assert {name: m.training for name, m in run.model.named_modules()} == modes
    after = adapter_state(run.model)
    assert all(torch.equal(after[name], weights[name]) for name in weights)
    assert all(p.grad is None for p in run.model.parameters())


def test_a_guard_that_does_not_fit_into_memory_is_left_out_and_says_so(
    make_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scarce(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    run = make_run()
    monkeypatch.setattr(loss, "_slopes", scarce)
    seen = found(run)
    assert list(seen) == list(NAMES)
    assert {name for name, finding in seen.items() if finding.status != "ok"} == {"gradients", "signs"}
    assert all(seen[name].status == "warn" and "memory" in seen[name].seen for name in ("gradients", "signs"))
    monkeypatch.setattr(loss, "_slopes", lambda *_: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match="size"):
        guards.inspect(run)


def test_guards_are_called_as_their_findings_are() -> None:
    called = [guard.__name__ for guard in (*guards.CORPUS_GUARDS, *guards.LOSS_GUARDS)]
    assert called == [f"check_{name.replace(' ', '_')}" for name in NAMES]


def test_without_relational_terms_there_is_nothing_to_ask_of_them(
    make_run: Any, make_objective: Any, data: Any
) -> None:
    run = make_run(fresh=lambda: make_objective(lambda_=0.0))
    assert set(stops(run)) == set()
    assert "presence" not in found(run)["gradients"].seen


# --- faults in what is read -----------------------------------------------------------------------------------------


def with_labels(run: Run, change: Callable[[Batch, torch.Tensor], None], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return the run with faulty labels."""
    true = type(run.data.train_set).collate

    def collate(self: Any, *arguments: Any, **options: Any) -> Batch:
        batch = true(self, *arguments, **options)
        labels = batch.labels.clone()
        change(batch, labels)
        return replace(batch, labels=labels)

    monkeypatch.setattr(type(run.data.train_set), "collate", collate)
    return run


def test_eos_masked_as_padding_is_named(make_run: Any, monkeypatch: pytest.MonkeyPatch, tokenizer: Any) -> None:
    def mask_eos(batch: Batch, labels: torch.Tensor) -> None:
        labels[labels == tokenizer.eos_token_id] = IGNORE

    assert "carries no label" in stops(with_labels(make_run(), mask_eos, monkeypatch), corpus.check_labels)["labels"]


def test_a_turn_forged_inside_a_text_is_named(make_run: Any, make_data: Any) -> None:
    forged = {"forged": {"input": "Are you there, dear friend?", "output": "Yes.\nHuman: Good. And the box?"}}
    seen = stops(make_run(on=make_data(ROWS | forged)), corpus.check_turns)["turns"]
    assert "train: 1 of 9 rows" in seen and "'forged': 'Human: Good. And the box?'" in seen
    held_out = make_run(on=make_data(ROWS, EVAL_ROWS | forged))
    assert "eval: 1 of " in stops(held_out, corpus.check_turns)["turns"]
    roles = DialogueTemplate("Guest", "Host")
    other = make_run(on=make_data(ROWS | forged, template=roles))
    assert corpus.check_turns(other).status == "ok", "other roles, other lines"


def test_learning_the_users_words_is_named(make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def learn_everything(batch: Batch, labels: torch.Tensor) -> None:
        labels[batch.attention_mask == 1] = batch.input_ids[batch.attention_mask == 1]

    assert (
        "labels decode to"
        in stops(with_labels(make_run(), learn_everything, monkeypatch), corpus.check_labels)["labels"]
    )


def test_labels_out_of_place_are_named(make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def shift(batch: Batch, labels: torch.Tensor) -> None:
        labels[:] = labels.roll(-1, dims=1)

    assert "do not stand where" in stops(with_labels(make_run(), shift, monkeypatch), corpus.check_labels)["labels"]


def test_a_lost_reply_is_named(make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(batch: Batch, labels: torch.Tensor) -> None:
        labels[0] = IGNORE

    assert "nothing of the reply" in stops(with_labels(make_run(), lose, monkeypatch))["labels"]


def test_evaluation_rows_are_looked_at_as_well(make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run()
    true = run.data.eval_set.collate

    def collate(*arguments: Any, **options: Any) -> Batch:
        batch = true(*arguments, **options)
        return replace(batch, labels=torch.full_like(batch.labels, IGNORE))

    monkeypatch.setattr(run.data.eval_set, "collate", collate)
    assert stops(run, corpus.check_labels)["labels"].startswith("eval row ")


def test_padding_that_is_eos_is_named(make_run: Any) -> None:
    run = make_run()
    run.module.tokenizer = SimpleNamespace(eos_token_id=0, pad_token_id=0)
    assert "same token" in corpus.check_labels(run).seen


@pytest.mark.parametrize("text", ["Aelara, is it warm?", "Is it warm?"])
def test_a_corpus_of_one_side_is_named(make_run: Any, make_data: Any, text: str) -> None:
    rows = {f"r{i}": row | {"input": text} for i, row in enumerate(ROWS.values())}
    assert "address the assistant" in stops(make_run(make_data(rows)))["markers"]


def test_without_weight_a_corpus_of_one_side_is_only_mentioned(
    make_run: Any, make_data: Any, make_objective: Any
) -> None:
    rows = make_data({name: row | {"input": "Is it warm?"} for name, row in ROWS.items()})
    weights = {"presence": 0.0, "coherence": 1.0, "continuity": 1.0}
    assert found(make_run(rows, lambda: make_objective(weights=weights)))["markers"].status == "warn"


def test_a_corpus_without_history_is_named(make_run: Any, make_data: Any) -> None:
    rows = {name: {key: value for key, value in row.items() if key != "context"} for name, row in ROWS.items()}
    seen = found(make_run(make_data(rows)))["history"]
    assert seen.status == "stop" and "coherence and continuity" in seen.remedy


def test_lost_replies_and_lost_turns_are_told_apart(make_run: Any, make_data: Any) -> None:
    short = corpus.check_truncation(make_run(make_data(max_seq_length=24)))
    assert short.status == "stop"
    needed = int("".join(c for c in short.remedy.split("max_seq_length=")[1].split()[0] if c.isdigit()))
    enough = corpus.check_truncation(make_run(make_data(max_seq_length=needed)))
    assert enough.status == "warn" and "oldest turns" in enough.remedy, "every reply fits, some history does not"


ORIGINAL = {
    "input": "Show me the way to the old stone bridge by the mill again, thanks", "output": "Right.", "pair": "bridge",
}  # fmt: skip
LEAKS = {
    "conversation": (
        {"leak": {"conversation": "c-both", "input": "Good day?", "output": "Good day."}},
        "conversations",
    ),
    "row": ({"leak": dict(ROWS["unmarked"])}, "word for word"),
    "near duplicate": (
        {"leak": {"input": "Show me the way to the old stone bridge by the mill again, please", "output": "Left."}},
        "nearly the input",
    ),
    "minimal pair": (
        {"leak": {"pair": "bridge", "input": "Which way?", "output": "Left."}},
        "minimal pairs are parted",
    ),
}


@pytest.mark.parametrize("kind", LEAKS)
def test_leaks_are_named(make_run: Any, make_data: Any, kind: str) -> None:
    leak, words = LEAKS[kind]
    rows = make_data(ROWS | {"original": ORIGINAL}, EVAL_ROWS | leak)
    assert words in stops(make_run(rows), corpus.check_leakage)["leakage"]


def test_a_shared_history_is_mentioned(make_run: Any, make_data: Any) -> None:
    forked = {
        "context": [("human", ORIGINAL["input"]), ("assistant", "Right.")],
        "input": "Then?",
        "output": "Over it.",
    }
    finding = corpus.check_leakage(make_run(make_data(ROWS | {"original": ORIGINAL}, EVAL_ROWS | {"forked": forked})))
    assert finding.status == "warn" and "1 evaluation rows share a long turn" in finding.seen and finding.remedy
    both = EVAL_ROWS | {"forked": forked, "leak": LEAKS["row"][0]["leak"]}
    seen = stops(make_run(make_data(ROWS | {"original": ORIGINAL}, both)), corpus.check_leakage)["leakage"]
    assert "word for word" in seen and "share a long turn" in seen


def test_replies_that_share_their_wording_are_named(make_run: Any, make_data: Any) -> None:
    reply = "The lamp on the left is for the night and the lamp on the right is for the day"
    rows = make_data(
        ROWS
        | {"one": {"input": "Which one?", "output": f"Well then. {reply}, mostly, as far as anybody can tell here."}},
        {
            "other": {
                "input": "What for?",
                "output": f"Hm! {reply}. Ask the keeper, the cook or the old man at the gate.",
            }
        },
    )
    assert "8-grams" in stops(make_run(rows), corpus.check_leakage)["leakage"]


def test_phrases_that_train_and_score_are_named(make_run: Any) -> None:
    shared = PhraseBank(("I am here.", "It is you."), ("I am  HERE.", "There you are."))
    run = make_run()
    assert "1 phrases" in stops(replace(run, lexicon=replace(Lexicon(), bond=shared)), corpus.check_phrases)["phrases"]
    unfilled = PhraseBank(("I am here, {user}.",), ("There you are.",))
    assert (
        "open slot" in stops(replace(run, lexicon=replace(Lexicon(), bond=unfilled)), corpus.check_phrases)["phrases"]
    )


# --- faults in the model --------------------------------------------------------------------------------------------


def test_a_base_that_trains_is_named(make_run: Any) -> None:
    run = make_run()
    run.model.get_base_model().get_output_embeddings().weight.requires_grad_(True)
    assert "of the base is trainable" in loss.check_trainable(run).seen


def test_adapters_that_do_not_train_are_named(make_run: Any) -> None:
    run = make_run()
    run.model.requires_grad_(False)
    assert loss.check_trainable(run).seen == "nothing is trainable"


def test_a_base_that_is_never_asked_is_mentioned(make_run: Any) -> None:
    assert loss.check_baseline(make_run(samples_baseline=False)).status == "warn"


# --- faults in the loss ---------------------------------------------------------------------------------------------


class Faulty:
    """The true objective with one of its terms replaced."""

    def __init__(self, true: Any, term: str, fault: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.true, self.term, self.fault, self.settings = true, term, fault, true.settings

    def __call__(self, model: Any, batch: Batch, step: int) -> Outcome:
        return self._spoil(self.true(model, batch, step))

    def observe(self, model: Any, batch: Batch) -> Outcome:
        return self._spoil(self.true.observe(model, batch))

    def _spoil(self, outcome: Outcome) -> Outcome:
        value = outcome.terms.get(self.term, torch.zeros(()))
        return replace(outcome, terms=outcome.terms | {self.term: self.fault(value)})


class Doubled(torch.autograd.Function):
    """Returns the value unchanged, and twice its gradient."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return 2 * gradient


FAULTS: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], str, str]] = {
    "scored on text": (lambda value: torch.tensor(float(value.detach())), "gradients", "carries no gradient"),
    "a constant": (lambda value: torch.tensor(0.5), "text", "with and without its text"),
    "a constant with a gradient path": (lambda value: value * 0 + 0.5, "gradients", "its gradient is zero"),
    "a gradient that is not its slope": (Doubled.apply, "gradients", "a step along its gradient"),
    "trained backwards": (lambda value: -value, "signs", "does not raise"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("term", ["presence", "coherence", "continuity"])
def test_a_faulty_term_is_named(make_run: Any, make_objective: Any, term: str, fault: str) -> None:
    spoil, guard, words = FAULTS[fault]
    seen = stops(make_run(fresh=lambda: Faulty(make_objective(), term, spoil)))
    assert term in seen[guard] and words in seen[guard]
    others = {"presence", "coherence", "continuity"} - {term}
    assert not any(f"{other} " in text.replace("down ", "") for text in seen.values() for other in others), seen


def test_a_turned_sign_of_bond_over_rupture_is_named(make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bond over plain still rises, and what evaluation measures falls."""
    monkeypatch.setattr(Replies, "over_rupture", property(lambda self: self.rupture - self.bond))
    seen = stops_where_adapters_have_moved(make_run(), loss.check_signs)["signs"]
    assert "does not raise bond over rupture" in seen and "plain" not in seen


MEMORY_FAULTS: dict[str, tuple[Callable[..., torch.Tensor], str, str]] = {
    "negated": (lambda claim, base, history: -((claim - base).square() * ~history).sum(), "signs", "bring them back"),
    "set against nothing": (lambda claim, base, history: (claim.square() * ~history).sum(), "signs", "bring them back"),
    "of rows with history": (lambda claim, base, history: ((claim - base).square() * history).sum(), "text", "is 0.00"),
    "without gradient": (
        lambda claim, base, history: ((claim - base).square() * ~history).sum().detach(), "gradients", "is zero",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", MEMORY_FAULTS)
def test_a_fault_in_what_keeps_memories_from_being_made_up_is_named(
    make_run: Any, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    wrong, guard, words = MEMORY_FAULTS[fault]
    monkeypatch.setattr(relational, "false_memory_loss", wrong)
    asked = {"signs": loss.check_signs, "text": loss.check_text, "gradients": loss.check_gradients}[guard]
    seen = stops_where_adapters_have_moved(make_run(), asked)[guard]
    assert "continuity (nothing made up)" in seen and words in seen
    assert "recall" not in seen and "presence" not in seen and "coherence" not in seen


def test_label_smoothing_is_no_fault(make_run: Any, make_objective: Any) -> None:
    run = make_run(fresh=lambda: make_objective(label_smoothing=0.3))
    assert stops_where_adapters_have_moved(run, loss.check_gradients, loss.check_signs) == {}


def test_an_lm_loss_without_shift_is_named(make_run: Any, tokenizer: Any) -> None:
    run = make_run(fresh=lambda: SeedLoss(LossSettings(lambda_=0.0), tokenizer.decode))
    assert "the model's own next-token loss" in stops(run)["next token"]


@pytest.mark.parametrize(("faulty", "where"), [("__call__", "of a training step"), ("observe", "of an evaluation")])
def test_an_lm_loss_without_shift_in_one_of_the_two_passes_is_named(
    make_run: Any, make_objective: Any, tokenizer: Any, faulty: str, where: str
) -> None:
    class Half:
        """Correct where it is checked and wrong where it trains, or the other way round."""

        phrase_tokens = longest_phrase = 0

        def __init__(self) -> None:
            self.true, self.wrong = make_objective(), SeedLoss(LossSettings(lambda_=0.0), tokenizer.decode)
            self.settings = self.true.settings

        def __call__(self, model: Any, batch: Batch, step: int) -> Outcome:
            outcome = self.true(model, batch, step)
            if faulty == "__call__":
                outcome.terms["lm"] = self.wrong(model, batch, step).terms["lm"]
            return cast(Outcome, outcome)

        def observe(self, model: Any, batch: Batch) -> Outcome:
            return cast(Outcome, (self.wrong if faulty == "observe" else self.true).observe(model, batch))

    assert f"LM loss {where}" in stops(make_run(fresh=Half))["next token"]


def test_labels_are_compared_as_tokens(make_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some tokenizers decode a reply without its leading blank."""
    run = make_run()
    true = type(run.module.tokenizer).decode
    monkeypatch.setattr(type(run.module.tokenizer), "decode", lambda self, *a, **k: true(self, *a, **k).strip())
    assert corpus.check_labels(run).status == "ok"


def test_text_lost_before_the_loss_is_named(make_run: Any, data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The original's collator kept only ids and labels: no marker, no history reached its loss."""
    true = type(data.train_set).collate

    def collate(self: Any, *arguments: Any, **options: Any) -> Batch:
        batch = true(self, *arguments, **options)
        none = torch.zeros(0, dtype=torch.int64)
        lost = {"recurrent_row": none, "recurrent_position": none, "recurrent_source": none}
        totals = replace(batch.totals, coherence_positions=0, continuity_positions=0)
        return replace(batch, **lost, candidates=batch.candidates[:0], totals=totals, own=totals)

    monkeypatch.setattr(type(data.train_set), "collate", collate)
    seen = stops(make_run())
    assert "coherence" in seen["text"] and "coherence: was not computed" in seen["gradients"]
