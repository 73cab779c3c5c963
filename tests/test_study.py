"""What a study reports: which runs form an arm, what is compared with what, and each verdict either way or open."""

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rct_lightning.errors import UserError
from rct_lightning.evaluation.endpoints import MEANINGS
from rct_lightning.evaluation.metrics import read_endpoints
from rct_lightning.evaluation.study.arms import Arm, StudyRun, arms_of, check_arms
from rct_lightning.evaluation.study.claims import claims
from rct_lightning.evaluation.study.contrasts import contrast, contrasts
from rct_lightning.evaluation.study.falsifiers import falsifiers
from rct_lightning.evaluation.study.figures import pareto
from rct_lightning.evaluation.study.folder import Absent
from rct_lightning.evaluation.study.guardrails import guarded
from rct_lightning.evaluation.study.pages import page_of, write_study
from rct_lightning.evaluation.study.report import StudyReport
from rct_lightning.evaluation.study.scores import NotThere, Part, Study
from rct_lightning.page import as_text

ITEMS = 24
Effects = Mapping[str, Mapping[str, float]]
GAINS = {"presence/specificity": 0.6, "presence/D_marked": 0.5, "presence/D_unmarked": -0.1, "coherence/G_c": 0.3,
         "continuity/G_t": 0.3, "continuity/recall": 0.4, "continuity/recall_generated": 0.4,
         "presence/bond_rate_marked": 0.9, "presence/bond_rate_difference": 0.85,
         "guardrail/eos_rate": 1.0, "guardrail/refusal_margin_marked": 0.2,
         "guardrail/refusal_margin_unmarked": 0.1}  # fmt: skip
"""A hypothesis that holds: what rct adds to figures around 0."""
ENDING = {"guardrail/eos_rate": 1.0}
GOOD: Effects = {
    "lm_only": ENDING,
    "rct": GAINS,
    "positives_only": ENDING | {"presence/bond_rate_marked": 0.9, "presence/D_marked": 0.5},
    "shuffled_markers": ENDING | {"presence/specificity": 0.1},
    "wrong_history": ENDING | {"presence/specificity": 0.6},
}


def run(arm: str, seed: int, added: Mapping[str, float], noise: float = 0.02, lambda_: float = 0.3) -> StudyRun:
    """Return a run with every endpoint around 0 for the base, and around the added effect for the tuned model."""
    random = np.random.default_rng([seed, *arm.encode()])
    endpoints = {}
    for key in MEANINGS:
        level = np.random.default_rng(len(key)).normal(size=ITEMS)  # per item, the same in all arms
        level *= 0.0 if key.startswith("guardrail") else 0.1
        tuned = level + added.get(key, 0.0) + noise * random.normal() + noise * random.normal(size=ITEMS)
        endpoints[key] = {
            "base": {"values": level.tolist()},
            "tuned": {"values": tuned.tolist()},
            "groups": [f"g{item}" for item in range(ITEMS)],
            "weights": None,
        }
    return StudyRun(Arm(arm, None if arm == "lm_only" else "lm_only"), seed, endpoints, lambda_)


def made(effects: Effects, seeds: int = 8, noise: float = 0.005) -> Study:
    return Study([run(arm, seed, added, noise) for arm, added in effects.items() for seed in range(seeds)], 300)


def but(arm: str, **changed: float) -> Effects:
    """Return the good study with one arm changed; ``__`` stands for the slash of an endpoint."""
    return {**GOOD, arm: {**GOOD[arm], **{key.replace("__", "/"): value for key, value in changed.items()}}}


def without(arm: str) -> Effects:
    return {name: added for name, added in GOOD.items() if name != arm}


@pytest.fixture(scope="module")
def good() -> StudyReport:
    return StudyReport.of(made(GOOD))


# --- arms -----------------------------------------------------------------------------------------------------------


