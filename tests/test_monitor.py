"""What `rct monitor` reports about non-finite figures, dead runs, damaged files and hostile texts."""

import errno
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from hostile_replies import hostile_replies
from made_runs import BEGUN, PROCESS, PROMPTS, alert, evaluation, lines, make_run, step, told, write_samples
from test_sanitize import harmless
from typer.testing import CliRunner

from rct_lightning.cli import app
from rct_lightning.health import bands
from rct_lightning.runs import RunDir
from rct_lightning.tui.monitor import plain, summary
from rct_lightning.tui.monitor.state import LOSSES, RunState
from rct_lightning.tui.monitor.verdict import judge, seconds
from rct_lightning.tui.monitor.view import Surroundings, Watch, whole_view

ROOT = Path(__file__).parents[1]
AROUND = Surroundings(now=lambda: BEGUN + 223, presence=lambda status: "there")


def state_of(events: list[dict[str, Any]]) -> RunState:
    state = RunState()
    state.fold(lines(events).splitlines())
    return state


def said(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["monitor", *arguments])
    return done.exit_code, done.output


# --- the state ------------------------------------------------------------------------------------------------------


def test_what_is_shown_is_what_the_events_say() -> None:
    state = state_of([*told(), alert(200)])
    assert (state.step, state.total_steps, state.alert_count) == (200, 400, 1)
    assert state.newest("train/lm") == step(200)["lm"] and state.newest("eval/lm") == evaluation(200)["lm"]
    assert state.base["lm"] == evaluation(0)["lm"] and state.newest("eval/continuity") is None
    assert state.seconds_per_step == pytest.approx(1.0) and state.seconds_left == pytest.approx(200.0)
    assert len(state.curves["train/lm"].stretches) == 20 and len(state.curves["eval/lm"].stretches) == 3


def test_the_pace_begins_anew_behind_a_resumption() -> None:
    fit = {"time": BEGUN + 9000, "event": "fit", "step": 200, "total_steps": 400}
    later = [step(at, time=BEGUN + 9000 + 3 * at) for at in (210, 220)]
    state = state_of([*told(), fit, *later])
    assert state.seconds_per_step == pytest.approx(3.0) and state.seconds_left == pytest.approx(540.0)


@pytest.mark.parametrize(
    ("event", "shown_as"),
    [
        (step(210, lm=None, not_finite={"lm": "Infinity"}), "Infinity"),
        (step(210, lm=None, not_finite={"lm": "-Infinity"}), "-Infinity"),
        (step(210, lm=None), "NaN"),
        (step(210, lm=math.nan), "NaN"),
        (step(210, lm=10**400), "Infinity"),
    ],
    ids=["infinity", "minus infinity", "null", "NaN", "an endless number"],
)
def test_a_figure_that_is_no_number_is_said_everywhere(event: dict[str, Any], shown_as: str, tmp_path: Path) -> None:
    run = RunDir(make_run(tmp_path / "run", [*told(), event]))
    view = whole_view(run, AROUND)
    assert summary.said(view.state.newest("train/lm")) == shown_as
    assert f"train/lm was not finite 1 time, last {shown_as} at step 210" in summary.as_text(view)
    found = summary.as_json(view)
    assert found["train"]["lm"] is None and found["not_finite"] == ["train.lm"]
    assert found["was_not_finite"]["train/lm"] == {"count": 1, "step": 210, "what": shown_as}
    assert f"lm {shown_as}" in plain.line_of(event)
    assert view.state.curves["train/lm"].stretches[-1].lost == 1


def test_a_lost_figure_that_has_no_curve_is_said_as_well() -> None:
    state = state_of([step(10, **{"presence/contrast": None})])
    assert list(state.not_finite) == ["train/presence/contrast"]
    assert "presence/contrast NaN" in plain.line_of(step(10, **{"presence/contrast": None}))


def test_what_is_no_event_is_counted_and_passed_over() -> None:
    state, good = RunState(), lines([step(10)]).strip()
    bad = [b"[1]", b"{", b"\xff\xfe", b'{"event": "step"}', b'{"event": "step", "step": 1e3}', b"[" * 100_000,
           b'{"event": "step", "step": -1}', b'{"event": "step", "step": 1' + b"0" * 400 + b"}"]  # fmt: skip
    assert len(state.fold([*bad, good, b"", b"  "])) == 1
    assert (state.events, state.unreadable) == (1, len(bad))


