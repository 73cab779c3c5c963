"""``python train.py`` from the command line to the files of a run, offline, and everything that it refuses."""

import hashlib
import json
import logging
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from forked import Forker
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton
from omegaconf import DictConfig
from pages import Reading
from safetensors import safe_open
from short_runs import Corpus, configured
from transformers import GPT2Config, GPT2LMHeadModel, MistralConfig, MistralForCausalLM
from typer.testing import CliRunner

from rct_lightning import experiment
from rct_lightning.backbone import available_accelerators, nf4_problem
from rct_lightning.cli import app
from rct_lightning.config import Config, as_override, load_run_config, validate
from rct_lightning.config.command import job_directory
from rct_lightning.config.schema import ORIGINAL_LOSSES
from rct_lightning.dialogue import content_hash
from rct_lightning.errors import UserError
from rct_lightning.generation import SAMPLE_PROMPTS
from rct_lightning.losses import TERMS
from rct_lightning.module import RelationalModule
from rct_lightning.preflight import before_training
from rct_lightning.runs import RunDir
from rct_lightning.template import DialogueTemplate
from rct_lightning.untrusted import load_template

ROOT = Path(__file__).parents[1]
HEADER = "step,lm_loss,presence_loss,coherence_loss,continuity_loss,total_loss,phase"
ADAPTER = "adapter_model.safetensors"
SHORT = (
    "debug=default trainer.accelerator=cpu trainer.max_epochs=1 trainer.limit_train_batches=2 seed=1 "
    "callbacks.generation_sampling.max_new_tokens=2 callbacks.baseline_comparison.max_new_tokens=2 "
    "loss.phrases_per_step=1 callbacks.eval_sanity.num_samples=1 callbacks.eval_sanity.max_new_tokens=2"
).split()
GUARD = '''
"""Lets no connection out of this machine; writes down who tried, and what was imported in the end."""
import atexit, os, socket, sys


def guard(owner, name):
    original = getattr(owner, name)

    def guarded(*arguments, **options):
        if isinstance(arguments[0], socket.socket) and arguments[0].family == socket.AF_UNIX:
            return original(*arguments, **options)
        with open(os.environ["GUARD_NETWORK"], "a") as file:
            file.write(f"{name} {arguments}\\n")
        raise OSError("the network is blocked")

    setattr(owner, name, guarded)


for name in ("connect", "connect_ex", "sendto"):
    guard(socket.socket, name)
guard(socket, "getaddrinfo")


@atexit.register
def remember():
    with open(os.environ["GUARD_MODULES"], "w") as file:
        file.write("\\n".join(sys.modules))
'''


