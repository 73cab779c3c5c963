"""Every key of the configuration, with its type and range."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

PYTHIA_SIZES = ("70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b")

Weight = Annotated[float, Field(ge=0, le=1e4)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=10**9)]
CountOrZero = Annotated[int, Field(ge=0, le=10**9)]
Rows = Annotated[int, Field(ge=1, le=65_536)]
Rate = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Text = Annotated[str, Field(min_length=1, max_length=4096)]
"""Ranges are wide: what lies beyond is a slip of the keyboard, and would end in a library's traceback."""


def _limit(value: Any) -> Any:
    """A share of the batches as a real number, or a count of them."""
    share = isinstance(value, float) and 0 < value <= 1
    count = type(value) is int and 1 <= value <= 10**9
    if not (share or count):
        raise ValueError("should be a share above 0 and at most 1.0, or a whole number of batches")
    return value


def _length(value: int) -> int:
    if value == 0:
        raise ValueError("would train nothing; check=only makes the checks alone, -1 sets no limit")
    return value


def _visible(value: str) -> str:
    if not any(map(str.isalnum, value)):
        raise ValueError("should hold at least one letter or digit")
    return value


def _role(value: str) -> str:
    if not re.fullmatch(r"[^\s:]([^:\r\n]*[^\s:])?", value):
        raise ValueError("should be a name on one line, without a colon and without blanks around it")
    return value


def _without_slots(value: str) -> str:
    if set(value) & set("{}\r\n"):
        raise ValueError("should be a name on one line, without braces")
    return value


def _time(value: str) -> str:
    if not re.fullmatch(r"\d+(:\d\d){3}", value) or not value.strip("0:"):  # over before the first step
        raise ValueError("is no time, or is over before the first step")
    return value


Limit = Annotated[Any, AfterValidator(_limit)]
Length = Annotated[int, Field(ge=-1, le=10**9), AfterValidator(_length)]
Word = Annotated[str, Field(max_length=200), AfterValidator(_visible)]


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

    r: Annotated[int, Field(ge=1, le=4096)]
    alpha: Rows
    dropout: Share


