"""Accelerators of this machine: choosing one, choosing its device, and reading how much memory is free there."""

from __future__ import annotations

import psutil
import torch

from rct_lightning.errors import UserError


def available_accelerators() -> list[str]:
    """Return the accelerators of this machine, best first."""
    found = ["gpu"] if torch.cuda.is_available() else []
    found += ["mps"] if torch.backends.mps.is_available() else []
    return [*found, "cpu"]


def resolve_accelerator(asked: str, key: str = "trainer.accelerator") -> str:
    """Return the accelerator to use; ``auto`` selects the best available.

    Args:
        asked: auto, cpu, gpu, cuda or mps.
        key: What the user sets it with, for the message.

    Raises:
        UserError: The requested accelerator is not on this machine.
    """
    found = available_accelerators()
    wanted = {"auto": found[0], "cuda": "gpu"}.get(asked, asked)
    if wanted not in found:
        raise UserError(
            f"{key}={asked}: this machine has no such accelerator. It has: {', '.join(found)}. "
            f"Use {key}={found[0]} or {key}=auto."
        )
    return wanted


def placement(accelerator: str, local_rank: int = 0) -> str:
    """Return the torch device of a process: a pure function of its accelerator and its local rank."""
    devices = {"cpu": "cpu", "mps": "mps", "gpu": f"cuda:{local_rank}", "cuda": f"cuda:{local_rank}"}
    if accelerator not in devices:
        raise ValueError(f"accelerator must be one of {sorted(devices)}, found {accelerator!r}")
    if accelerator == "mps" and local_rank != 0:
        raise ValueError("mps is one device: it has no rank other than 0")
    return devices[accelerator]


def free_memory(device: str) -> int:
    """Return the number of bytes that can still be allocated on a device."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    if device == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return int(psutil.virtual_memory().available)  # the cache of files counts: it gives way