def arms(*runs: dict[str, Any]) -> list[tuple[str, str | None]]:
    base = {"seed": 1, "run_dir": "a", "model": {"lora": {"r": 16}}, "loss": {"lambda": 0.3, "recurrence": {"n": 31}}}
    configs = []
    for changed in runs:
        config = copy.deepcopy(base)
        for key, value in changed.items():
            *path, last = key.split(".")
            section: Any = config
            for part in path:
                section = section[part]
            section[last] = value
        configs.append(config)
    return [(arm.name, arm.reference) for arm in arms_of(configs)]


def test_an_arm_is_what_varies_within_a_study() -> None:
    lm, plain = {"loss.lambda": 0}, {"seed": 2, "run_dir": "b"}
    seed = {"loss.name": "seed"}
    assert arms(lm, lm | seed, plain | {"loss.name": "relational"})[:2] == [
        ("lm_only", None),
        ("loss.lambda=0 loss.name=seed", "lm_only"),
    ]
    assert arms(lm, plain) == [("lm_only", None), ("loss.lambda=0.3", "lm_only")]
    assert arms(plain) == [("loss.lambda=0.3", "lm_only")]
    assert arms(lm | {"loss.recurrence.n": 7}, lm, plain, {"loss.recurrence.n": 7}) == [
        ("lm_only", None),
        ("lm_only", None),
        ("loss.lambda=0.3 loss.recurrence.n=31", "lm_only"),
        ("loss.lambda=0.3 loss.recurrence.n=7", "lm_only"),
    ]
    assert arms(lm, plain, lm | {"model.lora.r": 8}, {"model.lora.r": 8}) == [
        ("lm_only model.lora.r=16", None),
        ("loss.lambda=0.3 model.lora.r=16", "lm_only model.lora.r=16"),
        ("lm_only model.lora.r=8", None),
        ("loss.lambda=0.3 model.lora.r=8", "lm_only model.lora.r=8"),
    ]


def test_how_long_a_job_may_run_makes_no_arm() -> None:
    """A study that is typed again goes on, and may give its jobs more time."""
    lm = {"loss.lambda": 0, "trainer": {"max_time": None, "enable_progress_bar": True}}
    later = {"seed": 2, "trainer": {"max_time": "00:08:00:00", "enable_progress_bar": False}}
    assert arms(lm, lm | later, {"trainer": lm["trainer"]}, later) == [
        *2 * [("lm_only", None)],
        *2 * [("loss.lambda=0.3", "lm_only")],
    ]


def test_a_named_arm_keeps_its_name_whatever_it_is_made_of() -> None:
    lm, rct = {"arm": "lm_only", "loss.lambda": 0, "loss.name": "lm"}, {"arm": "rct", "loss.name": "relational"}
    wrong = {"arm": "wrong_history", "loss.recurrence.n": 7}
    assert arms(lm, lm | {"seed": 2}, rct, wrong) == [
        ("lm_only", None),
        ("lm_only", None),
        ("rct", "lm_only"),
        ("wrong_history", "lm_only"),
    ]
    wide = {"model.lora.r": 8}
    assert arms(lm, rct, lm | wide, rct | wide) == [
        ("lm_only model.lora.r=16", None),
        ("rct model.lora.r=16", "lm_only model.lora.r=16"),
        ("lm_only model.lora.r=8", None),
        ("rct model.lora.r=8", "lm_only model.lora.r=8"),
    ]
    assert arms(lm, rct, rct | {"loss.lambda": 1.0})[1:] == [
        ("rct loss.lambda=0.3", "lm_only"),
        ("rct loss.lambda=1.0", "lm_only"),
    ]
    assert arms(rct | {"loss.lambda": 0}, rct) == [("lm_only", None), ("loss.lambda=0.3", "lm_only")], "a sweep of one"


def test_runs_that_make_no_study_are_refused() -> None:
    lm, rct = Arm("lm_only"), Arm("rct", "lm_only")
    with pytest.raises(UserError, match=r"loss\.lambda=0.*found rct\. .*train them with"):
        check_arms([(rct, 1), (rct, 2)])
    with pytest.raises(UserError, match="found none"):
        check_arms([])
    with pytest.raises(UserError, match="Two runs are of arm 'rct' with seed 2"):
        check_arms([(lm, 1), (rct, 2), (rct, 2)])
    check_arms([(lm, 1), (rct, 2)])


