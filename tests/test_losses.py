"""The properties of docs/losses.md, each on every term it applies to."""

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

from rct_lightning import backbone
from rct_lightning.backbone import adapter_state
from rct_lightning.config import Config, validate
from rct_lightning.data import COHERENCE, CONTINUITY, Batch, Counterfactual
from rct_lightning.data.row import Row, after
from rct_lightning.data.sampler import BatchRequest
from rct_lightning.experiment import parts
from rct_lightning.losses import TERMS, LossSettings, Outcome, SeedLoss
from rct_lightning.losses.continuity import false_memory_loss
from rct_lightning.losses.presence import PresenceSettings, Replies, log_mean_exp, presence_loss
from rct_lightning.losses.recurrence import candidate_hits, recurrence_loss
from rct_lightning.losses.relational import BANKS
from rct_lightning.markers import Lexicon
from rct_lightning.module import OptimizerSettings, RelationalModule
from rct_lightning.runs import RunDir
from rct_lightning.scoring import base_model, score_phrases

ALL = range(len(ROWS))
ACTIVE = [  # term, row, and the part of the term that the row exercises
    pytest.param("lm", "both", id="lm"),
    pytest.param("presence", "marked", id="presence, the marker taken out"),
    pytest.param("presence", "unmarked", id="presence, one put in"),
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


def phrase_scores(model: Any, row: Row, objective: Any, step: int, tokenizer: Any) -> dict[str, list[Any]]:
    """Return [S of each bank under the model, under the base], by separate passes over the phrases drawn at a step."""
    encoded, count = row.encoded, objective.settings.phrases_per_step
    drawn = objective.phrases.draw(count, [0, step])
    found: dict[str, list[Any]] = {}
    for bank in BANKS:
        phrases = [objective.phrases.ids[i] for i in drawn[bank]]
        ask = partial(
            score_phrases, model, [encoded.ids[: encoded.prompt_length]], phrases, tokenizer.pad_token_id, "cpu"
        )
        tuned = ask()
        with base_model(model):
            found[bank] = [float(scores.logsumexp(1) - math.log(count)) for scores in (tuned, ask())]
    return found


# --- what the terms are ---------------------------------------------------------------------------------------------


def rises(model: Any, row: Row, objective: Any, step: int, tokenizer: Any) -> dict[str, float]:
    """Return by how much each bank's score exceeds the base's."""
    found = phrase_scores(model, row, objective, step, tokenizer)
    return {bank: tuned - base for bank, (tuned, base) in found.items()}


@pytest.mark.parametrize("name", ["marked", "unmarked", "both"])
def test_a_pair_costs_what_the_formula_says(
    name: str, data: Any, model: Any, make_objective: Any, at: Any, tokenizer: Any
) -> None:
    settings = PresenceSettings(specificity=5.0, level=0.3)
    objective, claims = make_objective(presence=settings), []
    row = data.train_set.rows[at(name)[0]]
    first, second = (row, row.twin) if row.strength > 0 else (row.twin, row)
    for step in range(3):
        up, down = (rises(model, prompt, objective, step, tokenizer) for prompt in (first, second))
        d, p = ([side["bond"] - side[bank] for side in (up, down)] for bank in ("rupture", "plain"))
        contrast = max(0.0, 4.0 - (p[0] - p[1])) ** 2 + max(0.0, 2.0 - (d[0] - d[1])) ** 2
        gained = max(0.0, 2.0 - d[0]) ** 2 + max(0.0, 2.0 - p[0]) ** 2 + max(0.0, 1.0 - up["bond"])
        held = d[1] ** 2 + max(0.0, 2.0 + p[1]) ** 2
        a = first.strength
        outcome = objective(model, data.train_set.collate(at(name)), step)
        expected = a * contrast + 0.3 * (a * gained + 5.0 * held) / 2
        assert value(outcome, "presence") == pytest.approx(expected, rel=1e-4)
        assert figure(outcome, "presence/contrast") == pytest.approx(a * contrast, rel=1e-4)
        assert figure(outcome, "presence/P_rise_marked") == pytest.approx(p[0], abs=1e-5)
        if not row.has_history:
            claims.append((up["memory_claim"] ** 2 + down["memory_claim"] ** 2) / 2)
            assert value(outcome, "continuity") == pytest.approx(claims[-1], rel=1e-2, abs=1e-6)
            assert figure(outcome, "continuity/false_memory_loss") == pytest.approx(claims[-1], rel=1e-2, abs=1e-6)
            risen = (up["memory_claim"] + down["memory_claim"]) / 2
            assert figure(outcome, "continuity/S_M_rise") == pytest.approx(risen, abs=1e-5)
    assert row.has_history or max(claims) > 1e-4, "nothing to hold on to"


@pytest.mark.parametrize("among", ["vocabulary", "candidates"])
def test_recurrent_positions_cost_what_the_formula_says(
    data: Any, model: Any, make_objective: Any, at: Any, among: str
) -> None:
    batch = data.train_set.collate(at("both", "long", "both_marked"))
    with torch.no_grad():
        logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
    costs: dict[int, list[float]] = {COHERENCE: [], CONTINUITY: []}
    hits: dict[int, list[bool]] = {COHERENCE: [], CONTINUITY: []}
    for i in range(len(batch.recurrent_row)):
        before, compete = logits[batch.recurrent_row[i], batch.recurrent_position[i] - 1], batch.candidates[i]
        right = int(compete[0])
        normaliser = before.logsumexp(0) if among == "vocabulary" else before[compete].logsumexp(0)
        costs[int(batch.recurrent_source[i])].append(float(normaliser - before[right]))
        hits[int(batch.recurrent_source[i])].append(bool(before[right] == before[compete].max()))
    outcome = make_objective(recall_among=among)(model, batch, 0)
    assert min(map(len, costs.values())) > 1
    assert value(outcome, "coherence") == pytest.approx(sum(costs[0]) / len(costs[0]), rel=1e-5)
    assert value(outcome, "continuity") == pytest.approx(sum(costs[1]) / len(costs[1]), rel=1e-5)
    assert figure(outcome, "continuity/recall_loss") == pytest.approx(sum(costs[1]) / len(costs[1]), rel=1e-5)
    for term, source in (("coherence", COHERENCE), ("continuity", CONTINUITY)):
        assert figure(outcome, f"{term}/candidate_accuracy") == pytest.approx(sum(hits[source]) / len(hits[source]))


def test_presence_by_hand() -> None:
    strength = torch.tensor([0.5, 1.0, 1.0])
    addressed = Replies(torch.tensor([0.0, 3.0, 2.0]), torch.tensor([0.0, 1.0, 0.0]), torch.tensor([1.0, 0.0, 2.0]))
    elsewhere = Replies(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.0, 1.0, 1.0]), torch.tensor([0.0, 4.0, 2.0]))
    cost = presence_loss(addressed, elsewhere, strength, PresenceSettings(2.0, 1.0, specificity=3.0, level=0.1))
    contrast = [0.5 * (5**2 + 2**2), 0.0, 4**2 + 1**2]
    level = [(0.5 * (4 + 9 + 1) + 3 * 4) / 2, 0.0, (2**2 + 3 * (1 + 4)) / 2]
    assert cost.contrast.tolist() == pytest.approx(contrast) and cost.level.tolist() == pytest.approx(level)
    assert cost.total.tolist() == pytest.approx([c + 0.1 * v for c, v in zip(contrast, level, strict=True)])


