"""What `rct monitor` reads and draws: files that grow, tear and are truncated, and curves of any length."""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import BEGUN, alert, evaluation, lines, make_run, step, told

from rct_lightning.runs import RunDir
from rct_lightning.tui.monitor import follow as follow_module
from rct_lightning.tui.monitor import glance as glance_module
from rct_lightning.tui.monitor.curve import Curve
from rct_lightning.tui.monitor.files import Samples
from rct_lightning.tui.monitor.follow import CHUNK, Follower
from rct_lightning.tui.monitor.glance import glance
from rct_lightning.tui.monitor.plot import Line, draw
from rct_lightning.tui.monitor.state import RunState
from rct_lightning.tui.monitor.summary import as_json
from rct_lightning.tui.monitor.verdict import judge
from rct_lightning.tui.monitor.view import History, Surroundings, View, Watch

AROUND = Surroundings(now=lambda: BEGUN + 223, presence=lambda status: "there")


# --- a file that grows ----------------------------------------------------------------------------------------------


def test_lines_come_once_and_a_torn_one_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "events"
    follower = Follower(path)
    assert follower.more() == ([], False), "it need not be there yet"
    path.write_bytes(b"one\ntwo\nthr")
    assert follower.more() == ([b"one", b"two"], False) and follower.more() == ([], False)
    with path.open("ab") as file:
        file.write(b"ee\n")
    assert follower.more() == ([b"three"], False)


def cut_back(path: Path) -> None:
    os.truncate(path, 4)


def cut_back_and_grown(path: Path) -> None:
    """As a resumed run does between two looks: longer than before, with other events."""
    os.truncate(path, 4)
    with path.open("ab") as file:
        file.write(b"other lines that are as long\n")


def replaced(path: Path) -> None:
    part = path.with_name("part")
    part.write_bytes(b"one\nTWO\nthree\n")
    os.replace(part, path)


@pytest.mark.parametrize("change", [cut_back, cut_back_and_grown, replaced, Path.unlink])
def test_a_file_that_is_not_what_it_was_is_read_from_its_beginning(
    change: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "events"
    path.write_bytes(b"one\ntwo\nthree\n")
    follower = Follower(path)
    follower.more()
    change(path)
    news = follower.more()
    now = path.read_bytes().splitlines() if path.exists() else []
    assert news.anew and news.lines == now and follower.more() == ([], False)


def test_a_line_longer_than_a_chunk_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_module, "CHUNK", 16)
    path = tmp_path / "events"
    path.write_bytes(b"one\n" + b"x" * 50 + b"\ntwo\n" + b"y" * 40)
    follower, found = Follower(path), []
    for _ in range(12):
        found += follower.more().lines
    assert found == [b"one", b"two"]


def test_a_long_file_is_skimmed_in_order_and_then_read_whole(tmp_path: Path) -> None:
    events = [*told(0), *(step(at) for at in range(1, 6000)), alert(6000)]
    run = RunDir(make_run(tmp_path / "run", events))
    assert run.events.stat().st_size > 2 * CHUNK
    follower, state = Follower(run.events), RunState()
    skimmed = follower.skim()
    steps = [event["step"] for event in state.fold(skimmed)]
    assert follower.skimmed and len(set(skimmed)) == len(skimmed) == len(steps) and steps == sorted(steps)
    assert steps[0] == 0 and steps[-1] == 6000 and 500 < len(steps) < 3000
    assert state.total_steps == 400 and state.alert_count == 1 and state.unreadable == 0
    with run.events.open("ab") as file:
        file.write(lines([step(6001)]))
    assert [json.loads(line)["step"] for line in follower.more().lines] == [6001]


def test_a_watch_goes_over_to_the_whole_history(tmp_path: Path) -> None:
    spike = 777.0
    events = [step(at, lm=spike if at == 3001 else 2.0) for at in range(1, 6000)]
    watch = Watch(RunDir(make_run(tmp_path / "run", events)), AROUND)
    view = watch.look()
    assert view.read < 1 and view.state.step == 5999, "the newest is there at once"
    while view.read < 1:
        view = watch.look()
    assert view.state.events == 5999 and max(s.high for s in view.state.curves["train/lm"].stretches) == spike
    with watch.run.events.open("ab") as file:
        file.write(lines([step(6000)]))
    assert watch.look().state.step == 6000


# --- a single query -------------------------------------------------------------------------------------------------


def long_run(root: Path) -> RunDir:
    """Make a run with something of every kind in the middle, far from both ends."""
    events = [*told(0)]
    for at in range(1, 2000):
        events.append(step(at))
        if at % 40 == 0:
            events.append(evaluation(at))
        if at % 400 == 0:
            best = {"time": BEGUN + 11 + at, "event": "best", "step": at, "metric": "eval/total", "value": 9.0 - at}
            events += [best, alert(at), evaluation(at + 1), evaluation(at + 2)]
        if at in (700, 1100):
            events.append(step(at, lm=None, not_finite={"lm": "Infinity"}))
            events.append(evaluation(at, total=None, not_finite={"total": "NaN"}))
            events.append({"time": BEGUN + 11 + at, "event": "resumed", "step": at})
            events.append({"time": BEGUN + 11 + at, "event": "fit", "step": at, "total_steps": 4000})
    run = RunDir(make_run(root, events))
    odd = [b"", b"  ", b"[1]", b'{"torn', b'{"event": "step"}', lines([step(3)]).replace(b": ", b":").strip()]
    content = run.events.read_bytes().splitlines()
    for number, line in enumerate(odd, start=3):
        content.insert(250 * number, line)
    run.events.write_bytes(b"\n".join(content) + b"\n" + b'{"time": 1.0, "event": "step", "st')
    return run


