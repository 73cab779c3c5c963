"""The arms of a study: paired with each other by seed, and each different from rct."""

import hashlib
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from conftest import ROWS
from hydra import compose, initialize_config_dir
from short_runs import Corpus, arguments, configured

from rct_lightning import experiment
from rct_lightning.backbone import adapter_state, load_tokenizer
from rct_lightning.config import load_run_config, save_run_config, validate
from rct_lightning.data import Counterfactual
from rct_lightning.experiment.parts import make_data
from rct_lightning.losses import TERMS, LossSettings, PositivesLoss, SeedLoss, TokenWeightedLoss
from rct_lightning.scoring import score_phrases

CONF = Path(__file__).parents[1] / "conf"
ARMS = sorted(path.stem for path in (CONF / "arm").glob("*.yaml"))
AS_THEY_STAND = {"lm_only", "original_v1", "original_v2"}
READS_AS_RCT = [arm for arm in ARMS if arm not in AS_THEY_STAND]
ALL = range(len(ROWS))
NOT_THERE = ("callbacks.baseline_comparison", "callbacks.eval_sanity")
"""Settings of callbacks that are left out in the runs of a study."""


def test_there_are_the_arms_that_the_hypothesis_is_set_against() -> None:
    wanted = {"lm_only", "rct", "positives_only", "shuffled_markers", "wrong_history"}
    wanted |= {f"no_{term}" for term in ("presence", "coherence", "continuity")} | {"original_v1", "original_v2"}
    assert set(ARMS) == wanted


@pytest.mark.parametrize("arm", ARMS)
def test_a_runs_configuration_says_its_arm(arm: str, tmp_path: Path) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = validate(compose("train", [f"arm={arm}", "run_dir=run"]))
        plain = validate(compose("train", ["run_dir=run"]))
    save_run_config(config, tmp_path / "config.yaml")
    assert load_run_config(tmp_path / "config.yaml").arm == arm and plain.arm is None
    others = {key for key, value in config.plain().items() if value != plain.plain()[key]}
    assert others <= {"arm", "loss", "data"} and (arm == "rct") == (others == {"arm"})


# --- paired by seed -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prepared(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., experiment.Prepared]:
    """Prepare a run of an arm up to its first step."""

    @cache
    def make(arm: str, seed: int = 5) -> experiment.Prepared:
        return experiment.prepare(configured(corpus, tmp_path_factory.mktemp("run"), f"arm={arm}", f"seed={seed}"))

    return make


def initial(run: experiment.Prepared) -> str:
    state = adapter_state(run.base.model)
    return hashlib.sha256(b"".join(state[name].detach().numpy().tobytes() for name in sorted(state))).hexdigest()


def order(run: experiment.Prepared) -> list[tuple[int, ...]]:
    sampler = run.data._train_sampler()
    found = []
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        found += [request.indices for request in sampler]
    return found


@pytest.mark.parametrize("arm", ARMS)
def test_arms_of_a_seed_begin_alike_and_see_the_rows_in_one_order(arm: str, prepared: Any) -> None:
    rct, run = prepared("rct"), prepared(arm)
    assert initial(run) == initial(rct) and order(run) == order(rct)
    assert initial(run) != initial(prepared("lm_only", 6)) and order(run) != order(prepared("lm_only", 6))


def first_batches(run: experiment.Prepared, count: int = 6) -> list[Any]:
    return [batch for batch, _ in zip(run.data.train_dataloader(), range(count), strict=False)]


@pytest.mark.parametrize("arm", ARMS)
def test_arms_of_a_seed_read_the_same_text(arm: str, prepared: Any) -> None:
    """The same as in the corpus, or as rct augments them; a wrong history exchanges other words of the reply."""
    pairs = list(zip(first_batches(prepared("rct")), first_batches(prepared(arm)), strict=True))
    assert all(torch.equal(one.index, two.index) for one, two in pairs)
    if arm in AS_THEY_STAND:
        assert not any(two.renamed.any() or len(two.twin_of) for _, two in pairs)
        return
    assert any(len(one.twin_of) for one, _ in pairs) and any(one.renamed.any() for one, _ in pairs)
    for one, two in pairs:
        assert torch.equal(one.twin_of, two.twin_of)
        if arm == "wrong_history":
            assert one.input_ids.shape == two.input_ids.shape
            continue
        assert torch.equal(one.input_ids, two.input_ids) and torch.equal(one.labels, two.labels)
        if arm != "shuffled_markers":  # there, other rows are asked after their clauses
            assert torch.equal(one.twin_ids, two.twin_ids) and torch.equal(one.asked_at, two.asked_at)


def test_the_phrases_of_a_step_are_the_same(prepared: Any) -> None:
    drawn = [prepared(arm).module.objective.phrases.draw(3, [5, 11])["bond"] for arm in READS_AS_RCT]
    assert drawn.count(drawn[0]) == len(drawn)


