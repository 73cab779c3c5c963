"""The report: one set of figures, a verdict that can go either way, examples that nobody picked."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_replies import hostile_replies
from pages import CONTROLS, Reading
from reports import CONFIG, PROMPT, compared, finished_run, reported, spoken

from rct_lightning.data import TruncationReport
from rct_lightning.evaluation.endpoints import GROUPS, MEANINGS, PRIMARY, SIDES, Comparison, Measurements, group_of
from rct_lightning.evaluation.examples import chosen, middles
from rct_lightning.evaluation.limits import limits
from rct_lightning.evaluation.pictures import changes
from rct_lightning.evaluation.report import Report
from rct_lightning.evaluation.setting import Setting
from rct_lightning.evaluation.statistics import Estimate
from rct_lightning.evaluation.told import Told
from rct_lightning.runs import RunDir


class Written:
    """A report on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.html = (folder / "report.html").read_text(encoding="utf-8")
        self.markdown = (folder / "report.md").read_text(encoding="utf-8")
        self.metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        self.read = Reading(self.html)

    @property
    def rows(self) -> list[list[str]]:
        """Return the rows of all tables of the Markdown, without markup."""
        lines = [line for line in self.markdown.splitlines() if line.startswith("| ")]
        return [[cell.replace("**", "").replace("\\", "") for cell in line[2:-2].split(" | ")] for line in lines]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return finished_run(tmp_path_factory.mktemp("finished") / "run")


FACTS: dict[str, Any] = {
    "parameters": 2_000_000,
    "rows": {"train": 40, "eval": 12},
    "conversations": 6,
    "probes": {"twin": 4, "recall": 2},
    "phrases": (8, 9),
    "cut": {"train": TruncationReport(40, 3, 2, 1, 900, 17)},
    "cleaning": {"rows": 50, "clean": 40, "quarantined": {"retry": 10, "noise": 0}, "scrubbed": {"email": {"rows": 4}}},
    "data": {"probes_file": "abc"},
    "environment": {"python": "3.11", "packages": {"torch": "2"}, "commit": "c0ffee", "device": "cpu"},
}


@pytest.fixture(scope="module")
def written(run: RunDir) -> Written:
    reported(run, run.report, **FACTS)
    return Written(run.report)


# --- one set of figures ---------------------------------------------------------------------------------------------


def test_page_and_numbers_agree(written: Written) -> None:
    """Every figure of metrics.json is in the HTML and in the Markdown, with the same digits."""
    assert list(written.metrics["endpoints"]) == list(MEANINGS)
    tables = {"html": written.read.rows, "markdown": written.rows}
    for key, found in written.metrics["endpoints"].items():
        name = key.partition("/")[2]
        told = [
            f"{name} {MEANINGS[key][0]}",
            f"{found['verdict'] or 'not judged'} ({found['better'] or 'neither'} is better)",
        ]
        for which in ("base", "tuned", "change"):
            told.append(f"{found[which]['mean']:.3f} [{found[which]['low']:.3f}, {found[which]['high']:.3f}]")
        for where, rows in tables.items():
            assert [row for row in rows if row[0].startswith(f"{name} ")] == [told], (where, key)
    for sentence in written.metrics["verdict"]:
        assert sentence in written.read.text and sentence in written.markdown.replace("\\", "")


def test_numbers_are_those_of_the_items(written: Written) -> None:
    for found in written.metrics["endpoints"].values():
        weights = found["weights"] or [1.0] * len(found["groups"])
        for side in SIDES:
            assert np.average(found[side]["values"], weights=weights) == pytest.approx(found[side]["mean"], abs=1e-5)
        difference = np.subtract(found["tuned"]["values"], found["base"]["values"])
        assert np.average(difference, weights=weights) == pytest.approx(found["change"]["mean"], abs=1e-5)


def test_the_console_has_the_same_rows() -> None:
    report = Report(compared())
    lines = report.table().splitlines()
    assert len(lines) == 1 + len(MEANINGS) and lines[0].split() == "endpoint base tuned change [95% interval]".split()
    metrics = report.metrics()["endpoints"]
    for line, row, (key, found) in zip(lines[1:], report.rows(), metrics.items(), strict=True):
        assert re.split(r"\s{2,}", line) == [cell for cell in row if cell]
        assert row[0] == key and row[3] == str(Estimate(**found["change"])) and row[4] == found["verdict"]
        assert row[1:3] == tuple(f"{found[side]['mean']:.3f}" for side in SIDES)


# --- the verdict ----------------------------------------------------------------------------------------------------


def judged(**changes: float) -> Report:
    """Return a report in which the given endpoints change by so much, and the others not clearly."""
    random, found = np.random.default_rng(0), Measurements()
    for key in MEANINGS:
        base = random.normal(size=20)
        change = changes.get(key.replace("/", "__"))
        noise = random.normal(size=20)
        tuned = base + (noise - noise.mean() if change is None else change)
        for side, values in zip(SIDES, (base, tuned), strict=True):
            found.add(side, key, values, [str(item) for item in range(20)])
    return Report(Comparison(found.in_order(), []))


