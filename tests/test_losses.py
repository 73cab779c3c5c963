"""The properties of docs/losses.md, each on every term it is about."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from conftest import EVAL_ROWS, ROWS, write_rows
from hydra import compose, initialize_config_dir
from torch.nn import functional as F

from rct_lightning import experiment
from rct_lightning.backbone import adapter_state
from rct_lightning.config import Config, validate
from rct_lightning.data import COHERENCE, CONTINUITY, Batch, BatchRequest, Counterfactual
from rct_lightning.losses import TERMS, LossSettings, Outcome, SeedLoss
from rct_lightning.losses.continuity import false_memory_loss
from rct_lightning.losses.presence import PresenceSettings, Replies, log_mean_exp, presence_loss
from rct_lightning.losses.recurrence import candidate_hits, recurrence_loss
from rct_lightning.losses.reference import ReferenceScores
from rct_lightning.losses.relational import BANKS
from rct_lightning.markers import Lexicon
from rct_lightning.module import OptimizerSettings, RelationalModule
from rct_lightning.runs import RunDir
from rct_lightning.scoring import base_model, score_phrases

ALL = range(len(ROWS))
ACTIVE = [  # term, row, and the part of the term that the row speaks to
    pytest.param("lm", "both", id="lm"),
    pytest.param("presence", "marked", id="presence marked"),
    pytest.param("presence", "unmarked", id="presence unmarked"),
    pytest.param("coherence", "both", id="coherence"),
    pytest.param("continuity", "both", id="continuity recall"),
    pytest.param("continuity", "unmarked", id="continuity false memory"),
]
INACTIVE = [
    pytest.param("coherence", "marked", id="coherence without history"),
    pytest.param("coherence", "not_recurrent", id="coherence without recurrence"),
    pytest.param("coherence", "asked_again", id="coherence, said in the present input"),
    pytest.param("continuity", "not_recurrent", id="continuity without recurrence"),
    pytest.param("continuity", "asked_again", id="continuity, said in the present input"),
]


def value(outcome: Outcome, name: str) -> float:
    return float(outcome.terms[name].detach())


def figure(outcome: Outcome, name: str) -> float:
    total, count = outcome.figures[name]
    return float(total / count)


def phrase_scores(model: Any, data: Any, objective: Any, row: int, step: int, tokenizer: Any) -> dict[str, list[Any]]:
    """[S of each bank under the model, under the base], by separate passes over the phrases drawn at a step."""
    encoded, drawn = data.train_set.rows[row].encoded, objective.phrases.draw(2, [0, step])
    found: dict[str, list[Any]] = {}
    for bank in BANKS:
        phrases = [objective.phrases.ids[i] for i in drawn[bank]]
        ask = partial(
            score_phrases, model, [encoded.ids[: encoded.prompt_length]], phrases, tokenizer.pad_token_id, "cpu"
        )
        tuned = ask()
        with base_model(model):
            found[bank] = [float(scores.logsumexp(1) - math.log(2)) for scores in (tuned, ask())]
    return found


# --- what the terms are ---------------------------------------------------------------------------------------------


def test_a_marked_row_costs_what_the_formula_says(
    data: Any, model: Any, objective: Any, at: Any, tokenizer: Any
) -> None:
    s = phrase_scores(model, data, objective, at("marked")[0], 3, tokenizer)
    (bond, bond_ref), (rupture, rupture_ref) = s["bond"], s["rupture"]
    plain, plain_ref = s["plain"]
    short_of_rupture = max(0.0, (bond_ref - rupture_ref) + 2.0 - (bond - rupture))
    short_of_plain = max(0.0, (bond_ref - plain_ref) + 2.0 - (bond - plain))
    expected = 0.7 * (short_of_rupture**2 + short_of_plain**2 + max(0.0, bond_ref + 1.0 - bond)) / 2
    outcome = objective(model, data.train_set.collate(at("marked")), 3)
    assert value(outcome, "presence") == pytest.approx(expected, rel=1e-4)
    assert figure(outcome, "presence/S_B_marked") == pytest.approx(bond, abs=1e-5)
    assert figure(outcome, "presence/S_R_marked") == pytest.approx(rupture, abs=1e-5)
    assert expected > 1


def test_an_unmarked_row_costs_what_the_formula_says(
    data: Any, model: Any, make_objective: Any, at: Any, tokenizer: Any
) -> None:
    objective, largest = make_objective(presence=PresenceSettings(specificity=5.0)), [0.0, 0.0]
    for step in range(4):
        s = phrase_scores(model, data, objective, at("unmarked")[0], step, tokenizer)
        bond, rupture, plain, claim = (s[bank][0] - s[bank][1] for bank in BANKS)
        outcome = objective(model, data.train_set.collate(at("unmarked")), step)
        expected = [5.0 * ((bond - rupture) ** 2 + max(0.0, 2.0 + bond - plain) ** 2) / 2, claim**2]
        found = [value(outcome, "presence"), value(outcome, "continuity")]
        assert found == pytest.approx(expected, rel=1e-2, abs=1e-6)
        largest = [max(pair) for pair in zip(largest, expected, strict=True)]
    assert min(largest) > 1e-4, "nothing to hold on to"


def test_both_sides_weigh_the_same_however_many_rows_they_have(data: Any, model: Any, objective: Any, at: Any) -> None:
    """Otherwise the chance of a batch, three marked rows or five, would move bond language everywhere."""
    marked, unmarked = (
        value(objective(model, data.train_set.collate(at(row)), 0), "presence") for row in ("marked", "unmarked")
    )
    batch = data.train_set.collate([*at("marked"), *at("unmarked") * 3])
    assert value(objective(model, batch, 0), "presence") == pytest.approx(marked + unmarked, rel=1e-4)


@pytest.mark.parametrize("among", ["vocabulary", "candidates"])
def test_recurrent_positions_cost_what_the_formula_says(
    data: Any, model: Any, make_objective: Any, at: Any, among: str
) -> None:
    batch = data.train_set.collate(at("both", "long", "both_marked"))
    with torch.no_grad():
        logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
    costs: dict[int, list[float]] = {COHERENCE: [], CONTINUITY: []}
    for i in range(len(batch.recurrent_row)):
        before, compete = logits[batch.recurrent_row[i], batch.recurrent_position[i] - 1], batch.candidates[i]
        right = int(compete[0])
        normaliser = before.logsumexp(0) if among == "vocabulary" else before[compete].logsumexp(0)
        costs[int(batch.recurrent_source[i])].append(float(normaliser - before[right]))
    outcome = make_objective(recall_among=among)(model, batch, 0)
    assert min(map(len, costs.values())) > 1
    assert value(outcome, "coherence") == pytest.approx(sum(costs[0]) / len(costs[0]), rel=1e-5)
    assert value(outcome, "continuity") == pytest.approx(sum(costs[1]) / len(costs[1]), rel=1e-5)


def test_presence_by_hand() -> None:
    bond, rupture = torch.tensor([0.0, 3.0, 1.0, 0.0]), torch.tensor([0.0, -1.0, 2.0, -1.0])
    plain, zero = torch.tensor([1.0, 0.0, 2.0, 0.0]), torch.zeros(4)
    strength = torch.tensor([0.5, 0.5, 0.0, 1.0])
    tuned, base = Replies(bond, rupture, plain), Replies(zero, zero, zero)
    cost = presence_loss(tuned, base, strength, PresenceSettings(margin=2.0, lift=1.0, specificity=3.0))
    assert cost.tolist() == pytest.approx([0.5 * (4 + 9 + 1), 0.0, 3 * (1 + 1), 1 + 4 + 1])


def test_small_formulas_by_hand() -> None:
    assert log_mean_exp(torch.tensor([[0.0, math.log(3.0)]])).item() == pytest.approx(math.log(2.0))
    logits, candidates = torch.tensor([[9.0, 0.0, 0.0], [7.0, 1.0, 2.0]]), torch.tensor([[1, 2], [2, 1]])
    assert recurrence_loss(logits, candidates, "candidates")[0].item() == pytest.approx(math.log(2))
    expected = -torch.log_softmax(logits, 1)[[0, 1], [1, 2]]
    assert recurrence_loss(logits, candidates, "vocabulary").tolist() == pytest.approx(expected.tolist())
    assert candidate_hits(logits[1:], candidates[1:]).tolist() == [1.0]
    assert candidate_hits(logits[1:], candidates[:1]).tolist() == [0.0]
    history = torch.tensor([True, False])
    assert false_memory_loss(torch.tensor([1.0, 2.0]), torch.zeros(2), history).item() == 4.0


def test_label_smoothing_spreads_a_share_over_all_candidates() -> None:
    logits, candidates = torch.tensor([[3.0, 1.0, 0.0, -2.0]]), torch.tensor([[0, 1, 2, 3]])
    log_probs = torch.log_softmax(logits, 1)[0]
    expected = -(0.9 * log_probs[0] + 0.1 * log_probs.mean())
    for among in ("candidates", "vocabulary"):
        assert recurrence_loss(logits, candidates, among, 0.1).item() == pytest.approx(expected.item())
        for smoothing, pulls_further in ((0.0, True), (0.1, False)):  # a position that is known already
            known = torch.tensor([[12.0, 0.0, 0.0, 0.0]], requires_grad=True)
            (slope,) = torch.autograd.grad(recurrence_loss(known, candidates, among, smoothing).sum(), known)
            assert bool(slope[0, 0] < 0) == pulls_further


def test_the_total_is_the_weighted_sum(data: Any, model: Any, make_objective: Any) -> None:
    weights = {"presence": 0.5, "coherence": 2.0, "continuity": 0.25}
    outcome = make_objective(lambda_=0.7, weights=weights)(model, data.train_set.collate(ALL), 0)
    expected = value(outcome, "lm") + 0.7 * sum(weights[name] * value(outcome, name) for name in TERMS)
    assert float(outcome.total.detach()) == pytest.approx(expected, rel=1e-6)


def test_training_draws_a_few_phrases_of_the_training_half(phrases: Any, tokenizer: Any) -> None:
    lexicon = Lexicon()
    texts = [tokenizer.decode(ids).strip() for ids in phrases.ids]
    assert texts == [phrase for bank in BANKS for phrase in lexicon.phrases(bank, "train")]
    first, again, next_step = phrases.draw(3, [0, 1]), phrases.draw(3, [0, 1]), phrases.draw(3, [0, 2])
    assert first == again != next_step
    assert all(len(set(chosen)) == 3 and set(chosen) <= set(phrases.members[bank]) for bank, chosen in first.items())
    assert phrases.draw(1000, [0]) == phrases.members


def test_the_reference_is_the_base_whatever_the_adapters_learn(
    data: Any, model: Any, phrases: Any, tokenizer: Any, gradient: Any, move: Any
) -> None:
    reference = ReferenceScores(len(data.train_set), phrases)
    batch = data.train_set.collate([2, 5, 0])
    first = reference(model, batch)
    prompts = [data.train_set.rows[i].encoded for i in (2, 5, 0)]
    with base_model(model):
        expected = score_phrases(
            model, [p.ids[: p.prompt_length] for p in prompts], phrases.ids, tokenizer.pad_token_id, "cpu"
        )
    torch.testing.assert_close(first, expected, atol=1e-5, rtol=0)
    assert not first.requires_grad
    move(model, torch.ones_like(gradient(torch.zeros(()), model)))
    assert torch.equal(reference(None, data.train_set.collate([0, 2]))[1], first[0]), "a row is scored once"


# --- 1. gradient ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("term", "row"), ACTIVE)
def test_the_gradient_reaches_the_adapters_and_equals_a_finite_difference(
    term: str, row: str, data: Any, model: Any, objective: Any, at: Any, gradient: Any, move: Any
) -> None:
    model.double()  # the loss itself is taken in float32
    batch = data.train_set.collate(at(row))

    def loss() -> torch.Tensor:
        return objective(model, batch, 1).terms[term]

    true = gradient(loss(), model)
    assert true.norm() > 1e-2
    direction = _direction(true)
    measured = _slope(lambda: float(loss().detach()), model, direction, move)
    assert measured == pytest.approx(float(true @ direction), rel=1e-3)
    half_blind = true.clone()  # a term that reaches half of the adapters only would be found out
    half_blind[::2] = 0
    assert measured != pytest.approx(float(half_blind @ direction), rel=1e-2)


@pytest.mark.parametrize(("term", "row"), INACTIVE)
def test_an_inactive_row_has_no_gradient(
    term: str, row: str, data: Any, model: Any, objective: Any, at: Any, gradient: Any
) -> None:
    in_a_step = objective(model, data.train_set[BatchRequest(tuple(at(row)), tuple(ALL))], 1)
    assert value(in_a_step, term) == 0
    assert gradient(in_a_step.terms[term], model).norm() == 0
    alone = objective(model, data.train_set.collate(at(row)), 1)
    assert term not in alone.terms, "a step in which nothing is judged by a term says nothing of it"


def test_presence_is_silent_where_its_aim_is_reached(
    data: Any, model: Any, make_objective: Any, make_backbone: Any, at: Any, gradient: Any
) -> None:
    reached = make_objective(presence=PresenceSettings(margin=-50.0, lift=-50.0))
    outcome = reached(model, data.train_set.collate(at("marked")), 1)
    assert value(outcome, "presence") == 0 and gradient(outcome.terms["presence"], model).norm() == 0
    assert outcome.figures["presence/active_share"][0] == 0
    base = make_backbone(trained=False).model  # an unmarked row keeps bond over rupture where the base has it
    at_rest = reached(base, data.train_set.collate(at("unmarked")), 1)
    for name in ("presence", "continuity"):
        assert value(at_rest, name) == pytest.approx(0, abs=1e-9)
        assert gradient(at_rest.terms[name], base).norm() < 1e-4


def _direction(true: torch.Tensor) -> torch.Tensor:
    """A direction with a part of every parameter, along which the loss changes noticeably."""
    random = torch.randn(true.shape, generator=torch.Generator().manual_seed(0), dtype=true.dtype)
    direction = random / random.norm() + true / true.norm()
    return direction / direction.norm()


def _slope(f: Callable[[], float], model: Any, direction: torch.Tensor, move: Any, h: float = 0.02) -> float:
    """Derivative of f along a direction: central difference of fourth order."""
    values = {}
    for step in (-2, -1, 1, 2):
        move(model, step * h * direction)
        values[step] = f()
        move(model, -step * h * direction)
    return (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / (12 * h)


# --- 2. sign --------------------------------------------------------------------------------------------------------


def _descend(term: torch.Tensor, model: Any, gradient: Any, move: Any, length: float = 0.01) -> None:
    direction = gradient(term, model)
    move(model, -length * direction / direction.norm())


@pytest.mark.parametrize("step", range(3))
@pytest.mark.parametrize("row", ["marked", "both_marked", "long"])
def test_presence_moves_bond_up_and_rupture_down_where_one_is_addressed(
    row: str, step: int, data: Any, model: Any, objective: Any, at: Any, gradient: Any, move: Any
) -> None:
    batch = data.train_set.collate(at(row))
    before = objective(model, batch, step)
    _descend(before.terms["presence"], model, gradient, move)
    after = objective(model, batch, step)
    assert figure(after, "presence/S_B_marked") > figure(before, "presence/S_B_marked")
    assert figure(after, "presence/S_R_marked") < figure(before, "presence/S_R_marked")
    assert figure(after, "presence/D_marked") > figure(before, "presence/D_marked")


@pytest.mark.parametrize("row", ["unmarked", "both"])
def test_presence_keeps_bond_over_rupture_where_one_is_not_addressed(
    row: str, data: Any, model: Any, make_objective: Any, at: Any, gradient: Any, move: Any, tokenizer: Any
) -> None:
    objective = make_objective(presence=PresenceSettings(margin=-50.0))  # nothing is asked of plain words
    batch, index = data.train_set.collate(at(row)), at(row)[0]

    def distance() -> float:
        s = phrase_scores(model, data, objective, index, 0, tokenizer)
        (bond, bond_ref), (rupture, rupture_ref) = s["bond"], s["rupture"]
        return abs((bond - rupture) - (bond_ref - rupture_ref))

    before = distance()
    _descend(objective(model, batch, 0).terms["presence"], model, gradient, move)
    assert distance() < before


@pytest.mark.parametrize("step", range(3))
@pytest.mark.parametrize(("row", "side"), [("marked", "marked"), ("both_marked", "marked"), ("unmarked", "unmarked")])
def test_the_marker_decides_which_way_bond_moves_against_plain_words(
    row: str, side: str, step: int, data: Any, model: Any, objective: Any, at: Any, gradient: Any, move: Any
) -> None:
    batch = data.train_set.collate(at(row))
    before = objective(model, batch, step)
    _descend(before.terms["presence"], model, gradient, move)
    after = objective(model, batch, step)
    rise = figure(after, f"presence/P_{side}") - figure(before, f"presence/P_{side}")
    assert (rise > 0) == (side == "marked") and rise != 0


@pytest.mark.parametrize("row", ["both", "both_marked", "long"])
@pytest.mark.parametrize("term", ["coherence", "continuity"])
def test_a_recurrent_token_moves_up_among_its_candidates(
    term: str, row: str, data: Any, model: Any, objective: Any, at: Any, gradient: Any, move: Any
) -> None:
    batch = data.train_set.collate(at(row))
    source = {"coherence": COHERENCE, "continuity": CONTINUITY}[term]
    chosen = torch.nonzero(batch.recurrent_source == source).flatten()[:1]
    one = replace(
        batch,
        recurrent_row=batch.recurrent_row[chosen],
        recurrent_position=batch.recurrent_position[chosen],
        recurrent_source=batch.recurrent_source[chosen],
        candidates=batch.candidates[chosen],
    )

    def share() -> float:
        with torch.no_grad():
            logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
        return float(logits[0, one.recurrent_position[0] - 1, one.candidates[0]].softmax(0)[0])

    before = share()
    _descend(objective(model, one, 0).terms[term], model, gradient, move)
    assert share() > before


def test_false_memory_moves_claims_back_to_the_base(
    data: Any, model: Any, objective: Any, at: Any, gradient: Any, move: Any, tokenizer: Any
) -> None:
    row = at("unmarked")[0]

    def distance() -> float:
        tuned, base = phrase_scores(model, data, objective, row, 0, tokenizer)["memory_claim"]
        return abs(tuned - base)

    before = distance()
    _descend(objective(model, data.train_set.collate([row]), 0).terms["continuity"], model, gradient, move)
    assert distance() < before


# --- 3. placebo -----------------------------------------------------------------------------------------------------

TWINS = {
    "addressed": {"input": "Aelara, is the kettle warm?", "output": "It is warm."},
    "not addressed": {"input": "Is the kettle warm?", "output": "It is warm."},
    "other reply": {"input": "Aelara, is the kettle warm?", "output": "Leave me out of your life."},
    "blank": {"input": ".", "output": "It is warm."},
}


@pytest.fixture(scope="module")
def twins(make_data: Any) -> Any:
    return make_data(TWINS)


@pytest.mark.parametrize("name", ["not addressed", "blank"])
def test_without_its_marker_a_row_takes_the_unmarked_form(
    name: str, twins: Any, model: Any, make_objective: Any, tokenizer: Any
) -> None:
    objective, index = make_objective(twins), list(TWINS).index(name)
    batch = twins.train_set.collate([index])
    s = phrase_scores(model, twins, objective, index, 0, tokenizer)
    bond, rupture, plain = (s[bank][0] - s[bank][1] for bank in ("bond", "rupture", "plain"))
    expected = ((bond - rupture) ** 2 + max(0.0, 2.0 + bond - plain) ** 2) / 2
    assert value(objective(model, batch, 0), "presence") == pytest.approx(expected, rel=1e-2)
    no_specificity = make_objective(twins, presence=PresenceSettings(specificity=0.0))
    assert value(no_specificity(model, batch, 0), "presence") == 0
    assert value(no_specificity(model, twins.train_set.collate([0]), 0), "presence") > 0.5


def test_the_same_row_is_read_by_its_marker_strength(twins: Any, model: Any, make_objective: Any) -> None:
    objective, batch = make_objective(twins), twins.train_set.collate([0])

    def at_strength(strength: float) -> float:
        return value(objective(model, replace(batch, strength=torch.tensor([strength])), 0), "presence")

    assert at_strength(0.7) == pytest.approx(2 * at_strength(0.35))
    at_rest = make_objective(twins, presence=PresenceSettings(margin=0.0))(
        model, replace(batch, strength=torch.tensor([0.0])), 0
    )
    assert value(at_rest, "presence") < 0.1 * at_strength(0.35), "near the base, a row without marker costs its margin"


def test_presence_does_not_read_the_reply(twins: Any, model: Any, make_objective: Any) -> None:
    objective = make_objective(twins)
    one, other = (objective(model, twins.train_set.collate([index]), 0) for index in (0, 2))
    assert value(one, "presence") == pytest.approx(value(other, "presence"), rel=1e-4)
    assert value(one, "lm") != pytest.approx(value(other, "lm"), rel=1e-3)


def test_another_history_leaves_no_recurrent_positions(make_data: Any, model: Any, make_objective: Any) -> None:
    both = ROWS["both"]
    swapped = make_data(ROWS | {"both": both | {"context": ROWS["not_recurrent"]["context"]}})
    none = make_data(ROWS | {"both": {"input": both["input"], "output": both["output"]}})
    index = list(ROWS).index("both")
    for module in (swapped, none):
        outcome = make_objective(module)(model, module.train_set.collate([index]), 0)
        assert outcome.figures["continuity/candidate_accuracy"][1] == 0
        assert outcome.figures["coherence/candidate_accuracy"][1] == 0
        # without any history, claims of memory must stay where the base has them
        assert set(outcome.terms) == {"lm", "presence"} | ({"continuity"} if module is none else set())
        assert module is swapped or value(outcome, "continuity") > 0


# --- renamed rows ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def renamed(make_data: Any) -> Any:
    """The shared rows, read with their recurrent words exchanged, and a conversation that lends words."""
    words = "apple river candle winter stone bread garden horse mirror silence Thomas Martha London Robert Paris Anna"
    donor = {"context": [("human", words), ("assistant", words)], "input": "Well?", "output": "Well."}
    return make_data(ROWS | {"donor": donor}, counterfactual=Counterfactual(rename_share=1.0))


def test_a_renamed_row_is_judged_by_its_history_alone(
    renamed: Any, model: Any, make_objective: Any, at: Any, gradient: Any
) -> None:
    objective = make_objective(renamed)
    batch = renamed.train_set.collate(at("both", "both_marked"), epoch=0)
    assert batch.renamed.all()
    outcome = objective(model, batch, 0)
    assert "presence" not in outcome.terms, "the base was asked about the row as it stands"
    assert torch.isnan(objective.train_reference.table).all()
    for term in ("coherence", "continuity"):
        assert gradient(outcome.terms[term], model).norm() > 1e-2
    mixed = renamed.train_set.collate(at("both", "marked"), epoch=0)
    alone = renamed.train_set.collate(at("marked"), epoch=0)
    assert mixed.renamed.tolist() == [True, False]
    assert value(objective(model, mixed, 0), "presence") == pytest.approx(
        value(objective(model, alone, 0), "presence"), rel=1e-4
    )


def test_a_renamed_word_moves_up_and_the_word_that_was_there_down(
    renamed: Any, model: Any, make_objective: Any, at: Any, gradient: Any, move: Any
) -> None:
    """What the row itself would teach by heart is now a wrong answer; only its history tells the right one."""
    batch = renamed.train_set.collate(at("both"), epoch=0)

    def log_odds() -> torch.Tensor:
        with torch.no_grad():
            logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
        states = logits[batch.recurrent_row, batch.recurrent_position - 1]
        chosen = states.gather(1, batch.candidates)
        return (chosen[:, 0] - chosen[:, 1]).mean()

    before = log_odds()
    outcome = make_objective(renamed)(model, batch, 0)
    _descend(outcome.terms["coherence"] + outcome.terms["continuity"], model, gradient, move)
    assert log_odds() > before


# --- readdressed rows -----------------------------------------------------------------------------------------------


def test_a_readdressed_row_is_set_against_the_base_under_its_own_address(
    make_data: Any, model: Any, make_objective: Any, at: Any, tokenizer: Any
) -> None:
    module = make_data(counterfactual=Counterfactual(readdress_share=0.99))
    objective, index = make_objective(module), at("both_marked")
    natural, other = module.train_set.collate(index), module.train_set.collate(index, epoch=0)
    assert not natural.readdressed.any() and other.readdressed.all()
    found = {}
    for name, batch in (("natural", natural), ("other", other)):
        prompt = batch.input_ids[0, : int(batch.prompt_length[0])].tolist()
        with base_model(model):
            expected = score_phrases(model, [prompt], objective.phrases.ids, tokenizer.pad_token_id, "cpu")
        found[name] = objective.train_reference(model, batch)
        torch.testing.assert_close(found[name], expected, atol=1e-5, rtol=0)
    assert (found["natural"] - found["other"]).abs().max() > 1e-3
    outcome = objective(model, other, 0)
    assert set(outcome.terms) == {"lm", "presence"} and value(outcome, "lm") == 0
    assert outcome.figures["presence/D_unmarked"][1] == 1 and outcome.figures["presence/D_marked"][1] == 0


# --- 4. parity of the LM loss ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [[0], [2, 6], list(ALL)])
def test_the_lm_loss_is_the_models_own(rows: list[int], data: Any, model: Any, objective: Any) -> None:
    batch = data.train_set.collate(rows)
    outcome = objective(model, batch, 0)
    with torch.no_grad():
        own = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, labels=batch.labels).loss
    assert value(outcome, "lm") == pytest.approx(float(own), abs=1e-5)
    assert float(outcome.row_nll.sum()) / batch.own.reply_tokens == pytest.approx(float(own), abs=1e-5)
    alone = [value(objective(model, data.train_set.collate([row]), 0), "lm") for row in rows]
    tokens = [data.train_set.rows[row].counts.reply_tokens for row in rows]
    assert outcome.row_nll.tolist() == pytest.approx([a * n for a, n in zip(alone, tokens, strict=True)], rel=1e-5)


def test_random_weights_guess_uniformly(data: Any, make_backbone: Any, objective: Any, tokenizer: Any) -> None:
    model = make_backbone(trained=False).model
    lm = value(objective(model, data.train_set.collate(ALL), 0), "lm")
    assert lm == pytest.approx(math.log(len(tokenizer)), abs=0.5)


# --- 5. batch invariance --------------------------------------------------------------------------------------------

SPLITS = {
    "8 x 1": [[i] for i in ALL],
    "4 x 2, other order": [[7, 2], [0, 6], [5, 1], [3, 4]],
    "1 x 8, reversed": [list(reversed(ALL))],
    "3 + 5": [[4, 1, 6], [0, 7, 3, 5, 2]],
}


@pytest.mark.parametrize("split", SPLITS)
def test_a_step_is_the_same_however_it_is_cut(
    split: str, data: Any, model: Any, make_objective: Any, gradient: Any
) -> None:
    objective = make_objective(lambda_=1.0)
    whole = objective(model, data.train_set.collate(ALL), 0)
    parts = [objective(model, data.train_set[BatchRequest(tuple(rows), tuple(ALL))], 0) for rows in SPLITS[split]]
    for name in ("lm", *TERMS):
        assert sum(value(part, name) for part in parts) == pytest.approx(value(whole, name), abs=1e-5)
    assert value(whole, "coherence") > 0.1 and value(whole, "continuity") > 0.1
    summed = sum(gradient(part.total, model) for part in parts)
    torch.testing.assert_close(summed, gradient(whole.total, model), atol=1e-5, rtol=1e-5)


def test_padding_changes_nothing(data: Any, model: Any, make_objective: Any, gradient: Any, tokenizer: Any) -> None:
    objective, batch = make_objective(lambda_=1.0), data.train_set.collate([3, 2])

    def wider(tensor: torch.Tensor, fill: int) -> torch.Tensor:
        return F.pad(tensor, (0, 24), value=fill)

    padded = replace(
        batch,
        input_ids=wider(batch.input_ids, tokenizer.pad_token_id),
        attention_mask=wider(batch.attention_mask, 0),
        labels=wider(batch.labels, -100),
    )
    other = replace(padded, input_ids=padded.input_ids.masked_fill(padded.attention_mask == 0, 17))
    expected = objective(model, batch, 0).total
    for same in (padded, other):
        found = objective(model, same, 0).total
        assert float(found.detach()) == pytest.approx(float(expected.detach()), abs=1e-5)
        torch.testing.assert_close(gradient(found, model), gradient(expected, model), atol=1e-5, rtol=1e-5)


class _Gradients(L.Callback):
    """Keeps the gradient of each optimizer step."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        parameters = adapter_state(pl_module.model).values()
        self.seen.append(torch.cat([parameter.grad.flatten() for parameter in parameters]))