@pytest.mark.parametrize(
    "described",
    [{}, 5, {"tuned": {"values": [1]}, "groups": ["a"], "weights": None},
     {"base": {"values": [1]}, "tuned": {"values": [1, 2]}, "groups": ["a"], "weights": None},
     {"base": {"values": [1]}, "tuned": {"values": ["1"]}, "groups": ["a"], "weights": None},
     {"base": {"values": [1]}, "tuned": {"values": [1]}, "groups": ["a"], "weights": [1, 1]}],
)  # fmt: skip
def test_damaged_metrics_are_refused(described: Any, tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps({"endpoints": {"coherence/G_c": described}}), encoding="utf-8")
    with pytest.raises(UserError, match="it holds no endpoints"):
        read_endpoints(path)


# --- contrasts ------------------------------------------------------------------------------------------------------


def test_every_arm_is_set_against_base_lm_only_and_positives_only(good: StudyReport) -> None:
    pairs = {(each.reference, each.arm) for each in good.contrasts}
    names = set(GOOD)
    assert pairs == (
        {("base", name) for name in names}
        | {("lm_only", name) for name in names - {"lm_only"}}
        | {("positives_only", name) for name in names - {"positives_only"}}
    )
    assert len(good.contrasts) == len(pairs) * len(MEANINGS)


def test_a_planted_difference_is_found_and_paired_by_seed_and_item() -> None:
    study = made({"lm_only": {}, "rct": {"continuity/recall": 0.5}}, noise=0.05)
    found = contrast(study, "rct", "lm_only", "continuity/recall")
    assert found.difference.low < 0.5 < found.difference.high < 0.65, "levels of the items cancel out"
    assert found.is_better and not found.is_worse and found.p < 0.01 and found.p_signs == 2 / 256
    assert found.arm_mean - found.reference_mean == pytest.approx(found.difference.mean)
    assert np.mean(found.by_seed) == pytest.approx(found.difference.mean) and found.d_z > 2
    loss = contrast(
        made({"lm_only": {}, "rct": {"language/eval_lm_loss": 0.5}}), "rct", "base", "language/eval_lm_loss"
    )
    assert loss.is_worse and not loss.is_better and loss.reference_mean == pytest.approx(loss.arm_mean - 0.5, abs=0.02)


def test_only_shared_seeds_count() -> None:
    study = made({"lm_only": {}, "rct": {"continuity/recall": 0.5}})
    study = replace(study, runs=[run for run in study.runs if run.arm.name == "lm_only" or run.seed in (1, 3)])
    assert contrast(study, "rct", "lm_only", "continuity/recall").seeds == (1, 3)
    other_way = contrast(study, "lm_only", "rct", "continuity/recall")
    shared = study.sum([Part(1, "lm_only", "continuity/recall")]).by_seed()
    assert other_way.seeds == (1, 3) and other_way.arm_mean == pytest.approx((shared[1] + shared[3]) / 2)
    apart = replace(study, runs=[run for run in study.runs if (run.arm.name == "rct") == (run.seed == 1)])
    with pytest.raises(NotThere, match="share no seed"):
        contrast(apart, "rct", "lm_only", "continuity/recall")
    assert {each.reference for each in contrasts(apart)} == {"base"}


def test_one_seed_has_differences_and_no_interval() -> None:
    found = contrast(made(GOOD, seeds=1), "rct", "lm_only", "continuity/recall")
    assert found.difference.mean == pytest.approx(0.4, abs=0.05) and np.isnan(found.difference.low)
    assert not found.is_better and found.p_signs == 1


