"""The health rules on hand-made figures: what each detects, and what it must not report."""

import math
from collections.abc import Iterable

import pytest

from rct_lightning.health import (
    RULES,
    WINDOW,
    Alert,
    Expected,
    Health,
    History,
    RepliesSeen,
    bands,
    bigram_floor,
    largest_proportions,
)

WEIGHTS = {"presence": 0.3, "coherence": 0.1, "continuity": 0.1}
FINE = RepliesSeen(repetition=0.2, ended=0.6, words=30.0, bond_rate=0.0, openings=0.9, most_tokens=80)
BASE = RepliesSeen(repetition=0.1, ended=0.0, words=40.0, bond_rate=0.0, openings=0.8, most_tokens=80)


def healthy_step(step: int) -> dict[str, float]:
    return {"lm": 5.0 - 0.001 * step, "presence": 4.0 + 0.1 * (step % 3), "coherence": 7.0 - 0.01 * step,
            "continuity": 6.0 - 0.01 * step}  # fmt: skip


def health(**expected: object) -> Health:
    judged_by = Expected(WEIGHTS, **{"floor": 1.0, "reply_tokens": 50.0, **expected})  # type: ignore[arg-type]
    return Health(History(judged_by, total_steps=200))


def after_steps(changes: Iterable[dict[str, float | None]]) -> list[Alert]:
    """Return the alerts over steps that differ from healthy ones; None leaves a figure out."""
    patient, said = health(), []
    for step, change in enumerate(changes, start=1):
        values = {name: value for name, value in {**healthy_step(step), **change}.items() if value is not None}
        said += patient.step(step, values)
    return said


def after_evaluations(*losses: float, **others: float) -> list[Alert]:
    patient, said = health(), []
    for step, loss in enumerate(losses):
        said += patient.evaluation(50 * step, {"lm": loss, "next_token": loss, **(others if step else {})})
    return said


def names(alerts: Iterable[Alert]) -> list[str]:
    return [alert.rule for alert in alerts]


def test_a_healthy_run_is_left_in_peace() -> None:
    measured = {"grad/lm_norm": 1.0, "grad/presence_norm": 5.0, "grad/presence_cosine_lm": -0.1}
    assert after_steps([measured if step % 50 == 0 else {} for step in range(1, 400)]) == []
    assert after_evaluations(7.5, 5.5, 5.0, 4.9, 4.95, 4.97) == []
    patient = health()
    assert [patient.spoken(step, seen) for step, seen in ((0, BASE), (100, FINE), (200, FINE))] == [[], [], []]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_named(bad: float) -> None:
    (alert,) = after_steps([{}, {"presence": bad}])
    assert (alert.rule, alert.step, alert.fatal) == ("not finite", 2, False) and "presence" in alert.seen


def test_five_skipped_steps_in_a_row_are_fatal() -> None:
    skipped = {"skipped": 1.0}
    four = [skipped] * 4
    assert names(after_steps([*four, {}, *four])) == ["not finite", "not finite"], "it had gone in between"
    alerts = after_steps([{}, *four, skipped])
    assert [(alert.rule, alert.step, alert.fatal) for alert in alerts] == [
        ("not finite", 2, False),
        ("never finite", 6, True),
    ]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_evaluation_that_is_no_number_is_fatal(bad: float) -> None:
    (alert,) = after_evaluations(7.0, 6.0, presence=bad)
    assert (alert.rule, alert.fatal) == ("no number", True) and "presence" in alert.seen
    assert "no number" in names(after_evaluations(7.0, bad))


def test_a_skipped_step_is_told_by_the_loss_that_was_not_finite_where_one_was() -> None:
    (loss,) = after_steps([{}, {"presence": math.nan, "skipped": 1.0}])
    (gradient,) = after_steps([{}, {"skipped": 1.0}])
    assert "presence" in loss.seen and gradient.seen == "the gradient was not finite"


def test_a_constant_term_is_named_when_the_window_is_full() -> None:
    (alert,) = after_steps([{"coherence": 0.5}] * (WINDOW + 20))
    assert (alert.rule, alert.step) == ("constant term", WINDOW) and "coherence was 0.5" in alert.seen


def test_a_silent_term_is_named_absent_or_zero() -> None:
    for silent in (None, 0.0):
        (alert,) = after_steps([{"continuity": silent}] * (WINDOW + 20))
        assert (alert.rule, alert.step) == ("silent term", WINDOW) and "continuity" in alert.seen


def test_a_term_that_has_reached_its_aim_is_not_silent() -> None:
    assert after_steps([{}] * 10 + [{"presence": 0.0}] * 100) == []


