"""A study's directory: which runs count, and what they share while they are evaluated."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bad_configs import make_run
from hydra import compose, initialize_config_dir
from short_runs import ROOT, Corpus, configured
from test_evaluation import PROBES, ROWS

from rct_lightning.backbone import AdapterCard, Backbone, exchange_adapters, files_of_base, load_backbone, save_adapter
from rct_lightning.config import save_run_config, validate_evaluation
from rct_lightning.errors import UserError
from rct_lightning.evaluation.evaluator import Evaluator
from rct_lightning.evaluation.kept import KeptBase, OneSide, hash_of_file
from rct_lightning.evaluation.study.folder import read_study
from rct_lightning.evaluation.subject import Subject
from rct_lightning.experiment.evaluating import evaluate_study
from rct_lightning.generation import Reply
from rct_lightning.markers import Lexicon
from rct_lightning.runs import RunDir
from rct_lightning.scoring import base_model
from rct_lightning.template import DialogueTemplate

# --- which runs count -----------------------------------------------------------------------------------------------


def of_arm(folder: Path, seed: int, lambda_: str = "0.3", state: str = "finished") -> Path:
    run = make_run(folder, state=state, checkpoints=False)
    text = (run / "config.yaml").read_text(encoding="utf-8")
    text = text.replace("  lambda: 0.3", f"  lambda: {lambda_}").replace("\nseed: 42\n", f"\nseed: {seed}\n")
    (run / "config.yaml").write_text(text, encoding="utf-8")
    return run


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two arms with two seeds each."""
    for lambda_ in ("0.0", "0.3"):
        for seed in (1, 2):
            of_arm(tmp_path / f"lambda-{lambda_}_seed-{seed}", seed, lambda_)
    return tmp_path


def test_finished_runs_are_found_with_their_arms(study: Path) -> None:
    found = read_study(str(study))
    assert [(each.arm.name, each.config.seed) for each in found.finished] == [
        ("lm_only", 1), ("lm_only", 2), ("loss.lambda=0.3", 1), ("loss.lambda=0.3", 2)
    ]  # fmt: skip
    assert found.absent == []


def change(run: Path, what: str) -> None:
    if what == "no adapter":
        shutil.rmtree(run / "adapter")
    elif what == "damaged adapter":
        (run / "adapter" / "adapter_model.safetensors").write_bytes(b"12345")
    elif what == "damaged configuration":
        (run / "config.yaml").write_text("model: [", encoding="utf-8")
    elif what == "no configuration":
        (run / "config.yaml").unlink()
    else:
        (run / "status.json").write_text(json.dumps({"state": what, "step": 7}), encoding="utf-8")


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("running", "loss.lambda=0.3, seed 2: it is not finished (running)"),
        ("failed", "loss.lambda=0.3, seed 2: it is not finished (failed)"),
        ("interrupted", "it is not finished (interrupted)"),
        ("stopped", "a health rule ended it at step 7, and arms are compared after equal training"),
        ("no adapter", "it is not finished (it has no adapter)"),
        ("damaged adapter", "adapter_model.safetensors is damaged"),
        ("damaged configuration", "not a readable configuration"),
        ("no configuration", "it ended before it wrote its configuration"),
    ],
)
def test_other_runs_are_left_out_with_the_reason(what: str, why: str, study: Path) -> None:
    change(study / "lambda-0.3_seed-2", what)
    found = read_study(str(study))
    (absent,) = found.absent
    assert absent.name == "lambda-0.3_seed-2" and why in absent.why and len(found.finished) == 3


def test_a_study_of_unfinished_runs_alone_is_refused_and_says_which(study: Path) -> None:
    for run in study.iterdir():
        change(run, "running")
    with pytest.raises(
        UserError, match=r"no finished run in this directory.*What is there: lambda-0\.0_seed-1 \(lm_only"
    ):
        read_study(str(study))
    with pytest.raises(UserError, match="no finished run"):
        read_study(str(study / "lambda-0.0_seed-1" / "adapter"))


