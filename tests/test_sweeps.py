"""Searches and launchers: what they need, how they resume, and what they leave."""

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forked import Forker
from hydra import compose, initialize_config_dir
from short_runs import ACCUMULATION, ROOT, Corpus, arguments

from rct_lightning.config import validate
from rct_lightning.config.search import BROKEN
from rct_lightning.config.targets import PLUGINS
from rct_lightning.errors import UserError
from rct_lightning.evaluation.endpoints import Comparison, Endpoint
from rct_lightning.evaluation.objective import GUARDRAILS, objective_of
from rct_lightning.evaluation.study.claims import TERMS
from rct_lightning.runs import RunDir

CONF = ROOT / "conf"
QUICK = "trainer.max_epochs=1 trainer.limit_train_batches=2 callbacks.checkpointing.every_n_steps=1".split()
NOT_IN_A_SWEEP = ("seed=", "callbacks.baseline_comparison", "callbacks.eval_sanity", "callbacks.health")


def settings(corpus: Corpus) -> list[str]:
    own = [given for given in arguments(corpus, *ACCUMULATION[1]) if not given.startswith(NOT_IN_A_SWEEP)]
    return [*own, *QUICK]


# --- the objective --------------------------------------------------------------------------------------------------


def measured(**changes: float) -> Comparison:
    """Return endpoints whose tuned side is the base's plus a change (dots and slashes as in the keys), with spread."""
    spread = np.array([-0.1, 0.1, -0.1, 0.1])
    endpoints = []
    for key in [*TERMS.values(), *(guardrail.endpoint for guardrail in GUARDRAILS)]:
        base = np.full(4, 0.96 if key.endswith("eos_rate") else 0.0)
        change = changes.get(key.rpartition("/")[2], 0.0)
        tuned = base + change + (spread if key in TERMS.values() else 0.0)
        endpoints.append(Endpoint(key, list("abcd"), None, {"base": base, "tuned": tuned}))
    return Comparison(endpoints, [])


def test_the_objective_is_the_worst_endpoint() -> None:
    assert objective_of(measured(specificity=0.3, G_c=0.1, G_t=0.2)) == pytest.approx(-1.0)
    assert objective_of(measured(specificity=9.0, G_c=0.1, G_t=9.0)) == pytest.approx(-1.0), "none is bought"
    assert objective_of(measured(specificity=0.3, G_c=-0.2, G_t=0.2)) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("figure", "kept", "broken"),
    [
        ("eval_lm_loss", -0.1, 0.1),
        ("ordinary_lm_loss", -0.1, 0.1),
        ("bond_rate_unmarked", 0.019, 0.03),
        ("repetition", 0.009, 0.02),
        ("eos_rate", 0.0, -0.02),
    ],
)
def test_whoever_breaks_a_guardrail_is_behind_all_who_keep_them(figure: str, kept: float, broken: float) -> None:
    gains = {"specificity": 1.0, "G_c": 1.0, "G_t": 1.0}
    assert objective_of(measured(**gains, **{figure: kept})) < 0
    once, twice = (objective_of(measured(**gains, **{figure: factor * broken})) for factor in (1, 2))
    assert BROKEN < once < twice, "and the farther, the more is broken"


def test_without_a_figure_nothing_is_judged() -> None:
    whole = measured()
    assert objective_of(Comparison(whole.endpoints[1:], [])) == math.inf
    assert objective_of(measured(repetition=math.nan)) == math.inf


def composed(*overrides: str) -> Any:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return validate(compose("train", [*overrides, "run_dir=run"]))


def test_a_search_sees_neither_evaluation_rows_nor_held_out_probes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rct_lightning.preflight import before_training

    with pytest.raises(UserError, match="objective=endpoints chooses settings by what it measures"):
        composed("objective=endpoints")
    config = composed("hparams_search=optuna")
    assert config.data.eval_file is None and config.development_probes == "data/probes_dev.jsonl"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(ROOT / "data", target_is_directory=True)
    (tmp_path / "copy.jsonl").write_bytes((ROOT / "data" / "probes.jsonl").read_bytes())
    before_training(config)
    with pytest.raises(UserError, match="these are the held-out probes"):
        before_training(composed("hparams_search=optuna", "development_probes=copy.jsonl"))


