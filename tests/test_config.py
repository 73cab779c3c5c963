import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from rct_lightning.config import (
    Config,
    load_run_config,
    run_command,
    save_run_config,
    validate,
    validate_evaluation,
)
from rct_lightning.config.explaining import GROUPS, check_arguments, explain_composition_error
from rct_lightning.config.schema import CALLBACK_ARGUMENTS, LOGGER_ARGUMENTS, known_keys
from rct_lightning.config.targets import ALLOWED_CALLBACKS, ALLOWED_LOGGERS
from rct_lightning.config.trainer import RESERVED_TRAINER_ARGUMENTS, TRAINER_ARGUMENTS
from rct_lightning.errors import UserError

CONF = Path(__file__).parents[1] / "conf"
GROUP_FILES = sorted(path.relative_to(CONF) for path in CONF.glob("**/*.yaml") if path.parent != CONF)
NEEDED = {  # values that a file leaves to the user
    "model/local": ["model.name_or_path=some/folder"],
    "data/jsonl": ["data.train_file=own.jsonl"],
    "model/base": ["+model.name=own", "+model.name_or_path=some/folder"],
    "data/base": ["+data.name=own", "+data.train_file=own.jsonl", "+data.eval_file=null"],
}


def composed(*overrides: str, name: str = "train") -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(name, [*(["run_dir=some/run"] if name == "train" else []), *overrides])


def checked(*overrides: str) -> Config:
    return validate(composed(*overrides))


def refusal(*overrides: str) -> str:
    """Return the message that a user gets for these overrides."""
    try:
        checked(*overrides)
    except UserError as error:
        said = str(error)
    except HydraException as error:
        said = str(explain_composition_error(error))
    else:
        pytest.fail(f"{overrides} was accepted")
    assert "\n" not in said
    return said


@pytest.fixture(scope="module")
def default() -> DictConfig:
    return composed()


def changed(cfg: DictConfig, **values: Any) -> DictConfig:
    """Return a copy with other values under dotted keys (dots written as two underscores)."""
    copy = OmegaConf.create(OmegaConf.to_container(cfg, resolve=True))
    for key, value in values.items():
        OmegaConf.update(copy, key.replace("__", "."), value, force_add=True)
    return copy


# --- every shipped file ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", [f for f in GROUP_FILES if f.parts[0] != "hydra"], ids=str)
def test_every_shipped_file_of_a_group_composes_and_validates(file: Path) -> None:
    choice = file.with_suffix("").as_posix()
    config = checked(f"{file.parent.as_posix()}={file.stem}", *NEEDED.get(choice, []))
    if file.parts[0] in ("experiment", "debug"):
        for name, value in _leaves(OmegaConf.to_container(OmegaConf.load(CONF / file))):
            if name.startswith("hydra.") or "${" in str(value):
                continue
            assert _at(config.plain(), name) == value, f"{name} of {file} has no effect"


@pytest.mark.parametrize(
    "file",
    [f for f in GROUP_FILES if f.parts[0] in ("experiment", "hparams_search") and f.stem != "base"],
    ids=str,
)
def test_an_experiment_says_its_command_how_long_it_takes_and_what_to_expect(file: Path) -> None:
    head = "".join(line for line in (CONF / file).read_text(encoding="utf-8").splitlines() if line.startswith("#"))
    assert re.search(rf"python train\.py (-m )?{file.parent.name}={re.escape(file.stem)}", head)
    assert "How long: " in head and "Expect" in head


def test_every_file_of_every_group_is_looked_at() -> None:
    assert {file.parts[0] for file in GROUP_FILES} == {path.name for path in CONF.iterdir() if path.is_dir()}
    assert len(GROUP_FILES) >= 18


@pytest.mark.parametrize(("entry", "choice"), [("train", "default"), ("evaluate", "evaluate")])
def test_hydra_settings_belong_to_an_entry_point(entry: str, choice: str) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(entry, ["run=x"] if entry == "evaluate" else ["run_dir=x"], return_hydra_config=True)
    assert cfg.hydra.runtime.choices.hydra == choice
    assert cfg.hydra.output_subdir is None, "config.yaml is the run's own"
    assert {file.stem for file in GROUP_FILES if file.parent == Path("hydra")} == {"default", "evaluate"}


