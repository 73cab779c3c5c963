"""Memory of a process that trains on its processor: glibc keeps what is freed, and this bounds how much."""

from __future__ import annotations

import ctypes
import mmap
import sys
from pathlib import Path

HEADROOM = 896 << 20
"""Bytes by which a process may outgrow what it held after its heap was last trimmed."""
STEPS_OF_ROOM = 2
"""And at least so many times what a training step takes: less, and each step would empty what the next one needs."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST = 32 << 20  # glibc takes no higher threshold


class Heap:
    """Keeps freed memory at hand for the next batch, and gives it back once the process has grown by ``headroom``.

    A block that is mapped on its own is faulted in anew, page by page, each time; kept in the heap it costs nothing.
    But since each batch has other lengths, the heap then has ever more holes, and a run grows for hours although
    nothing is held. So blocks are kept, and the holes are emptied when they have become too many. With another C
    library than glibc this does nothing.

    Args:
        step: Bytes that a training step takes, where that is known.
        headroom: Bytes, at least.
    """

    def __init__(self, step: int = 0, *, headroom: int = HEADROOM) -> None:
        self.headroom = headroom = max(headroom, STEPS_OF_ROOM * step)
        _glibc("mallopt", _MMAP_THRESHOLD, _LARGEST)
        _glibc("mallopt", _TRIM_THRESHOLD, min(headroom, 2**31 - 1))
        self._trim()

    def tidy(self) -> bool:
        """To be called between batches; whether memory was given back."""
        if resident_bytes() <= self.held + self.headroom:
            return False
        self._trim()
        return True

    def _trim(self) -> None:
        _glibc("malloc_trim", 0)
        self.held = resident_bytes()


def keep_heap_whole() -> None:
    """Have torch's own kernels compute in float32 on the processor, not oneDNN's.

    oneDNN compiles a GELU for every new shape and keeps a thousand of them, each in some fifty small blocks that stay
    where there was room in the midst of a step. Batches always have new lengths, so a run gained 250 holes a step until
    nothing large fitted between them: the heap grew, was emptied and faulted in anew, ever more often. In halved
    precision oneDNN computes the matrix products as well, and is worth its blocks.
    """
    import torch

    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]


def resident_bytes() -> int:
    """Memory of this process that is in RAM now; 0 where the system does not tell (only Linux does here)."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * mmap.PAGESIZE


def _glibc(function: str, *arguments: int) -> None:
    if sys.platform == "linux":
        try:
            getattr(ctypes.CDLL("libc.so.6"), function)(*arguments)
        except (OSError, AttributeError):  # another C library
            return