# --- each of them something else ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gradients(prepared: Any, gradient: Any) -> Callable[[str], dict[str, torch.Tensor]]:
    """Return the gradients of the total and of LM over an arm's first steps, at the same adapters for all arms."""

    @cache
    def of(arm: str) -> dict[str, torch.Tensor]:
        run = prepared(arm)
        model, objective = run.base.model.eval(), run.module.objective
        state = adapter_state(model)
        before = {name: parameter.detach().clone() for name, parameter in state.items()}
        random = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for name in sorted(state):
                state[name].add_(0.1 * torch.randn(state[name].shape, generator=random))
        outcomes = [objective(model, batch, step) for step, batch in enumerate(first_batches(run))]
        total = gradient(sum(outcome.total for outcome in outcomes), model)
        lm = gradient(sum(outcome.terms["lm"] for outcome in outcomes), model)
        with torch.no_grad():
            for name, parameter in state.items():
                parameter.copy_(before[name])
        return {"total": total, "lm": lm}

    return of


@pytest.mark.parametrize("arm", [arm for arm in ARMS if arm != "rct"])
def test_no_arm_trains_what_rct_trains(arm: str, gradients: Any) -> None:
    rct, other = gradients("rct")["total"], gradients(arm)["total"]
    assert float((rct - other).norm() / rct.norm()) > 1e-2


def test_lm_only_and_the_originals_first_version_train_the_language_model_alone(gradients: Any) -> None:
    for arm in ("lm_only", "original_v1"):
        assert torch.equal(gradients(arm)["total"], gradients(arm)["lm"])
    assert torch.equal(gradients("original_v1")["total"], gradients("lm_only")["total"])
    assert not torch.equal(gradients("original_v2")["total"], gradients("lm_only")["total"])


def test_the_originals_first_version_leaves_the_adapter_of_lm_only(corpus: Corpus, tmp_path: Path) -> None:
    def adapter(arm: str) -> bytes:
        quick = ("experiment=base", "trainer.max_epochs=1", "trainer.limit_train_batches=3", "data.batch_size=8")
        given = [setting for setting in arguments(corpus, *quick) if not setting.startswith(NOT_THERE)]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = validate(compose("train", [*given, f"arm={arm}", f"run_dir={tmp_path / arm}"]))
        run = experiment.train(config).run
        return (run.adapter / "adapter_model.safetensors").read_bytes()

    assert adapter("original_v1") == adapter("lm_only")


@pytest.mark.parametrize("term", ["presence", "coherence", "continuity"])
def test_without_a_term_the_others_are_still_trained(term: str, prepared: Any) -> None:
    run = prepared(f"no_{term}")
    model, batches = run.base.model, first_batches(run)
    outcomes = [run.module.objective(model, batch, step) for step, batch in enumerate(batches)]
    weighted = {name for name in ("presence", "coherence", "continuity") if run.module.objective.settings.weight(name)}
    assert weighted == {"presence", "coherence", "continuity"} - {term}
    assert weighted <= set.union(*(set(outcome.terms) for outcome in outcomes))
    for outcome in outcomes:
        added = sum(
            run.module.objective.settings.weight(name) * float(outcome.terms[name].detach())
            for name in weighted & set(outcome.terms)
        )
        assert float(outcome.total.detach()) == pytest.approx(float(outcome.terms["lm"].detach()) + added, rel=1e-5)


# --- positives ------------------------------------------------------------------------------------------------------


@pytest.fixture
def positives(phrases: Any) -> PositivesLoss:
    return PositivesLoss(LossSettings(weights={"presence": 1.0, "coherence": 0.0, "continuity": 0.0}), phrases)


@pytest.mark.parametrize("name", ["marked", "unmarked"])
def test_positives_cost_what_the_bond_phrases_cost_where_one_is_addressed(
    name: str, data: Any, model: Any, positives: PositivesLoss, at: Any, tokenizer: Any
) -> None:
    row = data.train_set.rows[at(name)[0]]
    marked = row if row.strength > 0 else row.twin
    drawn = [positives.phrases.ids[i] for i in positives.phrases.draw(3, [0, 2])["bond"]]
    prompt = marked.encoded.ids[: marked.encoded.prompt_length]
    expected = -float(score_phrases(model, [prompt], drawn, tokenizer.pad_token_id, "cpu").mean())
    outcome = positives(model, data.train_set.collate(at(name)), 2)
    assert float(outcome.terms["presence"].detach()) == pytest.approx(expected, rel=1e-4)
    assert set(outcome.terms) == {"lm", "presence"}