def test_what_moves_both_prompts_alike_has_no_contrast() -> None:
    """Otherwise marked and unmarked prompts would conflict over every phrase until the model separates them."""
    common = torch.zeros(1, requires_grad=True)
    sides = [Replies(common + bond, torch.zeros(1), torch.zeros(1)) for bond in (0.5, 0.2)]
    cost = presence_loss(*sides, torch.ones(1), PresenceSettings())
    assert torch.autograd.grad(cost.contrast.sum(), common, retain_graph=True)[0].item() == 0
    assert torch.autograd.grad(cost.level.sum(), common)[0].item() != 0


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
        for smoothing, pulls_further in ((0.0, True), (0.1, False)):  # a position that is already known
            known = torch.tensor([[12.0, 0.0, 0.0, 0.0]], requires_grad=True)
            (slope,) = torch.autograd.grad(recurrence_loss(known, candidates, among, smoothing).sum(), known)
            assert bool(slope[0, 0] < 0) == pulls_further


def test_what_is_smoothed_is_the_training_batch_with_and_without_a_gradient(
    data: Any, model: Any, make_objective: Any, at: Any
) -> None:
    batch, names = data.train_set.collate(at("both")), ("coherence", "continuity")
    smooth, plain = make_objective(label_smoothing=0.3), make_objective()
    trained = [value(smooth(model, batch, 0), name) for name in names]
    with torch.no_grad():
        assert trained == [value(smooth(model, batch, 0), name) for name in names]
        assert all(a != value(plain(model, batch, 0), name) for a, name in zip(trained, names, strict=True))
    watched = [[value(each.observe(model, batch), name) for name in names] for each in (smooth, plain)]
    assert watched[0] == watched[1], "what is watched is not smoothed"