# --- a checkout in miniature ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """The outcome of a command: its exit code and its output."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Place:
    """A folder with ``data/`` as in a checkout, but fewer rows and probes, and a guard against network access."""

    folder: Path
    guard: Path

    def command(self, *arguments: str, hash_seed: int = 0) -> Said:
        """Run a command in this folder, in a separate process without any network."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PL_", "HYDRA_"))}
        env |= {"PYTHONPATH": str(self.guard), "PYTHONHASHSEED": str(hash_seed), "OMP_NUM_THREADS": "1"}
        line = [sys.executable, *_script(arguments)]
        env |= self._noted
        done = subprocess.run(line, cwd=self.folder, env=env, capture_output=True, text=True, timeout=600)
        return Said(done.returncode, done.stdout, done.stderr)

    def forked(self, forker: Forker, *arguments: str) -> Said:
        """Run the same in a process forked from one with a hash seed of 0, which has imported everything."""
        before = f"import os\nos.environ |= {self._noted}\n{GUARD}"
        return Said(*forker.type_in(self.folder, *arguments, before=before))

    @property
    def _noted(self) -> dict[str, str]:
        """Where the guard records what it sees."""
        return {"GUARD_NETWORK": str(self.guard / "network"), "GUARD_MODULES": str(self.guard / "modules")}

    @property
    def network(self) -> str:
        """Every attempt to reach the network so far."""
        path = self.guard / "network"
        return path.read_text() if path.exists() else ""

    @property
    def modules(self) -> list[str]:
        """The modules that the last command had imported when it ended."""
        return (self.guard / "modules").read_text().splitlines()


def make_place(folder: Path, base: Path, rows: int, eval_rows: int) -> Place:
    (folder / "data" / "relational").mkdir(parents=True)
    (folder / "data" / "nano").symlink_to(base, target_is_directory=True)
    for name, count in (("train", rows), ("eval", eval_rows)):
        some = shortest(read(ROOT / "data" / "relational" / f"{name}.jsonl"), count)
        write(folder / "data" / "relational" / f"{name}.jsonl", some)
    kinds = {"twin": 4, "recall": 3, "impostor": 2, "harmful": 4, "ordinary": 2}
    probes = read(ROOT / "data" / "probes.jsonl")
    some = [probe for kind, count in kinds.items() for probe in [p for p in probes if p["kind"] == kind][:count]]
    write(folder / "data" / "probes.jsonl", some)
    (folder / "guard").mkdir()
    (folder / "guard" / "sitecustomize.py").write_text(GUARD, encoding="utf-8")
    return Place(folder, folder / "guard")


def shortest(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return the shortest rows, a quarter without history, the rest with replies that repeat a word of theirs."""
    rows = sorted(rows, key=lambda row: len(json.dumps(row)))
    takes_up = [row for row in rows if long_words(row["output"]) & long_words(*(t["content"] for t in row["context"]))]
    return takes_up[: count * 3 // 4] + [row for row in rows if not row["context"]][: count // 4]


def long_words(*texts: str) -> set[str]:
    return {word for text in texts for word in re.findall(r"\w{5,}", text.lower())}


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def curves(run: RunDir) -> list[dict[str, Any]]:
    """Return the rows of loss_components.csv; an empty field is left out."""
    return run.read_loss_components()


def sha256(run: RunDir) -> str:
    return hashlib.sha256((run.adapter / ADAPTER).read_bytes()).hexdigest()


def _script(arguments: tuple[str, ...]) -> list[str]:
    return [str(ROOT / arguments[0]), *arguments[1:]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A folder with the bundled base model."""
    place = make_place(tmp_path_factory.mktemp("place"), ROOT / "data" / "nano", rows=40, eval_rows=16)
    yield place
    assert place.network == "", "something reached for the network"


@pytest.fixture(scope="module")
def tiny_place(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Iterator[Place]:
    """A folder with a base of two random layers instead of the bundled one."""
    place = make_place(tmp_path_factory.mktemp("tiny_place"), tiny_base, rows=24, eval_rows=8)
    yield place
    assert place.network == "", "something reached for the network"


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Said]]:
    """Run a command in this very process, which has the libraries loaded; whatever it sets is restored."""
    root, hydra_state = logging.getLogger(), Singleton.get_state()
    handlers, level = list(root.handlers), root.level

    def command(where: Path, *arguments: str) -> Said:
        monkeypatch.chdir(where)
        monkeypatch.setattr(sys, "argv", _script(arguments))
        capfd.readouterr()
        code = 0
        try:
            runpy.run_path(str(ROOT / arguments[0]), run_name="__main__")
        except SystemExit as stopped:
            code = stopped.code  # type: ignore[assignment]
        finally:
            GlobalHydra.instance().clear()
        return Said(code, *capfd.readouterr())

    with mock.patch.dict(os.environ):
        yield command
    root.handlers[:], root.level = handlers, level
    Singleton.set_state(hydra_state)


@pytest.fixture
def main(tiny_place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[DictConfig], float]]:
    """Run what train.py runs, for a composed configuration."""
    monkeypatch.chdir(tiny_place.folder)
    with mock.patch.dict(os.environ):
        yield runpy.run_path(str(ROOT / "train.py"))["main"]


def composed(run: Path, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", [f"run_dir={run}", *SHORT, *overrides])


# --- one run --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(place: Place) -> tuple[Said, RunDir]:
    """Two epochs of five steps with every callback, as a user would start them."""
    run = RunDir(place.folder / "named" / "run")
    # rows as in the corpus: with so few, a step may hold none whose words can be exchanged
    settings = ("trainer.accelerator=cpu", "seed=1", "loss.counterfactual.rename_share=0")
    said = place.command("train.py", "debug=default", f"hydra.run.dir={run.root}", *settings)
    assert said.code == 0, said.err
    return said, run


@pytest.fixture(scope="module")
def run(trained: tuple[Said, RunDir]) -> RunDir:
    return trained[1]


def test_an_alert_can_end_the_run_and_nothing_is_lost(tiny_place: Place, tmp_path: Path, forker: Forker) -> None:
    run = RunDir(tmp_path / "run")
    line = [*SHORT, "trainer.max_epochs=9", "optimizer.lr=1e-30", f"hydra.run.dir={run.root}", "check=false"]
    said = tiny_place.forked(forker, "train.py", *line, "health.on_alert=stop")
    assert said.code == 2 and "Traceback" not in said.err
    assert "was ended at step" in said.err and "health.on_alert=warn" in said.err
    alerts = [event for event in run.read_events() if event["event"] == "alert"]
    assert [alert["rule"] for alert in alerts] == ["standstill"], "no adapter moves at such a rate"
    assert alerts[0]["seen"] and alerts[0]["means"] and alerts[0]["remedy"]
    status = run.read_status()
    assert status["state"] == "stopped" and status["step"] < 18
    assert (run.adapter / ADAPTER).is_file()


def test_an_alert_over_the_base_ends_the_run_before_training(
    place: Place, type_in: Callable[..., Said], tmp_path: Path
) -> None:
    run = RunDir(tmp_path / "run")
    line = [*SHORT, "loss=seed", f"hydra.run.dir={run.root}", "check=false", "health.on_alert=stop"]
    said = type_in(place.folder, "train.py", *line)
    assert said.code == 2 and "Nothing was trained" in said.err and "two losses, step 0" in said.err
    assert run.read_status() == {"state": "stopped", "step": 0} and not run.adapter.exists()


def test_an_alert_of_the_last_evaluation_does_not_claim_to_have_ended_the_run(
    tiny_place: Place, type_in: Callable[..., Said], tmp_path: Path
) -> None:
    run = RunDir(tmp_path / "run")
    line = [*SHORT, "optimizer.lr=1e-30", f"hydra.run.dir={run.root}", "check=false", "health.on_alert=stop"]
    said = type_in(tiny_place.folder, "train.py", *line)
    assert said.code == 2 and "Training had come to its end when a rule" in " ".join(said.err.split())
    assert (run.adapter / ADAPTER).is_file()


def test_other_loggers_of_lightning_are_served(tiny_place: Place, type_in: Callable[..., Said], tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    logger = "+logger.csv._target_=lightning.pytorch.loggers.CSVLogger"
    said = type_in(tiny_place.folder, "train.py", *SHORT, logger, f"hydra.run.dir={run.root}")
    assert said.code == 0, said.err
    assert any(run.root.rglob("metrics.csv")) and run.read_status()["state"] == "finished"


def test_an_alert_by_default_is_only_said(tiny_place: Place, tmp_path: Path, forker: Forker) -> None:
    run = RunDir(tmp_path / "run")
    line = [*SHORT, "trainer.max_epochs=3", "optimizer.lr=1e-30", f"hydra.run.dir={run.root}", "check=false"]
    said = tiny_place.forked(forker, "train.py", *line)
    assert said.code == 0 and "health: " in said.out
    status = run.read_status()
    assert (status["state"], status["step"]) == ("finished", 6)
    shown = CliRunner().invoke(app, ["health", str(run.root)])
    assert shown.exit_code == 0 and "alert" in shown.output and "| steps | lm |" in shown.output


def test_a_run_works_without_a_network(trained: tuple[Said, RunDir], place: Place) -> None:
    said, _ = trained
    assert place.network == "" and "torch" in place.modules
    assert "Traceback" not in said.err and "Warning" not in said.err


def test_the_guard_would_have_noticed(tmp_path: Path) -> None:
    guarded = make_place(tmp_path, ROOT / "data" / "nano", rows=4, eval_rows=4)
    script = tmp_path / "knock.py"
    script.write_text(
        "import socket\nfor knock in (lambda: socket.create_connection(('127.0.0.1', 9), 1), "
        "lambda: socket.socket().connect(('127.0.0.1', 9))):\n"
        "    try:\n        knock()\n    except OSError as error:\n        print(error)\n"
    )
    said = guarded.command(str(script))
    assert said.out == "the network is blocked\n" * 2 and said.code == 0
    assert "getaddrinfo" in guarded.network and "connect" in guarded.network


def test_it_leaves_every_file_of_the_design(run: RunDir) -> None:
    files = "config environment checks loss_components generation_samples baseline_generation eval_sanity events status"
    for name in files.split():
        assert getattr(run, name).stat().st_size > 0, name
    assert run.tensorboard.is_dir() and run.adapter.is_dir()
    assert not run.report.exists() and not [path for path in run.root.rglob("*") if path.name.endswith(".part")]


def test_nothing_is_written_outside_of_the_run_directory(run: RunDir, place: Place) -> None:
    assert {path.name for path in place.folder.iterdir()} == {"data", "guard", "named"}
    assert list((place.folder / "named").iterdir()) == [run.root]


def test_it_says_what_it_did(trained: tuple[Said, RunDir]) -> None:
    said, run = trained
    for line in ("train: 40 rows", "eval: 16 rows", "quantization: asked auto", "loss: relational, lambda 0.3"):
        assert line in said.out
    assert "| on the evaluation rows | base | tuned | change |" in said.out
    assert all(f"| {prompt} | " in said.out for prompt in SAMPLE_PROMPTS)
    assert f"Run directory: {run.root}\nNext: python evaluate.py run={run.root}" in said.out


def test_the_loss_components_are_one_table_of_two_phases(run: RunDir) -> None:
    header = run.loss_components.read_text(encoding="utf-8").splitlines()[0]
    assert header == f"{HEADER},next_token_loss"
    rows = curves(run)
    steps = {phase: [row["step"] for row in rows if row["phase"] == phase] for phase in ("train", "eval")}
    assert {row["phase"] for row in rows} == {"train", "eval"}
    assert steps == {"train": [2, 4, 6, 8, 10], "eval": [0, 5, 10]}, "each evaluation once, the base's first"


def test_every_row_adds_up(run: RunDir) -> None:
    loss = load_run_config(run.config).loss
    weights = loss.weights.model_dump()
    for row in curves(run):
        terms = sum(weight * row.get(f"{name}_loss", 0.0) for name, weight in weights.items())
        assert row["total_loss"] == pytest.approx(row["lm_loss"] + loss.lambda_ * terms, abs=1e-5)
        assert row["next_token_loss"] == pytest.approx(row["lm_loss"], abs=1e-4)


def test_the_loss_falls(run: RunDir) -> None:
    base, *_, tuned = [row["lm_loss"] for row in curves(run) if row["phase"] == "eval"]
    assert tuned < base


def test_samples_are_taken_before_during_and_after(run: RunDir) -> None:
    text = run.generation_samples.read_text(encoding="utf-8")
    parts = re.split(r"^=== step (\d+) ===$", text, flags=re.M)[1:]
    samples = dict(zip(map(int, parts[::2]), parts[1::2], strict=True))
    assert list(samples) == [0, 8, 10], "step 0, every 8 steps, and the last one"
    for sample in samples.values():
        assert re.findall(r"^Prompt: (.*)$", sample, re.M) == list(SAMPLE_PROMPTS)
        assert [len(re.findall(rf"^{kind}: ", sample, re.M)) for kind in ("Greedy", "Sampled")] == [5, 5]


def test_the_base_is_asked_before_it_is_changed(run: RunDir) -> None:
    baseline = run.baseline_generation.read_text(encoding="utf-8")
    step_0 = run.generation_samples.read_text(encoding="utf-8").split("=== step 8 ===")[0]
    assert re.findall(r"^Prompt: (.*)$", baseline, re.M) == list(SAMPLE_PROMPTS)
    assert re.findall(r"^Response: (.*)$", baseline, re.M) == re.findall(r"^Greedy: (.*)$", step_0, re.M)


def test_evaluation_is_what_the_model_itself_says(run: RunDir) -> None:
    records = read(run.eval_sanity)
    logged = {row["step"]: row["lm_loss"] for row in curves(run) if row["phase"] == "eval"}
    rows, means = [r for r in records if "row" in r], [r for r in records if "rows" in r]
    assert all(record["agrees"] is True for record in records)
    assert [mean["step"] for mean in means] == list(logged) and {mean["rows"] for mean in means} == {16}
    assert [mean["logged_loss"] for mean in means] == pytest.approx(list(logged.values()), abs=1e-6)
    texts = {r["id"]: r for r in read(run.root.parents[1] / "data" / "relational" / "eval.jsonl")}
    assert len(rows) == 9, "three rows an evaluation"
    for row in rows:
        assert row["loss"] == pytest.approx(row["logged_loss"], rel=1e-3)
        assert (row["input"], row["target"]) == (texts[row["row"]]["input"], texts[row["row"]]["output"])


def test_what_sixteen_bits_round_off_a_short_reply_is_no_disagreement(corpus: Corpus, tmp_path: Path) -> None:
    held = tmp_path / "held.jsonl"
    rows = [row | {"output": row["output"].split()[0]} for row in read(corpus.held)]
    held.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    settings = ("trainer.precision=bf16-mixed", "trainer.max_steps=1", "callbacks.eval_sanity.num_samples=6")
    run = RunDir(tmp_path / "run")
    experiment.train(configured(replace(corpus, held=held, base=ROOT / "data" / "nano"), run.root, *settings))
    records = [record for record in read(run.eval_sanity) if "row" in record]
    apart = [abs(record["loss"] - record["logged_loss"]) / record["loss"] for record in records]
    assert 1e-3 < max(apart) < 0.02, "more than in float32, and far less than any fault"
    assert all(record["agrees"] for record in records)


def test_events_tell_the_story(run: RunDir) -> None:
    events = read(run.events)
    kinds = [event["event"] for event in events]
    assert kinds[:4] == ["start", "eval", "replies", "fit"] and kinds[-1] == "trained"
    assert [event["step"] for event in events] == sorted(event["step"] for event in events)
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    assert next(event for event in events if event["event"] == "fit")["total_steps"] == 10
    steps = [event for event in events if event["event"] == "step"]
    assert [event["step"] for event in steps] == [2, 4, 6, 8, 10]
    assert all(event["perf/reply_tokens_per_s"] > 0 and event["perf/peak_memory_mib"] > 50 for event in steps)
    status = run.read_status()
    assert (status["state"], status["step"]) == ("finished", 10) and status["objective"] > 0


def test_tensorboard_holds_curves_gradients_samples_and_settings(run: RunDir) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    training = EventAccumulator(str(run.tensorboard)).Reload()
    evaluation = EventAccumulator(str(run.tensorboard / "eval")).Reload()
    found = training.Tags()
    names = ("lm", *TERMS, "total")
    for board, phase in ((training, "train"), (evaluation, "eval")):
        written = {row["step"]: row for row in curves(run) if row["phase"] == phase}
        assert {f"loss/{name}" for name in names} <= set(board.Tags()["scalars"])
        for name in names:
            for event in board.Scalars(f"loss/{name}"):
                assert event.value == pytest.approx(written[event.step][f"{name}_loss"], rel=1e-5, abs=1e-9)
    groups = {name.split("/")[0] for name in found["scalars"]}
    assert groups == {"loss", "presence", "coherence", "continuity", "grad", "perf", "end"}
    assert {"samples/text_summary", "base_and_tuned/replies/text_summary", "custom_scalars__config__"} <= set(
        found["tensors"]
    )
    assert found["images"] == ["figures/losses", "figures/terms"]
    assert "_hparams_/session_start_info" in training.PluginTagToContent("hparams")


@pytest.mark.parametrize("name", ["lm", *TERMS])
def test_every_active_term_has_a_gradient(run: RunDir, name: str) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(run.tensorboard)).Reload()
    value = {event.step: event.value for event in board.Scalars(f"loss/{name}")}
    norm = {event.step: event.value for event in board.Scalars(f"grad/{name}_norm")}
    active = [step for step in (4, 8) if value.get(step, 0) > 0]
    assert active and all(norm[step] > 0 for step in active)


def test_the_adapter_is_safe_to_share(run: RunDir) -> None:
    files = {path.name: path for path in run.adapter.iterdir()}
    assert {ADAPTER, "adapter_config.json", "tokenizer.json", "dialogue_template.json", "README.md"} <= set(files)
    assert {path.suffix for path in files.values()} <= {".safetensors", ".json", ".md", ".txt"}
    with safe_open(files[ADAPTER], "pt") as tensors:
        assert tensors.keys() and all("lora_" in name for name in tensors.keys())  # noqa: SIM118
    for path in files.values():
        if path.suffix != ".safetensors" and path.name != "tokenizer.json":
            assert not re.search(r"""(?<![\w/.])/[\w.-]+/""", path.read_text(encoding="utf-8")), path.name
    assert json.loads(files["adapter_config.json"].read_text(encoding="utf-8"))["base_model_name_or_path"] == "nano"
    assert load_template(run.adapter) == DialogueTemplate()


def test_the_configuration_reloads(run: RunDir, place: Place) -> None:
    config = load_run_config(run.config)
    assert (config.model.name, config.loss.name, config.loss.lambda_, config.seed) == ("nano", "relational", 0.3, 1)
    assert (config.trainer.accelerator, config.trainer.max_epochs, config.run_dir) == ("cpu", 2, str(run.root))
    assert "${" not in run.config.read_text(encoding="utf-8"), "everything is resolved"


def test_the_environment_is_recorded(run: RunDir, place: Place) -> None:
    found = json.loads(run.environment.read_text(encoding="utf-8"))
    folder = place.folder / "data" / "relational"
    data = {f"data.{side}_file": content_hash(folder / f"{side}.jsonl") for side in ("train", "eval")}
    assert (found["data"], found["seed"], found["device"]) == (data, 1, "cpu")
    assert all(found["packages"].values())


# --- evaluate.py on it ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evaluated(run: RunDir, place: Place) -> Said:
    before = sha256(run)
    said = place.command("evaluate.py", f"run={run.root}", "accelerator=cpu")
    assert said.code == 0, said.err
    assert sha256(run) == before and place.network == ""
    return said


def test_evaluate_shows_its_endpoints_in_tensorboard(evaluated: Said, run: RunDir) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    metrics = json.loads((run.report / "metrics.json").read_text(encoding="utf-8"))["endpoints"]
    board = EventAccumulator(str(run.tensorboard)).Reload()
    for key, endpoint in metrics.items():
        found = [(event.step, event.value) for event in board.Scalars(f"evaluation/{key}")]
        means = [pytest.approx(endpoint[side]["mean"], rel=1e-5, abs=1e-7) for side in ("base", "tuned")]
        assert found == list(zip((0, 10), means, strict=True)), key


def test_evaluate_writes_a_report_and_prints_its_table(evaluated: Said, run: RunDir) -> None:
    metrics = json.loads((run.report / "metrics.json").read_text(encoding="utf-8"))["endpoints"]
    report = (run.report / "report.md").read_text(encoding="utf-8")
    printed = {line.split()[0]: line.split()[1:3] for line in evaluated.out.splitlines() if "/" in line.split("  ")[0]}
    assert len(metrics) >= 20
    for key, endpoint in metrics.items():
        means = [f"{endpoint[side]['mean']:.3f}" for side in ("base", "tuned")]
        assert printed[key] == means and f"| **{key.partition('/')[2]}** " in report
    assert all(f"### {prompt}" in report for prompt in SAMPLE_PROMPTS)
    page = run.report / "report.html"
    assert f"Report: {page}" in evaluated.out and Reading(page.read_text(encoding="utf-8")).problems == []
    figures = sorted((run.report / "figures").iterdir())
    assert [path.name for path in figures] == ["endpoints.png", "loss_language.png", "loss_terms.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") and f"figures/{path.name}" in report for path in figures)


def test_evaluation_measures_what_training_logged(evaluated: Said, run: RunDir) -> None:
    """Another process, with the adapter from its file: the same figures on the same rows."""
    language = json.loads((run.report / "metrics.json").read_text())["endpoints"]["language/eval_lm_loss"]
    first, *_, last = [row["lm_loss"] for row in curves(run) if row["phase"] == "eval"]
    assert language["base"]["mean"] == pytest.approx(first, abs=1e-4)
    assert language["tuned"]["mean"] == pytest.approx(last, abs=1e-4)
    assert language["base"]["items"] == 16


# --- several runs ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def swept(tiny_place: Place, forker: Forker) -> dict[str, Said]:
    """Run two commands, in processes with different hash seeds, that make two short runs of one seed each."""
    line = ["train.py", "-m", *SHORT]
    return {
        "loss.lambda": tiny_place.forked(forker, *line, "loss.lambda=0,0.3", "hydra.sweep.dir=loss.lambda"),
        "loss": tiny_place.command(*line, "loss=lm,relational", "hydra.sweep.dir=loss", hash_seed=1),
    }


@pytest.fixture(scope="module")
def sweeps(swept: dict[str, Said], tiny_place: Place) -> dict[str, RunDir]:
    """Return the run directories, by the setting that distinguishes them."""
    assert [said.code for said in swept.values()] == [0, 0], [said.err for said in swept.values()]
    found = {}
    for key in swept:
        for path in (tiny_place.folder / key).glob("*/config.yaml"):
            loss = load_run_config(path).loss
            found[f"loss.lambda={loss.lambda_:g}" if key == "loss.lambda" else f"loss={loss.name}"] = RunDir(
                path.parent
            )
    return found


def test_a_multirun_makes_one_run_directory_a_job(sweeps: dict[str, RunDir]) -> None:
    assert sorted(sweeps) == ["loss.lambda=0", "loss.lambda=0.3", "loss=lm", "loss=relational"]
    for run in sweeps.values():
        assert run.read_status()["state"] == "finished"
        assert load_run_config(run.config).run_dir == str(run.root)
        assert [(row["step"], row["phase"]) for row in curves(run)] == [(0, "eval"), (2, "train"), (2, "eval")]


def test_the_directory_of_a_job_says_what_is_special_about_it() -> None:
    assert job_directory("loss.lambda=0.3,seed=1") == "loss.lambda-0.3_seed-1"
    names = [job_directory(f"data.train_file=/some/{'long/' * n}file of mine.jsonl,seed={n}") for n in range(60)]
    assert len(set(names)) == 60, "jobs stay apart where names had to be cut"
    assert all(re.fullmatch(r"[\w.+-]{1,120}", name, re.ASCII) for name in names)


def test_the_next_command_that_a_job_prints_can_be_typed(
    swept: dict[str, Said], sweeps: dict[str, RunDir], tiny_place: Place, type_in: Callable[..., Said]
) -> None:
    lines = re.findall(r"^Next: python (.*)$", swept["loss.lambda"].out, re.M)
    assert len(lines) == 2
    for line in lines:
        assert_refused(type_in(tiny_place.folder, *shlex.split(line), "probes_file=absent"), "probes_file=absent")


@pytest.mark.parametrize("name", ["plain", "with space", "a=1,b=[2]", "caf\u00e9", 'the "one"', "it's"])
def test_a_run_of_any_name_can_be_typed(tmp_path: Path, type_in: Callable[..., Said], name: str) -> None:
    line = shlex.split(f"evaluate.py {as_override('run', name)}")
    assert_refused(type_in(tmp_path, *line), f"Error: {name}: not a run directory")


def test_without_lambda_it_is_the_language_model_run_bit_for_bit(sweeps: dict[str, RunDir]) -> None:
    assert sha256(sweeps["loss.lambda=0"]) == sha256(sweeps["loss=lm"])


def test_with_lambda_it_is_another(sweeps: dict[str, RunDir]) -> None:
    assert sha256(sweeps["loss.lambda=0.3"]) != sha256(sweeps["loss.lambda=0"])


def test_the_same_seed_gives_the_same_adapter(sweeps: dict[str, RunDir]) -> None:
    assert sha256(sweeps["loss.lambda=0.3"]) == sha256(sweeps["loss=relational"])


def test_a_study_contrasts_the_arms(
    sweeps: dict[str, RunDir], tiny_place: Place, type_in: Callable[..., Said], tmp_path: Path
) -> None:
    folder = sweeps["loss.lambda=0"].root.parent
    settings = f"study={folder}", "bootstrap_samples=100", "accelerator=cpu", f"output={tmp_path / 'deep' / 'er'}"
    said = type_in(tiny_place.folder, "evaluate.py", *settings)
    assert said.code == 0, said.err
    page = (tmp_path / "deep" / "er" / "study.md").read_text(encoding="utf-8")
    assert page.startswith("# Study of 2 arms and 1 seed") and "presence/specificity" in page
    shown = said.out[said.out.index("Study of 2 arms and 1 seed") :]
    assert "loss.lambda=0.3" in page and f"Study: {tmp_path}" in shown
    reports = [sweeps[name].report / "metrics.json" for name in ("loss.lambda=0", "loss.lambda=0.3")]
    made = [path.read_bytes() for path in reports]

    same = "made of the same adapter, data, probes and code"
    again = type_in(tiny_place.folder, "evaluate.py", *settings)
    assert (said.out.count(same), again.out.count(same)) == (0, 2) and again.out.endswith(shown)
    assert [path.read_bytes() for path in reports] == made

    config = sweeps["loss.lambda=0.3"].config
    config.write_text(config.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert type_in(tiny_place.folder, "evaluate.py", *settings).out.count(same) == 1, "another configuration"


def test_a_study_without_a_reference_is_refused_before_it_is_evaluated(
    sweeps: dict[str, RunDir], tiny_place: Place, type_in: Callable[..., Said], tmp_path: Path
) -> None:
    alone = sweeps["loss=relational"]
    assert_refused(type_in(tiny_place.folder, "evaluate.py", f"study={alone.root}"), "this is one run")
    copied = RunDir(shutil.copytree(alone.root, tmp_path / "study" / "run"))
    said = type_in(tiny_place.folder, "evaluate.py", f"study={tmp_path / 'study'}")
    assert_refused(said, "loss.lambda=0", "python train.py -m loss.lambda=0,0.3")
    assert not alone.report.exists() and not copied.report.exists()


# --- in this process ------------------------------------------------------------------------------------------------


def test_what_a_sweeper_minimises_is_returned(main: Callable[[DictConfig], float], tmp_path: Path) -> None:
    value = main(composed(tmp_path / "run", "objective_metric=eval/presence_loss"))
    last = [row for row in curves(RunDir(tmp_path / "run")) if row["phase"] == "eval"][-1]
    assert isinstance(value, float) and value == pytest.approx(last["presence_loss"], abs=1e-6)


def test_a_run_that_breaks_says_so(
    main: Callable[[DictConfig], float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise FloatingPointError("not a number")

    monkeypatch.setattr(RelationalModule, "training_step", broken)
    with pytest.raises(FloatingPointError):
        main(composed(tmp_path / "run"))
    run = RunDir(tmp_path / "run")
    assert run.read_status()["state"] == "failed"
    assert read(run.events)[-1]["event"] == "failed" and "not a number" in read(run.events)[-1]["error"]
    assert not run.adapter.exists()


def test_what_rct_corpus_split_leaves_can_be_learnt(main: Callable[[DictConfig], float], tmp_path: Path) -> None:
    rows = shortest(read(ROOT / "data" / "relational" / "train.jsonl"), 48)
    bare = [{name: row[name] for name in ("id", "conversation", "input", "output", "context")} for row in rows]
    source = write(tmp_path / "clean.jsonl", bare)
    split = CliRunner().invoke(app, ["corpus", "split", str(tmp_path), "--eval-size", "8"])
    assert split.exit_code == 0 and "exactly 8 rows" in split.output and len(read(source)) == 48
    files = [f"data.{side}_file={tmp_path / side}.jsonl" for side in ("train", "eval")]
    main(composed(tmp_path / "run", "data=jsonl", *files))
    run = RunDir(tmp_path / "run")
    checks = json.loads(run.checks.read_text(encoding="utf-8"))
    assert {found["status"] for found in checks} == {"ok"} and run.read_status()["state"] == "finished"
    assert (run.adapter / ADAPTER).exists() and curves(run)[-1]["phase"] == "eval"


# --- guards ---------------------------------------------------------------------------------------------------------


def test_guards_never_change_the_result(main: Callable[[DictConfig], float], tmp_path: Path) -> None:
    runs = {check: RunDir(tmp_path / check) for check in ("true", "false")}
    for check, run in runs.items():
        main(composed(run.root, f"check={check}"))
    assert sha256(runs["true"]) == sha256(runs["false"])
    findings = {check: json.loads(run.checks.read_text(encoding="utf-8")) for check, run in runs.items()}
    assert len(findings["true"]) > 10 and {found["status"] for found in findings["true"]} == {"ok"}
    assert findings["false"] == []


def test_check_only_asks_and_trains_nothing(tiny_place: Place, type_in: Callable[..., Said]) -> None:
    before = files_in_logs(tiny_place.folder)
    said = type_in(tiny_place.folder, "train.py", "check=only", "trainer.accelerator=cpu")
    assert said.code == 0, said.err
    assert "checks before step 0:" in said.out and "gradients" in said.out and "Nothing was trained" in said.out
    assert files_in_logs(tiny_place.folder) == before


@pytest.mark.skipif(nf4_problem("cpu") is not None, reason=f"NF4: {nf4_problem('cpu')}")
def test_weights_in_four_bits_are_counted_as_what_they_stand_for(
    corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment.check(configured(corpus, tmp_path / "run", "model.quantization=nf4", "model.dequantize=never"))
    ((trainable, everything),) = re.findall(r"adapters: ([\d,]+) trainable of ([\d,]+)", capsys.readouterr().out)
    with safe_open(corpus.base / "model.safetensors", "pt") as weights:
        base = sum(weights.get_tensor(name).numel() for name in weights.keys())
    assert int(everything.replace(",", "")) == base + int(trainable.replace(",", ""))


def test_the_originals_formulas_are_named_and_run_all_the_same(
    main: Callable[[DictConfig], float], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(composed(tmp_path / "run", "loss=seed"))
    found = json.loads(RunDir(tmp_path / "run").checks.read_text(encoding="utf-8"))
    assert {"next token", "text", "gradients"} <= {one["guard"] for one in found if one["status"] == "stop"}
    assert "loss=seed goes on" in capsys.readouterr().out


def test_no_original_is_refused_for_what_a_relational_run_is(tmp_path: Path) -> None:
    def own_config(run: Path, *overrides: str) -> Config:
        return validate(composed(run, *overrides))

    file = write(tmp_path / "own.jsonl", [{"input": f"Is it warm, {i}?", "output": f"Yes, {i}."} for i in range(20)])
    own = ["data=jsonl", f"data.train_file={file}", "data.eval_size=4"]
    with pytest.raises(UserError, match="0% of the rows address"):
        before_training(own_config(tmp_path / "relational", *own))
    for loss in ORIGINAL_LOSSES:
        before_training(own_config(tmp_path / loss, *own, f"loss={loss}"))


@pytest.mark.parametrize("check", ["true", "only"])
def test_a_run_that_would_fool_its_owner_does_not_start(
    tiny_place: Place, type_in: Callable[..., Said], tmp_path: Path, check: str
) -> None:
    (tmp_path / "data").symlink_to(tiny_place.folder / "data", target_is_directory=True)
    rows = read(tiny_place.folder / "data" / "relational" / "train.jsonl")
    alone = [{key: row[key] for key in ("id", "input", "output")} for row in rows[:4]]  # a pair would be seen sooner
    near = [row | {"conversation": f"other-{i}", "output": f"{row['output']} Yes."} for i, row in enumerate(alone)]
    leaked = write(tmp_path / "leaked.jsonl", near)
    said = type_in(tmp_path, "train.py", "data=jsonl", f"check={check}", f"data.eval_file={leaked}",
                   "data.train_file=data/relational/train.jsonl", "trainer.accelerator=cpu")  # fmt: skip
    assert said.code == 2
    assert "stop" in said.out and "leakage" in said.out
    paragraph = " ".join(said.err.split())
    assert "have nearly the output of a training row" in paragraph and "check=false" in paragraph
    assert files_in_logs(tmp_path) == []


# --- refusals -------------------------------------------------------------------------------------------------------


def assert_refused(said: Said, *words: str) -> None:
    """Check for exit code 2 and one paragraph that names place and remedy, nothing else."""
    assert said.code == 2, said.err
    assert said.err.startswith("Error: ") and "Traceback" not in said.err and "\n\n" not in said.err
    assert said.out == ""
    paragraph = " ".join(said.err.split())
    for word in words:
        assert word in paragraph


BY_CONFIGURATION = {
    "unknown key": ("train.py", ["loss.lamda=1"], ["loss.lamda", "Did you mean loss.lambda?"]),
    "unreadable": ("evaluate.py", ["run=a=b"], ["run=a=b", "quotes"]),
    "wrong type": ("train.py", ["loss.lambda=abc"], ["loss.lambda='abc'", "valid number"]),
    "out of range": ("train.py", ["loss.lambda=-1"], ["loss.lambda=-1", "greater than or equal to 0"]),
    "unknown group": ("train.py", ["model=pithia"], ["model/pithia", "Available: local, nano, pythia"]),
    "value left open": ("train.py", ["model=local"], ["model.name_or_path", "add model.name_or_path="]),
    "foreign target": ("train.py", ["callbacks.events._target_=os.system"], ["os.system", "not on the list"]),
    "no evaluation rows": (
        "train.py",
        ["trainer.limit_val_batches=0"],
        ["trainer.limit_val_batches=0", "a share above 0"],
    ),
    "nothing to evaluate": ("evaluate.py", [], ["run=DIR", "study=DIR"]),
}


@pytest.mark.parametrize("case", BY_CONFIGURATION)
def test_a_wrong_configuration_is_refused_at_once(tiny_place: Place, case: str) -> None:
    script, arguments, words = BY_CONFIGURATION[case]
    assert_refused(tiny_place.command(script, *arguments), *words)
    assert "torch" not in tiny_place.modules and "hydra" in tiny_place.modules
    assert files_in_logs(tiny_place.folder) == []


def test_a_named_run_directory_is_not_made_for_a_refusal(tiny_place: Place) -> None:
    assert_refused(tiny_place.command("train.py", "loss.lambda=-1", "hydra.run.dir=refused/run"))
    assert not (tiny_place.folder / "refused" / "run").exists()


def test_a_wrong_value_of_any_job_is_refused_before_the_first(tiny_place: Place) -> None:
    said = tiny_place.command("train.py", "-m", *SHORT, "loss.lambda=0,-1", "seed=1,x", "hydra.sweep.dir=half")
    assert_refused(said, "loss.lambda=-1", "seed='x'", "No job was begun")
    assert said.err.count("loss.lambda=-1") == 1, "four jobs, two mistakes"
    assert files_in_logs(tiny_place.folder) == [] and not (tiny_place.folder / "half").exists()


def test_a_refused_job_does_not_keep_the_others_from_training(tiny_place: Place, forker: Forker) -> None:
    """A problem that only the corpus reveals is reported when the job's turn comes."""
    line = ["train.py", "-m", "data.max_seq_length=16,256", "loss=lm", "hydra.sweep.dir=half", *SHORT]
    said = tiny_place.forked(forker, *line)
    assert_refused(replace(said, out=""), "data.max_seq_length=16")  # Hydra itself lists the jobs it launches
    (path,) = (tiny_place.folder / "half").glob("*/config.yaml")
    assert load_run_config(path).data.max_seq_length == 256
    assert RunDir(path.parent).read_status()["state"] == "finished"


def test_a_folder_that_holds_a_run_is_left_alone(sweeps: dict[str, RunDir], tiny_place: Place, type_in: Any) -> None:
    run = sweeps["loss=lm"]
    before = {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()}
    said = type_in(tiny_place.folder, "train.py", f"hydra.run.dir={run.root}", *SHORT)
    assert_refused(said, "holds a run already", "hydra.run.dir")
    assert {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()} == before


def broken_files(folder: Path) -> None:
    """Write files with one mistake each."""
    rows = [{"input": f"Question {i}?", "output": f"Answer {i}."} for i in range(20)]
    write(folder / "no_output.jsonl", [*rows[:4], {"input": "Are you there?"}, *rows[4:]])
    lines = [json.dumps(row) for row in rows]
    (folder / "broken.jsonl").write_text("\n".join([*lines[:16], lines[16][:-3], *lines[17:]]), encoding="utf-8")
    (folder / "empty.jsonl").write_text("\n", encoding="utf-8")
    write(folder / "probes.jsonl", [{"id": "a", "kind": "twin", "pair": "p", "marked": True}])


own = partial("data.train_file={}".format)
ON_THE_WAY = {
    "missing file": (["train.py", "data=jsonl", own("absent.jsonl")], ["absent.jsonl", "does not exist", "Give a"]),
    "broken line": (["train.py", "data=jsonl", own("broken.jsonl")], ["broken.jsonl, line 17", "complete JSON object"]),
    "no output": (["train.py", "data=jsonl", own("no_output.jsonl")], ["no_output.jsonl, line 5", "needs 'input'"]),
    "empty file": (["train.py", "data=jsonl", own("empty.jsonl")], ["empty.jsonl", "holds no rows", "It needs"]),
    "short rows": (["train.py", "data.max_seq_length=16"], ["data.max_seq_length=16", "shorter than", "Use at least"]),
    "absent model": (["train.py", "model=local", "model.name_or_path=no/model"], ["no/model", "model=nano"]),
    "callback": (["train.py", "callbacks.events.every_n_steps=0"], ["callbacks.events.every_n_steps=0", "equal to 1"]),
    "lightning": (["train.py", "trainer.limit_test_batches=-1"], ["-1 for limit_test_batches", "conf/trainer"]),
    "no batches": (["train.py", "+trainer.limit_train_batches=0.001"], ["limit_train_batches=0.001", "Use at least"]),
    "rare looks": (["train.py", "+trainer.val_check_interval=9999"], ["val_check_interval=9999", "an epoch has"]),
    "absent run": (["evaluate.py", "run=nowhere"], ["nowhere", "not a run directory", "or latest"]),
    "no runs yet": (["evaluate.py", "run=latest"], ["no run under logs", "python train.py"]),
    "absent study": (["evaluate.py", "study=nowhere"], ["study=nowhere", "Give the directory of a multirun"]),
}


@pytest.mark.parametrize("case", ON_THE_WAY)
def test_a_mistake_is_found_before_anything_is_written(
    tiny_place: Place, type_in: Callable[..., Said], tmp_path: Path, case: str
) -> None:
    arguments, words = ON_THE_WAY[case]
    (tmp_path / "data").symlink_to(tiny_place.folder / "data", target_is_directory=True)
    broken_files(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert_refused(type_in(tmp_path, *arguments), *words)
    assert files_in_logs(tmp_path) == []
    if arguments[0] == "train.py":
        assert_refused(type_in(tmp_path, *arguments, f"hydra.run.dir={tmp_path / 'named'}"), *words)
    assert sorted(path for path in tmp_path.iterdir() if path.name != "logs") == before


def test_rows_that_a_model_has_no_positions_for_are_refused(corpus: Corpus, tokenizer: Any, tmp_path: Path) -> None:
    """A table of learnt positions ends where a phrase would be scored; rotary ones continue."""
    size = {"n_positions": 64, "n_embd": 32, "n_layer": 1, "n_head": 2, "vocab_size": len(tokenizer)}
    GPT2LMHeadModel(GPT2Config(**size)).save_pretrained(tmp_path / "gpt2")
    tokenizer.save_pretrained(tmp_path / "gpt2")

    def prepared(*overrides: str) -> object:
        return experiment.prepare(configured(corpus, tmp_path / "run", *overrides))

    other = f"model.name_or_path={tmp_path / 'gpt2'}"
    with pytest.raises(
        UserError, match=r"max_seq_length=64: .*gpt2 reads 64 tokens, and phrases of up to (\d+)"
    ) as told:
        prepared(other, "data.max_seq_length=64")
    fits = int(str(told.value).rstrip(".").split()[-1])
    assert prepared(other, f"data.max_seq_length={fits}")
    assert prepared("data.max_seq_length=512")
    with pytest.raises(UserError, match=r"reads 512 tokens\. Give at most 512"):
        prepared("data.max_seq_length=513")


def test_rows_beyond_the_window_of_a_model_are_refused(corpus: Corpus, tokenizer: Any, tmp_path: Path) -> None:
    """Sliding attention forgets the beginning of a longer row, and rows side by side would not."""
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 1}
    size = {"hidden_size": 32, "intermediate_size": 32, "vocab_size": len(tokenizer), "sliding_window": 64}
    MistralForCausalLM(MistralConfig(**heads, **size)).save_pretrained(tmp_path / "mistral")
    tokenizer.save_pretrained(tmp_path / "mistral")

    def prepared(length: int) -> object:
        settings = f"model.name_or_path={tmp_path / 'mistral'}", f"data.max_seq_length={length}"
        return experiment.prepare(configured(corpus, tmp_path / "run", *settings))

    with pytest.raises(UserError, match=r"max_seq_length=64: .*mistral looks back 64 tokens only") as told:
        prepared(64)
    assert prepared(int(str(told.value).rstrip(".").split()[-1]))


@pytest.mark.parametrize("name", ["mps", "gpu"])
def test_an_accelerator_that_is_not_there_is_refused(
    tiny_place: Place, type_in: Callable[..., Said], name: str
) -> None:
    if name in available_accelerators():
        pytest.skip(f"this machine has {name}")
    said = type_in(tiny_place.folder, "train.py", f"trainer.accelerator={name}")
    assert_refused(said, f"trainer.accelerator={name}", "It has: ", "trainer.accelerator=auto")
    assert files_in_logs(tiny_place.folder) == []


def test_a_wrong_probe_file_is_refused(
    sweeps: dict[str, RunDir], tiny_place: Place, type_in: Callable[..., Said], tmp_path: Path
) -> None:
    broken_files(tmp_path)
    run = sweeps["loss=lm"]
    said = type_in(tiny_place.folder, "evaluate.py", f"run={run.root}", f"probes_file={tmp_path / 'probes.jsonl'}")
    assert_refused(said, "probes.jsonl, line 1", "needs input", "data/README.md")
    assert not run.report.exists()


def test_a_refusal_leaves_the_folder_where_it_was_typed(type_in: Callable[..., Said], tmp_path: Path) -> None:
    here = tmp_path / "empty"
    here.mkdir()
    assert_refused(type_in(here, "evaluate.py", "run=nowhere"))
    assert here.is_dir()


def files_in_logs(folder: Path) -> list[Path]:
    return [path for path in (folder / "logs").rglob("*")]