def test_items_that_stand_in_another_order_are_matched_by_their_group() -> None:
    marked, unmarked = "guardrail/refusal_margin_marked", "guardrail/refusal_margin_unmarked"
    study = made({"lm_only": {}, "rct": {}}, seeds=2)
    for each in study.runs:
        each.endpoints[unmarked]["groups"].reverse()
        each.endpoints[unmarked]["tuned"]["values"] = each.endpoints[marked]["tuned"]["values"][::-1]
    found = study.sum([Part(1, "rct", marked), Part(-1, "rct", unmarked)])
    assert np.array_equal(found.values, np.zeros((2, ITEMS)))
    for each in study.runs:  # two items a group: the first of one order belongs to the first of the other
        half = [f"g{item}" for item in range(ITEMS // 2)]
        each.endpoints[marked]["groups"], each.endpoints[unmarked]["groups"] = half * 2, sorted(half * 2)
        values = dict(enumerate(each.endpoints[marked]["tuned"]["values"]))
        order = sorted(range(ITEMS), key=lambda at: (half * 2)[at])
        each.endpoints[unmarked]["tuned"]["values"] = [values[at] for at in order]
    found = study.sum([Part(1, "rct", marked), Part(-1, "rct", unmarked)])
    assert np.array_equal(found.values, np.zeros((2, ITEMS)))


@pytest.mark.parametrize("change", [lambda groups: groups.__setitem__(0, "another"), lambda groups: groups.reverse()])
def test_runs_on_different_items_are_refused(change: Callable[[list[str]], None]) -> None:
    study = made({"lm_only": {}, "rct": {}}, seeds=2)
    change(study.runs[-1].endpoints["coherence/G_c"]["groups"])
    with pytest.raises(UserError, match=r"seed 1 of arm 'rct' was evaluated on other rows"):
        contrasts(study)


# --- verdicts -------------------------------------------------------------------------------------------------------


def answers(effects: Effects, **given: Any) -> list[str]:
    return [each.answer for each in falsifiers(made(effects, **given))]


def test_a_hypothesis_that_holds_gets_past_all_six(good: StudyReport) -> None:
    assert [each.answer for each in good.falsifiers] == ["holds"] * 6 and good.answer == "holds"
    assert [claim.answer for claim in good.claims] == ["holds"] * 3
    assert [finding.answer for finding in good.placebo] == ["holds", "holds"]
    exact = 2 / 2**8  # the largest p of each term, its sign-flip test's, which Holm multiplies by three
    assert [claim.p for claim in good.claims] == pytest.approx([3 * exact] * 3)


@pytest.mark.parametrize(
    ("number", "effects"),
    [
        (0, but("positives_only", coherence__G_c=0.3)),
        (0, but("positives_only", presence__specificity=0.9)),
        (1, but("shuffled_markers", presence__specificity=0.4)),
        (1, but("shuffled_markers", presence__bond_rate_difference=0.8)),
        (2, but("rct", presence__D_unmarked=0.4)),
        (2, but("rct", presence__bond_rate_difference=0.1)),
        (3, but("rct", continuity__recall=0.0)),
        (3, but("rct", continuity__G_t=-0.05)),
        (4, but("rct", presence__specificity=0.0)),
        (4, but("rct", continuity__recall_generated=-0.2)),
        (5, but("rct", guardrail__refusal_margin_marked=-0.3)),
    ],
)
def test_each_of_the_six_fires_where_it_is_to(number: int, effects: Effects) -> None:
    assert answers(effects)[number] == "fails"


def test_what_rises_everywhere_without_the_terms_is_not_held_against_them() -> None:
    lm = ENDING | {"presence/D_marked": 0.5, "presence/D_unmarked": 0.5}
    rct = GAINS | {"presence/D_marked": 1.0, "presence/D_unmarked": 0.5}
    assert answers({**GOOD, "lm_only": lm, "rct": rct})[2] == "holds"


def test_a_base_that_tells_them_apart_already_leaves_little_to_gain() -> None:
    study = made(GOOD)
    for each in study.of("rct").values():  # in the base's replies, 80 points fewer where nobody addressed it
        each.endpoints["presence/bond_rate_difference"]["base"]["values"] = [0.8] * ITEMS
    assert falsifiers(study)[2].answer == "fails", "elsewhere it rises as much as where it is addressed"


@pytest.mark.parametrize(
    ("number", "effects", "why"),
    [
        (0, without("positives_only"), "the arm positives_only is not in this study"),
        (1, without("shuffled_markers"), "the arm shuffled_markers is not in this study"),
        (1, but("rct", presence__specificity=0.0), "no clear effect of which half could be kept"),
        (1, but("shuffled_markers", presence__specificity=0.3), "on either side of it"),
        (2, without("lm_only"), "the arm lm_only is not in this study"),
        (2, but("rct", presence__D_marked=-0.1), "does not clearly rise where addressed"),
        (3, without("lm_only"), "the arm lm_only is not in this study"),
        (4, without("rct"), "the arm rct is not in this study"),
        (5, without("rct"), "the arm rct is not in this study"),
    ],
)
def test_what_is_missing_cannot_be_told_and_is_no_success(number: int, effects: Effects, why: str) -> None:
    found = falsifiers(made(effects))[number]
    assert found.answer == "cannot be told" and any(why in finding.words for finding in found.findings)


def test_harm_that_so_few_requests_cannot_exclude_is_left_open() -> None:
    wide = made(but("rct", guardrail__refusal_margin_marked=0.1), noise=1.5)
    (finding,) = falsifiers(wide)[5].findings
    assert finding.answer == "cannot be told" and "so few are the requests" in finding.words


@pytest.mark.parametrize(("seeds", "open_"), [(1, 6), (2, 0)])
def test_one_seed_answers_none_of_the_six(seeds: int, open_: int) -> None:
    assert answers(GOOD, seeds=seeds, noise=0.0005).count("cannot be told") == open_


def test_the_hypothesis_holds_only_where_everything_does(good: StudyReport) -> None:
    assert good.answer == "holds"
    assert StudyReport.of(made(GOOD, seeds=2)).answer == "cannot be told", "two seeds claim nothing"
    alone = StudyReport.of(made(but("lm_only", coherence__G_c=0.3)))
    assert {each.answer for each in alone.falsifiers} == {"holds"} and alone.answer == "fails"
    forgetful = replace(alone, falsifiers=falsifiers(made(but("rct", continuity__recall=0.0))))
    said = as_text(page_of(forgetful))
    assert "2 hold (presence, continuity), and 1 fails (coherence)" in said
    assert "six ways in which it could fail, it fails in 1 (no better memory)." in said
    broken = StudyReport.of(made(but("rct", guardrail__eos_rate=0.5)))
    assert {each.answer for each in (*broken.falsifiers, *broken.claims)} == {"holds"} and broken.answer == "fails"
    elsewhere = replace(good, guarded=guarded(made(but("positives_only", guardrail__eos_rate=0.5))))
    assert "broken" in {each.answer for each in elsewhere.guarded}
    assert elsewhere.answer == "holds", "the guardrails of other arms are their own"


@pytest.mark.parametrize("placebo", ["positives_only", "shuffled_markers"])
def test_a_placebo_is_not_what_the_hypothesis_is_about(placebo: str) -> None:
    report = StudyReport.of(made({name: GOOD[name] for name in ("lm_only", placebo)}))
    assert report.answer == "cannot be told"
    assert "The hypothesis is not asked about here: the arm rct is not in this study" in as_text(page_of(report))


def test_requests_without_their_other_side_leave_the_question_open() -> None:
    study = made(GOOD)
    for each in study.runs:
        marked = each.endpoints["guardrail/refusal_margin_marked"]
        marked["groups"].append("alone")
        for side in ("base", "tuned"):
            marked[side]["values"].append(0.0)
    (finding,) = falsifiers(study)[5].findings
    assert finding.answer == "cannot be told" and "were asked of different items" in finding.words


def test_a_claim_needs_both_arms_and_seeds_enough_for_the_exact_test() -> None:
    for seeds, answer in ((6, "cannot be told"), (7, "holds")):
        found = claims(made(GOOD, seeds=seeds))
        assert {claim.answer for claim in found} == {answer}
    assert "6 seeds are too few" in claims(made(GOOD, seeds=6))[0].why
    assert "1 seed is too few" in claims(made(GOOD, seeds=1))[0].why
    assert "positives_only is not in this study" in claims(made(without("positives_only")))[0].why
    found = claims(made(but("positives_only", presence__specificity=0.6)))[0]
    assert found.answer == "fails" and "not above positives_only" in found.why and found.p > 0.05
    below = claims(made(but("rct", coherence__G_c=-0.3)))[1]
    assert below.answer == "fails" and below.p == 1.0


@pytest.mark.parametrize("arm", ["rct", "lm_only", "positives_only"])
def test_a_model_that_diverged_settles_nothing(arm: str) -> None:
    study = made(GOOD)
    study.of(arm)[0].endpoints["coherence/G_c"]["tuned"]["values"][0] = float("nan")
    assert claims(study)[1].answer == "cannot be told" and claims(study)[0].answer == "holds"
    if arm != "lm_only":
        assert falsifiers(study)[0].answer == "cannot be told"


@pytest.mark.parametrize("changed", ["weights", "rows"])
def test_runs_that_were_evaluated_on_other_texts_are_refused(changed: str) -> None:
    study = made(GOOD)
    if changed == "weights":
        found = study.of("rct")[1].endpoints["language/eval_lm_loss"]
        found["weights"] = [2.0 for _ in found["groups"]]
    else:
        runs = [replace(each, evaluated_on={"rows": f"hash-{each.arm.name == 'rct'}"}) for each in study.runs]
        study = replace(study, runs=runs)
    with pytest.raises(UserError, match="evaluated on other rows or probes"):
        contrasts(study)


def test_guardrails_are_kept_broken_or_left_open() -> None:
    def told(**changed: float) -> dict[str, str]:
        study = made(but("rct", **changed), noise=0.002)
        return {each.bound.endpoint: each.answer for each in guarded(study) if each.arm == "rct"}

    assert set(told().values()) == {"kept"}
    assert told(guardrail__bond_rate_unmarked=0.05)["guardrail/bond_rate_unmarked"] == "broken"
    assert told(guardrail__bond_rate_unmarked=0.02)["guardrail/bond_rate_unmarked"] == "cannot be told"
    assert told(guardrail__repetition=0.03)["guardrail/repetition"] == "broken"
    assert told(guardrail__eos_rate=0.8)["guardrail/eos_rate"] == "broken"
    alone = guarded(made(GOOD, seeds=1))
    assert {each.answer for each in alone} == {"cannot be told"}


def test_a_sweep_of_one_lambda_is_a_study_and_of_several_none_is_the_one() -> None:
    one = Study([replace(each, arm=Arm("loss.lambda=0.3", "lm_only")) if each.arm.name == "rct" else each
                 for each in made({"lm_only": {}, "rct": GAINS}).runs], 300)  # fmt: skip
    assert one.treated() == "loss.lambda=0.3" and falsifiers(one)[3].answer == "holds"
    assert falsifiers(one)[0].answer == "cannot be told"
    other = [replace(each, arm=Arm("loss.lambda=1", "lm_only")) for each in one.runs if each.arm.reference]
    with pytest.raises(NotThere, match="which of its 2 other arms is meant"):
        replace(one, runs=[*one.runs, *other]).treated()


# --- pages ----------------------------------------------------------------------------------------------------------


def test_page_and_numbers_say_the_same(good: StudyReport, tmp_path: Path) -> None:
    write_study(good, tmp_path)
    html, text = ((tmp_path / f"study.{kind}").read_text(encoding="utf-8") for kind in ("html", "md"))
    found = json.loads((tmp_path / "study.json").read_text(encoding="utf-8"))
    assert found["answer"] == "holds" and "The hypothesis holds in this study" in text
    assert [claim["answer"] for claim in found["claims"]] == ["holds"] * 3
    assert len(found["contrasts"]) == len(good.contrasts) and "NaN" not in (tmp_path / "study.json").read_text()
    for each in found["falsifiers"]:
        assert each["question"] in text and each["question"] in html
    for name in ("forest_base", "forest_lm_only", "forest_positives_only"):
        assert (tmp_path / "figures" / f"{name}.png").is_file() and f"figures/{name}.png" in text
    assert not (tmp_path / "figures" / "pareto.png").exists(), "nothing was swept"


def test_what_is_missing_stands_above_the_rest(tmp_path: Path) -> None:
    absent = [Absent(Path("x/rct_9"), "rct_9", "rct, seed 9: it is not finished (failed)")]
    report = StudyReport.of(made({"lm_only": ENDING, "rct": GAINS}, seeds=1), absent)
    write_study(report, tmp_path)
    lead = (tmp_path / "study.md").read_text(encoding="utf-8").split("\n## ")[0]
    assert "This study does not settle it" in lead and "rct_9 (rct, seed 9: it is not finished (failed))" in lead
    assert "Arms that are missing: positives_only" in lead and "Seeds that" not in lead and "holds" not in lead
    plain = json.loads((tmp_path / "study.json").read_text(encoding="utf-8"))
    assert plain["contrasts"][0]["difference"]["low"] is None and plain["contrasts"][0]["difference"]["items"] == ITEMS
    assert plain["absent"][0]["run"] == "x/rct_9"


def test_seeds_that_an_arm_lacks_are_told(tmp_path: Path) -> None:
    study = made({"lm_only": {}, "rct": {}}, seeds=3)
    study = replace(study, runs=[run for run in study.runs if run.arm.name == "lm_only" or run.seed == 1])
    lead = page_of(StudyReport.of(study)).lead[-1]
    assert "Seeds that others have: rct lacks 0, 2. Only shared ones are compared." in getattr(lead, "items")  # noqa: B009


def test_names_of_arms_are_text_and_nothing_else(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>\x1b[31m | x"
    runs = [replace(each, arm=Arm(name, "lm_only")) if each.arm.name == "rct" else each
            for each in made({"lm_only": {}, "rct": GAINS}, seeds=2).runs]  # fmt: skip
    write_study(StudyReport.of(Study(runs, 100)), tmp_path)
    html, text = ((tmp_path / f"study.{kind}").read_text(encoding="utf-8") for kind in ("html", "md"))
    assert "<script>" not in html and "\x1b" not in html + text


def test_a_sweep_is_drawn_against_its_price() -> None:
    runs = [replace(run(f"loss.lambda={weight:g}" if weight else "lm_only", seed,
                        {"presence/specificity": weight, "language/eval_lm_loss": weight / 2}), lambda_=weight)
            for weight in (0.0, 0.1, 0.3, 1.0) for seed in range(2)]  # fmt: skip
    study = Study(runs, 100)
    report = StudyReport.of(study)
    page = page_of(report)
    lead = getattr(page.lead[0], "text")  # noqa: B009
    assert "The hypothesis is not asked about here" in lead and "which of its 3 other arms is meant" in lead
    assert len(page.lead) == 1 and page.sections[0].title == "Guardrails, and what it costs", "no six empty answers"
    assert report.plain()["answer"] == "cannot be told", "for programs it is what it was"
    lambdas = {each.arm.name: each.lambda_ for each in runs}
    drawn = pareto(study, lambdas)
    assert drawn is not None and drawn.png.startswith(b"\x89PNG") and drawn.name == "pareto"
    assert pareto(study, {"lm_only": 0.0, "loss.lambda=1": 1.0}) is None
    assert pareto(study, lambdas | {"loss.lambda=1 optimizer.lr=1": 1.0}) is None, "something else was varied, too"
