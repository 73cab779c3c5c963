"""LoRA adapters on a frozen base: new ones, saved ones, and what of a model is theirs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from rct_lightning.backbone.quantization import logical_numel
from rct_lightning.dropout import AdapterDropout
from rct_lightning.errors import UserError
from rct_lightning.untrusted import check_adapter

NEOX_LINEARS = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (Hu et al. 2021): rank, scale numerator, dropout on the adapter's input."""

    r: int = 16
    alpha: int = 32
    dropout: float = 0.05


def new_adapters(model: Any, lora: Lora) -> Any:
    """The PEFT model of a base with adapters on its linear layers that change nothing yet."""
    from peft import LoraConfig, get_peft_model

    targets: Any = list(NEOX_LINEARS) if model.config.model_type == "gpt_neox" else "all-linear"
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config, autocast_adapter_dtype=True)


def saved_adapters(model: Any, folder: Path) -> Any:
    """The PEFT model of a base with the adapters of a folder.

    Raises:
        UserError: The folder holds none that may be read, or they are damaged or do not fit.
    """
    from peft import PeftModel
    from safetensors import SafetensorError

    check_adapter(folder)
    try:
        return PeftModel.from_pretrained(model, str(folder), is_trainable=True, use_safetensors=True)
    except SafetensorError as error:
        raise UserError(
            f"{folder}: adapter_model.safetensors is damaged ({error}). Use another run, or train again."
        ) from error
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        first = str(error).splitlines()[0]
        raise UserError(f"{folder}: this adapter does not fit its base model ({first}).") from error


class AdapterLinear(nn.Linear):
    """Half of an adapter that computes in the type of its input, whatever the type its weights are trained in.

    peft turns the input into the weights' type instead: beside a base in bfloat16, that holds and moves a copy of every
    layer's input in float32, and multiplies it without the tensor cores.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., in] -> [..., out], of the type of x."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.weight.to(x.dtype), bias)


def quicken(peft_model: nn.Module) -> None:
    """Put this project's faster dropout and products in the place of the adapters' own; weights stay where they are."""
    for module in peft_model.modules():
        for name, dropout in getattr(module, "lora_dropout", {}).items():
            if isinstance(dropout, nn.Dropout):
                module.lora_dropout[name] = AdapterDropout(dropout.p)  # type: ignore[assignment, operator]
        for halves in (getattr(module, "lora_A", {}), getattr(module, "lora_B", {})):
            for name, half in halves.items():
                if type(half) is nn.Linear:
                    halves[name] = _in_the_type_of_its_input(half)
                    module.cast_input_dtype_enabled = False  # type: ignore[assignment]


def _in_the_type_of_its_input(half: nn.Linear) -> AdapterLinear:
    quick = AdapterLinear(half.in_features, half.out_features, half.bias is not None, device="meta")
    quick.weight, quick.bias = half.weight, half.bias
    return quick


def adapter_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Trainable tensors by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def parameters_of_base(model: nn.Module) -> int:
    """How many parameters a model has without its adapters, however they are packed."""
    return sum(logical_numel(each) for name, each in model.named_parameters() if "lora_" not in name)
