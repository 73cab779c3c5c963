"""The schema of the composed configuration: types, ranges, nearest names, and the allowlist of ``_target_``.

Hydra's struct mode refuses an unknown key but accepts wrong types and ``+new.key``; this schema refuses both, names
every problem at once, and says what was probably meant. Nothing here imports torch, so a mistake is answered at once.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rct_lightning import processes
from rct_lightning.console import EXIT_CODE, tell
from rct_lightning.errors import Interrupted, UserError

ALLOWED_TARGETS = frozenset(
    {
        "lightning.pytorch.Trainer",
        "lightning.pytorch.loggers.TensorBoardLogger",
        "lightning.pytorch.loggers.CSVLogger",
        "lightning.pytorch.callbacks.LearningRateMonitor",
        "lightning.pytorch.callbacks.EarlyStopping",
        "lightning.pytorch.callbacks.RichProgressBar",
        "lightning.pytorch.callbacks.TQDMProgressBar",
        "rct_lightning.callbacks.BaselineComparison",
        "rct_lightning.callbacks.BestAdapter",
        "rct_lightning.callbacks.Checkpointing",
        "rct_lightning.callbacks.EvalSanity",
        "rct_lightning.callbacks.Events",
        "rct_lightning.callbacks.GenerationSampling",
        "rct_lightning.callbacks.Health",
        "rct_lightning.callbacks.LossComponents",
    }
)
"""The only names that a configuration can ask to be called: exact names, so that no attribute path leads elsewhere."""

SWEEP_RECORD = "multirun.yaml"
"""What Hydra writes into a multirun's directory."""

JOB_NAME_LENGTH = 120
"""Characters of the name of a multirun's job directory at most; file systems stop at 255 bytes."""

T = TypeVar("T", bound=BaseModel)
T_co = TypeVar("T_co")
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]


class Section(BaseModel):
    """A part of the configuration: no unknown keys, no silent conversions from text, no infinite numbers."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        populate_by_name=True,
        protected_namespaces=(),
    )


class LoraConfig(Section):
    """Low-rank adapters."""

    r: Count
    alpha: Count
    dropout: Annotated[float, Field(ge=0, lt=1)]


class ModelConfig(Section):
    """The base model and what is done to it."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[\w.\-]+$")]
    name_or_path: Annotated[str, Field(min_length=1)]
    size: str | None = None
    quantization: Literal["auto", "nf4", "none"]
    dequantize: Literal["auto", "once", "never"]
    gradient_checkpointing: bool | Literal["auto"]
    learning_rate: Positive
    lora: LoraConfig


class WeightsConfig(Section):
    """Weight of each relational term; lambda multiplies them all."""

    presence: NonNegative
    coherence: NonNegative
    continuity: NonNegative


class MarkersConfig(Section):
    """Words of the user that address the assistant; null takes the built-in list."""

    presence: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None


class PresenceConfig(Section):
    """Form of the presence term, nats per token."""

    margin: NonNegative
    lift: NonNegative
    specificity: NonNegative
    level: NonNegative


class RecurrenceConfig(Section):
    """How recurrent positions are found and judged."""

    max_document_frequency: Annotated[float, Field(gt=0, le=1)]
    num_candidates: Count
    among: Literal["vocabulary", "candidates"]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]


class CounterfactualConfig(Section):
    """How often training rows are read otherwise than they stand."""

    rename_share: Annotated[float, Field(ge=0, le=1)]
    readdress_share: Annotated[float, Field(ge=0, lt=1)]


class LossConfig(Section):
    """The objective."""

    name: Literal["relational", "lm", "seed"]
    lambda_: NonNegative = Field(alias="lambda")
    weights: WeightsConfig
    presence: PresenceConfig
    recurrence: RecurrenceConfig
    counterfactual: CounterfactualConfig
    phrases_per_step: Count
    markers: MarkersConfig
    human_name: str | None

    @model_validator(mode="after")
    def _lm_is_alone(self) -> LossConfig:
        if self.name == "lm" and self.lambda_ > 0:
            raise ValueError(
                f"loss=lm trains the LM loss alone, and loss.lambda={self.lambda_:g} would add relational terms to it. "
                f"Use loss=relational, or leave loss.lambda out."
            )
        return self

    @model_validator(mode="after")
    def _presence_has_pairs(self) -> LossConfig:
        trains_presence = self.name == "relational" and self.lambda_ * self.weights.presence > 0
        if trains_presence and self.counterfactual.readdress_share == 0:
            raise ValueError(
                "loss.counterfactual.readdress_share=0 leaves presence nothing to compare: it sets a prompt against "
                "the same prompt under its other address. Use a share above 0, or loss.weights.presence=0."
            )
        return self


