"""What this machine can do: one line per finding, with a remedy where something is wrong."""

from __future__ import annotations

import logging
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from rct_lightning.console import Line

PYTHONS = ((3, 11), (3, 13))
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
DISK_GIB = 10.0
"""Free space below which a download of Pythia-2.8B (5.7 GB) and its runs become tight."""


def examine(model: str, disk: Path, *, quick: bool = False) -> list[Line]:
    """Return findings about this machine and about a model, as far as it is available locally.

    Args:
        model: A folder, or a name on the hub.
        disk: A folder on the disk that runs are written to.
        quick: Skip whatever has to import torch or the hub's library: devices, quantisation and model.
    """
    lines = [_python(), *_packages()]
    if quick or any(line.status == "fail" for line in lines):
        return [*lines, _disk(disk)]  # the other checks import what is missing
    return [*lines, *_devices(), _disk(disk), _model(model)]


def _python() -> Line:
    found = sys.version_info[:2]
    seen = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if PYTHONS[0] <= found <= PYTHONS[1]:
        return Line("ok", "python", seen)
    lowest, highest = (".".join(map(str, pair)) for pair in PYTHONS)
    return Line("fail", "python", seen, f"Use Python {lowest} to {highest}")


def _packages() -> list[Line]:
    """Compare the project's own requirements with what is installed."""
    from packaging.requirements import Requirement

    lines = []
    try:
        wanted = [Requirement(text) for text in requires("rct-lightning") or []]
    except PackageNotFoundError:
        return [Line("fail", "packages", "rct-lightning is not installed", "Run pip install -e . in its folder")]
    for requirement in wanted:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            lines.append(Line("fail", requirement.name, "is not installed", "Run pip install -e ."))
            continue
        if requirement.specifier.contains(found, prereleases=True):
            lines.append(Line("ok", requirement.name, found))
        else:
            lines.append(
                Line("warn", requirement.name, found, f"Tested with {requirement.specifier}: pip install -e .")
            )
    return lines


def _devices() -> list[Line]:
    """List accelerators and, for each, whether NF4 quantisation works and how fast it is."""
    import torch

    from rct_lightning.backbone import available_accelerators, free_memory, nf4_problem, nf4_slowdown, placement

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    lines = []
    for accelerator in available_accelerators():
        device = placement(accelerator)
        name = torch.cuda.get_device_name(device) if accelerator == "gpu" else f"{torch.get_num_threads()} threads"
        seen = f"{name}, {free_memory(device) / 2**30:.1f} GiB free"
        lines.append(Line("ok", accelerator, seen if accelerator != "mps" else seen.split(", ")[1]))
        problem = nf4_problem(device)
        if problem is None:
            slower = f"works; a product takes {nf4_slowdown(device):.1f} times as long as with full weights"
            lines.append(Line("ok", f"nf4 on {accelerator}", slower))
        else:
            lines.append(
                Line("warn", f"nf4 on {accelerator}", problem, "model.quantization=auto uses full weights here")
            )
    return lines


def _disk(folder: Path) -> Line:
    free = shutil.disk_usage(folder).free / 2**30
    if free >= DISK_GIB:
        return Line("ok", "disk", f"{free:.0f} GiB free")
    return Line(
        "warn", "disk", f"{free:.1f} GiB free", "Pythia-2.8B alone takes 5.7 GB; hydra.run.dir=DIR writes elsewhere"
    )


def _model(model: str) -> Line:
    from huggingface_hub import try_to_load_from_cache

    for folder in (Path(model), Path(__file__).parents[1] / model):
        if folder.is_dir():
            lacks = _lacking(folder)
            if not lacks:
                return Line("ok", "model", f"{model} is on this machine")
            return Line("warn", "model", f"{model} lacks {lacks}", "Give a folder that holds a model, or its name")
    if Path(model).exists():
        return Line("warn", "model", f"{model} is a file", "Give the folder that it is in, or a name on the hub")
    try:
        cached = try_to_load_from_cache(model, "config.json")
    except ValueError:  # a path, not a name on the hub
        return Line("warn", "model", f"there is no folder {model}", "Give a folder, or a name on the hub")
    if not isinstance(cached, str):
        return Line("warn", "model", f"{model} is not in the cache", "It is downloaded when it is first used")
    lacks = _lacking(Path(cached).parent)
    if lacks:
        return Line("warn", "model", f"{model} in the cache lacks {lacks}", "It is downloaded when it is first used")
    return Line("ok", "model", f"{model} is in the cache")


def _lacking(folder: Path) -> str:
    """What a model's folder does not hold of what is loaded, in words; empty where it is all there."""
    files = [path for path in folder.iterdir() if path.is_file()]
    there = {
        "config.json": any(path.name == "config.json" for path in files),
        "weights (.safetensors)": any(path.suffix == ".safetensors" for path in files),
        "a tokenizer": any(path.name in TOKENIZERS for path in files),
    }
    return ", ".join(what for what, is_there in there.items() if not is_there)