def test_without_weight_on_presence_memories_are_still_kept_from_being_made_up(
    data: Any, model: Any, make_objective: Any, at: Any
) -> None:
    batch = data.train_set.collate(at("unmarked"))  # no history: this part of continuity alone
    weights = {"presence": 0.0, "coherence": 1.0, "continuity": 2.0}
    alone, beside = (
        value(each(model, batch, 0), "continuity") for each in (make_objective(weights=weights), make_objective())
    )
    assert alone == pytest.approx(beside) and alone > 0


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


def test_runs_with_other_seeds_draw_other_phrases(data: Any, model: Any, make_objective: Any, at: Any) -> None:
    batch = data.train_set.collate(at("marked"))
    first, again, other = (
        figure(make_objective(seed=seed)(model, batch, 0), "presence/D_marked") for seed in (1, 1, 2)
    )
    assert first == again != other


def test_the_reference_is_the_base_whatever_the_adapters_learn(
    data: Any, model: Any, make_backbone: Any, objective: Any, at: Any
) -> None:
    batch = data.train_set.collate(at("marked", "both"))
    untrained = make_backbone(trained=False).model  # adapters that are zero: the base itself
    trained, base = (objective(m, batch, 0) for m in (model, untrained))
    for side in ("marked", "unmarked"):
        rise = figure(trained, f"presence/D_{side}") - figure(base, f"presence/D_{side}")
        assert figure(trained, f"presence/D_rise_{side}") == pytest.approx(rise, abs=1e-5) != 0
        assert figure(base, f"presence/D_rise_{side}") == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", ["both", "unmarked"])
def test_phrases_are_asked_behind_what_was_said_by_then(
    name: str, data: Any, model: Any, objective: Any, at: Any, tokenizer: Any
) -> None:
    """For a row and its twin alike: both continue from the same words of the reply."""
    rows, said = data.train_set, 4
    row = after(rows.rows[at(name)[0]], said)
    batch = replace_row(rows, at(name)[0], row)
    outcome = objective(model, batch, 0)
    for side, prompt in (("unmarked", row), ("marked", row.twin)):
        heard = prompt.encoded.ids[: prompt.encoded.prompt_length + said]
        assert heard[-said:] == row.encoded.ids[row.encoded.prompt_length :][:said]
        whole = replace(prompt, encoded=replace(prompt.encoded, ids=heard, prompt_length=len(heard)))
        s = phrase_scores(model, whole, objective, 0, tokenizer)
        assert figure(outcome, f"presence/S_B_{side}") == pytest.approx(s["bond"][0], abs=1e-5)
        for over, bank in (("D", "rupture"), ("P", "plain")):
            assert figure(outcome, f"presence/{over}_{side}") == pytest.approx(s["bond"][0] - s[bank][0], abs=1e-5)
    assert value(outcome, "lm") == pytest.approx(value(objective(model, rows.collate(at(name)), 0), "lm"), abs=1e-5)