# --- the search -----------------------------------------------------------------------------------------------------


def search_line(corpus: Corpus, folder: Path, probes: Path, *overrides: str) -> list[str]:
    """Return the command of a search of three trials."""
    own = [given for given in settings(corpus) if not given.startswith("data.eval_file")]
    placed = [f"hydra.sweep.dir={folder}", f"development_probes={probes}", "data.eval_size=6"]
    return ["train.py", "-m", "hparams_search=optuna", *own, *placed, "hydra.sweeper.n_trials=3", *overrides]


@pytest.fixture(scope="module")
def probes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One development probe, or one pair, of each kind."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "data" / "probes_dev.jsonl").read_text(encoding="utf-8").splitlines():
        found.setdefault(json.loads(line)["kind"], []).append(line)
    path = tmp_path_factory.mktemp("probes") / "dev.jsonl"
    path.write_text("\n".join(line for lines in found.values() for line in lines[:2]) + "\n", encoding="utf-8")
    return path


def result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "search.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def searched(corpus: Corpus, probes: Path, tmp_path_factory: pytest.TempPathFactory, forker: Forker) -> Path:
    """An uninterrupted search."""
    pytest.importorskip("optuna", reason="the extra sweep is not installed")
    folder = tmp_path_factory.mktemp("searched") / "search"
    code, out, err = forker.type_in(folder.parent, *search_line(corpus, folder, probes))
    assert code == 0, err
    assert "The best of 3 trials is" in out
    return folder


def test_a_search_tries_other_settings_in_each_trial_and_notes_what_came_out(searched: Path) -> None:
    found = result(searched)
    assert [each["trial"] for each in found["trials"]] == [0, 1, 2]
    assert len({each["settings"]["loss.lambda"] for each in found["trials"]}) == 3
    for each in found["trials"]:
        run = RunDir(searched / f"trial-{each['trial']}")
        assert f"lambda: {each['settings']['loss.lambda']}\n" in run.config.read_text()
        assert run.read_status()["objective"] == each["objective"] and math.isfinite(each["objective"])
    assert found["best"][0]["objective"] == min(each["objective"] for each in found["trials"])


BREAKING = """
import os
from rct_lightning.evaluation.evaluator import Evaluator

compare, done = Evaluator.compare, []

def killed(self, *given):
    done.append(1)
    return os.kill(os.getpid(), 9) if len(done) == 2 else compare(self, *given)

Evaluator.compare = killed
"""


@pytest.mark.long
def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(
    searched: Path, corpus: Corpus, probes: Path, tmp_path: Path, forker: Forker
) -> None:
    """In the middle of the second trial: it is resumed, and the third is drawn as it would have been."""
    folder = tmp_path / "search"
    line = search_line(corpus, folder, probes)
    assert forker.type_in(tmp_path, *line, before=BREAKING)[0] == -9
    code, _, err = forker.type_in(tmp_path, *line)
    assert code == 0, err
    assert result(folder) == result(searched)
    code, out, _ = forker.type_in(tmp_path, *line)
    assert code == 0 and "The best of 3 trials" in out and result(folder) == result(searched)


