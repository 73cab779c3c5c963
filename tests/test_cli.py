"""The ``rct`` command."""

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
import typer
from made_runs import alert, make_run, told
from typer.testing import CliRunner

from rct_lightning import __version__, doctor
from rct_lightning.cli import app
from rct_lightning.cli.refusing import refusing
from rct_lightning.config import run_command
from rct_lightning.console import tell
from rct_lightning.errors import UserError

ROOT = Path(__file__).parents[1]


def test_a_console_without_a_character_gets_its_number(tmp_path: Path) -> None:
    row = {"input": "\u0413\u0434\u0435 \u043b\u0430\u043c\u043f\u0430?", "output": "\u0422\u0443\u0442 \u2026"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "rct_lightning.cli", "corpus", "show", "1", str(tmp_path / "rows.jsonl")]
    environment = os.environ | {"PYTHONIOENCODING": "latin-1", "NO_COLOR": "1"}
    said = subprocess.run(command, capture_output=True, env=environment, cwd=ROOT, check=True).stdout.decode("latin-1")
    assert "\\u043b\\u0430\\u043c\\u043f\\u0430" in said and "\\u2026" in said


def test_train_py_escapes_what_the_console_cannot_write(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", written)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    run_command(lambda: print("0:02 \u2022 0:00"))
    written.flush()
    assert cast(io.BytesIO, written.buffer).getvalue() == b"0:02 \\u2022 0:00\n"


def test_the_doctor_finds_this_machine_well() -> None:
    said = CliRunner().invoke(app, ["doctor", "--model", str(ROOT / "data" / "nano")])
    assert said.exit_code == 0
    lines = {line.split()[1]: line for line in said.output.splitlines()}
    assert {"python", "torch", "lightning", "cpu", "nf4", "disk", "model"} <= set(lines)
    assert not any(line.startswith("fail") for line in lines.values())
    assert "is on this machine" in lines["model"] and "threads" in lines["cpu"]


def test_a_quick_look_imports_nothing_heavy() -> None:
    look = "from rct_lightning.cli import app; app(['doctor', '--quick'], standalone_mode=False)"
    loaded = "; import sys; assert not {'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", look + loaded], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ok    torch" in done.stdout and "ok    disk" in done.stdout and "nf4" not in done.stdout


def test_what_is_missing_fails_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "peft":
            raise doctor.PackageNotFoundError(name)
        return {"torch": "1.0.0"}.get(name, "99")

    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setattr(doctor, "PYTHONS", ((3, 99), (3, 99)))
    said = CliRunner().invoke(app, ["doctor"])
    lines = {line.split()[1]: line for line in said.output.splitlines()}
    assert said.exit_code == 1
    assert lines["peft"].startswith("fail") and "pip install" in lines["peft"]
    assert lines["torch"].startswith("warn") and "1.0.0" in lines["torch"]
    assert lines["python"].startswith("fail") and "3.99" in lines["python"]
    assert "cpu" not in lines, "what needs the missing package is not tried"


def test_a_file_is_no_model_of_the_hub(tmp_path: Path) -> None:
    (tmp_path / "README.md").touch()
    said = CliRunner().invoke(app, ["doctor", "--model", str(tmp_path / "README.md")])
    assert "README.md is a file" in " ".join(said.output.split()) and "downloaded" not in said.output


def test_little_space_and_an_absent_model_are_mentioned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "DISK_GIB", 1e9)
    lines = doctor.examine("nobody/nothing", tmp_path)
    assert {line.what: line.status for line in lines if line.what in ("disk", "model")} == {
        "disk": "warn",
        "model": "warn",
    }
    assert all(line.remedy for line in lines if line.status != "ok")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "run/adapter"),
         2, "Error: run/adapter: Permission denied. Look at its permissions."),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "No space left on device. Make room, or give another"),
        (UserError("There is nothing."), 2, "Error: There is nothing."),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x"), 2, "x: File name too long. Give a shorter one."),
        (OSError(errno.ELOOP, "Too many levels of symbolic links", "x"), 2, "Links lead in a circle there."),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "x"), 2, "A file stands where a folder is needed."),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "x"), 2, "A folder stands where a file is needed."),
        (FileNotFoundError(errno.ENOENT, "No such file", "own.py"), 1, ""),
    ],
)  # fmt: skip
def test_what_the_disk_refuses_is_told_and_faults_of_the_program_are_not_hidden(
    error: Exception, code: int, words: str
) -> None:
    own = typer.Typer()

    @own.command()
    @refusing
    def command() -> None:
        raise error

    done = CliRunner().invoke(own)
    assert done.exit_code == code and words in " ".join(done.output.split())
    assert code == 2 or done.exception is error