def test_presence_needs_pairs_where_it_trains() -> None:
    said = refusal("loss.counterfactual.readdress_share=0")
    assert "loss.counterfactual.readdress_share=0 leaves presence nothing" in said and "loss.weights.presence=0" in said
    for without in ("loss.weights.presence=0", "loss.lambda=0", "loss=lm", "loss=seed"):
        assert checked("loss.counterfactual.readdress_share=0", without).loss.counterfactual.readdress_share == 0


def test_the_defaults_are_those_of_the_design() -> None:
    config = checked()
    weights = config.loss.weights.model_dump()
    products = {name: round(config.loss.lambda_ * weight, 9) for name, weight in weights.items()}
    assert products == {"presence": 0.30, "coherence": 0.30, "continuity": 0.60}
    assert (config.model.name, config.loss.name, config.data.name, config.seed) == (
        "nano",
        "relational",
        "bundled",
        42,
    )
    for original in ("loss=seed", "experiment=rct_pythia_2.8b"):
        loss = checked(original).loss
        assert [round(loss.lambda_ * weight, 9) for weight in loss.weights.model_dump().values()] == [0.15, 0.1, 0.1]
    assert checked("loss=lm").loss.lambda_ == 0
    assert checked("loss=seed").loss.name == "seed"
    assert checked("model=pythia", "model.size=410m").model.name_or_path == "EleutherAI/pythia-410m"
    assert checked("data=jsonl", "data.train_file=a.jsonl").data.eval_file is None


def test_evaluate_composes_and_validates() -> None:
    assert validate_evaluation(composed("run=latest", name="evaluate")).run == "latest"
    with pytest.raises(UserError, match="run"):
        validate_evaluation(composed(name="evaluate"))


