"""Checks of adapter and model folders from elsewhere, before any library opens them.

The libraries that load them unpickle, import and download what their files name. Here these files are JSON and
safetensors, are read as data only, and are refused if they ask for more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rct_lightning.config import as_override
from rct_lightning.errors import UserError
from rct_lightning.reading import parse, read_object, shown
from rct_lightning.template import DialogueTemplate

TEMPLATE_FILE = "dialogue_template.json"
ADAPTER_FILE, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
CODE = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".py", ".pyc", ".so")
"""Suffixes of files that are, or may be, unpickled or imported."""
MAX_RANK = 4096
MOST_BYTES_OF_JSON = 4 * 2**20
"""Maximum size of a model's or an adapter's configuration."""
MOST_BYTES_OF_HEADER = 100 * 2**20
"""Maximum size of the header of a safetensors file; the format's own limit."""
WIDTHS = {"C64": 8, "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
"""Bytes per number by dtype; dtypes that are not listed have one byte or less."""
HARMLESS = {
    "base_model_name_or_path",
    "ensure_weight_tying",
    "fan_in_fan_out",
    "inference_mode",
    "init_lora_weights",
    "lora_alpha",
    "lora_dropout",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "revision",
    "target_modules",
    "task_type",
    "use_rslora",
}
"""Keys of an adapter's configuration that may have a value; all others are empty in adapters of this project."""
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


def check_adapter(folder: Path) -> None:
    """Check that a folder holds an adapter as this project writes it: LoRA, safetensors, no code to import.

    Raises:
        UserError: There is no adapter, it is of another kind, or something in it could run code.
    """
    if not (folder / ADAPTER_FILE).is_file():
        raise UserError(
            f"{folder}: no {ADAPTER_FILE} here. A run that is not finished goes on with python train.py "
            f"{as_override('resume', str(folder.parent))}; otherwise train anew."
        )
    code = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in CODE)
    if code:
        raise UserError(
            f"{folder}: {', '.join(code)} could run code when it is loaded. Adapters are safetensors and JSON; remove "
            f"this, or do not use what you do not trust."
        )
    file = folder / ADAPTER_CONFIG
    try:
        config = read_object(file, MOST_BYTES_OF_JSON)
    except UserError as error:
        what = str(error).removeprefix(f"{file}: ").rstrip(".")
        raise UserError(f"{file}: not a readable adapter configuration ({what}). Use another adapter.") from None
    problems = list(_problems_of(config))
    if problems:
        raise UserError(f"{file}: {'; '.join(problems)}. Use an adapter that this program wrote.")
    check_tensors(folder / ADAPTER_FILE)


