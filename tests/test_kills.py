"""Training processes are killed at random moments, repeatedly, and leave what an undisturbed run would have left."""

from pathlib import Path

import pytest
from forked import Forker


@pytest.mark.parametrize(
    ("kills", "options"),
    [
        (20, ["--short"]),
        pytest.param(200, [], marks=pytest.mark.long),
        pytest.param(200, ["--nf4"], marks=pytest.mark.long),
    ],
)
def test_killed_at_random_moments_a_run_goes_on_as_if_it_had_not_been(
    kills: int, options: list[str], tmp_path: Path, forker: Forker
) -> None:
    code, out, err = forker.type_in(tmp_path, "tests/kills.py", "--kills", str(kills), *options)
    assert code == 0 and f"{kills} kills" in out, out + err
    assert " 0 of them otherwise" in out