def test_a_verdict_knows_the_good_direction() -> None:
    def word(key: str, base: list[float], tuned: list[float]) -> str:
        found = Measurements()
        for side, values in zip(SIDES, (base, tuned), strict=True):
            found.add(side, key, values, [str(item) for item in range(len(values))])
        return Report(Comparison(found.in_order(), [])).rows()[0][-1]

    low, high = [0.1, 0.2, 0.1, 0.0, 0.1, 0.1], [0.9, 1.0, 0.9, 0.8, 1.0, 0.8]
    assert word("continuity/recall", low, high) == "better" == word("language/eval_lm_loss", high, low)
    assert word("continuity/recall", high, low) == "WORSE" == word("language/eval_lm_loss", low, high)
    assert word("continuity/recall", low, [0.0, 1.0, 1.0, 0.0, 0.0, 0.0]) == "no clear change"
    assert word("presence/D_marked", low, high) == "", "neither direction is good by itself"
    assert word("continuity/recall", [0.1], [0.9]) == "", "one item has no interval"
    assert word("continuity/recall", low[:5], high[:5]) == "", "five may all go one way by chance"


def test_the_picture_calls_nothing_unchanged_that_was_not_judged() -> None:
    """Four groups give an interval and no word, wherever the interval lies."""
    picture = changes(Report(compared(items=8)).judged)
    assert "language/eval_lm_loss: not judged, change -" in picture.alt and "no interval" not in picture.alt
    assert "Hollow: no clear change, the interval holds zero; or not judged." in picture.caption


def test_two_sentences_say_what_got_better_and_what_got_worse() -> None:
    primary, rest = judged(language__eval_lm_loss=-1, coherence__G_c=-1, guardrail__repetition=1).verdict
    assert primary.text.startswith("Against its own base the tuned model is better on language (eval_lm_loss ")
    assert "; worse on coherence (G_c " in primary.text and "; not clearly changed on presence (" in primary.text
    assert rest.text.startswith("Of 6 guardrails 1 got worse (repetition ")
    assert rest.text.endswith("and of 9 other endpoints none got worse and 9 did not clearly change.")
    assert (primary.tone, rest.tone) == ("bad", "bad")


def test_the_verdict_may_fall_either_way() -> None:
    signs = {
        key.replace("/", "__"): 1.0 if better == "higher" else -1.0 for key, (_, better) in MEANINGS.items() if better
    }
    good, bad, none = judged(**signs), judged(**{key: -sign for key, sign in signs.items()}), judged()
    assert [sentence.tone for sentence in good.verdict] == ["good", "good"]
    assert [sentence.tone for sentence in bad.verdict] == ["bad", "bad"]
    assert [sentence.tone for sentence in none.verdict] == ["quiet", "quiet"]
    assert "worse on none of the primary endpoints." in good.verdict[0].text
    assert "is better on none of the primary endpoints; worse on language (" in bad.verdict[0].text
    assert all(key.partition("/")[2] in bad.verdict[0].text for key in PRIMARY)
    guards = [key.partition("/")[2] for key, (_, better) in MEANINGS.items() if better and key.startswith("guardrail/")]
    assert all(f"{name} " in bad.verdict[1].text for name in guards)


def test_what_has_no_interval_is_no_success() -> None:
    alone = Report(compared(items=1))
    assert all(sentence.tone == "quiet" for sentence in alone.verdict)
    assert "not to be judged on language, presence, coherence and continuity (too few" in alone.verdict[0].text
    diverged = compared()
    for each in diverged.endpoints:
        each.values["tuned"][0] = np.nan
    assert "continuity (figures that are no numbers)" in Report(diverged).verdict[0].text
    nothing = Report(Comparison([], []))
    assert [sentence.text for sentence in nothing.verdict] == ["No primary endpoint was measured.", "Of nothing else."]


def test_every_endpoint_has_a_group_and_a_direction_of_its_own() -> None:
    assert {group_of(key) for key in MEANINGS} == set(GROUPS) and set(PRIMARY) <= set(MEANINGS)
    assert all(MEANINGS[key][1] for key in PRIMARY)


# --- examples -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "places"), [(0, []), (1, [0]), (2, [0, 1]), (3, [0, 2]), (9, [2, 6]), (40, [10, 30])]
)
def test_examples_are_the_middles_of_equal_parts(number: int, places: list[int]) -> None:
    assert middles(number) == places


def test_no_reply_has_a_say_in_what_is_shown(written: Written) -> None:
    assert [one.id for one in chosen(spoken(), "rows")] == ["rows-3", "rows-7"]
    assert chosen(spoken()[::-1], "rows") == chosen(spoken(), "rows"), "order by id, whatever came first"
    for kind in ("marked", "twin", "rows", "recall", "without"):
        shown = [text for text in written.read.quoted if re.fullmatch(f"tuned {kind} \\d", text)]
        assert shown == [f"tuned {kind} 3", f"tuned {kind} 7"]
        assert [f"base {kind} {number}" in written.markdown for number in (3, 4, 7)] == [True, False, True]
    assert PROMPT in written.read.text and {"No.", "I am.", "Bramble", "My dog is Bramble."} <= set(written.read.quoted)