def test_a_file_that_leaves_a_value_open_says_which() -> None:
    assert refusal("model=local").startswith("model.name_or_path has no value and needs one")
    assert refusal("data=jsonl").startswith("data.train_file has no value and needs one")
    assert refusal("model=base") and refusal("data=base"), "what the others share is no choice by itself"


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "nearest"),
    [
        ("loss.lamda=1", "Did you mean loss.lambda?"),
        ("+loss.lamda=1", "Did you mean loss.lambda?"),
        ("+loss.weights.presense=1", "Did you mean loss.weights.presence?"),
        ("model.lora.rank=8", "there is no such key"),
        ("modle=pythia", "Did you mean model?"),
        ("model=pithia", "nano, pythia"),
        ("trainer.max_step=5", "Did you mean trainer.max_steps?"),
        ("+trainer.max_step=5", "Did you mean max_steps?"),
        ("+trainer.callbacks=[]", "callbacks come from the config group"),
        ("+seed=1", "give it without the plus"),
        ("experiment=absent", "rct_pythia_2.8b"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(override: str, nearest: str) -> None:
    assert nearest in refusal(override)


BAD_VALUES = {
    "callbacks__checkpointing__keep_last": [1, "2"],
    "callbacks__eval_sanity__num_samples": [0, 1.5],
    "callbacks__events__every_n_steps": [0, None],
    "callbacks__events__every_n_stepz": [1],
    "callbacks__health__replies": [-1],
    "data__batch_size": ["8", "x", 8.5, True, 0, -1, None, 10**12],
    "data__max_seq_length": [0, 15, 10**12],
    "data__num_workers": [-1, 10**6],
    "data__roles__human": ["", "Assistant", "User:", " User", "a\nb"],
    "data__rebuild_context": ["yes", 1, None],
    "data__train_file": ["", None, 3],
    "loss__lambda": [-0.1, "0.3", float("nan"), float("inf"), None, 1e308],
    "loss__human_name": ["", "{human_name}", "a\nb"],
    "loss__weights__presence": [-1],
    "loss__name": ["LM", "rct"],
    "loss__markers__presence": ["aelara", [""], [3], [], [" "], ["?"]],
    "loss__phrases_per_step": [0],
    "loss__recurrence__max_document_frequency": [0, 1.5],
    "loss__recurrence__num_candidates": [0],
    "model__quantization": ["int8", True],
    "model__dequantize": [True, "sometimes"],
    "model__name": ["", "a/b", "a b"],
    "model__gradient_checkpointing": ["yes", 2],
    "model__lora__r": [0, 1.5, 10**9],
    "model__size": ["410m"],
    "model__lora__dropout": [1.0, -0.1],
    "optimizer__lr": [0, -1.0, "fast", 1e300],
    "optimizer__warmup_ratio": [1.0, -0.1],
    "seed": [-1, 2**32, "random"],
    "trainer__accelerator": ["tpu", 1],
    "trainer__max_epochs": [0],
    "trainer__max_steps": [-2, "x", 1.5, 0],
    "trainer__max_time": ["8h", 45000],
    "trainer__limit_train_batches": [0, 1.5, -1, "abc", True],
    "trainer__val_check_interval": [0, -0.5],
    "trainer__check_val_every_n_epoch": [0],
    "trainer__precision": ["banana", 8, 64, "64-true", "16-true", "bf16-true"],
    "trainer__profiler": ["banana", {}],
    "trainer__gradient_clip_algorithm": ["banana"],
    "trainer__fast_dev_run": [True, 3],
    "trainer__barebones": [True],
    "trainer__accumulate_grad_batches": [0, "2"],
    "trainer__num_sanity_val_steps": [2],
}


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, values in BAD_VALUES.items() for v in values])
def test_a_wrong_type_or_range_names_its_key(default: DictConfig, key: str, value: Any) -> None:
    with pytest.raises(UserError) as error:
        validate(changed(default, **{key: value}))
    assert key.replace("__", ".") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["loss=lm", "loss.lambda=0.3"], ["loss.lambda=0.3", "loss=relational"]),
        (["trainer.max_epochs=-1"], ["trainer.max_epochs and trainer.max_steps", "without an end"]),
        (["trainer.max_epochs=null", "trainer.max_time=00:01:00:00"], ["without an end"]),
        (
            ["trainer.accumulate_grad_batches=4", "trainer.limit_train_batches=10"],
            ["limit_train_batches=10", "multiple"],
        ),
        (["trainer.accumulate_grad_batches=4", "trainer.limit_train_batches=0.5"], ["limit_train_batches=0.5"]),
        (["trainer.max_time=00:00:00:00"], ["trainer.max_time='00:00:00:00'", "00:08:00:00"]),
        (["trainer.max_time=8h"], ["trainer.max_time='8h'", "00:08:00:00"]),
        (["+trainer.overfit_batches=1"], ["trainer.overfit_batches cannot be set", "train_file"]),
        (["trainer.min_steps=9", "trainer.max_steps=5"], ["trainer.min_steps=9", "trainer.max_steps=5"]),
        (["model=pythia", "model.size=3b"], ["model.size=3b", "2.8b"]),
        (["data.roles.human=Assistant"], ["data.roles.human and data.roles.assistant", "two names"]),
        (
            ["+callbacks.more._target_=rct_lightning.callbacks.Events"],
            ["callbacks.more and callbacks.events", "Leave one out"],
        ),
        (["+callbacks.more.x=1"], ["callbacks.more", "_target_"]),
    ],
)
def test_settings_that_contradict_each_other_are_refused(overrides: list[str], words: list[str]) -> None:
    said = refusal(*overrides)
    assert all(word in said for word in words), said


def test_settings_that_only_look_alike_are_accepted() -> None:
    assert checked("trainer.max_epochs=-1", "trainer.max_steps=7").trainer.max_steps == 7
    for limit in ("8", "1.0"):
        assert checked("trainer.accumulate_grad_batches=4", f"trainer.limit_train_batches={limit}")


def test_whole_numbers_are_good_where_a_real_one_is_asked_for(default: DictConfig) -> None:
    config = validate(changed(default, loss__lambda=1, trainer__gradient_clip_val=None, optimizer__lr=1e-3))
    assert (config.loss.lambda_, config.trainer.gradient_clip_val, config.optimizer.lr) == (1.0, None, 1e-3)