class RolesConfig(Section):
    """Role names of the dialogue template."""

    human: Annotated[str, Field(min_length=1)]
    assistant: Annotated[str, Field(min_length=1)]


class DataConfig(Section):
    """Corpus, split and batches."""

    name: str
    train_file: Annotated[str, Field(min_length=1)]
    eval_file: str | None
    eval_size: Count
    split_seed: Annotated[int, Field(ge=0)]
    max_seq_length: Annotated[int, Field(ge=16)]
    batch_size: Count
    batch_tokens: Count | None
    rebuild_context: bool
    num_workers: CountOrZero
    token_cache: str | None
    roles: RolesConfig


class OptimizerConfig(Section):
    """AdamW with warm-up and cosine."""

    lr: Positive
    weight_decay: NonNegative
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)]


TRAINER_ARGUMENTS = frozenset(
    """accelerator accumulate_grad_batches barebones benchmark callbacks check_val_every_n_epoch default_root_dir
    detect_anomaly deterministic devices enable_autolog_hparams enable_checkpointing enable_model_summary
    enable_progress_bar fast_dev_run gradient_clip_algorithm gradient_clip_val inference_mode limit_predict_batches
    limit_test_batches limit_train_batches limit_val_batches log_every_n_steps logger max_epochs max_steps max_time
    min_epochs min_steps model_registry num_nodes num_sanity_val_steps overfit_batches plugins precision profiler
    reload_dataloaders_every_n_epochs strategy sync_batchnorm use_distributed_sampler val_check_interval""".split()
)
"""Every argument of Lightning's Trainer; a test compares the list with the installed version."""

RESERVED_TRAINER_ARGUMENTS = {
    "callbacks": "callbacks come from the config group callbacks=...",
    "logger": "the logger comes from the config group logger=...",
    "default_root_dir": "the run directory is hydra.run.dir=...",
    "plugins": "4-bit loading is model.quantization, not a Lightning plugin",
    "use_distributed_sampler": "the sampler keeps rows of one optimizer step together",
    "sync_batchnorm": "no model here has any",
    "enable_checkpointing": "the run keeps its adapter, not Lightning checkpoints",
    "overfit_batches": "it replaces the sampler that keeps rows of a step together; give a small train_file",
}


BESIDE_RESUME = frozenset({"resume", "trainer.max_time", "trainer.enable_progress_bar"})
"""What may be asked for when a run is resumed: nothing that changes what it learns."""


def _is_some_time(value: Any) -> bool:
    """Whether Lightning's Timer reads this as a time, and it is not over before the first step."""
    return re.fullmatch(r"\d+(:\d\d){3}", str(value)) is not None and str(value).strip("0:") != ""