def test_a_study_of_runs_that_cannot_be_read_is_refused_with_the_reasons(study: Path) -> None:
    for run in study.iterdir():
        change(run, "damaged configuration")
    with pytest.raises(UserError, match=r"no finished run.*lambda-0\.0_seed-1 \(.*not a readable configuration"):
        read_study(str(study))


def test_an_arm_that_never_finished_is_still_an_arm(study: Path) -> None:
    for seed in (1, 2):
        change(study / f"lambda-0.3_seed-{seed}", "failed")
    assert {each.arm.name for each in read_study(str(study)).finished} == {"lm_only"}


# --- one base in memory ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any, make_backbone: Callable[..., Backbone]) -> Path:
    """Two saved adapters, of different ranks."""
    from rct_lightning.backbone import Lora

    folder = tmp_path_factory.mktemp("adapters")
    for name, rank in (("a", 4), ("b", 2)):
        model = make_backbone(lora=Lora(rank, 8, 0.1)).model
        save_adapter(model, tokenizer, DialogueTemplate(), folder / name, AdapterCard(), "")
    return folder


@torch.no_grad()
def logits(backbone: Backbone, base: bool = False) -> torch.Tensor:
    ids = torch.arange(5, 45).view(2, 20)
    if base:
        with base_model(backbone.model):
            return backbone.model(input_ids=ids).logits
    return backbone.model.eval()(input_ids=ids).logits


@pytest.mark.parametrize("options", [{}, {"quantization": "nf4", "dequantize": "never"}], ids=["full", "nf4"])
def test_an_exchanged_adapter_is_the_adapter_as_loaded(
    options: dict[str, str], adapters: Path, tiny_base: Path, tokenizer: Any
) -> None:
    def load(name: str) -> Backbone:
        given: Any = {"quantization": "none"} | options
        return load_backbone(str(tiny_base), tokenizer, device="cpu", adapter=adapters / name, **given)

    exchanged = exchange_adapters(load("a"), adapters / "b")
    fresh, other = load("b"), load("a")
    assert torch.equal(logits(exchanged), logits(fresh)) and not torch.equal(logits(exchanged), logits(other))
    assert torch.equal(logits(exchanged, base=True), logits(other, base=True))
    names = [[name for name, p in each.model.named_parameters() if p.requires_grad] for each in (exchanged, fresh)]
    assert names[0] == names[1], "what is trainable is the new adapter alone"


# --- the base's measurements, cached --------------------------------------------------------------------------------


@pytest.fixture
def evaluator(make_backbone: Callable[..., Backbone], tokenizer: Any, tmp_path: Path) -> Evaluator:
    probes = tmp_path / "probes.jsonl"
    probes.write_text("".join(json.dumps(probe) + "\n" for probe in PROBES), encoding="utf-8")
    subject = Subject(make_backbone().model, tokenizer, DialogueTemplate(), "cpu", 256)
    return Evaluator(subject, ROWS, probes, Lexicon())


def test_the_base_is_measured_once_and_comes_out_the_same(
    evaluator: Evaluator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sides: list[str] = []
    was = Evaluator._measure
    monkeypatch.setattr(Evaluator, "_measure", lambda self, side: (sides.append(side), was(self, side)))
    place = KeptBase(tmp_path / "study" / "base.json")

    def compare(kept: KeptBase) -> tuple[list[tuple[str, list[float], list[float]]], Any, Any]:
        sides.clear()
        found = Evaluator(evaluator.subject, ROWS, tmp_path / "probes.jsonl", Lexicon()).compare(kept)
        figures = [(e.key, e.values["base"].tolist(), e.values["tuned"].tolist()) for e in found.endpoints]
        return figures, found.replies, found.spoken

    first = compare(place)
    assert sides == ["base", "tuned"]
    assert compare(place) == first and sides == ["tuned"] and not capsys.readouterr().err
    content = place.path.read_text(encoding="utf-8")
    place.path.write_text(content.replace("0.", "1.", 1), encoding="utf-8")
    assert compare(place) == first and sides == ["base", "tuned"]
    assert "base.json: damaged (its sum is another), so the base is measured anew" in capsys.readouterr().err
    assert place.path.read_text(encoding="utf-8") == content, "and kept again"


@pytest.mark.parametrize("content", ["", "{", "[]", "5", "{}", '{"sha256": 1, "base": 2}', "[" * 100_000, "\udcff"])
def test_whatever_else_stands_there_is_no_base(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "base.json").write_text(content, encoding="utf-8", errors="surrogateescape")
    assert KeptBase(tmp_path / "base.json").read() is None and "damaged" in capsys.readouterr().err
    assert KeptBase(tmp_path / "absent.json").read() is None and not capsys.readouterr().err


def test_figures_come_back_to_the_last_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=7) / 3
    side = OneSide({"k": values}, {"k": list("abcdefg")}, {"k": None}, [Reply("a\u2028b", 3, True)], [])
    place = KeptBase.of(tmp_path, "f" * 64)
    place.write(side)
    found = place.read()
    assert found is not None and found.values["k"].tobytes() == values.tobytes() and list(found.said) == list(side.said)