def test_a_sparse_term_is_not_silent() -> None:
    assert after_steps([{"coherence": None if step % 40 else 3.0 + step} for step in range(200)]) == []


def test_a_term_without_weight_is_nobodys_business() -> None:
    patient = Health(History(Expected({"presence": 0.0, "coherence": 0.0, "continuity": 0.0})))
    assert [alert for step in range(1, 100) for alert in patient.step(step, {"lm": 5.0, "coherence": 0.5})] == []


@pytest.mark.parametrize(("norm", "said"), [(1000.0, 1), (0.001, 1), (5.0, 0)])
def test_gradients_out_of_proportion(norm: float, said: int) -> None:
    alerts = after_steps([{"grad/lm_norm": 1.0, "grad/presence_norm": norm}] * 10)
    assert names(alerts) == ["proportion"] * said
    assert not said or alerts[0].step == 3, "one measurement is chance"


def test_gradients_that_pull_apart_for_long() -> None:
    def measured(cosine: float) -> dict[str, float]:
        return {"grad/lm_norm": 1.0, "grad/presence_norm": 1.0, "grad/presence_cosine_lm": cosine}

    assert names(after_steps([measured(-0.9)] * 60)) == ["conflict"]
    assert names(after_steps([measured(-0.9)] * 40 + [measured(0.1)] + [measured(-0.9)] * 40)) == []
    assert names(after_steps([measured(0.1)] * 10 + [measured(-0.9)] * 60)) == ["conflict"], "however it began"
    for every in (20, 30, 50, 60, 100):  # for any diagnostics_every_n_steps
        told = names(after_steps([measured(-0.9) if at % every == 0 else {} for at in range(1, 211)]))
        assert told == ["conflict"], every


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        ((7.5, 0.4), ["too good"]),
        ((7.5, 2.9), ["too good"]),
        ((7.5, 3.1), []),
        ((7.5, 9.1), ["worse than base"]),
        ((7.5, 5.0, 5.1, 5.2, 5.3), ["rising"]),
        ((7.5, 5.0, 5.1, 5.2, 5.1, 5.3), []),
        ((7.5, 5.0, 5.01, 5.02, 5.03), []),
        ((7.5, 7.5), ["standstill"]),
    ],
)
def test_evaluations(losses: tuple[float, ...], said: list[str]) -> None:
    assert names(after_evaluations(*losses)) == said


def test_a_loss_that_is_not_the_next_tokens_is_named() -> None:
    assert names(after_evaluations(7.5, 3.0, next_token=9.5)) == ["two losses", "worse than base"]
    assert names(after_evaluations(7.5, 5.0, next_token=5.1)) == ["two losses"]
    assert names(after_evaluations(7.5, 5.0, next_token=5.01)) == []


def test_two_evaluations_of_one_step_are_no_standstill() -> None:
    patient = health()
    assert [patient.evaluation(step, {"lm": 5.0}) for step in (0, 0)] == [[], []]
    assert names(patient.evaluation(50, {"lm": 5.0})) == ["standstill"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"repetition": 0.9}, ["repetition"]),
        ({"repetition": 0.7}, []),  # as short healthy runs do
        ({"ended": 0.0}, ["no end"]),
        ({"ended": 0.0, "most_tokens": 20}, []),
        ({"words": 1.0}, ["few words"]),
        ({"openings": 0.1}, ["one phrase"]),
        ({"openings": 0.45}, []),  # more than half of the base's 0.8
        ({"bond_rate": 0.9}, ["warm to everybody"]),
    ],
)
def test_replies(change: dict[str, float], said: list[str]) -> None:
    patient, seen = health(), RepliesSeen(**{**vars(FINE), **change})
    patient.spoken(0, BASE)
    assert names(patient.spoken(200, seen)) == said


def test_warmth_is_judged_at_the_end_and_where_presence_trains() -> None:
    warm = RepliesSeen(**{**vars(FINE), "bond_rate": 0.9})
    patient = health()
    told = [names(patient.spoken(step, seen)) for step, seen in ((0, BASE), (150, warm), (200, warm))]
    assert told == [[], [], ["warm to everybody"]]
    without = Health(History(Expected({**WEIGHTS, "presence": 0.0}), total_steps=200))
    assert [without.spoken(step, seen) for step, seen in ((0, BASE), (200, warm))] == [[], []]