def test_events_of_other_types_do_no_harm() -> None:
    odd: list[Any] = [None, True, "x", [], {}, 10**400, -1.5, math.nan]
    names = ["time", "total_steps", "lm", "rule", "error", "value", "metric", "parts", "not_finite", "fatal"]
    kinds = ["start", "fit", "step", "eval", "alert", "best", "failed", "halved", "checkpoint_failed", "take_in", ""]
    events = [{"event": kind, "step": 3, **dict.fromkeys(names, value)} for kind in kinds for value in odd]
    state = state_of(events)
    assert state.events == len(events) and all(plain.line_of(event) for event in events)


def test_memory_is_bounded() -> None:
    state = RunState()
    for at in range(600):
        state.take_in(alert(at, seen="x" * 10_000))
        state.take_in(step(at, **{f"name {at}": None}))
    assert len(state.alerts) == 100 and state.alert_count == 600 and len(state.alerts[0].seen) <= 2000
    assert len(state.not_finite) <= 40 and all(len(curve.stretches) <= 512 for curve in state.curves.values())


def test_losses_are_named_as_health_names_them() -> None:
    assert set(LOSSES) <= set(bands([[evaluation(0)]]).splitlines()[0].replace("|", " ").split())


# --- whether it is alive --------------------------------------------------------------------------------------------

NOW = BEGUN + 223


@pytest.mark.parametrize(
    ("status", "found", "later", "condition", "why"),
    [
        ({"state": "running"}, "there", 0, "running", "process 4321 is there; last heard 3 s ago"),
        ({"state": "running"}, "there", 56, "running", "last heard 59 s ago"),
        ({"state": "running"}, "there", 58, "stalled", "last heard 1 min 1 s ago, which is more than 1 min 0 s"),
        ({"state": "running"}, "suspended", 0, "stalled", "suspended by a signal"),
        ({"state": "running"}, "gone", 0, "crashed", "process 4321 is gone and wrote no end"),
        ({"state": "running"}, "elsewhere", 90, "unknown", "runs on here, or in another container"),
        ({"state": "running"}, "unknown", 0, "unknown", "is not known; last heard 3 s ago"),
        ({"state": "failed"}, "gone", 0, "crashed", "ValueError: boom"),
        ({"state": "interrupted"}, "gone", 0, "stopped", "ValueError: boom"),
        ({"state": "stopped"}, "gone", 0, "stopped", "A health rule ended it"),
        ({"state": "finished"}, "there", 9999, "finished", "wrote its adapter"),
        ({"state": "dancing"}, "there", 0, "unknown", "says nothing known"),
        ({"state": ["running"]}, "there", 0, "unknown", "says nothing known"),
        ({}, "there", 0, "unknown", "no status that can be read"),
    ],
)  # fmt: skip
def test_a_verdict_is_by_what_is_recorded(
    status: dict[str, Any], found: Any, later: float, condition: str, why: str
) -> None:
    state = state_of(told())
    state.error = "ValueError: boom"
    status = {"heartbeat": BEGUN + 220, **PROCESS, **status} if status else {}
    verdict = judge(status, state, NOW + later, lambda _: found)
    assert verdict.condition == condition and why in verdict.why


def test_patience_is_that_of_the_runs_own_steps() -> None:
    slow = [step(at, time=BEGUN + 30 * at) for at in range(10, 101, 10)]
    assert judge({}, state_of(slow), NOW, lambda _: "there").patience == pytest.approx(600)
    late = [*slow[:-1], step(100, time=BEGUN + 30 * 100 + 3000)]  # an evaluation in between
    assert judge({}, state_of(late), NOW, lambda _: "there").patience == pytest.approx(600)
    assert judge({}, state_of(told(0)), NOW, lambda _: "there").patience == 600, "no step yet"
    state = state_of(told())
    assert judge({}, state, NOW, lambda _: "there").patience < 600
    state.ended = True
    assert judge({}, state, NOW, lambda _: "there").patience == 600, "after the last step it samples and saves"


def test_an_event_is_a_sign_of_life_as_a_heartbeat_is() -> None:
    verdict = judge({"state": "running", "heartbeat": 0.0}, state_of(told()), BEGUN + 213, lambda _: "there")
    assert verdict.condition == "running" and verdict.silent == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "-"), (math.nan, "-"), (0.854, "0.85 s"), (59.4, "59 s"), (60, "1 min 0 s"), (7261, "2 h 1 min"),
     (1e6, "11 d 13 h")],
)  # fmt: skip
def test_spans_of_time(value: float | None, words: str) -> None:
    assert seconds(value) == words


# --- the other files ------------------------------------------------------------------------------------------------


