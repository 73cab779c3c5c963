"""The record of a run, for reproducing it: versions, machine, data, choices."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from rct_lightning.config import Config
from rct_lightning.experiment.preparing import Prepared
from rct_lightning.preflight import data_hashes

PACKAGES = ("torch", "lightning", "hydra-core", "transformers", "peft", "bitsandbytes", "torchmetrics")


def environment(config: Config, device: str) -> dict[str, Any]:
    """Return versions, hardware, seed, commit and data hashes."""
    gpu = torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": package_versions(),
        "device": device,
        "gpu": gpu,
        "threads": torch.get_num_threads(),
        "seed": config.seed,
        "commit": _commit(),
        "data": data_hashes(config),
    }


def choices(prepared: Prepared) -> dict[str, Any]:
    """Return what was chosen where the configuration left it open, and why."""
    precision, memory = prepared.base.precision, prepared.step_memory
    dequantize = {"nf4": "never", "nf4, dequantized once": "once"}.get(precision.effective, "auto")
    return {
        "precision": precision.line(),
        "memory": memory.line(),
        "chosen": {"dequantize": dequantize, "gradient_checkpointing": memory.footprint.checkpointing},
    }


def package_versions() -> dict[str, str | None]:
    """Return the installed version of each library that results may depend on; None if it is missing."""
    return {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
            cwd=Path(__file__).parent,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
