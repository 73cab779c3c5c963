"""Training state on disk is either complete or absent, and a damaged one is never accepted."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch

from rct_lightning import checkpoint
from rct_lightning.checkpoint import MANIFEST, MARKER, STATE, TENSORS, CheckpointError
from rct_lightning.replacing import PART

STATE_OF_ANYTHING: dict[str, Any] = {
    "optimizer": {"state": {0: {"step": torch.tensor(3.0), "moments": torch.randn(2, 3)}}, "groups": [{"lr": 1e-3}]},
    "random": (3, (1, 2, 3), None),
    "words": ["a", "\u00e9", ""],
    "flags": {"on": True, "count": 2, "ratio": float("inf")},
    "none": torch.zeros(0),
}
PLACES = ("begun", "tensors", "state", "written", "moved", "committed")
BEFORE_THE_END = PLACES[:-1]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and a == b


def test_what_is_written_is_read(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "runs" / "step-3", STATE_OF_ANYTHING)
    assert same(checkpoint.read(tmp_path / "runs" / "step-3"), STATE_OF_ANYTHING)
    assert sorted(path.name for path in (tmp_path / "runs" / "step-3").iterdir()) == sorted(
        (MANIFEST, MARKER, STATE, TENSORS)
    )


def test_one_of_the_same_name_is_replaced(tmp_path: Path) -> None:
    for number in (1, 2):
        checkpoint.write(tmp_path / "step-1", {"number": number})
    assert checkpoint.read(tmp_path / "step-1") == {"number": 2}


@pytest.mark.parametrize("wrong", [{"a": object()}, {"a": {1.5: 2}}, {"a": print}])
def test_nothing_is_kept_that_would_have_to_be_executed(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        checkpoint.write(tmp_path / "step-1", wrong)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [TENSORS, STATE, MANIFEST, MARKER])
@pytest.mark.parametrize("harm", ["gone", "emptied", "cut", "flipped", "of another"])
def test_damage_is_told(name: str, harm: str, tmp_path: Path) -> None:
    good, other = tmp_path / "step-1", tmp_path / "step-2"
    checkpoint.write(good, STATE_OF_ANYTHING)
    checkpoint.write(other, STATE_OF_ANYTHING | {"words": ["b", "", ""], "none": torch.ones(1)})
    file, whole = good / name, (good / name).read_bytes()
    middle = len(whole) // 2
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes({
            "emptied": b"",
            "cut": whole[:middle],
            "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "of another": (other / name).read_bytes(),
        }[harm])  # fmt: skip
    with pytest.raises(CheckpointError, match="step-1"):
        checkpoint.read(good)
    assert same(checkpoint.read(other)["optimizer"], STATE_OF_ANYTHING["optimizer"])


def test_json_that_names_anything_else_is_refused(tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "step-1", {"a": 1})
    state = tmp_path / "step-1" / STATE
    state.write_text(json.dumps({"map": [["a", {"object": ["os.system", "true"]}]]}))
    manifest = tmp_path / "step-1" / MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {STATE: checkpoint._sum(state)}))
    (tmp_path / "step-1" / MARKER).write_text(checkpoint._sum(manifest))
    with pytest.raises(CheckpointError, match="no kind of state"):
        checkpoint.read(tmp_path / "step-1")


@pytest.mark.parametrize("content", [b"[]", b"[" * 100_000, b'{"map": [[["a"], 1]]}', b'{"map": 3}', b"{}", b"NaN"])
def test_state_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "step-1", {"a": 1})
    state, manifest = tmp_path / "step-1" / STATE, tmp_path / "step-1" / MANIFEST
    state.write_bytes(content)
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {STATE: checkpoint._sum(state)}))
    (tmp_path / "step-1" / MARKER).write_text(checkpoint._sum(manifest))
    with pytest.raises(CheckpointError, match="step-1"):
        checkpoint.read(tmp_path / "step-1")


@pytest.mark.parametrize("place", BEFORE_THE_END)
def test_a_full_disk_leaves_what_was_there(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.write(tmp_path / "step-1", STATE_OF_ANYTHING)
    monkeypatch.setenv(checkpoint.FAULT, f"full:{place}")
    with pytest.raises(CheckpointError, match=r"step-2: this checkpoint of [\d,]+ bytes .*no space left on device"):
        checkpoint.write(tmp_path / "step-2", STATE_OF_ANYTHING)
    assert [path.name for path in tmp_path.iterdir()] == ["step-1"], "nothing half-written is left"
    assert same(checkpoint.read(tmp_path / "step-1"), STATE_OF_ANYTHING)


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of files there")
@pytest.mark.parametrize("offset", range(25))
def test_a_disk_that_takes_no_more_at_any_offset_leaves_what_was_there(offset: int, tmp_path: Path) -> None:
    """Writes really fail, by a limit on the file size: in the tensors, or in the state after them."""
    import resource

    heavy = {"tensors": torch.randn(25_000)} if offset % 2 else {"text": "x" * 100_000}
    checkpoint.write(tmp_path / "step-1", heavy)
    name = TENSORS if offset % 2 else STATE
    size = (tmp_path / "step-1" / name).stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200 + (size - 201) * offset // 24, before[1]))
    try:
        with pytest.raises(CheckpointError, match=r"step-2: this checkpoint of [\d,]+ bytes could not be written"):
            checkpoint.write(tmp_path / "step-2", heavy)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["step-1"], "nothing half-written is left"
    assert same(checkpoint.read(tmp_path / "step-1"), heavy)


def test_a_file_system_of_its_own_is_no_hindrance(tmp_path: Path) -> None:
    """Files are written and moved into place: that must not start from the temporary folder of another file system."""
    elsewhere = [Path(name) for name in ("/dev/shm", "/run/shm") if os.access(name, os.W_OK)]
    others = [folder for folder in elsewhere if folder.stat().st_dev != Path(tempfile.gettempdir()).stat().st_dev]
    if not others:
        pytest.skip("one file system alone")
    with tempfile.TemporaryDirectory(dir=others[0]) as name:
        checkpoint.write(Path(name) / "step-1", STATE_OF_ANYTHING)
        assert same(checkpoint.read(Path(name) / "step-1"), STATE_OF_ANYTHING)


@pytest.mark.parametrize("place", PLACES)
def test_a_process_killed_while_it_writes_leaves_a_whole_one_or_none(place: str, tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "step-1", {"number": 1})
    script = (
        "from pathlib import Path; import sys, torch; from rct_lightning import checkpoint; "
        "checkpoint.write(Path(sys.argv[1]), {'number': 2, 'tensor': torch.ones(1000)})"
    )
    env = os.environ | {checkpoint.FAULT: f"kill:{place}"}
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "step-2")], env=env, capture_output=True)
    assert done.returncode == -9
    newest = checkpoint.committed(tmp_path)[0]
    assert newest.name == ("step-2" if place == "committed" else "step-1")
    assert checkpoint.read(newest)["number"] == int(newest.name[-1])
    checkpoint.write(tmp_path / "step-2", {"number": 2})  # leftovers of the dead process are not in the way
    assert checkpoint.read(checkpoint.committed(tmp_path)[0]) == {"number": 2}
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(PART)]


def test_the_newest_is_found_by_its_number(tmp_path: Path) -> None:
    for number in (90, 100, 9):
        checkpoint.write(tmp_path / f"step-{number}", {"number": number})
    (tmp_path / "step-1000").mkdir()  # not finished
    for name in ("step-old", "step-100 copy", "step--1"):  # copies made by a user
        (tmp_path / name).mkdir()
        (tmp_path / name / MARKER).touch()
    assert [path.name for path in checkpoint.committed(tmp_path)] == ["step-100", "step-90", "step-9"]
    checkpoint.remove(tmp_path / "step-100")
    assert [path.name for path in checkpoint.committed(tmp_path)] == ["step-90", "step-9"]
