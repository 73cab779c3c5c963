"""Tokenizer, causal LM, 4-bit quantisation and LoRA; the only file that imports peft and bitsandbytes."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from rct_lightning.dropout import AdapterDropout
from rct_lightning.errors import UserError
from rct_lightning.template import DialogueTemplate
from rct_lightning.untrusted import TEMPLATE_FILE, check_adapter, check_model

Quantization = Literal["auto", "nf4", "none"]
Dequantize = Literal["auto", "once", "never"]

NEOX_LINEARS = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")
FULL_WEIGHT_SHARE = 0.5
"""dequantize=auto holds the full weights if they take at most this share of the free memory."""


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (Hu et al. 2021): rank, scale numerator, dropout on the adapter's input."""

    r: int = 16
    alpha: int = 32
    dropout: float = 0.05


@dataclass(frozen=True)
class Precision:
    """What was asked of the base's weights, what it came to, and why."""

    asked: str
    effective: str
    why: str
    dtype: torch.dtype
    weight_bytes: int

    def line(self) -> str:
        """One line for the console and the run's events."""
        return (
            f"quantization: asked {self.asked}, effective {self.effective}, computing in "
            f"{str(self.dtype).removeprefix('torch.')}, base weights {self.weight_bytes / 2**20:.1f} MiB ({self.why})"
        )


@dataclass(frozen=True)
class Backbone:
    """A frozen base with trainable adapters, and its tokenizer."""

    model: nn.Module
    tokenizer: Any
    precision: Precision


def quiet_libraries() -> None:
    """Keep the chatter of model libraries out of the way of this project's own lines."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    for name in ("transformers", "bitsandbytes"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")


def available_accelerators() -> list[str]:
    """Accelerators of this machine, best first."""
    found = ["gpu"] if torch.cuda.is_available() else []
    found += ["mps"] if torch.backends.mps.is_available() else []
    return [*found, "cpu"]


def resolve_accelerator(asked: str) -> str:
    """The accelerator to use: ``auto`` is the best there is.

    Raises:
        UserError: The accelerator asked for is not on this machine.
    """
    found = available_accelerators()
    wanted = {"auto": found[0], "cuda": "gpu"}.get(asked, asked)
    if wanted not in found:
        raise UserError(
            f"trainer.accelerator={asked}: this machine has no such accelerator. It has: {', '.join(found)}. "
            f"Use trainer.accelerator={found[0]} or trainer.accelerator=auto."
        )
    return wanted


def placement(accelerator: str, local_rank: int = 0) -> str:
    """The torch device of a process: a pure function of accelerator and rank on its machine."""
    devices = {"cpu": "cpu", "mps": "mps", "gpu": f"cuda:{local_rank}", "cuda": f"cuda:{local_rank}"}
    if accelerator not in devices:
        raise ValueError(f"accelerator must be one of {sorted(devices)}, found {accelerator!r}")
    if accelerator == "mps" and local_rank != 0:
        raise ValueError("mps is one device: it has no rank other than 0")
    return devices[accelerator]


def load_tokenizer(name_or_path: str) -> Any:
    """A tokenizer whose padding differs from its end-of-sequence token.

    Raises:
        UserError: It cannot be had, or has no EOS token.
    """
    from transformers import AutoTokenizer

    _check_obtainable(name_or_path)
    try:
        # "<|endoftext|>" in somebody's text is these characters, and does not end a reply
        tokenizer = AutoTokenizer.from_pretrained(name_or_path, split_special_tokens=True, trust_remote_code=False)
    except Exception as error:
        raise _not_loadable(name_or_path, "tokenizer", error) from error
    if tokenizer.eos_token_id is None:
        raise UserError(f"{name_or_path}: the tokenizer has no end-of-sequence token, so no reply could ever end.")
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        tokenizer.pad_token = "<|padding|>" if "<|padding|>" in tokenizer.get_vocab() else _unused_token(tokenizer)
    tokenizer.padding_side = "right"
    return tokenizer


def _check_obtainable(name_or_path: str) -> None:
    """Ask once, without the loaders' minute of retries, whether a model that is not on this machine can be had."""
    from huggingface_hub import HfApi, try_to_load_from_cache

    if Path(name_or_path).is_dir():
        return
    try:
        if isinstance(try_to_load_from_cache(name_or_path, "config.json"), str):
            return
        HfApi().model_info(name_or_path, timeout=20)
    except Exception as error:  # no network, no such model, not a name: each ends the same way
        raise _not_loadable(name_or_path, "model", error) from error


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
        UserError: The model cannot be had, or nf4 was demanded and does not work here.
    """
    model, precision = _load_base(name_or_path, device, quantization, dequantize)
    model.requires_grad_(False)
    peft_model = _new_adapters(model, lora or Lora()) if adapter is None else _saved_adapters(model, adapter)
    _quicken_dropout(peft_model)
    return Backbone(peft_model, tokenizer, precision)


def reload_adapter(backbone: Backbone, folder: Path) -> Any:
    """The base of a backbone, which is used up, with the adapter of a folder on it, as peft itself puts it there."""
    from peft import PeftModel

    return PeftModel.from_pretrained(backbone.model.unload(), str(folder)).eval()  # type: ignore[operator]


def merge(backbone: Backbone, adapter: Path) -> Any:
    """A model without adapters that computes what a base with an adapter computes, in float32.

    Under NF4 it is added to the weights that NF4 stands for, in full: it was trained beside these, and beside the
    weights that were quantised it computes something else. (Added to 4 bits it would be rounded away.)

    Args:
        backbone: Of a run; it is used up.
        adapter: The run's own, checked.
    """
    if backbone.precision.effective == "nf4":
        base: Any = backbone.model.unload().dequantize()  # type: ignore[operator]
        backbone = replace(backbone, model=_saved_adapters(base, adapter))
    model: Any = backbone.model.float()
    return model.merge_and_unload(safe_merge=True).eval()


def exchange_adapters(loaded: Backbone, adapter: Path) -> Backbone:
    """The same base in memory with another saved adapter; the former backbone is of no use any more.

    Raises:
        UserError: The adapter is damaged, or does not fit.
    """
    peft_model: Any = loaded.model
    bare = peft_model.unload()  # the base's own layers, put back as they were
    vars(bare).pop("peft_config", None)  # or it would be warned of a second adapter
    peft_model = _saved_adapters(bare, adapter)
    _quicken_dropout(peft_model)
    return Backbone(peft_model, loaded.tokenizer, loaded.precision)


def files_of_base(name_or_path: str) -> list[Path]:
    """The files that a base is loaded from, in its folder or in the hub's cache; none where it is in neither."""
    from huggingface_hub import try_to_load_from_cache

    folder = Path(name_or_path)
    if not folder.is_dir():
        config = try_to_load_from_cache(name_or_path, "config.json")
        folder = Path(config).parent if isinstance(config, str) else folder
    return [path for path in sorted(folder.glob("*")) if path.suffix in (".safetensors", ".json")]