class TrainerConfig(BaseModel):
    """Arguments of Lightning's Trainer; the ones that have limits of ours are typed here."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"]
    devices: Count
    num_nodes: Count = 1
    strategy: Literal["auto", "ddp"] = "auto"
    max_epochs: Annotated[int, Field(ge=-1)] | None
    max_steps: Annotated[int, Field(ge=-1)]
    accumulate_grad_batches: Count
    gradient_clip_val: NonNegative | None
    log_every_n_steps: Count
    num_sanity_val_steps: Literal[0] = 0

    @model_validator(mode="before")
    @classmethod
    def _known_arguments(cls, value: Any) -> Any:
        problems = []
        for name in value if isinstance(value, Mapping) else ():
            if name in RESERVED_TRAINER_ARGUMENTS and value[name] is not None:
                problems.append(f"trainer.{name} cannot be set: {RESERVED_TRAINER_ARGUMENTS[name]}.")
            elif name not in TRAINER_ARGUMENTS:
                hint = _hint(name, TRAINER_ARGUMENTS)
                problems.append(f"trainer.{name} is not an argument of Lightning's Trainer.{hint}")
            elif name == "limit_val_batches" and value[name] == 0:
                problems.append("trainer.limit_val_batches=0: base and tuned are compared on these rows; use some.")
            elif name == "max_time" and not (value[name] is None or _is_some_time(value[name])):
                problems.append(f"trainer.max_time={value[name]}: give days:hours:minutes:seconds, as 00:08:00:00.")
        if problems:
            raise ValueError(" ".join(problems))
        return value

    @model_validator(mode="after")
    def _ends_and_counts_whole_steps(self) -> TrainerConfig:
        if self.max_steps == -1 and self.max_epochs in (None, -1):
            raise ValueError(
                "trainer.max_epochs and trainer.max_steps leave the run without an end, and the learning rate comes "
                "down over its length: give one of the two."
            )
        if self.devices * self.num_nodes > 1 and self.strategy != "ddp":
            raise ValueError(
                f"trainer.devices={self.devices}: several devices train together with trainer=ddp "
                f"trainer.devices={self.devices}."
            )
        if self.devices > 1 and self.accelerator == "mps":
            raise ValueError("trainer.devices: mps is one device. Use trainer.devices=1.")
        limit, accumulate = (self.model_extra or {}).get("limit_train_batches"), self.accumulate_grad_batches
        if limit not in (None, 1.0) and accumulate > 1 and (isinstance(limit, float) or limit % accumulate):
            raise ValueError(
                f"trainer.limit_train_batches={limit} would cut an optimizer step of {accumulate} micro-batches, whose "
                f"loss is divided by the counts of all of them: give a multiple of trainer.accumulate_grad_batches."
            )
        return self


class HealthConfig(Section):
    """What an alert of the health rules does."""

    on_alert: Literal["warn", "stop"]


class Config(Section):
    """A whole training configuration."""

    model: ModelConfig
    loss: LossConfig
    data: DataConfig
    optimizer: OptimizerConfig
    trainer: TrainerConfig
    callbacks: dict[str, dict[str, Any]]
    logger: dict[str, dict[str, Any]] | None
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    objective_metric: Literal[
        "eval/lm_loss",
        "eval/total_loss",
        "eval/presence_loss",
        "eval/coherence_loss",
        "eval/continuity_loss",
        "eval/perplexity",
    ]
    diagnostics_every_n_steps: CountOrZero
    health: HealthConfig
    check: Literal[True, False, "only"]
    resume: str | None
    run_dir: str

    def plain(self) -> dict[str, Any]:
        """Nested dictionaries with the names of the configuration files."""
        return self.model_dump(by_alias=True)


class EvaluateConfig(Section):
    """What evaluate.py takes."""

    run: str | None
    study: str | None
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"]
    probes_file: str
    batch_size: Count
    bootstrap_samples: Annotated[int, Field(ge=100)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    output: str | None
    adapter: Literal["last", "best"]

    @model_validator(mode="after")
    def _one_of_both(self) -> EvaluateConfig:
        if (self.run is None) == (self.study is None):
            raise ValueError("give either run=DIR (or run=latest), or study=DIR with the runs of a multirun")
        if self.study is not None and self.adapter == "best":
            raise ValueError("adapter=best goes with run=DIR; the arms of a study are compared after equal training")
        return self


def validate(cfg: DictConfig) -> Config:
    """The typed configuration.

    Raises:
        UserError: Every problem, each with its key, what was found and what is possible.
    """
    config = _validate(cfg, Config)
    _check_targets({"callbacks": config.callbacks, "logger": config.logger or {}})
    if config.resume is not None and HydraConfig.initialized():
        _check_alone(list(HydraConfig.get().overrides.task))
    if config.trainer.devices * config.trainer.num_nodes > 1:
        _check_several(config)
    return config


def _check_several(config: Config) -> None:
    """What several processes cannot do together."""
    if config.data.batch_tokens is not None:
        raise UserError(
            "data.batch_tokens: micro-batches by a number of tokens cannot be shared out evenly. Use data.batch_size "
            "with several devices."
        )
    if not HydraConfig.initialized():
        return
    hydra = HydraConfig.get()
    if hydra.mode == RunMode.MULTIRUN:
        raise UserError(
            "trainer=ddp: Lightning starts the processes of one run, not of one after another. Train each job of the "
            "multirun with a command of its own, or with trainer.devices=1."
        )
    if "RANK" in os.environ and not any(given.startswith("hydra.run.dir=") for given in hydra.overrides.hydra):
        raise UserError(
            "hydra.run.dir: processes that were started one by one (torchrun) would each name the run directory by its "
            "own clock. Give the same hydra.run.dir=DIR to all."
        )


def _check_alone(overrides: list[str]) -> None:
    """A resumed run has its own configuration; what else is asked for would be ignored."""
    others = [given for given in overrides if given.lstrip("+~").split("=")[0] not in BESIDE_RESUME]
    if others:
        raise UserError(
            f"{', '.join(others)}: resume goes on with the configuration of that run. Leave this out, or train anew "
            f"with it. Beside resume there can be {', '.join(sorted(BESIDE_RESUME - {'resume'}))}."
        )


def validate_evaluation(cfg: DictConfig) -> EvaluateConfig:
    """The typed configuration of an evaluation; raises as :func:`validate`."""
    return _validate(cfg, EvaluateConfig)


def load_run_config(path: Path) -> Config:
    """The configuration a run was made with, from its config.yaml; nothing in it is ever instantiated.

    Raises:
        UserError: The file is damaged or from another version.
    """
    try:
        loaded = OmegaConf.load(path)
    except Exception as error:  # YAML has many ways to be broken
        raise UserError(f"{path}: not a readable configuration ({str(error).splitlines()[0]}).") from None
    if not isinstance(loaded, DictConfig):
        raise UserError(f"{path}: expected the configuration of a run, found a list.")
    return validate(loaded)


def save_run_config(config: Config, path: Path) -> None:
    """Write the resolved configuration."""
    path.parent.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.create(config.plain()), path)


def explain_composition_error(error: Exception) -> UserError:
    """Hydra's refusal of a command line as one paragraph with the nearest name."""
    text = str(error).strip()
    if isinstance(error, OverrideParseException):
        return UserError(
            f"{error.override}: not a readable setting ({text.splitlines()[0]}). Write key=value; a value with spaces "
            f"or any of = , : {{ }} [ ] ( ) in it needs quotes of both kinds: 'key=\"value\"'."
        )
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        key = unknown.group(1)
        return UserError(f"{key}: there is no such key.{_hint(key, known_keys())} See conf/ or python train.py --help.")
    append = re.search(r"Could not append to config\. An item is already at '([^']+)'", text)
    if append:
        return UserError(f"+{append.group(1)}: the key exists already; give it without the plus sign.")
    first = text.splitlines()[0] if text else type(error).__name__
    options = [line.strip() for line in text.splitlines()[1:] if re.fullmatch(r"\t\S+|\s{2,}\S+", line)]
    available = f" Available: {', '.join(sorted(options))}." if options else ""
    return UserError(f"{first.rstrip('.')}.{available}")


