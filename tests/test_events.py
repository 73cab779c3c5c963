"""What a run writes for its observers: its process, its last sign of life, and nothing hidden."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from short_runs import ACCUMULATION, Corpus, configured

from rct_lightning import experiment
from rct_lightning.callbacks.common import write_event
from rct_lightning.data.batch import Totals
from rct_lightning.identity import own_identity, presence
from rct_lightning.module import RelationalModule
from rct_lightning.module.optimizer import warmup_cosine
from rct_lightning.runs import RunDir, event_of
from rct_lightning.tui.monitor.view import whole_view

LEFT_OUT = ("health", "generation_sampling", "baseline_comparison", "eval_sanity", "best_adapter")
BRIEF = (*ACCUMULATION[4], "trainer.max_steps=6", "trainer.max_epochs=1", *(f"~callbacks.{name}" for name in LEFT_OUT))


@pytest.fixture
def statuses(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Collect every status that a run writes, with the heartbeat clock a hundred times faster."""
    written: list[dict[str, Any]] = []
    write = RunDir.write_json

    def noted(self: RunDir, path: Path, value: Any) -> None:
        if path == self.status:
            written.append(dict(value))
        write(self, path, value)

    monkeypatch.setattr(RunDir, "write_json", noted)
    monkeypatch.setattr("rct_lightning.callbacks.events.BETWEEN_HEARTBEATS", 0.0)
    return written


def test_a_run_says_whose_it_is_and_that_it_lives(
    corpus: Corpus, tmp_path: Path, statuses: list[dict[str, Any]]
) -> None:
    run = RunDir(tmp_path / "run")
    experiment.train(configured(corpus, run.root, *BRIEF))
    running = [status for status in statuses if status["state"] == "running"]
    assert all(presence(status) == "there" for status in running) and own_identity().items() <= running[0].items()
    assert len([status for status in running if status["step"] == 0]) > 2, "while the base is evaluated"
    assert len([status for status in running if status["step"] == 4]) > 1, "in the midst of a step, too"
    assert (statuses[-1]["state"], statuses[-1]["step"]) == ("finished", 6) and "pid" not in statuses[-1]

    steps = [
        event for event in map(event_of, run.events.read_bytes().splitlines()) if event and event["event"] == "step"
    ]
    assert [event["step"] for event in steps] == [3, 4, 6], "every third, and the fourth, whose gradients were measured"
    rate = warmup_cosine(total_steps=6, warmup_ratio=0.03)
    assert [event["lr"] for event in steps] == pytest.approx([2e-4 * rate(step) for step in (2, 3, 5)]), "of this step"
    assert all(0 <= event["activity/coherence"] <= 1 for event in steps)
    assert "grad/lm_norm" in steps[1]
    assert whole_view(run).verdict.condition == "finished"


def test_what_fails_behind_training_is_told(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RelationalModule, "save_adapter", full)
    run = RunDir(tmp_path / "run")
    with pytest.raises(OSError):
        experiment.train(configured(corpus, run.root, *BRIEF, "trainer.max_steps=1"))
    verdict = whole_view(run).verdict
    assert verdict.condition == "crashed" and "No space left on device" in verdict.why


def test_a_figure_that_is_not_finite_is_named(tmp_path: Path) -> None:
    trainer: Any = SimpleNamespace(is_global_zero=True, global_step=3, default_root_dir=str(tmp_path))
    write_event(trainer, "step", lm=math.nan, total=math.inf, presence=-math.inf, coherence=1.0)
    write_event(trainer, "step", lm=1.0)
    first, second = map(json.loads, RunDir(tmp_path).events.read_text(encoding="utf-8").splitlines())
    assert first["lm"] is first["total"] is first["presence"] is None and first["coherence"] == 1.0
    assert first["not_finite"] == {"lm": "NaN", "total": "Infinity", "presence": "-Infinity"}
    assert "not_finite" not in second
    assert [set(event) - {"time"} for event in RunDir(tmp_path).read_events()] == [
        {"event", "step", "coherence"}, {"event", "step", "lm"},
    ]  # fmt: skip


def test_the_share_of_the_rows_that_a_term_judges(data: Any) -> None:
    rows = [data.train_set.row(index) for index in range(len(data.train_set))]
    totals = sum((row.counts for row in rows), Totals.none())
    judged = {
        "presence": [row.twin is not None for row in rows],
        "coherence": [0 in row.sources for row in rows],
        "continuity": [1 in row.sources or (row.twin is not None and not row.has_history) for row in rows],
    }
    assert totals.activity() == {term: sum(found) / len(rows) for term, found in judged.items()}
    assert 0 < totals.activity()["coherence"] < 1 and Totals.none().activity()["presence"] == 0
    batch = data.train_set.collate(range(len(rows)))
    assert sum((part.own for part in batch.parts(3)), Totals.none()) == batch.own == totals
