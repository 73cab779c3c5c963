"""Memory of a process that trains on the CPU: glibc keeps freed memory, and this limits how much."""

from __future__ import annotations

import ctypes
import mmap
import sys
from pathlib import Path

HEADROOM = 896 << 20
"""Bytes by which a process may grow beyond its size after the last trim of its heap."""
STEPS_OF_ROOM = 2
"""The headroom is at least this multiple of a training step's memory: with less, every step would trim what the next
one needs."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
_LARGEST = 32 << 20  # glibc accepts no higher threshold


class Heap:
    """Keeps freed memory for the next batch, and returns it to the system once the process has grown by ``headroom``.

    A block mapped on its own is faulted in again, page by page, each time; kept in the heap it costs nothing. But since
    every batch has different lengths, the heap then fragments, and a run grows for hours although nothing is held. So
    blocks are kept, and the heap is trimmed when its holes have become too many. With a C library other than glibc this
    does nothing.

    Args:
        step: Bytes that a training step takes, if known.
        headroom: Minimum headroom in bytes.
    """

    def __init__(self, step: int = 0, *, headroom: int = HEADROOM) -> None:
        self.headroom = headroom = max(headroom, STEPS_OF_ROOM * step)
        _glibc("mallopt", _MMAP_THRESHOLD, _LARGEST)
        _glibc("mallopt", _TRIM_THRESHOLD, min(headroom, 2**31 - 1))
        self._trim()

    def tidy(self) -> bool:
        """Trim the heap if it has grown too much; call between batches. Return whether memory was given back."""
        if resident_bytes() <= self.held + self.headroom:
            return False
        self._trim()
        return True

    def _trim(self) -> None:
        _glibc("malloc_trim", 0)
        self.held = resident_bytes()


def keep_heap_whole() -> None:
    """Disable oneDNN, so that torch's own kernels compute in float32 on the CPU.

    oneDNN compiles a GELU for every new shape and caches a thousand of them, each in some fifty small blocks that are
    allocated wherever there is room in the middle of a step. Batches always have new lengths, so a run gained 250 holes
    per step until nothing large fitted between them: the heap grew, was trimmed and faulted in again, ever more often.
    In 16-bit precision oneDNN also computes the matrix products, which is worth the fragmentation.
    """
    import torch

    torch.backends.mkldnn.enabled = False  # type: ignore[assignment]


def resident_bytes() -> int:
    """Return the resident memory of this process in bytes; 0 on systems other than Linux."""
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