@pytest.mark.parametrize("chunk", [2**12, 2**15, 2**17, CHUNK])
def test_who_asks_once_is_told_what_all_events_say(chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_module, "CHUNK", chunk)
    monkeypatch.setattr(glance_module, "AT_THE_END", max(2, 2**16 // chunk))
    run = long_run(tmp_path / "run")
    assert run.events.stat().st_size > 10 * 2**16
    whole = History(run)
    whole.read()
    found = glance(run)
    as_told = [summary_of(run, state) for state in (found, whole.state)]
    assert as_told[0] == as_told[1]
    assert (found.events, found.unreadable, found.alert_count) == (whole.state.events, 3, 4)
    assert (found.seconds_per_step, found.usual_step) == (whole.state.seconds_per_step, whole.state.usual_step)


def summary_of(run: RunDir, state: RunState) -> dict[str, Any]:
    verdict = judge(run.read_status(), state, BEGUN + 223, lambda status: "there")
    return as_json(View(run, state, verdict, Samples(), (), ()))


def test_who_asks_once_does_not_have_every_step_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_module, "CHUNK", 2**12)
    run, parsed, real = long_run(tmp_path / "run"), [], RunState.take_in
    monkeypatch.setattr(RunState, "take_in", lambda state, event: (parsed.append(event), real(state, event)))
    assert glance(run).events > 2000 and len(parsed) < 200


# --- curves ---------------------------------------------------------------------------------------------------------


def test_a_curve_is_bounded_and_keeps_every_extreme_and_every_count() -> None:
    curve = Curve(most=8)
    for at in range(1000):
        curve.add(at, {333: 99.0, 500: -99.0, 700: math.nan}.get(at, 1.0))
    assert 4 <= len(curve.stretches) <= 8 and curve.newest == 1.0
    assert (min(s.low for s in curve.stretches), max(s.high for s in curve.stretches)) == (-99.0, 99.0)
    assert sum(s.count for s in curve.stretches) == 999 and [s.lost for s in curve.stretches if s.lost] == [1]
    edges = [(s.first, s.last) for s in curve.stretches]
    assert edges[0][0] == 0 and edges[-1][1] == 999
    assert all(former[1] + 1 == later[0] for former, later in zip(edges, edges[1:], strict=False))


def test_a_smoothed_curve_begins_where_the_curve_does_and_follows_it() -> None:
    curve = Curve()
    for at in range(100):
        curve.add(at, 10.0 if at < 50 else math.nan if at == 60 else 0.0)
    smooth = dict(curve.smoothed())
    assert smooth[0] == 10.0 and smooth[49] == pytest.approx(10.0) and 0 < smooth[70] < 2 and 60 not in smooth


def shown(points: list[tuple[int, float]], **options: Any) -> list[str]:
    line = Line([(at, value, value) for at, value in points], "cyan", lost=options.pop("lost", ()))
    return ["".join(character for character, _ in row) for row in draw([line], 28, 5, **options)]


def test_a_plot_has_its_extremes_at_its_edges_and_joins_its_points() -> None:
    rows = shown([(0, 0.0), (10, 4.0), (20, 0.0)])
    assert [len(row) for row in rows] == [28] * 5
    assert rows[0].split()[0] == "4" and rows[3].split()[0] == "0" and rows[4].split() == ["0", "20"]
    assert all(any(0x2800 < ord(char) < 0x2900 for char in row) for row in rows[:4]), "no gap on the way up"


@pytest.mark.parametrize(
    "points",
    [[(3, 5.0)], [(0, 1e308), (1, -1e308)], [(0, 0.0), (0, 0.0)], [(0, 5e-324)], [(0, math.inf), (1, 2.0)]],
    ids=str,
)
def test_a_plot_can_be_made_of_anything(points: list[tuple[int, float]]) -> None:
    assert all(len(row) == 28 for log in (False, True) for row in shown(points, log=log))


@pytest.mark.parametrize("size", [(1, 1), (9, 2), (14, 1)], ids=str)
def test_a_plot_fits_where_there_is_hardly_room(size: tuple[int, int]) -> None:
    line = Line([(1000, 1.0, 2.0), (2000, 3.0, 3.0)], "cyan")
    assert len(draw([line], *size)) == max(size[1], 2)


def test_a_plot_marks_steps_without_a_number() -> None:
    assert "!" in shown([(0, 1.0), (10, 2.0)], lost=[5])[0] and "!" in shown([], lost=[5])[0]
    assert shown([])[0].strip() == "no figures yet"


def test_logarithmic_heights_leave_out_what_has_none() -> None:
    rows = shown([(0, 0.0), (1, 1.0), (2, 100.0)], log=True)
    assert rows[0].split()[0] == "100" and rows[3].split()[0] == "1" and rows[4].split() == ["1", "2"]