def known_keys() -> list[str]:
    """Every dotted key of the schema, as on the command line."""
    keys = _keys_of(Config, "")
    return sorted([*keys, *(f"trainer.{name}" for name in TRAINER_ARGUMENTS), "experiment", "debug", "hydra.run.dir"])


def as_override(key: str, value: str) -> str:
    """A setting as it can be typed into a shell, quoted where Hydra or the shell would misread it."""
    if re.fullmatch(r"[\w./+-]+", value, re.ASCII):
        return f"{key}={value}"
    escaped = value.replace('"', '\\"')
    return shlex.quote(f'{key}="{escaped}"')


def job_directory(overrides: str) -> str:
    """The directory's name of a multirun's job: its settings, in letters that need no quotes, not too long for a disk.

    >>> job_directory("loss.lambda=0.3,seed=1")
    'loss.lambda-0.3_seed-1'
    """
    name = re.sub(r"[^\w.+-]+", "-", overrides.replace(",", "_"), flags=re.ASCII)
    if len(name) <= JOB_NAME_LENGTH and re.fullmatch(r"[\w.+=,-]+", overrides, re.ASCII):
        return name
    digest = hashlib.sha256(overrides.encode()).hexdigest()[:8]  # what was cut or replaced still tells jobs apart
    return f"{name[: JOB_NAME_LENGTH - 9]}_{digest}"


OmegaConf.register_new_resolver("job_directory", job_directory, replace=True)


