"""Intervals over seeds and conversations, exact tests, and verdicts, checked on studies whose truth is known."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from simulated import MEASURED, World, coverage, percentile, study

from rct_lightning.evaluation.crossed import Inference, crossed_inference
from rct_lightning.evaluation.significance import cohens_dz, holm, sign_flip, smallest_p
from rct_lightning.evaluation.statistics import Estimate
from rct_lightning.evaluation.study.claims import TERMS, claims

SEEDS_DIFFER = World(0.1, 0.02, 0.05, conversations=40)
NOISE_ALONE = World(0.0, 0.0, 0.3, conversations=40)
PROMISED = 0.93, 0.975
"""Range of coverage for 95% intervals over 300 simulated studies; a correct method leaves it in one of fifty worlds."""


def interval(differences: np.ndarray, *, groups: list[int], samples: int) -> Estimate:
    return crossed_inference(differences, groups=groups, samples=samples).estimate


# --- the interval ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "world", [SEEDS_DIFFER, NOISE_ALONE, *MEASURED.values()], ids=["seeds", "noise", *MEASURED]
)  # fmt: skip
def test_the_interval_holds_the_truth_as_often_as_it_says(world: World) -> None:
    assert PROMISED[0] - 0.01 <= coverage(world, interval, 300, 600) <= PROMISED[1] + 0.005


def test_a_percentile_interval_would_not() -> None:
    assert coverage(SEEDS_DIFFER, percentile, 300, 600) < PROMISED[0] - 0.02, "too short where seeds differ"
    assert coverage(NOISE_ALONE, percentile, 300, 600) > PROMISED[1] + 0.01, "too long where there is noise alone"


@pytest.mark.long
@pytest.mark.parametrize("world", MEASURED.values(), ids=list(MEASURED))
def test_the_interval_in_a_thousand_studies(world: World) -> None:
    assert 0.93 <= coverage(world, interval, 1000, 2000) <= 0.97


def draw(seed: int = 0, seeds: int = 8, groups: int = 20) -> np.ndarray:
    random = np.random.default_rng(seed)
    return 0.1 + 0.1 * random.normal(size=(seeds, 1)) + random.normal(size=groups) + random.normal(size=(seeds, groups))


def test_the_mean_is_that_of_the_items_whatever_their_weights_and_groups() -> None:
    values, random = draw(), np.random.default_rng(1)
    weights, groups = random.uniform(1, 3, size=20), [f"c{i % 7}" for i in range(20)]
    assert crossed_inference(values).estimate.mean == pytest.approx(values.mean())
    found = crossed_inference(values, weights=weights, groups=groups).estimate
    assert found.mean == pytest.approx(np.average(values, axis=1, weights=weights).mean())
    assert found.low < found.mean < found.high and found.items == 20


def test_ten_copies_of_an_item_are_one_item_and_two_halves_of_a_group_are_one_group() -> None:
    values = draw()
    once = crossed_inference(values)
    copies = crossed_inference(np.repeat(values, 10, axis=1), groups=[f"{i:02}" for i in np.repeat(np.arange(20), 10)])
    alone = crossed_inference(values, groups=[f"{i:02}" for i in range(20)])
    assert (copies.estimate.low, copies.estimate.high) == pytest.approx((alone.estimate.low, alone.estimate.high))
    assert (once.estimate.low, once.estimate.high) == pytest.approx((alone.estimate.low, alone.estimate.high))
    naive = crossed_inference(np.repeat(values, 10, axis=1)).estimate
    assert naive.high - naive.low < 0.6 * (once.estimate.high - once.estimate.low)


def test_what_is_added_and_multiplied_moves_the_interval_alike() -> None:
    before, after = crossed_inference(draw()), crossed_inference(1000 + 2 * draw())
    for end in ("mean", "low", "high"):
        assert getattr(after.estimate, end) == pytest.approx(1000 + 2 * getattr(before.estimate, end), abs=1e-6)


@pytest.mark.parametrize("shift", np.linspace(-1.5, 1.5, 13))
@pytest.mark.parametrize("seeds", [3, 8])
def test_p_is_small_exactly_where_the_interval_leaves_zero_out(shift: float, seeds: int) -> None:
    found = crossed_inference(draw(3, seeds) + shift)
    assert (found.p <= 0.05) == found.estimate.excludes_zero()


def test_it_is_the_same_when_asked_again_and_with_other_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert crossed_inference(draw(), seed=4) == crossed_inference(draw(), seed=4) != crossed_inference(draw(), seed=5)
    whole = crossed_inference(draw(), samples=4000).estimate
    monkeypatch.setattr("rct_lightning.evaluation.crossed.PORTION", 3000)
    parts = crossed_inference(draw(), samples=4000).estimate
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high), abs=0.05)


@pytest.mark.parametrize(
    "values", [draw(seeds=1), draw(groups=1), np.full((8, 20), np.nan), np.where(draw() > 2, np.inf, draw())]
)
def test_what_has_no_interval_has_no_p_either(values: np.ndarray) -> None:
    found = crossed_inference(values)
    assert math.isnan(found.estimate.low) and math.isnan(found.p) and not found.estimate.excludes_zero()


def test_no_difference_at_all_and_the_same_everywhere() -> None:
    assert crossed_inference(np.zeros((8, 20))) == Inference(Estimate(0, 0, 0, 20), 1.0)
    assert crossed_inference(np.full((8, 20), 0.25)) == Inference(Estimate(0.25, 0.25, 0.25, 20), 0.0)


@pytest.mark.parametrize(("odd", "other", "shape"), [(0.2, 0.98, "share"), (0.0, 0.6, "nats")])
def test_a_seed_that_differs_from_the_rest_does_not_stretch_the_interval(odd: float, other: float, shape: str) -> None:
    """A third of the samples have none of it; each of them would be sure of its mean, and far from the true one."""
    random = np.random.default_rng(0)
    level = np.full((8, 1), other)
    level[:1] = odd
    values = (random.random((8, 60)) < level) if shape == "share" else level + random.normal(0, 0.02, (8, 60))
    found = crossed_inference(values.astype(float))
    half = stats.t.ppf(0.975, 7) * np.std(level, ddof=1) / 8**0.5
    assert 0 < found.estimate.low and found.estimate.high - found.estimate.low < 3 * half and found.p < 0.05


def test_an_item_in_a_hundred_that_differs_gives_an_interval_of_its_size() -> None:
    values = np.zeros((5, 31))
    values[0, 3] = values[4, 7] = values[2, 20] = 1.0
    found = crossed_inference(values).estimate
    assert -0.1 < found.low < found.mean < found.high < 0.2, "samples without any of them do not blow it up"


# --- over seeds -----------------------------------------------------------------------------------------------------


def test_the_sign_flip_test_is_exact() -> None:
    values = [0.3, -0.1, 0.4, 0.2]
    patterns = [abs(sum(s * v for s, v in zip(signs, values, strict=True)))
                for signs in itertools.product((1, -1), repeat=4)]  # fmt: skip
    assert sign_flip(values) == sum(each >= 0.8 - 1e-9 for each in patterns) / 16
    assert sign_flip([0.1] * 8) == 2 / 256 == smallest_p(8) and sign_flip([0.1] * 5) == 0.0625
    assert sign_flip([1, -1]) == 1 == sign_flip([0, 0, 0]) and sign_flip([-v for v in values]) == sign_flip(values)
    assert math.isnan(sign_flip([])) and math.isnan(sign_flip([1, math.nan]))


def test_beyond_sixteen_seeds_patterns_are_drawn_and_p_stays_above_what_was_drawn() -> None:
    sixteen, seventeen = [0.1, 0.2, -0.15, 0.05] * 4, [0.1, 0.2, -0.15, 0.05] * 4 + [0.0]
    assert sign_flip(seventeen) == pytest.approx(sign_flip(sixteen), abs=0.01)
    assert sign_flip([1.0] * 30) == smallest_p(30) > 0


def test_d_z_is_the_mean_in_standard_deviations() -> None:
    assert cohens_dz([1, 2, 3]) == pytest.approx(2.0) and cohens_dz([-1, -2, -3]) == pytest.approx(-2.0)
    assert all(math.isnan(cohens_dz(values)) for values in ([], [1], [2, 2, 2], [0.1 + 0.2, 0.3], [1, math.nan]))


def test_holm_multiplies_by_what_is_left_and_never_comes_down() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9, 0.01]) == pytest.approx([1.0, 1.0, 0.03])
    assert holm([0.01], number=3) == pytest.approx([0.03]) and holm([]) == []
    found = holm([math.nan, 0.01, 0.02])
    assert math.isnan(found[0]) and found[1:] == pytest.approx([0.03, 0.04]), "what could not be asked counts"


# --- the claim ------------------------------------------------------------------------------------------------------


def claimed(trials: int, **given: dict[str, float]) -> dict[str, float]:
    random, held = np.random.default_rng(2), dict.fromkeys(TERMS, 0.0)
    for _ in range(trials):
        for claim in claims(study(random, samples=400, **given)):
            held[claim.term] += (claim.answer == "holds") / trials
    return held


def test_nothing_is_claimed_where_there_is_nothing() -> None:
    assert sum(claimed(40).values()) <= 0.05
    below = {"presence": -1.0, "coherence": -0.5, "continuity": -0.5}
    assert sum(claimed(40, positives=below).values()) <= 0.1, "lm_only is as good, whatever positives_only does"


def test_what_is_there_is_claimed_and_only_that() -> None:
    found = claimed(20, rct={"presence": 0.3})
    assert found["presence"] > 0.99 and found["coherence"] + found["continuity"] <= 0.1
    both = {"presence": 0.3}
    assert claimed(20, rct=both, positives=both)["presence"] <= 0.1, "bond phrases alone would do"
