"""Pages in a real browser: on a phone and on a desktop, light and dark. Needs playwright and a Chromium:

pip install playwright; playwright install chromium (or any chromium on the PATH)
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_replies import hostile_replies
from reports import compared, evaluated_run, finished_run, reported
from typer.testing import CliRunner

from rct_lightning.cli import app

pytestmark = pytest.mark.long
WIDTHS = (390, 1280)
CONTRAST = """() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const linear = value => value <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => [r, g, b].map(value => linear(value / 255))
    .reduce((sum, value, at) => sum + value * [.2126, .7152, .0722][at], 0);
  const ground = node => { for (; node; node = node.parentElement) {
    const found = parts(getComputedStyle(node).backgroundColor);
    if (found.length < 4 || found[3] > 0) return found; } return [255, 255, 255]; };
  const faint = [];
  for (const node of document.body.querySelectorAll("*")) {
    if (![...node.childNodes].some(child => child.nodeType === 3 && child.data.trim())) continue;
    const pair = [light(parts(getComputedStyle(node).color)), light(ground(node))].sort((a, b) => b - a);
    if ((pair[0] + .05) / (pair[1] + .05) < 4.5) faint.push(node.tagName + ": " + node.textContent.slice(0, 40));
  }
  return faint;
}"""
"""Find texts with less contrast than WCAG's 4.5 to 1."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync.sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(
                executable_path=found, args=["--no-sandbox"] if os.geteuid() == 0 else []
            )
        except sync.Error as error:
            pytest.skip(f"no Chromium can be started: {str(error).splitlines()[0]}")
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write a report, one of hostile replies, and a comparison of five runs."""
    folder = tmp_path_factory.mktemp("pages")
    run = finished_run(folder / "run")
    reported(run, folder / "report")
    texts = ["".join(pieces) for pieces in hostile_replies(500)]
    reported(run, folder / "hostile", compared(replies=[(text[:300], text, text) for text in texts], endpoints=1))
    runs = [str(evaluated_run(folder / f"{'run' * 9}-{seed}", seed=seed).root) for seed in range(5)]
    assert CliRunner().invoke(app, ["compare", *runs, "--to", str(folder / "compare.html")]).exit_code == 0
    return {name: folder / name / "report.html" for name in ("report", "hostile")} | {
        "compare": folder / "compare.html"
    }


@pytest.mark.parametrize("name", ["report", "hostile", "compare"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_is_whole_and_asks_for_nothing(
    browser: Any, pages: dict[str, Path], name: str, scheme: str, width: int
) -> None:
    place = pages[name].as_uri()
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(place)
    assert said == [] and [url for url in asked if not url.startswith("data:")] == [place]
    assert page.evaluate("document.documentElement.scrollWidth") == width, "tables scroll in boxes of their own"
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0 && image.width <= innerWidth)")
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate("document.scripts.length") == 0
    drawn = page.evaluate("[...document.images].map(image => image.currentSrc === image.src)")
    assert set(drawn) <= {scheme == "light"}, "dark pages have dark figures"
    page.close()


def test_a_planted_request_and_script_are_stopped(browser: Any, pages: dict[str, Path], tmp_path: Path) -> None:
    """If an escape were forgotten, the page's own policy would still block what it let in."""
    planted = "<body><img src='https://example.invalid/a.png' alt='x'><script>document.title = 'run'</script>"
    path = tmp_path / "planted.html"
    path.write_text(pages["report"].read_text(encoding="utf-8").replace("<body>", planted), encoding="utf-8")
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(path.as_uri())
    assert page.title() != "run" and len([text for text in said if "Content Security Policy" in text]) == 2
    page.close()
