"""The section ``trainer``: which of Lightning's arguments are passed on, which are typed and which cannot be set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rct_lightning.config.keys import hint
from rct_lightning.config.values import Count, CountOrZero, Length, Limit, Rows, Time

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
Precision = Literal[32, 16, "32", "16", "bf16", "32-true", "16-mixed", "bf16-mixed"]
"""Of a run's computations. The base has its own dtype, and adapters learn in float32: no other "-true" of Lightning."""


class TrainerConfig(BaseModel):
    """Arguments of Lightning's Trainer; those whose mistakes it would report late, or never, are typed here."""

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
    max_time: Time | None = Field(
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
        """Number of processes that train together, on all machines."""
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
