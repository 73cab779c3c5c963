"""Every fault of the museum is named by the right guard or rule, and healthy runs raise no alerts.

By default a sample of the exhibits, on a base of two random layers; ``-m long`` visits all of them on the bundled
base, as the table does.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from faults.museum import (
    EXHIBITS,
    HEALTHY,
    MUSEUM_AT,
    NOTHING,
    RULES_AT,
    TABLE_OF,
    Exhibit,
    Notice,
    caught,
    rules_table,
    visit,
)

QUICK = ("loss.phrases_per_step=1",)


@pytest.mark.parametrize("exhibit", EXHIBITS[::7], ids=lambda exhibit: exhibit.fault)
def test_a_planted_fault_is_named(exhibit: Exhibit, tmp_path: Path, tiny_base: Path) -> None:
    named(exhibit, visit(exhibit, tmp_path, QUICK, tiny_base, until=exhibit.named_by))


@pytest.mark.long
@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.fault)
def test_a_planted_fault_is_named_on_the_bundled_base(exhibit: Exhibit, tmp_path: Path) -> None:
    named(exhibit, visit(exhibit, tmp_path))


def named(exhibit: Exhibit, notices: list[Notice]) -> None:
    notice = caught(exhibit, notices)
    assert notice is not None, f"not named by {exhibit.named_by}, but: {notices}"
    assert notice.said and (notice.step is None or notice.step >= 0)


@pytest.mark.parametrize("settings", HEALTHY[:1], ids=" ".join)
def test_a_healthy_run_is_left_in_peace(settings: tuple[str, ...], tmp_path: Path) -> None:
    """Use the bundled base: two random layers would be reported, rightly, for repeating themselves.

    The guards are not run here: test_train.py checks that they pass a healthy run, also on the bundled base.
    """
    assert visit(NOTHING, tmp_path, (*settings, "check=false", "trainer.check_val_every_n_epoch=5")) == []


@pytest.mark.long
@pytest.mark.parametrize("settings", HEALTHY, ids=" ".join)
def test_thirty_healthy_runs_are_left_in_peace(settings: tuple[str, ...], tmp_path: Path) -> None:
    assert visit(NOTHING, tmp_path, settings) == []


def test_the_table_shows_every_fault() -> None:
    table = _standing_between(*MUSEUM_AT)
    faults = [line.split(" | ")[0].removeprefix("| ") for line in table.strip().splitlines()[2:]]
    assert faults == [exhibit.fault for exhibit in EXHIBITS] and len(faults) >= 20
    assert "nobody" not in table


def test_the_documentation_has_every_rule() -> None:
    assert _standing_between(*RULES_AT) == rules_table()


def _standing_between(begin: str, end: str) -> str:
    return TABLE_OF.read_text(encoding="utf-8").split(begin)[1].split(end)[0].strip()


@pytest.mark.parametrize("exhibit", EXHIBITS[:1], ids=lambda exhibit: exhibit.fault)
def test_a_fault_that_is_not_planted_is_not_named(exhibit: Exhibit, tmp_path: Path, tiny_base: Path) -> None:
    """The museum can fail: without the fault nothing names it, even where a guard named it before step 0."""
    unplanted = replace(exhibit, plant=NOTHING.plant)
    for each, is_named in ((exhibit, True), (unplanted, False)):
        folder = tmp_path / str(is_named)
        folder.mkdir()
        assert (caught(each, visit(each, folder, ("check=only",), tiny_base)) is not None) == is_named