def test_samples_stand_beside_the_bases(tmp_path: Path) -> None:
    view = whole_view(RunDir(make_run(tmp_path / "run")), AROUND)
    assert view.samples.step == 200 and [row.prompt for row in view.samples.rows] == list(PROMPTS)
    assert view.samples.rows[0].base.startswith("The house") and view.samples.rows[0].greedy.startswith("I hear")


def test_checkpoints_are_compared_with_their_manifests(tmp_path: Path) -> None:
    import torch

    from rct_lightning import checkpoint

    run = RunDir(make_run(tmp_path / "run"))
    for number in (100, 200):
        checkpoint.write(run.checkpoints / f"step-{number}", {"x": torch.ones(3), "step": number})
    (run.checkpoints / ".step-300.part").mkdir()
    (run.checkpoints / "step-400").mkdir()
    (run.checkpoints / "best-step-100").mkdir()
    (run.checkpoints / "notes").mkdir()
    tensors = run.checkpoints / "step-200" / checkpoint.TENSORS
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"\x01")
    found = {kept.name: kept for kept in whole_view(run, AROUND).kept}
    assert {name: kept.soundness for name, kept in found.items()} == {
        "step-400": "unfinished", ".step-300.part": "unfinished", "step-200": "damaged", "step-100": "whole",
        "best-step-100": "adapter",
    }  # fmt: skip
    assert "is not what was written" in found["step-200"].problem and str(tmp_path) not in found["step-200"].problem
    watch, looks = Watch(run, AROUND), 0
    while any(kept.soundness == "unchecked" for kept in watch.look().kept):
        looks += 1
        assert looks < 100_000
    assert {kept.name: kept.soundness for kept in watch.look().kept} == {n: k.soundness for n, k in found.items()}


@pytest.mark.parametrize("content", [b"", b"[", b"[1, {}]", b'[{"guard": 1}]', b"\xff" * 10, b"[" * 100_000])
def test_damaged_files_beside_the_events_are_nothing(content: bytes, tmp_path: Path) -> None:
    run = RunDir(make_run(tmp_path / "run"))
    for path in (run.checks, run.generation_samples, run.baseline_generation, run.status):
        path.write_bytes(content)
    view = whole_view(run, AROUND)
    assert view.findings == () and view.samples.step is None and view.verdict.condition == "unknown"
    assert summary.as_text(view) and json.dumps(summary.as_json(view))


# --- the command ----------------------------------------------------------------------------------------------------


def test_once_is_readable_and_says_what_is_wrong(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [*told(), alert(200)], state="failed")
    code, text = said(str(run), "--once")
    assert code == 0 and ": crashed." in text and "step 200 of 400 (50%)" in text
    assert "rising, step 200: the loss rose. It learns by heart. Stop." in text
    assert "markers: 2% of the rows are marked. Give more." in text
    for name in ("LM loss", "presence", "coherence", "continuity", "total loss"):
        assert name in text


def test_a_full_disk_behind_the_output_is_no_fault_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run = make_run(tmp_path / "run")
    monkeypatch.setattr(typer, "echo", full)
    code, text = said(str(run), "--once")
    assert code == 2 and "No space left on device. Make room" in text and "cannot be read" not in text


def test_json_has_the_documented_keys(tmp_path: Path) -> None:
    code, text = said(str(make_run(tmp_path / "run", [*told(), alert(200)], state="finished")), "--once", "--json")
    found = json.loads(text, parse_constant=pytest.fail)
    page = (ROOT / "docs" / "monitor.md").read_text(encoding="utf-8")
    assert code == 0 and text.count("\n") == 1
    assert [key for key in found if f"`{key}`" not in page] == []
    assert found["condition"] == "finished" and found["train"]["lm"] == step(200)["lm"] and found["not_finite"] == []
    assert found["alerts"][0]["rule"] == "rising" and found["samples"]["rows"][0]["base"]


def test_two_runs_are_set_against_each_other(tmp_path: Path) -> None:
    one = make_run(tmp_path / "one", state="finished")
    other = make_run(tmp_path / "other", [*told(), step(210, lm=1.0, total=None)], state="finished")
    code, text = said(str(one), str(other), "--once")
    assert code == 0 and "difference" in text and "total loss, train" in text and "NaN" in text
    found = json.loads(said(str(one), str(other), "--once", "--json")[1])
    assert found["difference"]["train"]["lm"] == pytest.approx(1.0 - step(200)["lm"])
    assert found["not_finite"] == ["difference.train.total"] and len(found["runs"]) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent", "--once"], "not a run directory"),
        (["--json"], "Add --once"),
        (["--plain", "--once"], "Leave --once"),
        (["a", "b", "--plain"], "Leave --once and the second run out"),
        (["run"], "Add --plain, or --once"),
        (["latest", "--once"], "There is no run"),
    ],
)  # fmt: skip
def test_mistakes_are_told(arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "run")
    code, text = said(*arguments)
    assert code == 2 and words in " ".join(text.split()) and "Traceback" not in text