def test_all_problems_are_named_at_once(default: DictConfig) -> None:
    bad = changed(
        default,
        seed=-1,
        loss__lambda=-1,
        data__batch_size="x",
        model__lora__rank=1,
        trainer__foo=1,
        trainer__logger=1,
    )
    with pytest.raises(UserError) as error:
        validate(bad)
    for key in ("seed", "loss.lambda", "data.batch_size", "model.lora.rank", "trainer.foo", "trainer.logger"):
        assert key in str(error.value)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "lightning.pytorch.Trainer.__init__",
        "rct_lightning.callbacks.os.system",
        "lightning.pytorch.Trainer",
        "",
        None,
        3,
        ["os.system"],
    ],
)
@pytest.mark.parametrize("place", ["callbacks__events", "callbacks__extra", "logger__x", "callbacks__events__deep__er"])
def test_a_target_that_is_not_on_the_list_is_refused(default: DictConfig, place: str, target: Any) -> None:
    with pytest.raises(UserError, match="not on the list"):
        validate(changed(default, **{f"{place}___target_": target}))


def test_a_logger_is_no_callback_and_a_callback_no_logger(default: DictConfig) -> None:
    for place, target in (
        ("callbacks", "lightning.pytorch.loggers.CSVLogger"),
        ("logger", "lightning.pytorch.callbacks.RichProgressBar"),
    ):
        with pytest.raises(UserError, match=f"{place}.x._target_='{target}' is not on the list"):
            validate(changed(default, **{f"{place}__x___target_": target}))


@pytest.mark.parametrize(
    ("argument", "value", "said"),
    [
        ("foo", 1, "logger.tensorboard.foo: there is no such key"),
        ("flush_secs", "x", "logger.tensorboard.flush_secs='x': input should be a valid integer"),
        ("default_hp_metric", 3, "logger.tensorboard.default_hp_metric=3"),
        (
            "_target_",
            "lightning.pytorch.loggers.CSVLogger",
            "logger.tensorboard.default_hp_metric: there is no such key",
        ),
    ],
)
def test_arguments_of_loggers_are_checked(default: DictConfig, argument: str, value: Any, said: str) -> None:
    """Those of TensorBoard's writer fail only when the run has begun."""
    validate(changed(default, logger__tensorboard__flush_secs=9, logger__tensorboard__name="own"))
    with pytest.raises(UserError) as error:
        validate(changed(default, **{f"logger__tensorboard__{argument}": value}))
    assert str(error.value).startswith(said)


def test_arguments_of_loggers_are_those_of_their_classes() -> None:
    from lightning.pytorch import loggers
    from torch.utils.tensorboard import SummaryWriter

    writers = set(inspect.signature(SummaryWriter).parameters) - {"log_dir", "purge_step"}
    board = set(inspect.signature(loggers.TensorBoardLogger).parameters) - {"kwargs"} | writers
    assert set(LOGGER_ARGUMENTS["TensorBoardLogger"]) == set(LOGGER_ARGUMENTS["BoardLogger"]) == board
    assert set(LOGGER_ARGUMENTS["CSVLogger"]) == set(inspect.signature(loggers.CSVLogger).parameters)


def test_a_callback_that_writes_to_a_logger_needs_one(default: DictConfig) -> None:
    monitor = {"callbacks__lr": {"_target_": "lightning.pytorch.callbacks.LearningRateMonitor"}}
    validate(changed(default, **monitor))
    without = checked("logger=none").plain()
    for none in (without, without | {"logger": None}):
        with pytest.raises(
            UserError, match=r"callbacks\.lr: .*LearningRateMonitor writes to a logger, and there is none"
        ):
            validate(changed(OmegaConf.create(none), **monitor))


def test_targets_inside_lists_are_seen(default: DictConfig) -> None:
    with pytest.raises(UserError, match="not on the list"):
        validate(changed(default, callbacks__events__items=[{"_target_": "os.system"}]))