def replace_row(rows: Any, index: int, row: Row) -> Batch:
    """Return the batch of one row, in a changed version."""
    before = rows.rows[index]
    rows.rows[index] = row
    try:
        return rows.collate([index])
    finally:
        rows.rows[index] = before


# --- 1. gradient ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("term", "row"), ACTIVE)
def test_the_gradient_reaches_the_adapters_and_equals_a_finite_difference(
    term: str, row: str, data: Any, model: Any, objective: Any, at: Any, gradient: Any, move: Any
) -> None:
    model.double()  # the loss itself is computed in float32
    batch = data.train_set.collate(at(row))

    def loss() -> torch.Tensor:
        return objective(model, batch, 1).terms[term]

    true = gradient(loss(), model)
    assert true.norm() > 1e-2
    direction = _direction(true)
    measured = _slope(lambda: float(loss().detach()), model, direction, move)
    assert measured == pytest.approx(float(true @ direction), rel=1e-3)
    half_blind = true.clone()  # a term that reaches only half of the adapters would be detected
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


def test_a_row_without_a_twin_is_not_asked(make_data: Any, model: Any, make_objective: Any) -> None:
    module = make_data(
        {"only markers": {"input": "Aelara, are you there?", "output": "I am."}, "other": ROWS["unmarked"]}
    )
    objective = make_objective()
    assert set(objective(model, module.train_set.collate([0]), 0).terms) == {"lm"}
    both, alone = (value(objective(model, module.train_set.collate(rows), 0), "presence") for rows in ([0, 1], [1]))
    assert both == pytest.approx(alone, rel=1e-4)


def test_presence_is_silent_where_its_aim_is_reached(
    data: Any, model: Any, make_objective: Any, make_backbone: Any, at: Any, gradient: Any
) -> None:
    reached = make_objective(presence=PresenceSettings(margin=-50.0, lift=-50.0, specificity=0.0))
    outcome = reached(model, data.train_set.collate(at("marked")), 1)
    assert value(outcome, "presence") == 0 and gradient(outcome.terms["presence"], model).norm() == 0
    assert outcome.figures["presence/active_share"][0] == 0
    base = make_backbone(trained=False).model  # an unmarked prompt keeps bond over rupture at the base's level
    holding = make_objective(presence=PresenceSettings(margin=-50.0, lift=-50.0))
    at_rest = holding(base, data.train_set.collate(at("unmarked")), 1)
    for name in ("presence", "continuity"):
        assert value(at_rest, name) == pytest.approx(0, abs=1e-9)
        assert gradient(at_rest.terms[name], base).norm() < 1e-4


def _direction(true: torch.Tensor) -> torch.Tensor:
    """Return a direction with a component in every parameter, along which the loss changes noticeably."""
    random = torch.randn(true.shape, generator=torch.Generator().manual_seed(0), dtype=true.dtype)
    direction = random / random.norm() + true / true.norm()
    return direction / direction.norm()


def _slope(f: Callable[[], float], model: Any, direction: torch.Tensor, move: Any, h: float = 0.02) -> float:
    """Return the derivative of f along a direction: central difference of fourth order."""
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
@pytest.mark.parametrize("row", ["marked", "both_marked", "unmarked", "both"])
def test_presence_sets_the_two_prompts_of_a_pair_apart(
    row: str, step: int, data: Any, model: Any, objective: Any, at: Any, gradient: Any, move: Any
) -> None:
    batch = data.train_set.collate(at(row))

    def apart(outcome: Outcome, what: str) -> float:
        return figure(outcome, f"presence/{what}_marked") - figure(outcome, f"presence/{what}_unmarked")

    before = objective(model, batch, step)
    _descend(before.terms["presence"], model, gradient, move)
    after = objective(model, batch, step)
    assert apart(after, "P") > apart(before, "P")
    assert apart(after, "P") + apart(after, "D") > apart(before, "P") + apart(before, "D")


