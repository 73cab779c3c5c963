"""The application of `rct monitor`, under a Pilot: every key, three sizes, a fixed clock."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hostile_replies import hostile_replies
from made_runs import BEGUN, PROMPTS, alert, lines, make_run, step, told, write_samples
from screens import FOLDER, SIZES, as_text, check_screen
from test_sanitize import harmless
from textual.pilot import Pilot

from rct_lightning.runs import RunDir
from rct_lightning.tui.monitor.app import Help, Monitor
from rct_lightning.tui.monitor.view import Surroundings

AROUND = Surroundings(now=lambda: BEGUN + 223, presence=lambda status: "there")
WIDE = (120, 40)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with an alert and a figure that is not finite, between two others."""
    events = [*told(), alert(200), step(210, presence=None, not_finite={"presence": "Infinity"})]
    make_run(tmp_path / "a", state="finished")
    make_run(tmp_path / "c", state="failed")
    return make_run(tmp_path / "b", events)


def watched(
    runs: list[Path], work: Callable[[Monitor, Pilot[None]], Awaitable[None]], size: tuple[int, int] = WIDE,
    around: Surroundings = AROUND,
) -> Monitor:  # fmt: skip
    """Drive the application over one run or two."""

    async def opened() -> Monitor:
        app = Monitor(*map(RunDir, runs), surroundings=around, every=None)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await work(app, pilot)
        return app

    return asyncio.run(opened())


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> bool:
    """Wait until the effect of a key is on the screen: painting comes after it."""
    end = time.monotonic() + 60
    while not holds():
        if time.monotonic() > end:
            return False
        await pilot.pause(0.02)
    return True


async def check(app: Monitor, pilot: Pilot[None], name: str, size: tuple[int, int]) -> None:
    """Compare with the stored screen as soon as it matches, or at the timeout."""
    name = f"monitor_{name}_{size[0]}x{size[1]}"
    kept = FOLDER / f"{name}.txt"
    await until(pilot, lambda: kept.is_file() and as_text(app) == kept.read_text(encoding="utf-8"))
    check_screen(app, name)


TABS = ("Curves", "Terms", "Gradients", "Samples", "Alerts", "Checkpoints")


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_screens(size: tuple[int, int], run: Path) -> None:
    (run / "checkpoints" / "best-step-100").mkdir(parents=True)

    async def work(app: Monitor, pilot: Pilot[None]) -> None:
        for number, name in enumerate(TABS, 1):
            await pilot.press(str(number))
            await check(app, pilot, name.lower(), size)
            assert max(map(len, as_text(app).splitlines())) <= size[0]

    watched([run], work, size)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_screens_of_a_dead_run_of_two_and_of_help(size: tuple[int, int], run: Path) -> None:
    gone = Surroundings(AROUND.now, lambda status: "gone")

    async def dead(app: Monitor, pilot: Pilot[None]) -> None:
        await check(app, pilot, "crashed", size)
        await pilot.press("question_mark")
        await check(app, pilot, "help", size)

    async def two(app: Monitor, pilot: Pilot[None]) -> None:
        await check(app, pilot, "compare", size)
        await pilot.press("1")
        await check(app, pilot, "overlaid", size)

    watched([run], dead, size, gone)
    watched([run, run.parent / "a"], two, size)


def test_tabs_turn_by_number_and_in_both_directions(run: Path) -> None:
    async def work(app: Monitor, pilot: Pilot[None]) -> None:
        for number, name in enumerate(TABS, 1):
            await pilot.press(str(number))
            assert app.tab == name
        await pilot.press("7")
        assert app.tab == "Checkpoints", "there is no second run to compare with"
        await pilot.press("right")
        assert app.tab == "Curves"
        await pilot.press("left", "left")
        assert app.tab == "Alerts"

    watched([run], work)