def _keys_of(section: type[BaseModel], prefix: str) -> Iterable[str]:
    for name, info in section.model_fields.items():
        key = f"{prefix}{info.alias or name}"
        yield key
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _keys_of(annotation, f"{key}.")


def _validate(cfg: DictConfig, schema: type[T]) -> T:
    try:
        plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = error.full_key or "the configuration"
        if isinstance(error, MissingMandatoryValue):
            raise UserError(f"{key} has no value and needs one: add {key}=... to the command.") from None
        raise UserError(f"{key}: cannot be resolved ({str(error).splitlines()[0]}).") from None
    try:
        return schema.model_validate(plain)
    except ValidationError as error:
        problems = [_problem(dict(item), schema) for item in error.errors()]
        raise UserError(" ".join(dict.fromkeys(problems))) from None


def _problem(item: Mapping[str, Any], schema: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        return f"{key}: there is no such key.{_hint(key, list(_keys_of(schema, '')))}"
    if item["type"] == "missing" or item["input"] is None:
        return f"{key}: a value is missing."
    if item["type"] == "value_error":
        return message
    return f"{key}={item['input']!r}: {message[0].lower()}{message[1:]}."


def _hint(name: str, candidates: Iterable[str]) -> str:
    alike = [candidate for candidate in candidates if candidate.count(".") == name.count(".")]
    nearest = difflib.get_close_matches(name, alike, n=1, cutoff=0.6)
    return f" Did you mean {nearest[0]}?" if nearest else ""


def _check_targets(node: Any, place: str = "") -> None:
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name == "_target_" and not (isinstance(value, str) and value in ALLOWED_TARGETS):
                hint = _hint(str(value), ALLOWED_TARGETS)
                raise UserError(f"{place}_target_={value!r} is not on the list of what a configuration may call.{hint}")
            _check_targets(value, f"{place}{name}.")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _check_targets(value, f"{place}{index}.")


def refusing(task: Callable[[DictConfig], T_co]) -> Callable[[DictConfig], T_co]:
    """Decorator of a Hydra task: a user's mistake is one paragraph on stderr, exit code 2, and leaves nothing behind.

    Hydra makes a job's directory before the job can refuse its configuration or turn out to train nothing; an unused
    one is taken away again.
    """

    @functools.wraps(task)
    def run(cfg: DictConfig) -> T_co:
        try:
            return task(cfg)
        except UserError as error:
            if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
                tell(error)
                raise  # Hydra goes on with the other jobs, and raises it again behind the last
            _refuse(error)
        except Interrupted as ended:
            if not processes.is_first():
                raise SystemExit(0) from None  # Lightning takes anything else for a failure, and kills the others
            print(f"Stopped: {ended}", file=sys.stderr)
            raise SystemExit(ended.exit_code) from None
        finally:
            if HydraConfig.initialized():
                _remove_empty(Path(HydraConfig.get().runtime.output_dir))

    return run


def run_command(main: Callable[[], Any]) -> None:
    """Call a Hydra entry point; what Hydra itself refuses is explained in the same way as by :func:`refusing`."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # otherwise Hydra prints and exits itself
    try:
        main()
    except HydraException as error:
        _refuse(explain_composition_error(error))
    except OmegaConfBaseException as error:
        _refuse(UserError(f"{error.full_key or 'the configuration'}: {str(error).splitlines()[0]}. See conf/."))
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        _refuse(UserError(f"{error.filename}: {error.strerror}. hydra.run.dir=DIR writes a run elsewhere."))
    except UserError:
        raise SystemExit(EXIT_CODE) from None  # of a job of a multirun: told when it was refused


def _refuse(error: UserError) -> NoReturn:
    tell(error)
    raise SystemExit(EXIT_CODE)


def _remove_empty(output: Path) -> None:
    """Remove a directory in which nothing was written, and its empty parents inside ``logs``; never where one is.

    A multirun's directory holds Hydra's own record of the sweep before any job starts; alone, it records nothing.
    """
    for folder in (output, *output.parents):
        if folder.name == "logs" or folder == Path.cwd() or not folder.is_dir():
            return
        if any(entry.name != SWEEP_RECORD for entry in folder.iterdir()):
            return
        (folder / SWEEP_RECORD).unlink(missing_ok=True)
        folder.rmdir()
        if "logs" not in folder.parts:
            return
