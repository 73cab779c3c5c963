"""A reader finds the old file or folder or the new one, never a part."""

import os
from pathlib import Path

import pytest

from rct_lightning.replacing import part_of, replacing


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "notes.txt"
    for text in ("first", "second"):
        with replacing(path) as part:
            before = path.read_text() if path.exists() else None
            part.write_text(text)
            assert (path.read_text() if path.exists() else None) == before
        assert path.read_text() == text and names(path.parent) == ["notes.txt"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    for name in ("first", "second"):
        with replacing(folder) as part:
            part.mkdir()
            (part / name).touch()
        assert names(folder) == [name] and names(tmp_path) == ["adapter"]


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt()], ids=["a full disk", "a signal"])
@pytest.mark.parametrize("is_folder", [False, True])
def test_what_fails_leaves_what_was_there(tmp_path: Path, error: BaseException, is_folder: bool) -> None:
    path = tmp_path / "state"
    if is_folder:
        path.mkdir()
    else:
        path.write_text("old")
    with pytest.raises(type(error)), replacing(path) as part:
        if is_folder:
            part.mkdir()
            (part / "half").touch()
        else:
            part.write_text("half")
        raise error
    assert names(tmp_path) == ["state"]
    assert names(path) == [] if is_folder else path.read_text() == "old"


def test_leftovers_of_a_killed_process_are_removed_first(tmp_path: Path) -> None:
    path = tmp_path / "state"
    part_of(path).mkdir()
    (part_of(path) / "tensors").touch()
    with replacing(path) as part:
        part.write_text("whole")
    assert names(tmp_path) == ["state"] and path.read_text() == "whole"


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_a_link_under_the_hidden_name_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    part_of(tmp_path / "status.json").symlink_to(elsewhere)
    with replacing(tmp_path / "status.json") as part:
        part.write_text("{}")
    assert elsewhere.read_text() == "mine" and not (tmp_path / "status.json").is_symlink()
