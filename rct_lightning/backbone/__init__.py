"""Tokenizer, causal LM, 4-bit quantisation and LoRA; the only package that imports peft and bitsandbytes."""

from rct_lightning.backbone.adapters import Lora, adapter_state, parameters_of_base
from rct_lightning.backbone.devices import available_accelerators, free_memory, placement, resolve_accelerator
from rct_lightning.backbone.loading import (
    Backbone,
    checkpoint_activations,
    exchange_adapters,
    load_backbone,
    merge,
    quiet_libraries,
    reload_adapter,
)
from rct_lightning.backbone.quantization import Dequantize, Quantization, nf4_problem, nf4_slowdown
from rct_lightning.backbone.saving import AdapterCard, open_weights, save_adapter
from rct_lightning.backbone.source import files_of_base
from rct_lightning.backbone.tokenizer import load_tokenizer

__all__ = [
    "AdapterCard",
    "Backbone",
    "Dequantize",
    "Lora",
    "Quantization",
    "adapter_state",
    "available_accelerators",
    "checkpoint_activations",
    "exchange_adapters",
    "files_of_base",
    "free_memory",
    "load_backbone",
    "load_tokenizer",
    "merge",
    "nf4_problem",
    "nf4_slowdown",
    "open_weights",
    "parameters_of_base",
    "placement",
    "quiet_libraries",
    "reload_adapter",
    "resolve_accelerator",
    "save_adapter",
]
