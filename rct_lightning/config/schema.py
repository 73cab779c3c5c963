"""Every key of the configuration, with its type and range."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

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
    "num_nodes": "a run has one device so far",
    "strategy": "a run has one device so far",
    "sync_batchnorm": "a run has one device so far",
    "enable_checkpointing": "the run keeps its adapter, not Lightning checkpoints",
    "overfit_batches": "it replaces the sampler that keeps rows of a step together; give a small train_file",
}


def _is_some_time(value: Any) -> bool:
    """Whether Lightning's Timer reads this as a time, and it is not over before the first step."""
    return re.fullmatch(r"\d+(:\d\d){3}", str(value)) is not None and str(value).strip("0:") != ""


class TrainerConfig(BaseModel):
    """Arguments of Lightning's Trainer; the ones that have limits of ours are typed here."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps"]
    devices: Literal[1]
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
                nearest = hint(name, TRAINER_ARGUMENTS)
                problems.append(f"trainer.{name} is not an argument of Lightning's Trainer.{nearest}")
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


def hint(name: str, candidates: Iterable[str]) -> str:
    """The nearest name among some, as a question; empty where none is near."""
    alike = [candidate for candidate in candidates if candidate.count(".") == name.count(".")]
    nearest = difflib.get_close_matches(name, alike, n=1, cutoff=0.6)
    return f" Did you mean {nearest[0]}?" if nearest else ""