# --- the rest of the report -----------------------------------------------------------------------------------------


def test_the_page_is_sound_and_alone(written: Written) -> None:
    assert written.read.problems == []
    assert written.read.tags["img"] == 3 == len(list((written.folder / "figures").iterdir()))
    assert set(re.findall(r"\(figures/(\w+)\.png\)", written.markdown)) == {"endpoints", "loss_language", "loss_terms"}
    assert len(written.html) < 1_000_000


def test_whoever_did_not_see_the_run_is_told(written: Written) -> None:
    for said in (
        "2.0 million parameters", "relational, lambda 0.3", "40 train, 12 eval of 6 conversations", "twin 4, recall 2",
        "1 optimizer steps, finished, begun 1970-01-01 00:00 UTC", "c0ffee", "torch 2",
        "rising", "it rose", "By heart. Stop earlier.", "truncation", "9% were cut", "17 of 900", "10", "40 of 50",
    ):  # fmt: skip
        assert said in written.read.text and said in written.markdown, said
    assert written.markdown.startswith(
        "# nano, loss=relational, lambda=0.3, seed=7: tuned against base\n\n> Against its"
    )


def test_limits_are_those_of_this_run(run: RunDir) -> None:
    def said(told: Told | None = None, **facts: Any) -> str:
        config = CONFIG | facts.pop("config", {})
        return "\n".join(limits(Report(compared()), Setting(config, **facts), told or Told()))

    plain = said()
    assert "loss.lambda=0,0.3" in plain and "one seed (7)" in plain and "No weight was on coherence" in plain
    assert "million parameters" not in plain and "best evaluation" not in plain and "is not what it was" not in plain
    assert "2.0 million" in said(parameters=2_000_000) and "million" not in said(parameters=7_000_000_000)
    assert "flatters" in said(adapter=("best", "checkpoints/best-step-3"))
    assert "relational terms" not in said(config={"loss": {"name": "lm", "lambda": 0.3}})
    asked = {"probes": {"twin": 40, "harmful": 20}}
    assert "20 of 60 probes address" in said(misread=20, **asked) and "60 probes address" not in said(**asked)
    then = Told(environment={"data": {"data.train_file": "old", "data.eval_file": "same"}})
    assert "What data.train_file names is not" in said(then, data={"data.train_file": "new", "data.eval_file": "same"})


def test_what_a_run_did_not_keep_is_said(tmp_path: Path) -> None:
    reported(RunDir(tmp_path / "absent"), tmp_path / "report", compared(endpoints=1))
    bare = Written(tmp_path / "report")
    assert bare.read.problems == [] and bare.markdown.count("The run kept no record of this.") == 4
    assert {path.name for path in (tmp_path / "report" / "figures").iterdir()} == {"endpoints.png"}


def test_an_unchecked_run_is_said_to_be(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run")
    run.checks.write_text("[]")
    run.events.write_text('{"time": 0.0, "event": "start", "step": 0}\n')
    run.loss_components.unlink()
    reported(run, run.report, compared(endpoints=1))
    assert "No guard looked at this run" in Written(run.report).markdown
    assert "None: no rule" in Written(run.report).markdown


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    """Five hundred replies, and a run with every file from elsewhere."""
    texts = ["".join(pieces) for pieces in hostile_replies(500)]
    run = finished_run(tmp_path / "run")
    evil = "<script>alert(1)</script>\x1b]52;c;AA\x07\u202e|x"
    events = [{"time": 1e300, "event": "alert", "step": 3, "rule": evil, "seen": evil, "means": evil, "remedy": evil}]
    run.events.write_text("".join(json.dumps(event) + "\n" for event in events))
    run.checks.write_text(json.dumps([{"guard": evil, "status": evil, "seen": evil, "remedy": [evil]}, evil, None]))
    run.environment.write_text(
        json.dumps({"packages": {evil: evil}, "commit": [evil], "device": {evil: 1}, "data": evil})
    )
    run.loss_components.write_text(f"step,lm_loss,phase\n1,nan,{evil}\n2,1e400,train\n{evil}\n")
    run.status.write_text(json.dumps({"state": evil, "step": 10}))
    comparison = compared(replies=[(text[:200], text, text) for text in texts], endpoints=1)
    reported(run, run.report, comparison, cleaning={"quarantined": {evil: evil}, "scrubbed": {evil: {"rows": evil}}})
    found = Written(run.report)
    assert found.read.problems == []
    assert not CONTROLS.search(found.html) and not CONTROLS.search(found.markdown)
    assert "<script" not in found.html and "alert(1)" in found.html
    assert len(found.read.quoted) >= 2 * len(texts)
