"""Training processes are killed at random moments, over and over, and what is left is what was to be left."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("kills", "options"),
    [
        (20, ["--short"]),
        pytest.param(200, [], marks=pytest.mark.long),
        pytest.param(200, ["--nf4"], marks=pytest.mark.long),
    ],
)
def test_killed_at_random_moments_a_run_goes_on_as_if_it_had_not_been(kills: int, options: list[str]) -> None:
    line = [sys.executable, str(ROOT / "tests" / "kills.py"), "--kills", str(kills), *options]
    done = subprocess.run(line, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0 and f"{kills} kills" in done.stdout, done.stdout + done.stderr
    assert " 0 of them otherwise" in done.stdout
