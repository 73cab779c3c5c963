"""LoRA adapters on a frozen base: creating them, loading saved ones, and selecting their parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
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
    """Return a PEFT model: the base with new adapters on its linear layers, initialised to change nothing.

    Raises:
        UserError: peft has no adapters for the architecture.
    """
    from peft import LoraConfig, get_peft_model

    targets: Any = list(NEOX_LINEARS) if model.config.model_type == "gpt_neox" else "all-linear"
    config = LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    try:
        return get_peft_model(model, config, autocast_adapter_dtype=True)
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise UserError(
            f"model.name_or_path={model.name_or_path}: peft cannot put adapters on the linear layers of this "
            f"architecture, {model.config.model_type} ({first}). Give a transformer such as GPT-2, Llama or Qwen."
        ) from error


def saved_adapters(model: Any, folder: Path) -> Any:
    """Return a PEFT model: the base with the adapters of a folder.

    Raises:
        UserError: The folder holds no acceptable adapters, or they are damaged or do not fit the base.
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


class _Joined(nn.Module):
    """A layer that computes base(x) + scaling * B A x with the addition fused into the last product (``addmm``).

    peft computes the adapter's output, scales it and adds it in three passes over tensors of the layer's full width. It
    also casts the input to the dtype of the adapter's weights: on a bfloat16 base it keeps a float32 copy of every
    layer's input and multiplies it without the tensor cores. Here the product has the dtype of the input.
    """

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """[..., in] -> [..., out]; anything but one plain active adapter is left to peft."""
        name = self._only_adapter()
        if name is None or args or kwargs:
            return super().forward(x, *args, **kwargs)
        layer: Any = self
        result = layer.base_layer(x)
        down, up = (half[name].weight.to(x.dtype) for half in (layer.lora_A, layer.lora_B))
        hidden = F.linear(layer.lora_dropout[name](x), down)
        joined = torch.addmm(result.flatten(0, -2), hidden.flatten(0, -2), up.t(), alpha=layer.scaling[name])
        return joined.view_as(result)

    def _only_adapter(self) -> str | None:
        layer: Any = self
        if layer.disable_adapters or layer.merged or len(layer.active_adapters) != 1:
            return None
        (name,) = layer.active_adapters
        plain = name in layer.lora_A and name not in layer.lora_variant and layer.lora_B[name].bias is None
        return name if plain else None


def quicken(peft_model: nn.Module) -> None:
    """Make adapters on linear layers compute in fewer passes, with this project's dropout; weights are unchanged."""
    for module in peft_model.modules():
        for name, dropout in getattr(module, "lora_dropout", {}).items():
            if isinstance(dropout, nn.Dropout):
                module.lora_dropout[name] = AdapterDropout(dropout.p)  # type: ignore[assignment, operator]
        if isinstance(getattr(module, "base_layer", None), nn.Linear) and not isinstance(module, _Joined):
            plain: Any = type(module)
            module.__class__ = _joined(plain)


@cache
def _joined(plain: Any) -> Any:
    """Return the subclass of peft's layer class ``plain`` that computes as :class:`_Joined` does."""
    return type(f"Joined{plain.__name__}", (_Joined, plain), {})


def adapter_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the trainable tensors by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def parameters_of_base(model: nn.Module) -> int:
    """Return the number of parameters of a model without its adapters, counted as if unpacked."""
    return sum(logical_numel(each) for name, each in model.named_parameters() if "lora_" not in name)
