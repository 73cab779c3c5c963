"""The application of `rct monitor`, under a Pilot: every key, three sizes, a clock that stands still."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hostile_replies import hostile_replies
from made_runs import BEGUN, PROMPTS, alert, lines, make_run, step, told, write_samples
from screens import SIZES, as_text, check_screen
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
    """Do something with the application over one run or two."""

    async def opened() -> Monitor:
        app = Monitor(*map(RunDir, runs), surroundings=around, every=None)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await work(app, pilot)
        return app

    return asyncio.run(opened())


TABS = ("Curves", "Terms", "Gradients", "Samples", "Alerts", "Checkpoints")


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_screens(size: tuple[int, int], run: Path) -> None:
    (run / "checkpoints" / "best-step-100").mkdir(parents=True)

    async def work(app: Monitor, pilot: Pilot[None]) -> None:
        for number, name in enumerate(TABS, 1):
            await pilot.press(str(number))
            await pilot.pause()
            check_screen(app, f"monitor_{name.lower()}_{size[0]}x{size[1]}")
            assert max(map(len, as_text(app).splitlines())) <= size[0]

    watched([run], work, size)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_screens_of_a_dead_run_of_two_and_of_help(size: tuple[int, int], run: Path) -> None:
    gone = Surroundings(AROUND.now, lambda status: "gone")

    async def dead(app: Monitor, pilot: Pilot[None]) -> None:
        check_screen(app, f"monitor_crashed_{size[0]}x{size[1]}")
        await pilot.press("question_mark")
        await pilot.pause()
        check_screen(app, f"monitor_help_{size[0]}x{size[1]}")

    async def two(app: Monitor, pilot: Pilot[None]) -> None:
        check_screen(app, f"monitor_compare_{size[0]}x{size[1]}")
        await pilot.press("1")
        await pilot.pause()
        check_screen(app, f"monitor_overlaid_{size[0]}x{size[1]}")

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
        assert app.tab == "Compare" and "difference" in as_text(app)

    watched([run, run.parent / "a"], work)


def test_heights_can_be_logarithmic_and_curves_smoothed(run: Path) -> None:
    async def work(app: Monitor, pilot: Pilot[None]) -> None:
        before = as_text(app)
        for key in ("l", "s"):
            await pilot.press(key)
            await pilot.pause()
            assert as_text(app) != before
            await pilot.press(key)
            await pilot.pause()
            assert as_text(app) == before

    watched([run], work)


def test_next_and_previous_run(run: Path) -> None:
    async def work(app: Monitor, pilot: Pilot[None]) -> None:
        names = []
        for key in ("n", "n", "p", "p", "p"):
            await pilot.press(key)
            names.append(app.watches[0].run.root.name)
        assert names == ["c", "c", "b", "a", "a"]
        assert " finished  a" in as_text(app)

    watched([run], work)


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
        before = as_text(app)
        await pilot.press("pagedown")
        await pilot.pause(0.3)
        assert as_text(app) != before
        await pilot.press("2", "1")
        await pilot.pause()
        assert as_text(app) == before, "a tab begins at its top"

    watched([run], work, (40, 12))


def test_it_quits(run: Path) -> None:
    async def work(app: Monitor, pilot: Pilot[None]) -> None:
        await pilot.press("q")

    assert watched([run], work).return_code == 0


def test_every_binding_has_a_test() -> None:
    tested = {*map(str, range(1, 8)), "right", "left", "l", "s", "n", "p", "question_mark", "q"}
    keys = {binding.key for binding in Monitor.BINDINGS}  # type: ignore[union-attr]
    assert keys == tested


def test_it_follows_a_run_that_is_resumed_and_ends(run: Path) -> None:
    files = RunDir(run)

    async def work(app: Monitor, pilot: Pilot[None]) -> None:
        async def looked() -> str:
            app.look()
            await pilot.pause()
            return as_text(app)

        with files.events.open("ab") as file:
            file.write(lines([step(220)]) + lines([step(230)])[:30])
        assert "step 220 of 400" in await looked()
        files.cut_back({"events.jsonl": len(lines(told(100)))})
        assert "step 100 of 400" in await looked() and "not finite" not in await looked()
        files.write_json(files.status, {"state": "finished", "step": 400})
        assert " finished  b" in await looked()
        files.events.unlink()
        assert "step 0" in await looked()

    watched([run], work)


def test_nobody_s_words_command_the_terminal_or_become_markup(run: Path) -> None:
    texts = ["[/bold] hi", *("".join(chunks) for chunks in hostile_replies(count=25, seed=1))]
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
            await pilot.pause()
            seen.append(as_text(app))

    watched([run], work, (120, 1500))  # as long as it takes to show everything
    assert all(harmless(screen) for screen in seen)
    assert all("[/bold] hi" in screen for screen in seen), "brackets are characters"
