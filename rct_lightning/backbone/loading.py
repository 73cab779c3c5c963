"""A base with adapters: loading it, exchanging its adapters, and merging them into the base."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rct_lightning.backbone.adapters import Lora, new_adapters, quicken, saved_adapters
from rct_lightning.backbone.quantization import (
    Dequantize,
    Precision,
    Quantization,
    compute_dtype,
    decide_dequantize,
    decide_quantization,
    holds_nf4,
    keep_weights_as_they_are,
)
from rct_lightning.backbone.source import not_loadable
from rct_lightning.backbone.tokenizer import check_embedded
from rct_lightning.errors import UserError
from rct_lightning.untrusted import check_model


@dataclass(frozen=True)
class Backbone:
    """A frozen base with trainable adapters, and its tokenizer."""

    model: nn.Module
    tokenizer: Any
    precision: Precision


def quiet_libraries() -> None:
    """Silence progress bars and warnings of the model libraries, which would clutter this project's output."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    for name in ("transformers", "bitsandbytes"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")


def load_backbone(
    name_or_path: str,
    tokenizer: Any,
    *,
    device: str,
    quantization: Quantization = "auto",
    dequantize: Dequantize = "auto",
    lora: Lora | None = None,
    adapter: Path | None = None,
) -> Backbone:
    """Load the base, quantise it, and add adapters.

    Args:
        name_or_path: A local folder or a hub name.
        tokenizer: As :func:`load_tokenizer` gives it.
        device: As :func:`placement` gives it.
        quantization: ``nf4`` (double quantisation), ``none``, or ``auto``: nf4 where it works.
        dequantize: ``once`` turns the NF4 weights back into full ones at load time, which computes the same numbers
            faster for more memory; ``auto`` does so when they fit comfortably; ``never`` keeps 4 bits.
        lora: New adapters, initialised to change nothing. Give either this or ``adapter``.
        adapter: A saved adapter to load instead (safetensors only).

    Raises:
        UserError: The model cannot be loaded, its files lack weights or do not fit the tokenizer, or nf4 was requested
            and does not work on the device.
    """
    model, precision = _load_base(name_or_path, device, quantization, dequantize)
    check_embedded(name_or_path, tokenizer, len(model.get_input_embeddings().weight))
    model.requires_grad_(False)
    peft_model = new_adapters(model, lora or Lora()) if adapter is None else saved_adapters(model, adapter)
    quicken(peft_model)
    return Backbone(peft_model, tokenizer, precision)


def _load_base(
    name_or_path: str, device: str, quantization: Quantization, dequantize: Dequantize
) -> tuple[Any, Precision]:
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    dtype = compute_dtype(device)
    effective, why = decide_quantization(quantization, device)
    if device.startswith("cuda"):  # cuDNN's attention spends 0.1 to 1 s on a plan for each new length
        torch.backends.cuda.enable_cudnn_sdp(False)
    if Path(name_or_path).is_dir():
        check_model(Path(name_or_path))
    options: dict[str, Any] = {"dtype": dtype, "device_map": {"": device}, "use_safetensors": True}
    if effective == "nf4":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    try:
        # if trust_remote_code is left out, transformers asks for it on the console
        model, report = AutoModelForCausalLM.from_pretrained(
            name_or_path, trust_remote_code=False, output_loading_info=True, **options
        )
    except Exception as error:
        raise not_loadable(name_or_path, "model", error) from error
    _check_complete(name_or_path, report["missing_keys"])
    if effective == "nf4" and not holds_nf4(model):
        problem = "none of its layers is a plain linear one, which is all that bitsandbytes quantises."
        if quantization == "nf4":
            raise UserError(
                f"model.quantization=nf4: {name_or_path} cannot be held in 4 bits: {problem} Use "
                f"model.quantization=none."
            )
        del model
        model, full = _load_base(name_or_path, device, "none", dequantize)
        return model, replace(full, asked=quantization, why=f"NF4 changes nothing here: {problem.rstrip('.')}")
    if effective == "nf4":
        keep_weights_as_they_are(model)
        once, reason = decide_dequantize(dequantize, model, dtype, device)
        why = f"{why}; {reason}"
        if once:
            model = model.dequantize()
            model = model.to(dtype)
            effective = "nf4, dequantized once"
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.parameters())
    return model, Precision(quantization, effective, why, dtype, size)


def _check_complete(name_or_path: str, missing: Collection[str]) -> None:
    """Refuse a base whose files lack some of its weights: transformers draws them at random, and only warns."""
    if missing:
        first = ", ".join(sorted(missing)[:3])
        more = f" and {len(missing) - 3} others" if len(missing) > 3 else ""
        raise UserError(
            f"model.name_or_path={name_or_path}: its files lack weights of the model, {first}{more}, which would be "
            f"random numbers. Give a whole causal LM: other kinds (classifiers, reward models, encoders) do "
            f"not predict the next token."
        )


def exchange_adapters(loaded: Backbone, adapter: Path) -> Backbone:
    """Return the same base in memory with another saved adapter; the given backbone must not be used afterwards.

    Raises:
        UserError: The adapter is damaged, or does not fit.
    """
    peft_model: Any = loaded.model
    bare = peft_model.unload()  # restores the base's own layers
    vars(bare).pop("peft_config", None)  # otherwise peft warns of a second adapter
    peft_model = saved_adapters(bare, adapter)
    quicken(peft_model)
    return Backbone(peft_model, loaded.tokenizer, loaded.precision)


def reload_adapter(backbone: Backbone, folder: Path) -> Any:
    """Return the base with a folder's adapter as plain peft loads it; the backbone must not be used afterwards."""
    from peft import PeftModel

    return PeftModel.from_pretrained(backbone.model.unload(), str(folder)).eval()  # type: ignore[operator]


def merge(backbone: Backbone, adapter: Path) -> Any:
    """Return a float32 model without adapters that computes what the base with its adapter computes.

    Under NF4 the adapter is added to the dequantised weights: it was trained with these, and would compute something
    else with the original weights. (Added to 4-bit weights, it would be rounded away.)

    Args:
        backbone: The backbone of a run; it must not be used afterwards.
        adapter: The run's own adapter, already checked.
    """
    if backbone.precision.effective == "nf4":
        base: Any = backbone.model.unload().dequantize()  # type: ignore[operator]
        backbone = replace(backbone, model=saved_adapters(base, adapter))
    model: Any = backbone.model.float()
    return model.merge_and_unload(safe_merge=True).eval()


def checkpoint_activations(model: Any) -> None:
    """Enable gradient checkpointing: activations are recomputed in the backward pass instead of being stored."""
    model.enable_input_require_grads()
    model.get_base_model().gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