def test_a_nearly_right_target_gets_a_hint(default: DictConfig) -> None:
    with pytest.raises(UserError, match=r"Did you mean rct_lightning\.callbacks\.Events\?"):
        validate(changed(default, callbacks__events___target_="rct_lightning.callbacks.Event"))


def test_every_allowed_target_exists() -> None:
    from importlib import import_module

    for target in ALLOWED_CALLBACKS | ALLOWED_LOGGERS:
        module, _, name = target.rpartition(".")
        assert callable(getattr(import_module(module), name))


def test_arguments_of_callbacks_are_those_of_their_classes() -> None:
    from rct_lightning import callbacks

    own = {target for target in ALLOWED_CALLBACKS if target.startswith("rct_lightning.")}
    assert {target.rpartition(".")[2] for target in own} == set(CALLBACK_ARGUMENTS)
    for name, arguments in CALLBACK_ARGUMENTS.items():
        assert set(inspect.signature(getattr(callbacks, name)).parameters) == set(arguments), name


def test_trainer_arguments_are_those_of_the_installed_lightning() -> None:
    import lightning

    # the decorator of Trainer.__init__ keeps the signature of what it wraps
    assert set(inspect.signature(lightning.Trainer.__init__).parameters) - {"self"} == TRAINER_ARGUMENTS
    assert set(RESERVED_TRAINER_ARGUMENTS) < TRAINER_ARGUMENTS


def test_every_open_trainer_argument_can_be_given_without_a_plus(default: DictConfig) -> None:
    assert set(default.trainer) == TRAINER_ARGUMENTS - set(RESERVED_TRAINER_ARGUMENTS)


def test_known_keys_are_spelled_as_on_the_command_line() -> None:
    assert {"loss.lambda", "model.lora.r", "trainer.max_time", "experiment", "hydra.run.dir"} <= set(known_keys())
    assert "loss.lambda_" not in known_keys()


# --- files and entry points -----------------------------------------------------------------------------------------


def test_a_run_configuration_survives_the_round_trip(tmp_path: Path) -> None:
    config = checked("loss.lambda=0.7", "loss.markers.presence=[ahoy]", "+trainer.max_time=null", "logger=none")
    path = tmp_path / "deep" / "config.yaml"
    save_run_config(config, path)
    assert load_run_config(path) == config
    assert "lambda: 0.7" in path.read_text(encoding="utf-8")


DAMAGED = {
    "[1, 2]": "found a list",
    "a: [": "not a readable configuration",
    "seed: 1": "loss: a value is missing",
    "a: !!python/object:os.system {}": "not a readable configuration",
    "\x00": "not a readable configuration",
    "": "it is empty, so what the run was is not known",
    "text": "text: there is no such key",
    ".\n\n!": r"'.\n!': there is no such key",  # a key that would break the line of the message
    '"a\\nb": {"${x}": 1}': r"'a\nb'='${x}' is a reference",
    "5": "not a readable configuration",
    "? [1]\n: 2": "not a readable configuration",
    "a: " + "[" * 5000: "line 1: nested more than 20 times",
    "a: &a [1]\nb: [*a, *a]": "line 2: an alias",
    "seed: ${oc.env:HOME}": "seed='${oc.env:HOME}' is a reference",
    "${oc.env:HOME}: 1": "is a reference",
    "a: " + "x" * 2**20: "more than a run's configuration has",
}


@pytest.mark.parametrize("text", DAMAGED, ids=lambda text: text[:20])
def test_a_damaged_run_configuration_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(DAMAGED[text])) as error:
        load_run_config(path)
    assert str(error.value).startswith(str(path)) and len(str(error.value)) < 3000 and "\n" not in str(error.value)