def test_another_search_in_the_same_folder_is_refused(
    searched: Path, corpus: Corpus, probes: Path, forker: Forker
) -> None:
    code, _, err = forker.type_in(searched.parent, *search_line(corpus, searched, probes, "loss.lambda=0.1,0.2"))
    assert code == 2 and "another search was begun here" in " ".join(err.split())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("loss.lambda=tag(log, interval(0, 1))", "loss.lambda=tag(log, interval(0, 1)): no value can be drawn"),
        ("loss.lambda=interval(2, 1)", "loss.lambda=interval(2, 1): no value can be drawn from this"),
        ("seed=range(1, 9, 0)", "seed=range(1, 9, 0): no value can be drawn from this"),
        ("hydra.sweeper.n_trials=abc", "hydra.sweeper.n_trials='abc': input should be a valid integer"),
        ("hydra.sweeper.n_jobs=0", "hydra.sweeper.n_jobs=0: input should be greater than or equal to 1"),
        ("hydra.sweeper.seed=-1", "hydra.sweeper.seed=-1: input should be greater than or equal to 0"),
        ("hydra.sweeper.params=3", "hydra.sweeper.params=3: this is a section"),
        ("+hydra.sweeper.trials=3", "hydra.sweeper.trials: there is no such key"),
    ],
)
def test_a_search_that_cannot_be_is_refused_before_its_folder_is_made(
    given: str, said: str, tmp_path: Path, forker: Forker
) -> None:
    pytest.importorskip("optuna", reason="the extra sweep is not installed")
    code, _, err = forker.type_in(tmp_path, "train.py", "-m", "hparams_search=optuna", given)
    assert code == 2 and f"Error: {said}" in " ".join(err.split()), err
    assert {path.suffix for path in tmp_path.iterdir()} == {".out", ".err"}, "what was printed, and nothing else"


@pytest.mark.parametrize("seed", [7, 12345, 2**32 - 1])
def test_every_seed_draws_and_small_ones_as_they_always_did(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    optuna = pytest.importorskip("optuna", reason="the extra sweep is not installed")
    from rct_lightning.config.search import OptunaSweeper, SearchConfig

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sweeper, space = OptunaSweeper(), {"x": optuna.distributions.FloatDistribution(0, 1)}
    sweeper.search = SearchConfig(n_trials=3, n_jobs=1, seed=seed, params={})
    (trial,) = sweeper._next(optuna.create_study(), space)
    expected = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed * 1_000_003 % 2**32))
    assert trial.params == expected.ask(space).params


def test_a_trial_that_cannot_be_is_the_end_of_a_search(
    corpus: Corpus, probes: Path, tmp_path: Path, forker: Forker
) -> None:
    pytest.importorskip("optuna", reason="the extra sweep is not installed")
    line = search_line(corpus, tmp_path / "search", probes, "loss.presence.margin=-1")
    code, _, err = forker.type_in(tmp_path, *line)
    assert code == 2 and err.count("Error: loss.presence.margin=-1") == 1


@pytest.mark.parametrize(
    ("sweep", "low", "high", "kind"),
    [
        ("interval(0.5, 2.0)", 0.5, 2.0, float),
        ("int(interval(1, 9))", 1, 9, int),
        ("range(2, 9, 3)", 2, 8, int),
        ("range(0.5, 2.0, 0.5)", None, None, str),
        ("1,2,4", None, None, str),
    ],
)
def test_hydras_notation_of_sweeps_is_understood(sweep: str, low: Any, high: Any, kind: type) -> None:
    optuna = pytest.importorskip("optuna", reason="the extra sweep is not installed")
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from rct_lightning.config.search import _distribution

    (override,) = OverridesParser.create().parse_overrides([f"x={sweep}"])
    found = _distribution(override)
    if kind is str:
        assert isinstance(found, optuna.distributions.CategoricalDistribution)
        assert found.choices == tuple(override.sweep_string_iterator())
    else:
        assert (found.low, found.high, type(found.low)) == (low, high, kind)


# --- folders --------------------------------------------------------------------------------------------------------

TOLD_NOT_TRAINED = """
from contextlib import contextmanager
from pathlib import Path
from rct_lightning import jobs

@contextmanager
def taken_up(config):
    print("folder:", Path(config.run_dir).name)
    yield jobs.Job(None)

jobs.taken_up = taken_up
"""