class ModelConfig(Section):
    """The base model and what is done to it."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[\w.\-]+$")]
    name_or_path: Text
    size: str | None = None
    quantization: Literal["auto", "nf4", "none"] = Field(description="nf4 is the one kind of 4 bits.")
    dequantize: Literal["auto", "once", "never"]
    gradient_checkpointing: Literal[True, False, "auto"]
    learning_rate: Rate
    lora: LoraConfig

    @property
    def hub_name(self) -> str | None:
        """The base's name on the hub; None for a folder of this machine, whose path is nobody else's business."""
        named = re.fullmatch(r"[\w.-]+/[\w.-]+", self.name_or_path, re.ASCII) and not Path(self.name_or_path).is_dir()
        return self.name_or_path if named else None

    @model_validator(mode="after")
    def _size_is_pythias(self) -> ModelConfig:
        if self.size is None:
            return self
        if not self.name.startswith("pythia-"):
            raise ValueError(f"model.size={self.size} is a key of model=pythia: model=pythia model.size={self.size}.")
        if self.size not in PYTHIA_SIZES:
            raise ValueError(f"model.size={self.size}: Pythia comes in {', '.join(PYTHIA_SIZES)}.")
        return self


class WeightsConfig(Section):
    """Weight of each relational term; lambda multiplies them all."""

    presence: Weight
    coherence: Weight
    continuity: Weight


class MarkersConfig(Section):
    """Words of the user that address the assistant; null takes the built-in list."""

    presence: Annotated[list[Word], Field(min_length=1, max_length=10_000)] | None = Field(
        description="Write a list, [aelara,dear friend], or null for the built-in one."
    )


class PresenceConfig(Section):
    """Form of the presence term, nats per token."""

    margin: Weight
    lift: Weight
    specificity: Weight
    level: Weight


class RecurrenceConfig(Section):
    """How recurrent positions are found and judged."""

    max_document_frequency: Annotated[float, Field(gt=0, le=1)]
    num_candidates: Rows
    among: Literal["vocabulary", "candidates"]
    label_smoothing: Share


class CounterfactualConfig(Section):
    """How often training rows are read otherwise than they stand."""

    rename_share: Annotated[float, Field(ge=0, le=1)]
    readdress_share: Share


class LossConfig(Section):
    """The objective."""

    name: Literal["relational", "lm", "positives", "seed", "original_v1", "original_v2"]
    lambda_: Weight = Field(alias="lambda")
    weights: WeightsConfig
    presence: PresenceConfig
    recurrence: RecurrenceConfig
    counterfactual: CounterfactualConfig
    phrases_per_step: Rows
    markers: MarkersConfig
    human_name: Annotated[Word, AfterValidator(_without_slots)] | None

    @property
    def is_an_originals(self) -> bool:
        """Whether these are formulas of the original project, kept to show what they do."""
        return self.name in ("seed", "original_v1", "original_v2")

    @model_validator(mode="after")
    def _lm_is_alone(self) -> LossConfig:
        if self.name == "lm" and self.lambda_ > 0:
            raise ValueError(
                f"loss=lm trains the LM loss alone, and loss.lambda={self.lambda_:g} would add relational terms to it. "
                f"Use loss=relational, or leave loss.lambda out."
            )
        return self

    @model_validator(mode="after")
    def _positives_have_no_history(self) -> LossConfig:
        if self.name == "positives" and self.weights.coherence + self.weights.continuity > 0:
            raise ValueError(
                "loss=positives knows no term on a row's history: loss.weights.coherence and loss.weights.continuity "
                "are 0 there. Use loss=relational for the three terms."
            )
        return self

    @model_validator(mode="after")
    def _presence_has_pairs(self) -> LossConfig:
        trains_presence = self.name in ("relational", "positives") and self.lambda_ * self.weights.presence > 0
        if trains_presence and self.counterfactual.readdress_share == 0:
            raise ValueError(
                "loss.counterfactual.readdress_share=0 leaves presence nothing to compare: it sets a prompt against "
                "the same prompt under its other address. Use a share above 0, or loss.weights.presence=0."
            )
        return self


class RolesConfig(Section):
    """Role names of the dialogue template."""

    human: Annotated[Text, AfterValidator(_role)]
    assistant: Annotated[Text, AfterValidator(_role)]

    @model_validator(mode="after")
    def _are_two(self) -> RolesConfig:
        if self.human == self.assistant:
            raise ValueError(
                f"data.roles.human and data.roles.assistant are both {self.human!r}, and nobody could tell who speaks. "
                f"Give two names."
            )
        return self


class DataConfig(Section):
    """Corpus, split and batches."""

    name: str
    train_file: Text = Field(description="Give one file; several can be put together with cat.")
    eval_file: Text | None
    eval_size: Count
    split_seed: Seed
    max_seq_length: Annotated[int, Field(ge=16, le=2**20)]
    batch_size: Rows
    batch_tokens: Annotated[int, Field(ge=16, le=2**24)] | None
    rebuild_context: bool
    num_workers: Annotated[int, Field(ge=0, le=1024)]
    token_cache: Text | None
    placebo: Literal["shuffled_markers", "wrong_history"] | None = None
    roles: RolesConfig


class OptimizerConfig(Section):
    """AdamW with warm-up and cosine."""

    lr: Rate
    weight_decay: Weight
    warmup_ratio: Share


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
    "barebones": "it switches off what a run leaves",
    "fast_dev_run": "debug=default runs every part once, in seconds",
    "model_registry": "nothing is sent to a service",
    "overfit_batches": "it replaces the sampler that keeps rows of a step together; give a small train_file",
}


NO_SHARDING = (
    "trainer.strategy={}: parameters are not sharded over devices here. A base in NF4 cannot be as it is: FSDP puts "
    "the parameters of a layer into one tensor of one dtype, and there are packed bytes with their scales beside "
    "float32 adapters (bitsandbytes would have to store the bytes as floats, quant_storage, and the adapters to be of "
    "that dtype). Nor is there much to shard: the base is frozen and small in 4 bits, and only adapters have gradients "
    "and optimizer state. Use trainer=ddp, a copy for each device."
)
Accelerator = Literal["auto", "cpu", "gpu", "cuda", "mps"]
Precision = Literal[
    64, 32, 16, "64", "32", "16", "bf16", "64-true", "32-true", "16-true", "bf16-true", "16-mixed", "bf16-mixed"
]  # fmt: skip


class TrainerConfig(BaseModel):
    """Arguments of Lightning's Trainer; the ones whose mistakes it would tell late, or not at all, are typed here."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())

    accelerator: Accelerator
    devices: Annotated[int, Field(ge=1, le=1024)]
    num_nodes: Annotated[int, Field(ge=1, le=1024)] = 1
    strategy: Literal["auto", "ddp"] = "auto"
    max_epochs: Length | None
    max_steps: Length
    accumulate_grad_batches: Rows
    gradient_clip_val: Annotated[float, Field(ge=0, le=1e9)] | None
    log_every_n_steps: Count
    num_sanity_val_steps: Literal[0] = 0
    check_val_every_n_epoch: Count | None = None
    val_check_interval: Limit | None = None
    limit_train_batches: Limit | None = None
    limit_val_batches: Limit | None = None
    max_time: Annotated[str, AfterValidator(_time)] | None = Field(
        default=None, description="Write days:hours:minutes:seconds, in quotes in a file: 00:08:00:00."
    )
    min_epochs: CountOrZero | None = None
    min_steps: CountOrZero | None = None
    precision: Precision | None = None
    profiler: Literal["simple", "advanced", "pytorch"] | None = None
    gradient_clip_algorithm: Literal["norm", "value"] | None = None
    deterministic: Literal[True, False, "warn"] | None = None
    benchmark: bool | None = None
    detect_anomaly: bool | None = None
    enable_model_summary: bool | None = None
    enable_progress_bar: bool | None = None
    inference_mode: bool | None = None

    @property
    def processes(self) -> int:
        """That train together, on all machines."""
        return self.devices * self.num_nodes

    @model_validator(mode="before")
    @classmethod
    def _known_arguments(cls, value: Any) -> Any:
        problems = []
        if isinstance(value, Mapping) and str(value.get("strategy")).startswith(("fsdp", "deepspeed")):
            problems.append(NO_SHARDING.format(value["strategy"]))
        for name in value if isinstance(value, Mapping) else ():
            if name in RESERVED_TRAINER_ARGUMENTS and value[name] is not None:
                problems.append(f"trainer.{name} cannot be set: {RESERVED_TRAINER_ARGUMENTS[name]}.")
            elif name not in TRAINER_ARGUMENTS:
                nearest = hint(name, TRAINER_ARGUMENTS)
                problems.append(f"trainer.{name} is not an argument of Lightning's Trainer.{nearest}")
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
        if self.processes > 1 and self.strategy != "ddp":
            raise ValueError(
                f"trainer.devices={self.devices}: several devices train together with trainer=ddp "
                f"trainer.devices={self.devices}."
            )
        if self.devices > 1 and self.accelerator == "mps":
            raise ValueError("trainer.devices: mps is one device. Use trainer.devices=1.")
        for least, most in (("min_steps", self.max_steps), ("min_epochs", self.max_epochs)):
            wanted = getattr(self, least)
            if wanted is not None and most is not None and -1 < most < wanted:
                name = least.replace("min", "max")
                raise ValueError(f"trainer.{least}={wanted} is more than trainer.{name}={most}. Change one of the two.")
        limit, accumulate = self.limit_train_batches, self.accumulate_grad_batches
        if limit not in (None, 1.0) and accumulate > 1 and (isinstance(limit, float) or limit % accumulate):
            raise ValueError(
                f"trainer.limit_train_batches={limit} would cut an optimizer step of {accumulate} micro-batches, whose "
                f"loss is divided by the counts of all of them: give a multiple of trainer.accumulate_grad_batches."
            )
        return self