def _problems_of(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield what an adapter's configuration asks for beyond low-rank matrices on named modules."""
    targets, rank = config.get("target_modules"), config.get("r")
    if config.get("peft_type") != "LORA":
        yield f"peft_type is {shown(config.get('peft_type'))}, not LORA"
    if config.get("task_type") not in (None, "CAUSAL_LM"):
        yield f"task_type is {shown(config['task_type'])}, not CAUSAL_LM"
    if type(rank) is not int or not 1 <= rank <= MAX_RANK:
        yield f"r is {shown(rank)}, not 1 to {MAX_RANK}"
    if not (isinstance(targets, list) and targets and all(_is_module(name) for name in targets)):
        yield "target_modules names no modules"  # peft reads a string as a regex, which may never terminate
    for name, least, most in (("lora_alpha", 0, 10**6), ("lora_dropout", 0, 1)):
        value = config.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            yield f"{name} is {shown(value)}, not {least} to {most}"
    if config.get("bias", "none") != "none":
        yield f"bias is {shown(config['bias'])}, not none"
    if config.get("init_lora_weights", True) is not True:
        yield f"init_lora_weights is {shown(config['init_lora_weights'])}, not true"
    if config.get("auto_mapping"):
        yield "auto_mapping names classes to import"
    others = sorted(name for name in config if config[name] and name not in HARMLESS | {"bias", "auto_mapping"})
    if others:
        yield f"{', '.join(shown(name) for name in others[:5])} ask for more than low-rank matrices"


def _is_module(name: Any) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[\w.]{1,200}", name) is not None


def load_template(folder: Path) -> DialogueTemplate:
    """Return the role names with which an adapter was trained.

    Raises:
        UserError: The file is damaged.
    """
    file = folder / TEMPLATE_FILE
    try:
        value = read_object(file, MOST_BYTES_OF_JSON)
    except UserError as error:
        what = str(error).removeprefix(f"{file}: ").rstrip(".")
        raise UserError(f"{file}: cannot be read ({what}). The adapter's folder is damaged; use another.") from None
    names = value.get("human"), value.get("assistant")
    if not all(isinstance(name, str) and 0 < len(name) <= 200 for name in names) or names[0] == names[1]:
        raise UserError(f"{file}: cannot be read (it has no two names of roles). The adapter's folder is damaged.")
    return DialogueTemplate(human=str(names[0]), assistant=str(names[1]))


def check_tensors(file: Path) -> None:
    """Check a safetensors file: its header must be JSON and describe exactly the bytes that follow it.

    Raises:
        UserError: The file is damaged or is not safetensors.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if size < 8 or not 2 <= length <= min(size - 8, MOST_BYTES_OF_HEADER):
                raise ValueError("it does not begin with the length of a table")
            table = parse(opened.read(length), "its table of tensors")
        ends = [_end_of(tensor) for name, tensor in dict(table).items() if name != "__metadata__"]
        if max(ends, default=0) != size - 8 - length:
            raise ValueError(f"its table names {max(ends, default=0):,} bytes, and {size - 8 - length:,} follow")
    except OSError as error:
        raise UserError(f"{file}: it cannot be read ({error.strerror}).") from None
    except (ValueError, KeyError, TypeError, UserError) as error:
        raise UserError(f"{file}: {file.name} is damaged, or no safetensors ({error}). Use another one.") from None


def _end_of(tensor: Mapping[str, Any]) -> int:
    """Return the byte offset, counted from the end of the header, at which a tensor ends."""
    shape, (start, end) = tensor["shape"], tensor["data_offsets"]
    if not all(type(number) is int and 0 <= number < 2**63 for number in (*shape, start, end)):
        raise ValueError("a tensor has a shape or a place that is none")
    if end - start > max(math.prod(shape), 1) * WIDTHS.get(str(tensor["dtype"]), 1):
        raise ValueError("a tensor has more bytes than numbers")
    return int(end)


def check_model(folder: Path) -> None:
    """Check that a folder holds a model in safetensors that needs no code of its own.

    Raises:
        UserError: The folder holds something else.
    """
    problem = _problem_of_model(folder)
    if problem:
        raise UserError(
            f"model.name_or_path={folder}: the model in this folder cannot be loaded: {problem}. It needs config.json, "
            f"tokenizer files and weights as safetensors."
        )


def _problem_of_model(folder: Path) -> str:
    if (folder / ADAPTER_CONFIG).is_file():  # transformers would load the base that this file names
        return f"{ADAPTER_CONFIG} makes it an adapter; name its base here, and evaluate adapters with evaluate.py"
    try:
        config = read_object(folder / "config.json", MOST_BYTES_OF_JSON)
    except UserError as error:
        return str(error).rstrip(".")
    if not isinstance(config.get("model_type"), str):
        return "config.json names no model_type"
    code = next(_code_named_in(config), None)
    if code:
        return f"config.json asks for {code}, which would be downloaded and run"
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickled = sorted(path.name for path in folder.iterdir() if path.suffix in CODE and path.suffix != ".py")
        kept = f"its weights are pickled ({', '.join(pickled)}), which can run code; save them as safetensors"
        return kept if pickled else "no weights are there"
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            named = read_object(index).get("weight_map")
        except UserError as error:
            return str(error).rstrip(".")
        if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
            return f"{index.name} has no weight_map, which names the file of each weight"
        if not all((folder / name) in weights for name in named.values()):
            return f"{index.name} names files that are not in this folder"
    for file in weights:
        check_tensors(file)
    return ""


def has_tokenizer(folder: Path) -> bool:
    """Return whether a folder holds a tokenizer's files."""
    return any((folder / name).is_file() for name in TOKENIZERS)


def _code_named_in(config: Any) -> Iterator[str]:
    """Yield keys that name kernels of the hub: an implementation is a word; a name with a slash is a repository."""
    for name, value in config.items() if isinstance(config, dict) else ():
        if isinstance(value, dict):
            yield from _code_named_in(value)
        elif isinstance(value, str) and "implementation" in name and "/" in value:
            yield f"{name} {shown(value)}"