@pytest.mark.parametrize(
    ("command", "folders"),
    [
        ("experiment=study arm=rct,lm_only seed=1 data.batch_size=4", ["rct_seed-1", "lm_only_seed-1"]),
        (
            "experiment=lambda_sweep loss.lambda=0.3 seed=1,2 loss.phrases_per_step=2,3 hydra.sweeper.max_batch_size=1",
            [f"lambda-0.3_seed-{seed}_loss.phrases_per_step-{count}" for seed in (1, 2) for count in (2, 3)],
        ),
        ("loss.phrases_per_step=2,3 seed=1", [f"loss.phrases_per_step-{count}_seed-1" for count in (2, 3)]),
    ],
    ids=["a study", "a further key", "no study"],
)
def test_every_job_has_a_folder_of_its_own(command: str, folders: list[str], tmp_path: Path, forker: Forker) -> None:
    line = ["train.py", "-m", *command.split(), "hydra.sweep.dir=sweep"]
    code, out, err = forker.type_in(tmp_path, *line, before=TOLD_NOT_TRAINED)
    assert code == 0, err
    assert re.findall("^folder: (.*)$", out, re.MULTILINE) == folders


# --- launchers ------------------------------------------------------------------------------------------------------


def adapters(folder: Path) -> dict[str, str]:
    found = sorted(folder.glob("*/adapter/adapter_model.safetensors"))
    return {path.parts[-3]: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.mark.parametrize("file", sorted((CONF / "hydra").glob("[sl]*er/*.yaml")), ids=lambda path: path.stem)
def test_what_a_launcher_names_is_on_the_list(file: Path) -> None:
    (target,) = [line.split()[1] for line in file.read_text().splitlines() if line.startswith("_target_")]
    assert target in PLUGINS


@pytest.mark.long
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_launcher_makes_the_runs_that_one_process_makes(
    launcher: str, corpus: Corpus, tmp_path: Path, forker: Forker
) -> None:
    """Side by side in separate processes; a failure in one of them is reported at the end."""
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.split('_')[0]}_launcher", reason="the extra sweep is missing")
    line = ["train.py", "-m", "experiment=study", "arm=lm_only,rct", "seed=1", *settings(corpus)]
    assert forker.type_in(tmp_path, *line, f"hydra.sweep.dir={tmp_path / 'alone'}")[0] == 0
    beside = [*line, f"hydra.sweep.dir={tmp_path / 'beside'}", f"hydra/launcher={launcher}"]
    code, _, err = forker.type_in(tmp_path, *beside)
    assert code == 0, err
    assert adapters(tmp_path / "beside") == adapters(tmp_path / "alone") and len(adapters(tmp_path / "alone")) == 2
    code, out, _ = forker.type_in(tmp_path, *beside, "optimizer.lr=1e-3")
    assert code == 2
    code, out, _ = forker.type_in(tmp_path, *beside, "hydra.sweep.dir=other", "data.max_seq_length=16", "arm=rct")
    assert code == 2 and "rct_seed-1  refused: data.max_seq_length=16" in out


def test_a_launcher_that_is_not_installed_is_told(corpus: Corpus, tmp_path: Path, forker: Forker) -> None:
    hidden = "import sys; sys.modules['hydra_plugins.hydra_joblib_launcher'] = None"
    code, _, err = forker.type_in(tmp_path, "train.py", "-m", "seed=1,2", "hydra/launcher=joblib", before=hidden)
    assert code == 2 and 'pip install -e ".[sweep]"' in err and "Traceback" not in err


@pytest.mark.parametrize("strategy", ["fsdp", "fsdp_cpu_offload", "deepspeed_stage_3"])
def test_sharded_parameters_are_refused_with_the_reason(strategy: str) -> None:
    with pytest.raises(
        UserError, match=f"trainer.strategy={strategy}: parameters are not sharded .* NF4 .* trainer=ddp"
    ):
        composed("trainer=ddp", f"trainer.strategy={strategy}")
