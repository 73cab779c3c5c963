import json
import os
from pathlib import Path

import pytest

from rct_lightning.errors import UserError
from rct_lightning.health import bands, largest_proportions
from rct_lightning.runs import RunDir, check_is_free, find_run


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


@pytest.mark.parametrize("kind", ["file", "folder", "nowhere"])
def test_a_link_out_of_a_run_is_refused(kind: str, tmp_path: Path) -> None:
    folder, outside = make_run(tmp_path / "run", age=0), tmp_path / "outside"
    if kind == "file":
        outside.touch()
    elif kind == "folder":
        outside.mkdir()
    (folder / "events.jsonl").symlink_to(outside)
    with pytest.raises(UserError, match=r"events\.jsonl: this link leads out of the run directory"):
        find_run(str(folder))


def test_links_inside_a_run_and_to_a_run_are_fine(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", age=0)
    (folder / "events.jsonl").symlink_to("config.yaml")
    (tmp_path / "link").symlink_to(folder)
    assert find_run(str(tmp_path / "link")).config.is_file()


EVENTS = b"""{"event": "step", "step": 1, "lm": 2.5, "presence": null, "grad/lm_norm": "much", "x": 1e999, "y": [1]}
[1, 2]
"text"
{"event": "step", "step": "1"}
{"step": 3}
{"event": "step", "step": %s}
\xff\xfe
{"event": "eval", "step": 2, "lm": %s}
{"event": "alert", "step": 2, "ru"""


def test_of_a_damaged_file_of_events_the_events_are_read(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.events.write_bytes(EVENTS % (b"1" * 400, b"1" * 400))
    assert run.read_events() == [
        {"event": "step", "step": 1, "lm": 2.5, "grad/lm_norm": "much"},
        {"event": "eval", "step": 2},
    ]
    assert bands([run.read_events()]) and largest_proportions(run.read_events(), {"presence": 1.0}) == {}
    with pytest.raises(UserError, match="no file of events"):
        RunDir(tmp_path / "absent").read_events()


def test_of_a_damaged_table_of_losses_the_rows_are_read(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.loss_components.write_bytes(
        b"step,lm_loss,phase\n1,2.5,train\n2,abc,train\n3,1,train,9\n\xff,1,x\n4,2.0,ev\x00al\n5"
    )
    assert [row["step"] for row in run.read_loss_components()][:1] == [1.0]


def test_names_that_are_no_steps_are_left_alone(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    for name in ("best-step-3", "best-step-12", "best-step-old", "best-step-", f"best-step-{'9' * 5000}"[:200]):
        (run.checkpoints / name).mkdir(parents=True)
    assert [path.name for path in run.best_adapters()] == ["best-step-12", "best-step-3"]


def test_a_run_takes_a_folder_that_is_empty_but_for_hydras_own(tmp_path: Path) -> None:
    check_is_free(tmp_path / "new")
    (tmp_path / ".hydra").mkdir()
    (tmp_path / "train.log").touch()
    check_is_free(tmp_path)
    (tmp_path / "letter.txt").touch()
    with pytest.raises(UserError, match="holds other files already"):
        check_is_free(tmp_path)
    make_run(tmp_path / "run", age=0)
    with pytest.raises(UserError, match="holds a run already"):
        check_is_free(tmp_path / "run")