def test_a_step_down_positives_raises_bond_language_for_everybody(
    data: Any, model: Any, positives: PositivesLoss, make_objective: Any, at: Any, gradient: Any, move: Any
) -> None:
    """rct's contrast has no gradient in this direction: both prompts of a pair rise."""
    batch = data.train_set.collate(at("marked", "unmarked"))

    def seen() -> list[float]:
        figures = make_objective().observe(model, batch).figures
        return [float(figures[f"presence/S_B_{side}"][0]) for side in ("marked", "unmarked")]

    before = seen()
    step = gradient(positives(model, batch, 0).terms["presence"], model)
    move(model, -1e-2 * step / step.norm())
    assert all(after > earlier for after, earlier in zip(seen(), before, strict=True))


# --- placebos -------------------------------------------------------------------------------------------------------


def bundled_rows(placebo: str | None) -> Any:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = validate(compose("train", [f"arm={placebo or 'rct'}", "run_dir=run"]))
    return make_data(config, load_tokenizer(config.model.name_or_path), "cpu")


@pytest.fixture(scope="module")
def bundled() -> Callable[..., Any]:
    """The bundled corpus under a placebo."""
    return cache(bundled_rows)


def test_shuffled_markers_say_nothing_of_the_text_and_are_as_many_and_as_strong(bundled: Any) -> None:
    true, shuffled = bundled(None).train_set.rows, bundled("shuffled_markers").train_set.rows
    strengths = [
        (Counter(row.strength for row in rows), Counter(row.twin.strength for row in rows if row.twin))
        for rows in (true, shuffled)
    ]
    assert strengths[0] == strengths[1]
    pairs = [(one, two) for one, two in zip(true, shuffled, strict=True) if one.twin is not None]
    assert all(two.encoded == one.encoded and two.twin.encoded == one.twin.encoded for one, two in pairs)
    assert all((two.strength > 0) != (two.twin.strength > 0) for _, two in pairs), "one of two prompts is addressed"
    agree = sum((one.strength > 0) == (two.strength > 0) for one, two in pairs) / len(pairs)
    assert agree == pytest.approx(0.5, abs=0.06)


def test_another_seed_shuffles_otherwise(make_data: Any) -> None:
    def strengths(seed: int) -> list[float]:
        how = Counterfactual(readdress_share=0.5, seed=seed)
        return [row.strength for row in make_data(counterfactual=how, placebo="shuffled_markers").train_set.rows]

    assert strengths(1) == strengths(1) != strengths(2)


def test_evaluation_has_no_placebo(bundled: Any) -> None:
    def held(placebo: str | None) -> list[Any]:
        rows = bundled(placebo).eval_set.rows
        return [(row.strength, [found.word for found in row.recurrent]) for row in rows]

    assert held("shuffled_markers") == held("wrong_history") == held(None)


def test_a_wrong_history_judges_words_that_the_rows_own_has_not(bundled: Any) -> None:
    data = bundled("wrong_history")
    true, wrong = bundled(None).train_set.rows, data.train_set.rows
    speaks = data.vocabulary.first_speaker
    histories = {row.conversation: speaks(row.encoded) for row in wrong if row.has_history}
    for one, two in zip(true, wrong, strict=True):
        assert two.encoded == one.encoded and len(two.recurrent) <= len(one.recurrent)
        for found in two.recurrent:
            assert found.word not in speaks(two.encoded), "nothing in the row tells it"
            assert all(start >= two.encoded.prompt_length for start in found.starts)
            others = [said for owner, said in histories.items() if owner != two.conversation]
            assert any(found.word in said for said in others)
    having = [sum(bool(row.recurrent) for row in rows) for rows in (true, wrong)]
    assert having[1] > 0.8 * having[0], "nearly as many rows are judged"


def test_a_step_down_presence_with_shuffled_markers_separates_by_the_permutation(
    make_data: Any, model: Any, make_objective: Any, gradient: Any, move: Any
) -> None:
    """Rows whose permuted label agrees with their text are pushed as in rct, the others in the opposite direction."""
    true = make_data(counterfactual=Counterfactual(readdress_share=0.5, seed=1)).train_set
    shuffled = make_data(
        counterfactual=Counterfactual(readdress_share=0.5, seed=1), placebo="shuffled_markers"
    ).train_set
    turned = [i for i in ALL if true.rows[i].twin and (true.rows[i].strength > 0) != (shuffled.rows[i].strength > 0)]
    assert turned
    objective, batch = make_objective(), true.collate(turned)

    def separation() -> float:
        figures = objective.observe(model, batch).figures
        return float(figures["presence/P_rise_marked"][0] - figures["presence/P_rise_unmarked"][0])

    before = separation()
    step = gradient(objective(model, shuffled.collate(turned), 0).terms["presence"], model)
    move(model, -1e-2 * step / step.norm())
    assert separation() < before