def test_a_run_configuration_with_a_foreign_target_is_refused(default: DictConfig, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    OmegaConf.save(changed(default, callbacks__events___target_="os.system"), path)
    with pytest.raises(UserError, match="not on the list"):
        load_run_config(path)


def test_what_hydra_refuses_exits_with_2_and_one_paragraph(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run_command(lambda: composed("loss.lamda=1", "x=" + "y" * 200))
    said = capsys.readouterr()
    assert stopped.value.code == 2
    assert said.out == "" and said.err.startswith("Error: loss.lamda: there is no such key.")
    assert "Traceback" not in said.err and max(map(len, said.err.splitlines())) <= 110


def test_the_groups_of_the_explanations_are_those_of_the_folder() -> None:
    assert {*GROUPS, "hydra"} == {path.name for path in CONF.iterdir() if path.is_dir()}


def test_other_errors_keep_their_traceback() -> None:
    def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command(main)


def test_rooms_without_torch_do_not_import_it() -> None:
    rooms = "config dialogue markers template runs corpus errors".split()
    code = f"import sys, {', '.join(f'rct_lightning.{room}' for room in rooms)}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("used", [False, True])
def test_train_refuses_a_mistake_without_a_trace(tmp_path: Path, used: bool) -> None:
    logs = tmp_path / "logs"
    run = logs / "train" / "runs" / "x"
    if used:  # other files are left alone
        run.mkdir(parents=True)
        (run / "config.yaml").touch()
    command = [sys.executable, str(CONF.parent / "train.py"), "loss.lambda=-1", f"hydra.run.dir={run}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CONF.parent)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: loss.lambda=-1") and "Traceback" not in done.stderr
    assert [path for path in logs.rglob("*") if path.is_file()] == ([run / "config.yaml"] if used else [])
    assert used or not logs.exists(), "what was made on the way there is gone"


def _leaves(node: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Return the dotted keys and values of a file, without its defaults list."""
    found = []
    for key, value in node.items():
        if key == "defaults":
            continue
        found += _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
    return found


def _at(tree: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        tree = tree[part]
    return tree


def test_help_shows_what_there_is_and_what_was_typed() -> None:
    def answer(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, str(CONF.parent / "train.py"), *arguments]
        return subprocess.run(line, capture_output=True, text=True, cwd=CONF.parent)

    typed = ("model=pythia", "loss.lambda=0.5")
    page = answer("--help", *typed)
    assert page.returncode == 0
    assert "\nmodel=pythia (or local, nano)\n" in page.stdout
    assert answer("--cfg", "job", *typed).stdout.strip() in page.stdout, "the configuration that Hydra composes"
    assert not {"hydra", "base"} & set(re.findall(r"[\w.]+", page.stdout.split("==")[2])), "no choice of anybody's"
    called = answer("--help", "+hydra.callbacks.x._target_=os.system")
    assert (called.returncode, called.stdout) == (2, "") and "Hydra would call this" in called.stderr
    wrong = answer("--help", "loss.lamda=1")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Did you mean loss.lambda?" in wrong.stderr


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--multirun --cfg job seed=1,2", "--multirun and --cfg: each asks for something else"),
        ("--run --multirun", "--run and --multirun: each asks for something else"),
        ("--resolve", "--resolve belongs to --cfg"),
        ("--package loss", "--package belongs to --cfg"),
        ("--shell-completion seed=1", "Write install=bash"),
    ],
)
def test_options_of_hydra_that_do_not_go_together_are_refused(typed: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_arguments(typed.split())


@pytest.mark.parametrize("typed", ["--cfg job --resolve", "--cfg job --package loss", "--shell-completion install=bash",
                                   "--multirun seed=1,2", "--help --cfg job"])  # fmt: skip
def test_options_of_hydra_that_do_are_not(typed: str) -> None:
    assert check_arguments(typed.split())


def test_hydras_own_help_and_what_has_no_multirun(tmp_path: Path) -> None:
    def answer(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, str(CONF.parent / script), *arguments]
        return subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)

    assert "--hydra-help" in answer("train.py", "--hydra-help").stdout
    refused = answer("evaluate.py", "-m", "run=a,b")
    assert refused.returncode == 2 and "study=DIR takes every run of a multirun" in refused.stderr
    page = answer("train.py", "--help", "-m", "seed=1,2")
    assert page.returncode == 0 and "model=nano (or local, pythia)" in page.stdout
    assert list(tmp_path.iterdir()) == []
