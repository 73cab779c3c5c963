"""``rct corpus build``: the steps one after the other, and nothing else."""

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rct_lightning.cli import app
from rct_lightning.corpus.folder import CorpusDir
from rct_lightning.dialogue import read_jsonl

ROOT = Path(__file__).parents[1]


def test_one_command_makes_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    rows = (ROOT / "data" / "relational" / "train.jsonl").read_text(encoding="utf-8").splitlines()[:120]
    source, folder = tmp_path / "own.jsonl", CorpusDir(tmp_path / "corpus")
    source.write_text("\n".join(rows) + "\n", encoding="utf-8")
    arguments = ["corpus", "build", str(source), "--out", str(folder.root), "--eval-size", "30"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert [done.output.find(f"\n{step}\n") < done.output.find("\naudit\n") for step in ("clean", "split")] == [
        True,
        True,
    ]
    assert len(read_jsonl(folder.train)) == 90 and len(read_jsonl(folder.eval)) == 30 and folder.audit.exists()
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2 and "--force" in again.output
    assert CliRunner().invoke(app, [*arguments, "--force"]).exit_code == 0


def test_the_last_line_is_the_next_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    rows = (ROOT / "data" / "relational" / "train.jsonl").read_text(encoding="utf-8").splitlines()[:120]
    source, folder = tmp_path / "own.jsonl", tmp_path / "two words"
    source.write_text("\n".join(rows) + "\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["corpus", "build", str(source), "--out", str(folder), "--eval-size", "30"])
    assert done.exit_code == 0, done.output
    *_, last = done.output.strip().splitlines()
    typed = shlex.split(last.removeprefix("Next: "))
    assert typed[:3] == ["python", "train.py", "data=jsonl"]
    assert typed[3:] == [f"data.train_file={folder}/train.jsonl", f"data.eval_file={folder}/eval.jsonl"]
    assert f"rct corpus audit '{folder}'" in done.output


@pytest.mark.parametrize("option", ["--names", "--rules"])
def test_a_file_that_is_not_there_is_told_before_the_first_step(option: str, tmp_path: Path) -> None:
    source, folder = ROOT / "data" / "relational" / "eval.jsonl", tmp_path / "corpus"
    done = CliRunner().invoke(app, ["corpus", "build", str(source), "--out", str(folder), option, "nothere"])
    assert done.exit_code == 2 and "nothere" in done.output and not folder.exists()


def test_a_step_that_fails_ends_it(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["corpus", "build", str(tmp_path / "absent.json"), "--out", str(tmp_path / "corpus")]
    )
    assert done.exit_code == 2 and "\nsplit\n" not in done.output and not (tmp_path / "corpus").exists()