# --- the original's ---------------------------------------------------------------------------------------------------


def test_the_originals_first_version_repaired_predicts_the_next_token(
    data: Any, model: Any, objective: Any, tokenizer: Any, gradient: Any
) -> None:
    batch = data.train_set.collate(ALL)
    faulty, repaired = (SeedLoss(LossSettings(), tokenizer.decode, repaired=done) for done in (False, True))
    lm = objective(model, batch, 0).terms["lm"]
    outcome = repaired(model, batch, 0)
    assert float(outcome.terms["lm"].detach()) == pytest.approx(float(lm.detach()), rel=1e-6)
    assert float(faulty(model, batch, 0).terms["lm"].detach()) != pytest.approx(float(lm.detach()), rel=1e-2)
    assert not any(outcome.terms[name].requires_grad for name in ("presence", "coherence", "continuity"))
    assert torch.equal(gradient(outcome.total, model), gradient(outcome.terms["lm"], model))
    assert float(outcome.total.detach()) > float(lm.detach())


def test_the_originals_second_version_weighs_pieces_of_words_and_rupture_more(
    data: Any, model: Any, at: Any, tokenizer: Any
) -> None:
    def tokenize(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    weights = {"presence": 0.5, "coherence": 1 / 3, "continuity": 1 / 3}
    objective = TokenWeightedLoss(LossSettings(lambda_=0.3, weights=weights), tokenize)
    assert len(objective.rupture) > 3, "pieces of the words, not the words"
    batch = data.train_set.collate(at("both_marked", "marked", "both"))
    said = sorted(set(batch.labels[batch.strength > 0].flatten().tolist()) - {-100})
    objective.bond, objective.rupture = torch.tensor(said[:2]), torch.tensor(said[1:4])  # one is a piece of both
    outcome = objective(model, batch, 0)
    with torch.no_grad():
        logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits.log_softmax(-1)
    total = count = 0.0
    for row in range(len(batch)):
        for position in range(1, batch.labels.shape[1]):
            label = int(batch.labels[row, position])
            if label == -100:
                continue
            rate = 0.15 if label in objective.bond else 0.2 if label in objective.rupture else 0.0
            weight = 1 + rate * float(batch.strength[row])
            total, count = total - weight * float(logits[row, position - 1, label]), count + 1
    assert float(outcome.total.detach()) == pytest.approx(total / count, rel=1e-5)
    alone = objective(model, data.train_set.collate(at("both")), 0)
    assert float(alone.total.detach()) == float(alone.terms["lm"].detach()), "nobody is addressed: the LM loss"


@pytest.mark.parametrize("arm", ["positives_only", "shuffled_markers", "wrong_history", "original_v2"])
def test_guards_let_an_arm_pass(arm: str, corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The original losses are warned about, but may train."""
    config = configured(corpus, tmp_path / "run", f"arm={arm}", "check=true")
    experiment.inspect(config, experiment.prepare(config))
    assert ("goes on all the same" in capsys.readouterr().out) == (arm == "original_v2")


@pytest.mark.parametrize(
    ("arm", "absent"),
    [("positives_only", {"coherence", "continuity"}), ("original_v2", {"continuity"}), ("original_v1", set())],
)
def test_an_evaluation_holds_the_terms_that_were_computed(
    arm: str, absent: set[str], prepared: Callable[..., experiment.Prepared]
) -> None:
    run = prepared(arm)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    L.Trainer(accelerator="cpu", **quiet).validate(run.module, run.data, verbose=False)  # type: ignore[arg-type]
    assert set(TERMS) - run.module.eval_values.keys() == absent


@pytest.mark.parametrize("which", ["second version", "first version", "relational"])
def test_terms_of_batches_make_the_mean_of_all_rows(
    which: str, data: Any, model: Any, at: Any, objective: Any, tokenizer: Any
) -> None:
    """Evaluation adds them up: a batch without a pair still counts if the term averages over all tokens."""

    def tokenize(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    asked: Any = {
        "second version": TokenWeightedLoss(LossSettings(), tokenize),
        "first version": SeedLoss(LossSettings(), tokenizer.decode, repaired=True),
        "relational": objective,
    }[which]
    names = (("both_marked", "marked"), ("both",))
    whole = asked.observe(model, data.train_set.collate(at(*(name for part in names for name in part))))
    parts = [data.train_set.collate(at(*part)) for part in names]
    seen = [(asked.observe(model, part), asked.counts(part)) for part in parts]
    for name in asked.counts(parts[0]):
        of = [(float(found.terms[name]), counts[name]) for found, counts in seen if name in found.terms]
        mean = sum(value * count for value, count in of) / sum(count for _, count in of)
        assert mean == pytest.approx(float(whole.terms[name]), rel=1e-4), name