def checkpoint_activations(model: Any) -> None:
    """Make the activations of a model with adapters again in the backward pass instead of keeping them."""
    model.enable_input_require_grads()
    model.get_base_model().gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


@dataclass(frozen=True)
class AdapterCard:
    """What an adapter's folder says of where it comes from.

    Attributes:
        base: A hub name or a bundled model's name, never this machine's path.
        trained: One sentence on how it was trained.
    """

    base: str = "an unnamed base"
    trained: str = ""

    def text(self, measured: str) -> str:
        """Of README.md, with one sentence on what was measured."""
        template = f"The dialogue template is in {TEMPLATE_FILE}."
        return f"# LoRA adapter for {self.base}\n\n{self.trained} {measured} {template}\n"


def save_adapter(
    model: nn.Module, tokenizer: Any, template: DialogueTemplate, folder: Path, card: AdapterCard, measured: str
) -> None:
    """Write a PEFT folder: safetensors, tokenizer, template and model card, beside its place and then there.

    Args:
        model: The PEFT model.
        tokenizer: Saved beside the weights.
        template: Role names; every later use of the adapter reads them from here.
        folder: Its place; one that is there is replaced.
        card: Of the adapter.
        measured: A sentence for the card.

    Raises:
        OSError: The disk does not take it; nothing half-written is left, and one that was there still is.
    """
    from safetensors import SafetensorError

    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        model.save_pretrained(str(part), safe_serialization=True, save_embedding_layers=False)  # type: ignore[operator]
        config_file = part / "adapter_config.json"
        config = json.loads(config_file.read_text(encoding="utf-8")) | {"base_model_name_or_path": card.base}
        config_file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        tokenizer.save_pretrained(str(part))
        (part / TEMPLATE_FILE).write_text(json.dumps(template.to_json(), indent=2) + "\n", encoding="utf-8")
        (part / "README.md").write_text(card.text(measured), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(part, folder)
    except SafetensorError as error:  # its own word for a disk that is full
        raise OSError(errno.EIO, str(error), str(folder)) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)  # it was moved, or never came to be whole


def adapter_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Trainable tensors by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def parameters_of_base(model: nn.Module) -> int:
    """How many parameters a model has without its adapters, however they are packed."""
    return sum(_logical_numel(each) for name, each in model.named_parameters() if "lora_" not in name)


def _load_base(
    name_or_path: str, device: str, quantization: Quantization, dequantize: Dequantize
) -> tuple[Any, Precision]:
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    dtype = compute_dtype(device)
    effective, why = _decide_quantization(quantization, device)
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
        # left out, trust_remote_code is asked for on the console
        model = AutoModelForCausalLM.from_pretrained(name_or_path, trust_remote_code=False, **options)
    except Exception as error:
        raise _not_loadable(name_or_path, "model", error) from error
    if effective == "nf4":
        _keep_weights_as_they_are(model)
        once, reason = _decide_dequantize(dequantize, model, dtype, device)
        why = f"{why}; {reason}"
        if once:
            model = model.dequantize()
            model = model.to(dtype)
            effective = "nf4, dequantized once"
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.parameters())
    return model, Precision(quantization, effective, why, dtype, size)