@pytest.mark.parametrize(
    ("logged", "said"),
    [
        (((0, "eval"), (10, "train"), (20, "train"), (20, "eval")), []),
        ((), []),  # a run without the callback that writes the file
        (((0, "train"), (10, "train"), (20, "train"), (20, "train")), ["mixed phases"]),
        (((0, "train"), (10, "train"), (20, "train")), ["mixed phases"]),
        (((0, "eval"), (10, "train"), (10, "eval"), (20, "train"), (20, "eval")), ["mixed phases"]),
    ],
)
def test_phases_are_told_apart_in_the_file(logged: tuple[tuple[int, str], ...], said: list[str]) -> None:
    patient = health()
    for step in (0, 20):
        patient.evaluation(step, {"lm": 7.0 - 0.1 * step})
    assert names(patient.ended(20, logged)) == said


@pytest.mark.parametrize("wrong", [{"repetition": 0.9}, {"ended": 0.0}, {"openings": 0.1}])
def test_a_single_round_of_replies_is_chance(wrong: dict[str, float]) -> None:
    bad = RepliesSeen(**{**vars(FINE), **wrong})
    for rounds, said in (
        (((0, BASE), (50, bad), (100, bad), (150, FINE), (200, FINE)), 0),  # 50 is too early to count
        (((0, BASE), (100, FINE), (150, FINE), (200, bad)), 0),
        (((0, BASE), (100, bad), (150, bad), (200, bad)), 1),
        (((0, BASE), (200, bad)), 1),  # there is no other
    ):
        patient = health()
        assert sum(len(patient.spoken(step, seen)) for step, seen in rounds) == said


def test_a_rule_speaks_once_and_again_when_it_comes_back() -> None:
    patient = health()
    said = [patient.evaluation(step, {"lm": loss}) for step, loss in enumerate((7.0, 9.0, 9.1, 6.0, 9.0))]
    assert [names(alerts) for alerts in said] == [[], ["worse than base"], [], [], ["worse than base"]]


def test_every_rule_says_what_it_means_and_what_to_do() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.condition and rule.means.endswith(".") and rule.remedy.endswith(".") for rule in RULES)


def test_figures_of_replies() -> None:
    texts = ["I am here with you", "I am here again", "The boat is blue"]
    seen = RepliesSeen.of(
        texts, ended=[True, False, False], bond=[True, True, False], repetition=[0.0, 0.5, 0.1], most_tokens=9
    )
    assert (seen.ended, seen.bond_rate, seen.words) == pytest.approx((1 / 3, 2 / 3, 13 / 3))
    two_of_three = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3)) / math.log(3)
    assert seen.openings == pytest.approx(two_of_three) and seen.repetition == pytest.approx(0.2)


def test_the_floor_is_the_bigram_entropy() -> None:
    assert bigram_floor([[1, 2, 3], [1, 2, 3]]) == 0
    assert bigram_floor([[1, 2], [1, 3], [1, 2], [1, 3]]) == pytest.approx(math.log(2))
    assert bigram_floor([[1, 2, 1, 3]]) == pytest.approx(2 / 3 * math.log(2))


def test_bands_are_relative_to_the_base_of_each_run() -> None:
    def run(base: float, later: float) -> list[dict[str, object]]:
        return [
            {"event": "start", "step": 0},
            {"event": "eval", "step": 0, "lm": base, "presence": 4.0, "total": base},
            {"event": "step", "step": 10, "lm": later, "total": base},
            {"event": "step", "step": 20, "lm": later, "presence": 2.0, "total": base},
            {"event": "eval", "step": 700, "lm": base / 2},
        ]

    lines = bands([run(8.0, 6.0), run(10.0, 5.0)]).splitlines()
    assert lines[2] == "| 1-50 | 0.50-0.75 | 0.50-0.50 |  |  | 1.00-1.00 |  |"
    assert lines[3] == "| from 601 |  |  |  |  |  | 0.50-0.50 |" and len(lines) == 4


def test_the_largest_proportion_is_that_of_three_measurements_in_a_row() -> None:
    norms = (1.0, 8.0, 6.0, 7.0, 2.0, 50.0)  # a single 50 may be chance
    steps = [{"event": "step", "step": 50 * at, "grad/lm_norm": 2.0, "grad/presence_norm": norm}
             for at, norm in enumerate(norms)]  # fmt: skip
    others = [{"event": "step", "step": 10}, {"event": "eval", "step": 50, "grad/presence_norm": 9.0}]
    found = largest_proportions([*steps, *others], {"presence": 0.5, "coherence": 0.5})
    assert found == {"presence": pytest.approx(0.5 * 6.0 / 2.0)}
    assert largest_proportions(steps[:2], {"presence": 0.5}) == largest_proportions(steps, {"presence": 0.0}) == {}