@pytest.mark.parametrize("step", range(3))
def test_level_moves_bond_up_and_rupture_down_where_one_is_addressed(
    step: int, data: Any, model: Any, make_objective: Any, at: Any, gradient: Any, move: Any
) -> None:
    objective = make_objective(presence=PresenceSettings(level=1e6, specificity=0.0))
    batch = data.train_set.collate(at("both_marked"))
    before = objective(model, batch, step)
    _descend(before.terms["presence"], model, gradient, move)
    after = objective(model, batch, step)
    assert figure(after, "presence/S_B_marked") > figure(before, "presence/S_B_marked")
    assert figure(after, "presence/S_R_marked") < figure(before, "presence/S_R_marked")
    assert figure(after, "presence/P_marked") > figure(before, "presence/P_marked")


@pytest.mark.parametrize("row", ["unmarked", "both"])
def test_level_keeps_bond_over_rupture_where_one_is_not_addressed(
    row: str, data: Any, model: Any, make_objective: Any, at: Any, gradient: Any, move: Any
) -> None:
    objective = make_objective(presence=PresenceSettings(margin=-50.0, lift=-50.0))  # all other goals are reached
    batch = data.train_set.collate(at(row))

    def distance() -> float:
        return abs(figure(objective(model, batch, 0), "presence/D_rise_unmarked"))

    before = distance()
    _descend(objective(model, batch, 0).terms["presence"], model, gradient, move)
    assert distance() < before


@pytest.mark.parametrize("step", range(3))
def test_level_moves_bond_behind_plain_words_where_one_is_not_addressed(
    step: int, data: Any, model: Any, make_objective: Any, at: Any, gradient: Any, move: Any
) -> None:
    objective = make_objective(presence=PresenceSettings(level=1e6, specificity=1e6))
    batch = data.train_set.collate(at("unmarked"))
    before = objective(model, batch, step)
    _descend(before.terms["presence"], model, gradient, move)
    assert figure(objective(model, batch, step), "presence/P_unmarked") < figure(before, "presence/P_unmarked")


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
        pair = (data.train_set.rows[row], data.train_set.rows[row].twin)
        return sum(rises(model, prompt, objective, 0, tokenizer)["memory_claim"] ** 2 for prompt in pair)

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


def test_the_marker_decides_which_prompt_of_a_pair_is_addressed(twins: Any, model: Any, make_objective: Any) -> None:
    objective, batch = make_objective(), twins.train_set.collate([0])
    assert batch.strength[0] > 0 and batch.twin_strength[0] == 0
    swapped = replace(batch, strength=batch.twin_strength, twin_strength=batch.strength)
    found = [objective(model, b, 0) for b in (batch, swapped)]
    assert figure(found[0], "presence/D_marked") == pytest.approx(figure(found[1], "presence/D_unmarked"))
    assert value(found[0], "presence") != pytest.approx(value(found[1], "presence"), rel=1e-3)


def test_contrast_and_the_marked_side_weigh_by_marker_strength(twins: Any, model: Any, make_objective: Any) -> None:
    objective, batch = make_objective(presence=PresenceSettings(specificity=0.0)), twins.train_set.collate([0])

    def at_strength(strength: float) -> float:
        return value(objective(model, replace(batch, strength=torch.tensor([strength])), 0), "presence")

    assert at_strength(0.7) == pytest.approx(2 * at_strength(0.35)) != 0


def test_presence_does_not_read_the_reply(twins: Any, model: Any, make_objective: Any) -> None:
    objective = make_objective()
    one, other = (objective(model, twins.train_set.collate([index]), 0) for index in (0, 2))
    assert value(one, "presence") == pytest.approx(value(other, "presence"), rel=1e-4)
    assert value(one, "lm") != pytest.approx(value(other, "lm"), rel=1e-3)


def test_another_history_leaves_no_recurrent_positions(make_data: Any, model: Any, make_objective: Any) -> None:
    both = ROWS["both"]
    swapped = make_data(ROWS | {"both": both | {"context": ROWS["not_recurrent"]["context"]}})
    none = make_data(ROWS | {"both": {"input": both["input"], "output": both["output"]}})
    index = list(ROWS).index("both")
    for module in (swapped, none):
        outcome = make_objective()(model, module.train_set.collate([index]), 0)
        assert outcome.figures["continuity/candidate_accuracy"][1] == 0
        assert outcome.figures["coherence/candidate_accuracy"][1] == 0
        # without any history, claims of memory must stay at the base's level
        assert set(outcome.terms) == {"lm", "presence"} | ({"continuity"} if module is none else set())
        assert module is swapped or value(outcome, "continuity") > 0