@pytest.mark.parametrize("asked", ["rct_lightning.cli", "train", "evaluate"])
def test_help_imports_nothing_heavy(asked: str) -> None:
    heavy = "{'torch', 'lightning', 'transformers', 'numpy'}"
    code = f"import sys; import {asked}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_version_is_told() -> None:
    line = [sys.executable, "-m", "rct_lightning.cli", "--version"]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout == f"rct_lightning {__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["corpus", "audit", "{file}"], "it is a file. Give the folder that"),
        (["corpus", "import", "{file}", "--out", "{file}"], "a file stands where a folder is needed"),
        (["board", "{file}"], "it is a file. Name the directory"),
    ],
)
def test_a_file_in_place_of_a_folder_is_told(words: list[str], said: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"input": "Where is the lamp?", "output": "On the shelf by the door."}\n', encoding="utf-8")
    done = CliRunner().invoke(app, [word.format(file=file) for word in words])
    assert done.exit_code == 2 and said in " ".join(done.output.split()), done.output


LONG = "x" * 300


@pytest.mark.parametrize(
    "words",
    [
        ["corpus", "import", LONG, "--out", "to"],
        ["corpus", "clean", LONG],
        ["corpus", "split", LONG],
        ["corpus", "audit", LONG],
        ["corpus", "show", "1", LONG],
        ["health", LONG],
        ["board", LONG],
        ["doctor", "--model", LONG],
    ],
    ids=lambda words: " ".join(words[:2]).removesuffix(LONG),
)
def test_a_path_that_no_disk_takes_is_told(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2 and "too long" in " ".join(done.output.split()), done.output
    assert not any(tmp_path.iterdir())


def test_a_message_breaks_at_blanks_alone_and_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = "a-path-of-many-parts/" * 6
    tell(UserError(f"{path}: there is no such folder. " + "Give another folder. " * 6))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"Error: {path}:"
    assert 80 < max(map(len, lines[1:])) <= 110
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((50, 24)))
    monkeypatch.setattr(sys.stderr, "fileno", lambda: 2, raising=False)
    tell(UserError("Give another folder. " * 9))
    assert 40 < max(map(len, capsys.readouterr().err.splitlines())) <= 50


def test_health_of_the_newest_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["health", "latest"]).exit_code == 2
    make_run(tmp_path / "logs" / "train" / "a" / "b", [*told(), alert(200)])
    said = CliRunner().invoke(app, ["health", "latest"])
    assert said.exit_code == 0 and "logs/train/a/b: 1 alert" in said.output


def test_health_of_no_run_is_a_mistake(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["health", str(tmp_path)])
    assert said.exit_code == 2 and "There is no run in" in said.output


@pytest.mark.parametrize("cached", [False, True])
def test_a_model_is_one_with_weights_and_tokenizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: bool
) -> None:
    if cached:
        monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(tmp_path / "config.json"))
    monkeypatch.setattr(doctor, "_devices", list)
    name = "some/model" if cached else str(tmp_path)
    wanted = ("config.json", "model.safetensors", "tokenizer.json")
    for at, file in enumerate(wanted):
        found = doctor.examine(name, tmp_path)[-1]
        assert found.status == "warn" and found.remedy and "lacks" in found.seen, at
        (tmp_path / file).write_bytes(b"")
    assert doctor.examine(name, tmp_path)[-1].status == "ok"


def test_a_folder_that_is_not_there_is_no_model_of_the_hub(tmp_path: Path) -> None:
    lines = {line.what: line for line in doctor.examine("./no/such/folder", tmp_path)}
    assert lines["model"].status == "warn" and "no folder" in str(lines["model"])