def test_the_seventh_tab_is_there_for_two_runs(run: Path) -> None:
    async def work(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press("1", "7")
        assert app.tab == "Compare" and await until(pilot, lambda: "difference" in as_text(app))

    watched([run, run.parent / "a"], work)


def test_heights_can_be_logarithmic_and_curves_smoothed(run: Path) -> None:
    async def work(app: Monitor, pilot: Pilot[None]) -> None:
        assert await until(pilot, lambda: "coherence  train" in as_text(app))
        before = as_text(app)
        for key in ("l", "s"):
            await pilot.press(key)
            assert await until(pilot, lambda: as_text(app) != before)
            await pilot.press(key)
            assert await until(pilot, lambda: as_text(app) == before)

    watched([run], work)


def test_next_and_previous_run(run: Path) -> None:
    async def work(app: Monitor, pilot: Pilot[None]) -> None:
        names = []
        for key in ("n", "n", "p", "p", "p"):
            await pilot.press(key)
            names.append(app.watches[0].run.root.name)
        assert names == ["c", "c", "b", "a", "a"]
        assert await until(pilot, lambda: " finished  a" in as_text(app))

    watched([run], work)


def test_a_run_may_be_named_from_within(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "report").mkdir()
    monkeypatch.chdir(run / "report")

    async def work(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press("n")
        assert app.watches[0].run.root.name == "c"

    watched([Path("..")], work)


def test_a_run_that_cannot_be_opened_is_told_and_not_shown(run: Path, tmp_path: Path) -> None:
    (run.parent / "c" / "link").symlink_to(tmp_path.parent)

    async def work(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press("n")
        await pilot.pause()
        assert app.watches[0].run.root.name == "b" and len(app._notifications) == 1

    watched([run], work)


def test_help_comes_and_goes(run: Path) -> None:
    async def work(app: Monitor, pilot: Pilot[None]) -> None:
        for back in ("question_mark", "escape", "q"):
            await pilot.press("question_mark")
            assert isinstance(app.screen, Help)
            await pilot.press(back)
            assert not isinstance(app.screen, Help)

    watched([run], work)


def test_it_scrolls(run: Path) -> None:
    async def work(app: Monitor, pilot: Pilot[None]) -> None:
        assert await until(pilot, lambda: "LM loss  train" in as_text(app))
        await pilot.press("pagedown")
        assert await until(pilot, lambda: "LM loss  train" not in as_text(app))
        await pilot.press("2", "1")
        assert await until(pilot, lambda: "LM loss  train" in as_text(app)), "a tab begins at its top"

    watched([run], work, (40, 12))


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_it_quits(key: str, run: Path) -> None:
    async def work(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press(key)

    assert watched([run], work).return_code == 0


def test_every_binding_has_a_test() -> None:
    tested = {*map(str, range(1, 8)), "right", "left", "l", "s", "n", "p", "question_mark", "q", "ctrl+c"}
    keys = {binding.key for binding in Monitor.BINDINGS}  # type: ignore[union-attr]
    assert keys == tested


def test_it_follows_a_run_that_is_resumed_and_ends(run: Path) -> None:
    files = RunDir(run)

    async def work(app: Monitor, pilot: Pilot[None]) -> None:
        async def sees(words: str) -> bool:
            app.look()
            return await until(pilot, lambda: words in as_text(app))

        with files.events.open("ab") as file:
            file.write(lines([step(220)]) + lines([step(230)])[:30])
        assert await sees("step 220 of 400") and await sees("not finite")
        files.cut_back({"events.jsonl": len(lines(told(100)))})
        assert await sees("step 100 of 400") and "not finite" not in as_text(app)
        files.write_json(files.status, {"state": "finished", "step": 400})
        assert await sees(" finished  b")
        files.events.unlink()
        assert await sees("step 0")

    watched([run], work)


def test_nobody_s_words_command_the_terminal_or_become_markup(run: Path) -> None:
    texts = ["[/bold] hi", *("".join(chunks) for chunks in hostile_replies(count=12, seed=1)), "[/bold] hi"]
    with (run / "events.jsonl").open("ab") as file:
        file.write(lines(alert(210, rule=text, seen=text, means=text, remedy=text) for text in texts))
    (run / "checks.json").write_text(
        json.dumps([{"guard": text, "status": "warn", "seen": text, "remedy": text} for text in texts[:20]])
    )
    write_samples(run, {f"{prompt} {at}": " ".join(t.split()) for at, t in enumerate(texts) for prompt in PROMPTS[:1]})
    seen: list[str] = []

    async def work(app: Monitor, pilot: Pilot[None]) -> None:
        for key in ("4", "5"):
            await pilot.press(key)
            assert await until(pilot, lambda: "[/bold] hi" in as_text(app)), "brackets are characters"
            seen.append(as_text(app))
            await pilot.press("1")
            assert await until(pilot, lambda: "[/bold] hi" not in as_text(app))

    watched([run], work, (120, 600))  # high enough to show everything
    assert all(harmless(screen) for screen in seen)