# --- renamed rows ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def renamed(make_data: Any) -> Any:
    """The shared rows, with their recurrent words exchanged, and a conversation that lends words."""
    words = "apple river candle winter stone bread garden horse mirror silence Thomas Martha London Robert Paris Anna"
    donor = {"context": [("human", words), ("assistant", words)], "input": "Well?", "output": "Well."}
    return make_data(ROWS | {"donor": donor}, counterfactual=Counterfactual(rename_share=1.0))


def test_a_renamed_row_is_judged_by_its_history_alone(
    renamed: Any, model: Any, make_objective: Any, at: Any, gradient: Any
) -> None:
    objective = make_objective()
    batch = renamed.train_set.collate(at("both", "both_marked"), epoch=0)
    assert batch.renamed.all()
    outcome = objective(model, batch, 0)
    assert "presence" not in outcome.terms
    assert not len(batch.twin_of)
    for term in ("coherence", "continuity"):
        assert gradient(outcome.terms[term], model).norm() > 1e-2


def test_a_renamed_word_moves_up_and_the_word_that_was_there_down(
    renamed: Any, model: Any, make_objective: Any, at: Any, gradient: Any, move: Any
) -> None:
    """What the row itself would teach to memorise is now a wrong answer; only its history gives the right one."""
    batch = renamed.train_set.collate(at("both"), epoch=0)

    def log_odds() -> torch.Tensor:
        with torch.no_grad():
            logits = model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits
        states = logits[batch.recurrent_row, batch.recurrent_position - 1]
        chosen = states.gather(1, batch.candidates)
        return (chosen[:, 0] - chosen[:, 1]).mean()

    before = log_odds()
    outcome = make_objective()(model, batch, 0)
    _descend(outcome.terms["coherence"] + outcome.terms["continuity"], model, gradient, move)
    assert log_odds() > before


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
    """Records the gradient of each optimizer step, and its measurements term by term."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []
        self.measured: list[dict[str, float]] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        parameters = adapter_state(pl_module.model).values()
        self.seen.append(torch.cat([parameter.grad.flatten() for parameter in parameters]))
        self.measured.append(dict(pl_module.record.gradients))


def test_accumulation_in_the_trainer_gives_the_gradient_of_the_whole_batch(
    make_data: Any, make_backbone: Any, make_objective: Any, tmp_path: Path
) -> None:
    found, measured = [], []
    for batch_size, accumulate in ((8, 1), (1, 8), (3, 3)):
        data = make_data(batch_size=batch_size, accumulate=accumulate)
        objective = make_objective(lambda_=1.0)
        settings = {"diagnostics_every_n_steps": 1}
        module = RelationalModule(make_backbone(), objective, OptimizerSettings(), data.template, **settings)
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
        measured.append(gradients.measured[0])
    assert found[0].norm() > 0.1
    assert {f"grad/{term}_{what}" for term in TERMS for what in ("norm", "cosine_lm")} < set(measured[0])
    for other in measured[1:]:
        assert other == pytest.approx(measured[0], rel=1e-3, abs=1e-5), "what is measured is the step's, however cut"
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
    """Train for six steps by a composed configuration, dropout and validation included; return the adapters."""
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
        data = parts.make_data(config, tokenizer, "cpu")
        lora = backbone.Lora(**config.model.lora.model_dump())
        base = backbone.load_backbone(
            config.model.name_or_path, tokenizer, device="cpu", quantization="none", lora=lora
        )
        module = parts.make_module(config, base, data)
        trainer = parts.make_trainer(config, "cpu", RunDir(folder))
        trainer.fit(module, data)
        assert trainer.global_step == 6
        return {name: tensor.detach().clone() for name, tensor in adapter_state(module.model).items()}

    return run


@pytest.fixture(scope="module")
def lm_only(train: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """The LM loss alone, without any diagnostics."""
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
