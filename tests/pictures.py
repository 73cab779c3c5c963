"""Draws the pictures of README and docs/ from a run that was evaluated.

python tests/pictures.py RUN [--to docs/pictures]

The monitor and the chat are drawn as they stand in a terminal of 110 by 32; what the chat says is what the run's model
answers, beside its base. The report is photographed where playwright and a Chromium are at hand.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
from pathlib import Path

from chat_stub import fixed_session, settled, until
from textual.app import App

from rct_lightning.generation import SAMPLE_PROMPTS
from rct_lightning.runs import RunDir
from rct_lightning.tui.chat.app import ChatApp
from rct_lightning.tui.chat.settings import Settings
from rct_lightning.tui.chat.speaker import ProcessSpeaker
from rct_lightning.tui.monitor.app import Monitor

SIZE = (110, 32)
SETTLED = 3.0
"""Seconds after which the monitor shows what it has read."""


async def draw_monitor(run: RunDir, file: Path) -> None:
    """Draw the first screen of the monitor."""
    app = Monitor(run)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(SETTLED)
        write(app, file)


async def draw_chat(run: RunDir, file: Path) -> None:
    """Draw a conversation with the run's model, each reply next to the base's."""
    session = fixed_session(settings=Settings(temperature=0.0, max_tokens=40, compare=True))
    app = ChatApp(ProcessSpeaker(str(run.root)), session)
    async with app.run_test(size=SIZE) as pilot:
        await until(lambda: session.model is not None)
        for number, text in enumerate(SAMPLE_PROMPTS[:2], 1):
            await pilot.press(*text, "enter")
            await until(lambda number=number: len(session.exchanges) >= number and session.asking is None)
        await settled(pilot)
        write(app, file)


def write(app: App[None], file: Path) -> None:
    """Write the screen as SVG."""
    file.write_text(app.export_screenshot(simplify=True), encoding="utf-8")


def photograph(page: Path, file: Path, width: int = 1000, height: int = 900) -> bool:
    """Capture the top of an HTML page as PNG; return whether a browser was available."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return False
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        tab = browser.new_page(viewport={"width": width, "height": height})
        tab.goto(page.resolve().as_uri())
        tab.screenshot(path=file)
        browser.close()
    return True


def main() -> None:
    """Write every picture that can be made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--to", type=Path, default=Path("docs/pictures"))
    given = parser.parse_args()
    run, folder = RunDir(given.run), given.to
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(draw_monitor(run, folder / "monitor.svg"))
    asyncio.run(draw_chat(run, folder / "chat.svg"))
    for figure in sorted((run.report / "figures").glob("loss*.png")):
        shutil.copy(figure, folder / figure.name)
    if not photograph(run.report / "report.html", folder / "report.png"):
        print("report.png: no browser is at hand")


if __name__ == "__main__":
    main()
