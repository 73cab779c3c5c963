"""Several processes that train one model: which of them this is, and what they tell each other.

Lightning starts them (DDP) and connects them; before that a process knows its place from its environment alone.
"""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

_PLACES = ("RANK", "SLURM_PROCID", "NODE_RANK", "LOCAL_RANK")
"""Set by torchrun, by SLURM, and by Lightning for those that it starts."""


def is_first(of: int) -> bool:
    """Whether this is the process that prints and writes, of those that train together.

    Alone it is, whatever number a cluster gave it: jobs that have nothing to do with each other are numbered, too.
    """
    return of == 1 or all(int(os.environ.get(name, 0)) == 0 for name in _PLACES)


def place_on_machine() -> int:
    """Of the processes of this machine, which one this is: the number of its device."""
    return int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", 0)))


def number() -> int:
    """Which of all processes this is, as far as its environment tells."""
    return next((int(os.environ[name]) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID") if name in os.environ), 0)


def are_several() -> bool:
    """Whether there are others that this one is connected with."""
    from torch import distributed

    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def gather(mine: T) -> list[T]:
    """What each process gives, in their order; all of them must ask. Alone, its own."""
    if not are_several():
        return [mine]
    from torch import distributed

    everyones: list[T | None] = [None] * distributed.get_world_size()
    distributed.all_gather_object(everyones, mine)
    return everyones  # type: ignore[return-value]