Metric = Literal[
    "eval/lm_loss",
    "eval/total_loss",
    "eval/presence_loss",
    "eval/coherence_loss",
    "eval/continuity_loss",
    "eval/perplexity",
]
CALLBACK_ARGUMENTS: dict[str, dict[str, Any]] = {
    "BaselineComparison": {"max_new_tokens": Rows},
    "BestAdapter": {"metric": Metric},
    "Checkpointing": {"every_n_steps": CountOrZero, "keep_last": Annotated[int, Field(ge=2, le=10_000)]},
    "EvalSanity": {"num_samples": Rows, "max_new_tokens": Rows},
    "Events": {"every_n_steps": Count},
    "GenerationSampling": {"every_n_steps": CountOrZero, "max_new_tokens": Rows},
    "Health": {
        "on_alert": Literal["warn", "stop"],
        "replies": Annotated[int, Field(ge=0, le=65_536)],
        "max_new_tokens": Rows,
        "every_n_steps": Count,
    },
    "LossComponents": {"every_n_steps": Count},
}
"""Arguments of this program's callbacks, which are told here, before the library they are made of is imported."""


class HealthConfig(Section):
    """What an alert of the health rules does."""

    on_alert: Literal["warn", "stop"]


class Config(Section):
    """A whole training configuration; a key with a default here is younger than some runs are."""

    model: ModelConfig
    loss: LossConfig
    data: DataConfig
    optimizer: OptimizerConfig
    trainer: TrainerConfig
    callbacks: dict[str, dict[str, Any]]
    logger: dict[str, dict[str, Any]] | None
    seed: Seed
    objective_metric: Metric
    diagnostics_every_n_steps: CountOrZero
    health: HealthConfig
    check: Literal[True, False, "only"]
    resume: Text | None
    arm: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[\w.=+-]+$")] | None = None
    existing_run: Literal["refuse", "continue"] = "refuse"
    objective: Literal["metric", "endpoints"] = "metric"
    development_probes: Text = "data/probes_dev.jsonl"
    run_dir: str

    @model_validator(mode="after")
    def _evaluation_rows_stay_unseen(self) -> Config:
        if self.objective == "endpoints" and self.data.eval_file is not None:
            raise ValueError(
                f"objective=endpoints chooses settings by what it measures, so data.eval_file={self.data.eval_file} "
                f"would be evaluation no more. Give the training file alone, of which rows are split off: data=jsonl "
                f"data.train_file=FILE."
            )
        return self

    def plain(self) -> dict[str, Any]:
        """Nested dictionaries with the names of the configuration files."""
        return self.model_dump(by_alias=True)


