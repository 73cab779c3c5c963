"""Loading of a trained model: base, adapter and the template it was trained with."""

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
class Base:
    """What is loaded as base, and on which device; equal values mean the same loaded base."""

    name_or_path: str
    quantization: backbone.Quantization
    dequantize: backbone.Dequantize
    device: str


@dataclass(frozen=True)
class TrainedModel:
    """The loaded model of a run.

    Attributes:
        config: The run's configuration.
        adapter: The folder the adapter was loaded from.
        template: Role names, as stored with the adapter.
        backbone: The base with the adapter on it; ``scoring.base_model`` turns the adapter off.
        accelerator: cpu, gpu or mps.
        base: What was loaded as base.
    """

    config: Config
    adapter: Path
    template: DialogueTemplate
    backbone: backbone.Backbone
    accelerator: str
    base: Base

    @property
    def device(self) -> str:
        """The device of the model."""
        return self.base.device

    @property
    def model(self) -> Any:
        """The PEFT model."""
        return self.backbone.model

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the base."""
        return self.backbone.tokenizer


def trained_on(run: RunDir) -> Literal["nf4", "full"] | None:
    """Return the base's weight format recorded by the run (``auto`` may choose another here); None without a record."""
    try:
        dequantize = read_object(run.environment)["chosen"]["dequantize"]
    except (UserError, KeyError, TypeError):
        return None
    return "full" if dequantize == "auto" else "nf4"


def _base_of(run: RunDir, config: Config) -> str:
    """Return a base's name or folder, looked up from here, from the folders above the run, or from the project."""
    name = config.model.name_or_path
    above = [folder / name for folder in (*run.root.resolve().parents, Path(__file__).parents[1])]
    found = [folder for folder in (Path(name), *above) if folder.is_dir()]
    return str(found[0]) if found else name


def load_trained(
    run: RunDir, *, which: WhichAdapter = "last", accelerator: str = "auto", instead_of: TrainedModel | None = None
) -> TrainedModel:
    """Load a run's base and adapter.

    Args:
        run: A finished run.
        which: ``last`` or ``best``; see :meth:`RunDir.trained_adapter`.
        accelerator: auto, cpu, gpu or mps.
        instead_of: Model of another run. If the base is the same, it stays in memory and only the adapter is replaced;
            this object must not be used afterwards.

    Raises:
        UserError: The run's files are missing or damaged, or its base is not available.
    """
    config = load_run_config(run.config)
    adapter = run.trained_adapter(which)
    found = backbone.resolve_accelerator(accelerator, "accelerator")
    device = backbone.placement(found)
    template = load_template(adapter)
    quantization = "none" if trained_on(run) == "full" else config.model.quantization
    base = Base(_base_of(run, config), quantization, config.model.dequantize, device)
    if instead_of is not None and instead_of.base == base:
        loaded = backbone.exchange_adapters(instead_of.backbone, adapter)
    else:
        loaded = backbone.load_backbone(
            base.name_or_path,
            backbone.load_tokenizer(base.name_or_path),
            device=device,
            quantization=base.quantization,
            dequantize=base.dequantize,
            adapter=adapter,
        )
    return TrainedModel(config, adapter, template, loaded, found, base)