def test_accumulation_in_the_trainer_gives_the_gradient_of_the_whole_batch(
    make_data: Any, make_backbone: Any, make_objective: Any, tmp_path: Path
) -> None:
    found = []
    for batch_size, accumulate in ((8, 1), (1, 8), (3, 3)):
        data = make_data(batch_size=batch_size, accumulate=accumulate)
        objective = make_objective(data, lambda_=1.0)
        module = RelationalModule(make_backbone(), objective, OptimizerSettings(), data.template)
        gradients = _Gradients()
        trainer = L.Trainer(
            max_steps=2,
            accumulate_grad_batches=accumulate,
            callbacks=[gradients],
            limit_val_batches=0,
            **_quiet(tmp_path),
        )
        trainer.fit(module, data)
        assert len(gradients.seen) == 2
        found.append(gradients.seen[0])
    assert found[0].norm() > 0.1
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=1e-5, rtol=1e-5)


def _quiet(folder: Path) -> dict[str, Any]:
    return {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "default_root_dir": folder,
    }


# --- 6. lambda = 0 --------------------------------------------------------------------------------------------------

CONF = str(Path(__file__).parents[1] / "conf")


@pytest.fixture(scope="module")
def train(tiny_base: Path, tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Trains for six steps by a composed configuration, dropout and validation included; returns the adapters."""
    folder = tmp_path_factory.mktemp("lambda")
    train_file, eval_file = write_rows(folder / "t.jsonl", ROWS), write_rows(folder / "e.jsonl", EVAL_ROWS)
    fixed = [
        "model=local", f"model.name_or_path={tiny_base}", "model.quantization=none", "model.learning_rate=1e-2",
        "data=jsonl", f"data.train_file={train_file}", f"data.eval_file={eval_file}", "data.batch_size=2",
        "loss.recurrence.max_document_frequency=0.3", "loss.recurrence.num_candidates=5",
        "logger=none", "trainer=cpu", "trainer.accumulate_grad_batches=2", "trainer.max_epochs=3",
        "trainer.enable_progress_bar=false", f"run_dir={folder}",
    ]  # fmt: skip

    def configured(*overrides: str) -> Config:
        with initialize_config_dir(CONF, version_base="1.3"):
            cfg = compose("train", [*fixed, *overrides])
        cfg.callbacks = {}
        return validate(cfg)

    def run(*overrides: str) -> dict[str, Any]:
        config = configured(*overrides)
        L.seed_everything(config.seed, verbose=False)
        data = experiment.make_data(config, tokenizer, "cpu")
        lora = experiment.backbone.Lora(**config.model.lora.model_dump())
        base = experiment.backbone.load_backbone(
            config.model.name_or_path, tokenizer, device="cpu", quantization="none", lora=lora
        )
        module = experiment.make_module(config, base, data)
        trainer = experiment.make_trainer(config, "cpu", RunDir(folder))
        trainer.fit(module, data)
        assert trainer.global_step == 6
        return {name: tensor.detach().clone() for name, tensor in adapter_state(module.model).items()}

    return run


@pytest.fixture(scope="module")
def lm_only(train: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """The LM loss alone, and nothing looked at on the way."""
    return train("loss=lm", "trainer.log_every_n_steps=1000", "diagnostics_every_n_steps=0")


def _equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    "watched",
    [
        ["trainer.log_every_n_steps=1000", "diagnostics_every_n_steps=0"],
        ["trainer.log_every_n_steps=1", "diagnostics_every_n_steps=1"],
    ],
    ids=["unwatched", "watched"],
)
def test_lambda_0_is_the_lm_run_bit_for_bit(train: Any, lm_only: dict[str, Any], watched: list[str]) -> None:
    assert _equal(train("loss=relational", "loss.lambda=0", *watched), lm_only)


@pytest.mark.parametrize("override", ["loss.lambda=0.3", "seed=43"])
def test_lambda_and_seed_do_make_a_difference(train: Any, lm_only: dict[str, Any], override: str) -> None:
    other = train("loss=relational" if "lambda" in override else "loss=lm", override)
    assert list(other) == list(lm_only) and not _equal(other, lm_only)


def test_the_lm_run_trains(lm_only: dict[str, Any]) -> None:
    assert all(tensor.abs().max() > 1e-3 for name, tensor in lm_only.items() if "lora_B" in name)


# --- the original's formulas ----------------------------------------------------------------------------------------


@pytest.fixture
def seed_loss(tokenizer: Any) -> SeedLoss:
    return SeedLoss(LossSettings(), partial(tokenizer.decode, skip_special_tokens=True))


def test_the_originals_terms_carry_no_gradient(data: Any, model: Any, seed_loss: SeedLoss, gradient: Any) -> None:
    outcome = seed_loss(model, data.train_set.collate(ALL), 0)
    assert [name for name in TERMS if outcome.terms[name].requires_grad] == []
    assert value(outcome, "coherence") == 0.5 and value(outcome, "continuity") == 0
    assert torch.equal(gradient(outcome.total, model), gradient(outcome.terms["lm"], model))


def test_the_originals_loss_compares_with_the_same_position(data: Any, model: Any, seed_loss: SeedLoss) -> None:
    batch = data.train_set.collate(ALL)
    with torch.no_grad():
        out = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, labels=batch.labels)
    unshifted = F.cross_entropy(out.logits.flatten(0, 1), batch.labels.flatten(), ignore_index=-100)
    outcome = seed_loss(model, batch, 0)
    assert value(outcome, "lm") == pytest.approx(float(unshifted), abs=1e-5)
    assert value(outcome, "lm") != pytest.approx(float(out.loss), abs=1e-3)
    true = float(outcome.row_nll.sum()) / batch.own.reply_tokens
    assert true == pytest.approx(float(out.loss), abs=1e-5), "the true loss is measured beside it"


def test_the_originals_gradient_is_not_the_one_of_the_next_token(
    data: Any, model: Any, seed_loss: SeedLoss, objective: Any, gradient: Any
) -> None:
    batch = data.train_set.collate(ALL)
    original = gradient(seed_loss(model, batch, 0).terms["lm"], model)
    true = gradient(objective(model, batch, 0).terms["lm"], model)
    assert torch.cosine_similarity(original, true, dim=0).abs() < 0.5


def test_the_originals_presence_counts_substrings_of_the_reply(make_data: Any, model: Any, seed_loss: SeedLoss) -> None:
    rows = {
        "substring": {"input": "When?", "output": "In an hour."},  # "our"
        "none": {"input": "When?", "output": "Soon."},
        "rupture": {"input": "When?", "output": "An error."},
    }
    module = make_data(rows)
    found = [value(seed_loss(model, module.train_set.collate([i]), 0), "presence") for i in range(3)]
    assert found == pytest.approx([0.8, 1.0, 1.2])


def test_the_originals_loss_is_the_same_however_a_step_is_cut(data: Any, model: Any, seed_loss: SeedLoss) -> None:
    whole = seed_loss(model, data.train_set.collate(ALL), 0)
    parts = [seed_loss(model, data.train_set[BatchRequest((i,), tuple(ALL))], 0) for i in ALL]
    for name in ("lm", *TERMS):
        assert sum(value(part, name) for part in parts) == pytest.approx(value(whole, name), abs=1e-5)


def test_looking_is_without_gradient(data: Any, model: Any, objective: Any, seed_loss: SeedLoss) -> None:
    batch: Batch = data.eval_set.collate(range(len(EVAL_ROWS)))
    for loss in (objective, seed_loss):
        outcome = loss.observe(model, batch)
        assert set(outcome.terms) == {"lm", *TERMS}
        assert not any(term.requires_grad for term in outcome.terms.values())