class EvaluateConfig(Section):
    """What evaluate.py takes."""

    run: Text | None
    study: Text | None
    accelerator: Accelerator
    probes_file: Text
    batch_size: Rows
    bootstrap_samples: Annotated[int, Field(ge=100, le=1_000_000)]
    seed: Seed
    output: Text | None
    adapter: Literal["last", "best"]

    @model_validator(mode="after")
    def _one_of_both(self) -> EvaluateConfig:
        if (self.run is None) == (self.study is None):
            raise ValueError("give either run=DIR (or run=latest), or study=DIR with the runs of a multirun")
        if self.study is not None and self.adapter == "best":
            raise ValueError("adapter=best goes with run=DIR; the arms of a study are compared after equal training")
        return self


def known_keys() -> list[str]:
    """Every dotted key of the schema, as on the command line."""
    keys = keys_of(Config, "")
    return sorted([*keys, *(f"trainer.{name}" for name in TRAINER_ARGUMENTS), "experiment", "debug", "hydra.run.dir"])


def keys_of(section: type[BaseModel], prefix: str = "") -> Iterable[str]:
    """Dotted keys of a section, as on the command line."""
    for name, info in section.model_fields.items():
        key = f"{prefix}{info.alias or name}"
        yield key
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from keys_of(annotation, f"{key}.")


def description(section: type[BaseModel], place: Iterable[str | int]) -> str:
    """What the schema says of a key beside its type, or of the section that it is in; empty where it says nothing."""
    found = ""
    for part in place:
        fields = section.model_fields
        info = fields.get(str(part)) or next((each for each in fields.values() if each.alias == part), None)
        if info is None:
            break
        found = info.description or ""
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            section = info.annotation
    return found


def hint(name: str, candidates: Iterable[str]) -> str:
    """The nearest name among some, as a question; empty where none is near."""
    alike = [candidate for candidate in candidates if candidate.count(".") == name.count(".")]
    nearest = difflib.get_close_matches(name, alike, n=1, cutoff=0.6)
    return f" Did you mean {nearest[0]}?" if nearest else ""
