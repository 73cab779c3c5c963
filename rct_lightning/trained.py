"""A run's model as it was trained: base, adapter and the template it learnt with, ready to be asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rct_lightning import backbone
from rct_lightning.config import Config, load_run_config
from rct_lightning.errors import UserError
from rct_lightning.reading import read_object
from rct_lightning.runs import RunDir, WhichAdapter
from rct_lightning.template import DialogueTemplate
from rct_lightning.untrusted import load_template


@dataclass(frozen=True)
class TrainedModel:
    """What a run left, loaded.

    Attributes:
        config: The run's own.
        adapter: The folder it was read from.
        template: Role names, as stored with the adapter.
        backbone: The base with the adapter on it; ``scoring.base_model`` turns the adapter off.
        accelerator: cpu, gpu or mps.
        device: Where the model is.
    """

    config: Config
    adapter: Path
    template: DialogueTemplate
    backbone: backbone.Backbone
    accelerator: str
    device: str

    @property
    def model(self) -> Any:
        """The PEFT model."""
        return self.backbone.model

    @property
    def tokenizer(self) -> Any:
        """Of the base."""
        return self.backbone.tokenizer


def trained_on(run: RunDir) -> Literal["nf4", "full"] | None:
    """Weights of the base that the run noted it had; ``auto`` may come to others here. None where it noted nothing."""
    try:
        dequantize = read_object(run.environment)["chosen"]["dequantize"]
    except (UserError, KeyError, TypeError):
        return None
    return "full" if dequantize == "auto" else "nf4"


def load_trained(run: RunDir, *, which: WhichAdapter = "last", accelerator: str = "auto") -> TrainedModel:
    """Load a run's base and adapter.

    Args:
        run: A finished run.
        which: ``last`` or ``best``; see :meth:`RunDir.trained_adapter`.
        accelerator: auto, cpu, gpu or mps.

    Raises:
        UserError: The run's files are missing or damaged, or its base cannot be had.
    """
    config = load_run_config(run.config)
    adapter = run.trained_adapter(which)
    found = backbone.resolve_accelerator(accelerator)
    device = backbone.placement(found)
    template = load_template(adapter)
    tokenizer = backbone.load_tokenizer(config.model.name_or_path)
    base = backbone.load_backbone(
        config.model.name_or_path,
        tokenizer,
        device=device,
        quantization="none" if trained_on(run) == "full" else config.model.quantization,
        dequantize=config.model.dequantize,
        adapter=adapter,
    )
    return TrainedModel(config, adapter, template, base, found, device)
