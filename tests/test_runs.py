import json
import os
from pathlib import Path

import pytest

from rct_lightning.errors import UserError
from rct_lightning.runs import RunDir, find_run


def make_run(folder: Path, age: int) -> Path:
    folder.mkdir(parents=True)
    config = folder / "config.yaml"
    config.write_text("{}", encoding="utf-8")
    os.utime(config, (1000 - age, 1000 - age))
    return folder


def test_the_layout_is_the_one_of_the_design(tmp_path: Path) -> None:
    names = {
        "config": "config.yaml",
        "environment": "environment.json",
        "loss_components": "loss_components.csv",
        "generation_samples": "generation_samples.txt",
        "baseline_generation": "baseline_generation.txt",
        "eval_sanity": "eval_sanity.jsonl",
        "events": "events.jsonl",
        "status": "status.json",
        "tensorboard": "tensorboard",
        "checkpoints": "checkpoints",
        "adapter": "adapter",
        "report": "report",
    }
    run = RunDir(tmp_path / "run")
    assert {name: getattr(run, name).name for name in names} == names
    assert not run.root.exists(), "asking for a path creates nothing"


def test_latest_is_the_newest_of_runs_and_multiruns(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "a", age=3)
    make_run(tmp_path / "runs" / "b", age=2)
    (tmp_path / "runs" / "z-without-config").mkdir()
    assert find_run("latest", tmp_path).root.name == "b"
    make_run(tmp_path / "multiruns" / "m" / "lambda=1", age=1)
    assert find_run("latest", tmp_path).root.name == "lambda=1"


def test_a_run_is_found_by_its_folder(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "anywhere", age=0)
    assert find_run(str(folder)).root == folder


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no run under"):
        find_run("latest", tmp_path)
    with pytest.raises(UserError, match="not a run directory"):
        find_run(str(tmp_path))
    with pytest.raises(UserError, match="not a run directory"):
        find_run(str(tmp_path / "absent"))


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    run.write_json(run.status, {"state": "running", "name": "\u2603"})
    with pytest.raises(TypeError):
        run.write_json(run.status, {"state": object()})
    assert run.read_status() == {"state": "running", "name": "\u2603"}
    run.write_json(run.status, {"state": "finished"})
    assert json.loads(run.status.read_text(encoding="utf-8")) == {"state": "finished"}
    assert [path.name for path in run.root.iterdir()] == ["status.json"]


@pytest.mark.parametrize("content", [None, "", '{"state": ', "5", "[1]"])
def test_a_damaged_status_reads_as_none(content: str | None, tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    if content is not None:
        run.status.write_text(content, encoding="utf-8")
    assert run.read_status() == {}
