"""Several processes that train one model: the rank of this one, and exchange of values.

Lightning starts and connects them (DDP); before that, a process knows its rank only from its environment.
"""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

_PLACES = ("RANK", "SLURM_PROCID", "NODE_RANK", "LOCAL_RANK")
"""Set by torchrun, by SLURM, and by Lightning for the processes it starts."""


def is_first(of: int) -> bool:
    """Return whether this is the process that prints and writes, out of ``of`` that train together.

    A single process always is, whatever number a cluster gave it: unrelated jobs are numbered as well.
    """
    return of == 1 or all(int(os.environ.get(name, 0)) == 0 for name in _PLACES)


def place_on_machine() -> int:
    """Return the rank of this process on its machine, which is the index of its device."""
    return int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", 0)))


def number(on_each_machine: int = 1) -> int:
    """Return the rank of this process among all, as far as its environment tells.

    Args:
        on_each_machine: Number of processes on each machine. Lightning's own launcher tells a process only its machine
            and its rank there.
    """
    told = os.environ
    if "RANK" in told:
        return int(told["RANK"])
    if "SLURM_PROCID" in told and "LOCAL_RANK" not in told:
        return int(told["SLURM_PROCID"])
    return int(told.get("NODE_RANK", 0)) * on_each_machine + int(told.get("LOCAL_RANK", 0))


def are_several() -> bool:
    """Return whether this process is connected with others."""
    from torch import distributed

    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def gather(mine: T) -> list[T]:
    """Gather a value from each process, by rank; every process must call this. A single one gets its own value."""
    if not are_several():
        return [mine]
    from torch import distributed

    everyones: list[T | None] = [None] * distributed.get_world_size()
    distributed.all_gather_object(everyones, mine)
    return everyones  # type: ignore[return-value]
