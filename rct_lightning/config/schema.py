"""Every section and key of the configuration, with types, ranges and the constraints between keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rct_lightning.config.keys import keys_of
from rct_lightning.config.trainer import TRAINER_ARGUMENTS, Accelerator, TrainerConfig
from rct_lightning.config.values import (
    Count,
    CountOrZero,
    Rate,
    Role,
    Rows,
    Seed,
    Share,
    SlotlessWord,
    Text,
    Weight,
    Word,
)

ORIGINAL_LOSSES = ("seed", "original_v1", "original_v2")
"""Formulas of the original project, kept to show what they do."""
PYTHIA_SIZES = ("70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b")


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
        """The base's name on the hub; None for a local folder, whose path is not to be published."""
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
    """Words of the user that address the assistant; null selects the built-in list."""

    presence: Annotated[list[Word], Field(min_length=1, max_length=10_000)] | None = Field(
        description="Write a list, [aelara,dear friend], or null for the built-in one."
    )


class PresenceConfig(Section):
    """Parameters of the presence term, in nats per token."""

    margin: Weight
    lift: Weight
    specificity: Weight
    level: Weight


class RecurrenceConfig(Section):
    """How recurrent positions are found and scored."""

    max_document_frequency: Annotated[float, Field(gt=0, le=1)]
    num_candidates: Rows
    among: Literal["vocabulary", "candidates"]
    label_smoothing: Share


class CounterfactualConfig(Section):
    """How often training rows are augmented."""

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
    human_name: SlotlessWord | None

    @property
    def is_original(self) -> bool:
        """Whether these are formulas of the original project, kept to show what they do."""
        return self.name in ORIGINAL_LOSSES

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

    human: Role
    assistant: Role

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
"""Arguments of this project's callbacks, listed here so that they are checked before Lightning is imported."""
_PLACE: dict[str, Any] = {"save_dir": Text, "name": str, "version": str | int, "prefix": str}
_OF_BOARD: dict[str, Any] = {
    "default_hp_metric": bool,
    "log_graph": bool,
    "sub_dir": Text,
    "comment": str,
    "max_queue": Count,
    "flush_secs": Count,
    "filename_suffix": str,
}
LOGGER_ARGUMENTS: dict[str, dict[str, Any]] = {
    "BoardLogger": _PLACE | _OF_BOARD,
    "TensorBoardLogger": _PLACE | _OF_BOARD,
    "CSVLogger": _PLACE | {"flush_logs_every_n_steps": Count},
}
"""Arguments of loggers; TensorBoard's passes others on to a writer, which is made when the run has begun."""


class HealthConfig(Section):
    """What an alert of the health rules does."""

    on_alert: Literal["warn", "stop"]


class Config(Section):
    """A whole training configuration; keys with a default here were added later and are absent from older runs."""

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
        """Return nested dictionaries with the key names of the configuration files."""
        return self.model_dump(by_alias=True)


class EvaluateConfig(Section):
    """The configuration of evaluate.py."""

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
    """Return every dotted key of the schema, as on the command line."""
    keys = keys_of(Config, "")
    return sorted([*keys, *(f"trainer.{name}" for name in TRAINER_ARGUMENTS), "experiment", "debug", "hydra.run.dir"])