def test_a_run_without_events_is_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [], state="")
    (run / "events.jsonl").unlink()
    code, text = said(str(run), "--once")
    assert code == 0 and "unknown. It has written no status that can be read." in text
    assert "no events: events.jsonl is empty or not there" in text


def test_a_damaged_file_of_events_is_said_to_be_damaged(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", state="finished")
    with (run / "events.jsonl").open("ab") as file:
        file.write(b"\x00\xff\n{torn\n")
    assert "unreadable lines of events: 2" in said(str(run), "--once")[1]
    (run / "events.jsonl").write_bytes(b"{torn\n")
    text = said(str(run), "--once")[1]
    assert "unreadable lines of events: 1" in text and "is empty or not there" not in text


def test_plain_follows_a_run_until_it_has_ended(tmp_path: Path) -> None:
    run = RunDir(make_run(tmp_path / "run"))

    def meanwhile() -> Iterator[None]:
        with run.events.open("ab") as file:
            file.write(lines([step(210)])[:-20])
        yield
        with run.events.open("ab") as file:
            file.write(lines([step(210)])[-20:])
        yield
        run.cut_back({"events.jsonl": len(lines(told(100)))})
        with run.events.open("ab") as file:
            file.write(lines([step(110, lm=0.25)]))
        yield
        run.write_json(run.status, {"state": "finished", "step": 110})
        yield

    happens = meanwhile()
    found = list(plain.follow(run, AROUND, lambda _: next(happens)))
    whole = [plain.line_of(event) for event in told()]
    assert found[: len(whole)] == whole and "running: " in found[len(whole)]
    assert found[len(whole) + 1] == plain.line_of(step(210)) and "begun anew" in found[len(whole) + 2]
    assert "lm 0.25" in found[-2] and "finished: " in found[-1]
    assert all(line.isprintable() for line in found)


def test_plain_says_every_figure_in_four_digits() -> None:
    event = {"time": 0.0, "step": 6, "event": "replies", "repetition": 0.14976738052395946, "most_tokens": 80}
    assert plain.line_of(event).endswith("step 6  replies  repetition: 0.1498  most_tokens: 80")


def test_a_reader_that_has_seen_enough_ends_it(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", [step(at) for at in range(1, 3000)], state="finished")
    line = [sys.executable, "-c", f"from rct_lightning.cli import app; app(['monitor', r'{run}', '--plain'])"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline().endswith(b"MiB 1201\n")
    process.stdout.close()
    assert process.wait(timeout=60) == 0 and process.stderr.read() == b""


def test_no_torch_is_imported(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", state="finished")
    script = (
        f"import sys\nfrom rct_lightning.cli import app\nimport rct_lightning.tui.monitor.app\n"
        f"app(['monitor', r'{run}', '--once'], standalone_mode=False)\n"
        f"print(*{{'torch', 'transformers', 'lightning', 'numpy', 'hydra'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == ""


# --- texts from elsewhere -------------------------------------------------------------------------------------------


def test_nothing_that_a_model_or_a_file_says_reaches_the_terminal_as_a_command(tmp_path: Path) -> None:
    texts = ["".join(chunks) for chunks in hostile_replies(count=200)]
    events = told()
    for at, text in enumerate(texts):
        words = dict.fromkeys(("rule", "seen", "means", "remedy"), text)
        events += [alert(at, **words), {"time": BEGUN, "event": text, "step": at, text: text}]
        events += [step(at, **{text: None}), {"time": BEGUN, "event": "failed", "step": at, "error": text}]
    run = RunDir(make_run(tmp_path / "run", events, state="failed", host=texts[0]))
    write_samples(run.root, {f"prompt {at}": " ".join(text.split()) for at, text in enumerate(texts)})
    checks = [{"guard": text, "status": "warn", "seen": text, "remedy": text} for text in texts]
    run.checks.write_text(json.dumps(checks[:20]), encoding="utf-8")
    view = whole_view(run, AROUND)
    assert harmless(summary.as_text(view))
    assert all(harmless(line) and "\n" not in line for line in plain.follow(run, AROUND))
    assert harmless("".join(_strings(summary.as_json(view))))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
    elif isinstance(value, str):
        yield value
