"""``rct compare``: evaluated runs side by side, and what cannot be compared."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pages import CONTROLS, Reading
from reports import evaluated_run, finished_run
from typer.testing import CliRunner, Result

from rct_lightning.cli import app
from rct_lightning.evaluation.endpoints import MEANINGS
from rct_lightning.runs import RunDir

LAMBDA = {"lambda__0.3": "lambda: 0.0"}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDir, RunDir]:
    """Two runs that differ in one setting, evaluated on the same rows and probes."""
    folder = tmp_path_factory.mktemp("runs")
    return evaluated_run(folder / "one"), evaluated_run(folder / "two", seed=1, **LAMBDA)


def compare(*words: Any) -> Result:
    return CliRunner().invoke(app, ["compare", *map(str, words)])


def roots(*runs: RunDir) -> list[str]:
    return [str(run.root) for run in runs]


def test_what_differs_stands_side_by_side(pair: tuple[RunDir, RunDir]) -> None:
    said = compare(*roots(*pair))
    assert said.exit_code == 0 and "not comparable" not in said.output
    lines = {line.split()[0]: line.split()[1:] for line in said.output.splitlines() if line.strip()}
    assert lines["loss.lambda"] == ["0.3", "0.0"] and "run_dir" not in lines and "seed" not in lines
    for number, run in enumerate(pair, 1):
        assert lines[str(number)] == [str(run.root), "finished", "1", "1"]
    figures = [json.loads(run.metrics.read_text())["endpoints"]["continuity/G_t"] for run in pair]
    told = [[f"{f['tuned']['mean']:.3f}", f"{f['change']['mean']:+.3f}", *f["verdict"].split()] for f in figures]
    assert lines["G_t"] == [*told[0], *told[1]]
    assert lines["rising"] == ["1", "1"]
    assert "eval lm_loss           4.500  4.500" in said.output


def test_it_is_written_as_page_markdown_and_numbers(pair: tuple[RunDir, RunDir], tmp_path: Path) -> None:
    for ending in ("html", "md", "json"):
        assert compare(*roots(*pair), "--to", tmp_path / f"x.{ending}").exit_code == 0
    plain = json.loads((tmp_path / "x.json").read_text())
    html, markdown = Reading((tmp_path / "x.html").read_text()), (tmp_path / "x.md").read_text()
    assert html.problems == []
    assert list(plain["endpoints"]) == list(MEANINGS)
    assert [run["settings"] for run in plain["runs"]] == [{"loss.lambda": 0.3}, {"loss.lambda": 0.0}]
    assert all(run["alerts"] == {"rising": 1} and run["not_comparable"] == [] for run in plain["runs"])
    for key, found in plain["endpoints"].items():
        name = key.partition("/")[2]
        cells = [
            f"{run['tuned']['mean']:.3f} {run['change']['mean']:+.3f} {run['verdict']}".strip() for run in found["runs"]
        ]
        assert f"| {' | '.join([name, *cells])} |" in markdown and [name, *cells] in html.rows
        for run, written in zip(pair, found["runs"], strict=True):
            stored = json.loads(run.metrics.read_text())["endpoints"][key]
            assert written["change"] == stored["change"] and written["verdict"] == stored["verdict"]
            assert written["tuned"] == {name: stored["tuned"][name] for name in ("mean", "low", "high", "items")}


def test_runs_that_were_asked_otherwise_are_said_not_to_be_comparable(
    pair: tuple[RunDir, RunDir], tmp_path: Path
) -> None:
    rows = evaluated_run(tmp_path / "rows", on="other")
    items = evaluated_run(tmp_path / "items", items=9)
    old = evaluated_run(tmp_path / "old")
    metrics = json.loads(old.metrics.read_text())
    del metrics["evaluated_on"]
    old.metrics.write_text(json.dumps(metrics))
    said = compare(*roots(pair[0], rows, items, old))
    assert said.exit_code == 0
    shown = " ".join(said.output.split())
    assert "Run 2* was evaluated on other evaluation rows than run 1: their endpoints are not comparable." in shown
    assert "Run 3* was evaluated on other rows or probes than run 1" in shown
    assert "Run 4*" not in shown, "the same groups, and no word of other rows"


def test_another_base_is_mentioned(pair: tuple[RunDir, RunDir], tmp_path: Path) -> None:
    other = evaluated_run(tmp_path / "other", **{"name_or_path__data/nano": "name_or_path: elsewhere"})
    assert "different bases" in " ".join(compare(*roots(pair[0], other)).output.split())


@pytest.mark.parametrize("name", ["waiting", "it's waiting"])
def test_a_run_that_waits_for_evaluation_names_the_command(
    pair: tuple[RunDir, RunDir], tmp_path: Path, name: str
) -> None:
    waiting = finished_run(tmp_path / name)
    said = compare(*roots(pair[0], waiting), "--to", tmp_path / "x.md")
    told = " ".join(said.output.split())
    assert said.exit_code == 2 and "not evaluated yet" in told and "Traceback" not in told
    assert "Type: python evaluate.py" in told and not (tmp_path / "x.md").exists()


Damage = Callable[[RunDir], Any]


def described(**changes: Any) -> Damage:
    """Return damaged metrics in which an endpoint is something else."""

    def damage(run: RunDir) -> None:
        metrics = json.loads(run.metrics.read_text())
        metrics["endpoints"]["continuity/G_t"] |= changes
        run.metrics.write_text(json.dumps(metrics))

    return damage


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda run: run.metrics.write_text("{"), "not valid JSON"),
        (lambda run: run.metrics.write_text("[]"), "expected a JSON object"),
        (lambda run: run.metrics.write_text('{"endpoints": {"continuity/G_t": {}}}'), "holds no endpoints"),
        (described(change={"mean": "x"}), "not those of an evaluation"),
        (described(base=None), "holds no endpoints"),
        (lambda run: run.config.write_text("{}"), "it is empty, so what the run was is not known"),
        (lambda run: run.config.write_text("seed: 1\n"), "a value is missing"),
    ],
)
def test_damage_is_a_mistake_with_its_place(
    pair: tuple[RunDir, RunDir], tmp_path: Path, damage: Damage, word: str
) -> None:
    broken = evaluated_run(tmp_path / "broken")
    damage(broken)
    said = compare(*roots(pair[0], broken))
    assert said.exit_code == 2 and "broken" in said.output and word in " ".join(said.output.split())


def test_a_file_that_is_there_is_kept_unless_it_is_to_be_replaced(pair: tuple[RunDir, RunDir], tmp_path: Path) -> None:
    target = tmp_path / "metrics.json"
    target.write_text("mine", encoding="utf-8")
    said = compare(*roots(*pair), "--to", target)
    assert said.exit_code == 2 and "--force" in said.output and target.read_text(encoding="utf-8") == "mine"
    assert compare(*roots(*pair), "--to", target, "--force").exit_code == 0
    assert json.loads(target.read_text(encoding="utf-8"))["endpoints"]


def test_mistakes_are_told(pair: tuple[RunDir, RunDir], tmp_path: Path) -> None:
    one, two = roots(*pair)
    for words, told in (
        ([one], "nothing to compare with"),
        ([one, one], "These are the same run"),
        ([one, tmp_path], "not a run directory"),
        ([one, two, "--to", tmp_path / "x.pdf"], ".html, .md, .json"),
        ([one, two, "--to", Path(one) / "status.json" / "x.md"], "cannot be written"),
    ):
        said = compare(*words)
        assert said.exit_code == 2 and told in " ".join(said.output.split()), words


def test_hostile_runs_are_shown_as_words(pair: tuple[RunDir, RunDir], tmp_path: Path) -> None:
    evil = "<script>\x1b]52;c;AA\x07\u202e|"
    hostile = evaluated_run(tmp_path / "<b>evil")
    hostile.status.write_text(json.dumps({"state": evil, "step": 1}))
    hostile.events.write_text(json.dumps({"event": "alert", "step": 1, "rule": evil}) + "\n")
    header = "step,phase," + evil.replace("|", "") + "_loss"
    hostile.loss_components.write_text(f"{header}\n1,eval,2\n")
    for ending in ("html", "md"):
        said = compare(*roots(pair[0], hostile), "--to", tmp_path / f"x.{ending}")
        assert said.exit_code == 0 and not CONTROLS.search(said.output)
        assert not CONTROLS.search((tmp_path / f"x.{ending}").read_text())
    assert Reading((tmp_path / "x.html").read_text()).problems == []
    assert "<script" not in (tmp_path / "x.html").read_text() + (tmp_path / "x.md").read_text()


def test_nothing_heavy_is_imported(pair: tuple[RunDir, RunDir]) -> None:
    look = f"from rct_lightning.cli import app; app(['compare', *{roots(*pair)!r}], standalone_mode=False)"
    loaded = "; import sys; assert not {'torch', 'transformers', 'matplotlib', 'peft'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", look + loaded], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