def test_a_files_hash_follows_its_content(tmp_path: Path, tiny_base: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    before = hash_of_file(path)
    path.write_bytes(b"three")
    assert hash_of_file(path) != before and len(before) == 64
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= {
        each.name for each in files_of_base(str(tiny_base))
    }
    assert files_of_base("nobody/has-such-a-model") == []


# --- a whole study --------------------------------------------------------------------------------------------------


def trained(folder: Path, corpus: Corpus, make: Callable[..., Backbone], tokenizer: Any, *overrides: str) -> RunDir:
    """Make a run as training leaves it, without training it."""
    run = RunDir(folder)
    folder.mkdir(parents=True)
    save_run_config(configured(corpus, folder, *overrides), run.config)
    run.write_json(run.status, {"state": "finished", "step": 20})
    save_adapter(make().model, tokenizer, DialogueTemplate(), run.adapter, AdapterCard(), "")
    return run


def test_a_study_is_evaluated_with_what_it_shares_and_says_what_is_missing(
    tmp_path: Path, corpus: Corpus, make_backbone: Callable[..., Backbone], tokenizer: Any,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    study, probes = tmp_path / "study", tmp_path / "probes.jsonl"
    probes.write_text("".join(json.dumps(probe) + "\n" for probe in PROBES), encoding="utf-8")
    for name, arm in {"lm": "arm=lm_only", "rct": "arm=rct"}.items():
        trained(study / name, corpus, make_backbone, tokenizer, "seed=1", arm)
    change(trained(study / "rct2", corpus, make_backbone, tokenizer, "seed=2", "arm=rct").root, "failed")
    loaded: list[Any] = []
    was = load_backbone
    monkeypatch.setattr("rct_lightning.backbone.load_backbone", lambda *a, **k: (loaded.append(a), was(*a, **k))[1])

    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        given = [f"study={study}", f"probes_file={probes}", "bootstrap_samples=100", "accelerator=cpu"]
        config = validate_evaluation(compose("evaluate", given))
    report = evaluate_study(config, str(study))

    assert len(loaded) == 1 and len(list((study / ".base").iterdir())) == 1
    said = capsys.readouterr().out
    assert "left out: rct2: rct, seed 2: it is not finished (failed)" in said and "This study does not settle" in said
    assert {claim.answer for claim in report.claims} == {"cannot be told"} and report.answer == "cannot be told"
    page = (study / "study.md").read_text(encoding="utf-8")
    assert "rct2 (rct, seed 2: it is not finished (failed))" in page and "one seed only" in page
    assert (study / "study.html").is_file() and json.loads((study / "study.json").read_text())["arms"] == {
        "lm_only": [1], "rct": [1]
    }  # fmt: skip
    assert sorted(path.name for path in study.iterdir() if path.is_dir()) == [".base", "figures", "lm", "rct", "rct2"]
    again = read_study(str(study))
    assert [absent.name for absent in again.absent] == ["rct2"], "what a study writes is no run"
    evaluate_study(config, str(study))
    assert capsys.readouterr().out.count("made of the same adapter, data, probes and code") == 2 and len(loaded) == 1