def _keep_weights_as_they_are(model: nn.Module) -> None:
    """Keep bitsandbytes' bf16 kernel for inference on CPUs off.

    On a CPU with AVX512-BF16 the first evaluation pass would repack the 4-bit weights for good, in a form that passes
    no gradient and computes in bf16: training after an evaluation fails, and the numbers are others.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]


def compute_dtype(device: str) -> torch.dtype:
    """bf16 on CUDA; float32 elsewhere (bf16 matmul is several times slower on most CPUs)."""
    if device.startswith("cuda") and torch.cuda.is_bf16_supported():
        return torch.bfloat16
    return torch.float32


def _decide_quantization(asked: Quantization, device: str) -> tuple[str, str]:
    if asked == "none":
        return "none", "as asked"
    problem = nf4_problem(device)
    if problem is None:
        return "nf4", "as asked" if asked == "nf4" else f"NF4 works on {device}"
    if asked == "nf4":
        raise UserError(
            f"model.quantization=nf4 cannot be had on {device}: {problem} Use model.quantization=none, or auto to "
            f"take NF4 only where it works."
        )
    return "none", f"NF4 does not work on {device}: {problem}"


def nf4_problem(device: str) -> str | None:
    """Why NF4 does not work on a device; None where quantising a small tensor succeeds."""
    try:
        from bitsandbytes import functional as bnb

        weight, state = bnb.quantize_4bit(torch.ones(64, 64, device=device), quant_type="nf4")
        bnb.dequantize_4bit(weight, state)
    except Exception as error:  # bitsandbytes raises many kinds; each means the same to the caller
        return f"bitsandbytes says {type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'nothing'}."
    return None


def nf4_slowdown(device: str, size: int = 1024, trials: int = 5) -> float:
    """How many times longer a product with quantised weights takes than with full ones; the fastest of some trials."""
    from bitsandbytes.nn import Linear4bit

    full = nn.Linear(size, size, bias=False).to(device)
    quantised = Linear4bit(size, size, bias=False, quant_type="nf4", compute_dtype=torch.float32)
    quantised.load_state_dict(full.state_dict())
    quantised = quantised.to(device)
    rows = torch.randn(64, size, device=device)
    seconds: list[float] = []
    for layer in (full, quantised):
        times = []
        for _ in range(trials + 1):  # the first warms up
            start = time.perf_counter()
            with torch.no_grad():
                float(layer(rows).sum())  # waits for the device
            times.append(time.perf_counter() - start)
        seconds.append(min(times[1:]))
    return seconds[1] / max(seconds[0], 1e-9)


def _decide_dequantize(asked: Dequantize, model: Any, dtype: torch.dtype, device: str) -> tuple[bool, str]:
    if asked != "auto":
        return asked == "once", f"dequantize={asked} as asked"
    parameters = sum(_logical_numel(parameter) for parameter in model.parameters())
    needed, free = parameters * dtype.itemsize, free_memory(device)
    fits = needed <= FULL_WEIGHT_SHARE * free
    how = "full weights fit" if fits else "full weights do not fit"
    return fits, f"{how}: {needed / 2**20:.0f} MiB of {free / 2**20:.0f} MiB free"


def _logical_numel(parameter: torch.Tensor) -> int:
    return parameter.numel() * 2 if parameter.dtype == torch.uint8 else parameter.numel()


def free_memory(device: str) -> int:
    """Bytes that can still be allocated on a device."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    if device == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    names = os.sysconf_names
    available = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in names else "SC_PHYS_PAGES"
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf(available)


def _new_adapters(model: Any, lora: Lora) -> Any:
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


def _saved_adapters(model: Any, folder: Path) -> Any:
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


def _quicken_dropout(peft_model: nn.Module) -> None:
    for module in peft_model.modules():
        for name, dropout in getattr(module, "lora_dropout", {}).items():
            if isinstance(dropout, nn.Dropout):
                module.lora_dropout[name] = AdapterDropout(dropout.p)  # type: ignore[assignment, operator]


def _unused_token(tokenizer: Any) -> str:
    for token in ("<pad>", "<|pad|>", "<unk>"):
        if token in tokenizer.get_vocab() and token != tokenizer.eos_token:
            return token
    raise UserError(
        "The tokenizer has no padding token that differs from its end-of-sequence token; add one to its files, "
        "otherwise the model could not learn where a reply ends."
    )


def _not_loadable(name: str, what: str, error: Exception) -> UserError:
    if "trust_remote_code" in str(error):
        return UserError(
            f"model.name_or_path={name}: the {what} needs code of its own, which is never run here. Use a model of an "
            f"architecture that transformers has itself."
        )
    if Path(name).exists():
        return UserError(
            f"model.name_or_path={name}: the {what} in this folder cannot be loaded ({_first_line(error)}). It needs "
            f"config.json, tokenizer files and weights as safetensors."
        )
    return UserError(
        f"model.name_or_path={name}: the {what} is neither a local folder nor in the local cache, and the hub did not "
        f"deliver it ({_first_line(error)}). Check the name and the network, download it once while online, or use "
        f"model=nano, which is bundled."
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
