"""Freed memory is kept for the next batch, and returned to the system once it is too much."""

import subprocess
import sys

import pytest

from rct_lightning import memory
from rct_lightning.memory import Heap

MIB = 1 << 20


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Record the calls to the C library."""
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr(memory, "_glibc", lambda *call: calls.append(call))
    return calls


def holding(monkeypatch: pytest.MonkeyPatch, *sizes: int) -> None:
    """Set the memory that the process holds at each successive check."""
    found = iter(sizes)
    monkeypatch.setattr(memory, "resident_bytes", lambda: next(found))


def test_memory_goes_back_once_the_process_has_outgrown_its_headroom(
    said: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    holding(monkeypatch, 500 * MIB, 590 * MIB, 600 * MIB, 601 * MIB, 520 * MIB, 620 * MIB, 621 * MIB, 500 * MIB)
    heap = Heap(headroom=100 * MIB)
    assert [heap.tidy() for _ in range(5)] == [False, False, True, False, True]
    assert said.count(("malloc_trim", 0)) == 3, "once at the start, too"


def test_no_block_that_glibc_can_keep_is_mapped_on_its_own(said: list[tuple[object, ...]]) -> None:
    Heap(headroom=100 * MIB)
    Heap(headroom=1 << 40)
    thresholds = [value for name, *rest in said if name == "mallopt" for value in rest]
    assert thresholds == [-3, 32 * MIB, -1, 100 * MIB, -3, 32 * MIB, -1, 2**31 - 1], "an int in C"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_what_is_held_is_seen() -> None:
    before = memory.resident_bytes()
    block = bytearray(64 * MIB)
    block[::4096] = b"x" * len(block[::4096])
    assert memory.resident_bytes() - before > 32 * MIB


def test_a_system_that_does_not_tell_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(memory.Path, "read_text", absent)
    assert memory.resident_bytes() == 0 and Heap().tidy() is False


def test_a_large_step_has_room_for_itself(said: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise each step would release what the next one needs, and page it in again."""
    holding(monkeypatch, 500 * MIB, 1400 * MIB, 1701 * MIB, 500 * MIB, 500 * MIB)
    heap = Heap(600 * MIB, headroom=100 * MIB)
    assert [heap.tidy() for _ in range(2)] == [False, True]
    assert Heap(10 * MIB, headroom=100 * MIB).headroom == 100 * MIB


HOLES = """
import ctypes, torch
from rct_lightning.memory import keep_heap_whole
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena free small maps mapped most kept used unused top".split()]
libc = ctypes.CDLL("libc.so.6"); libc.mallinfo2.restype = Info
def grown(shapes):
    before = libc.mallinfo2().used
    for rows in shapes:
        torch.nn.functional.gelu(torch.ones(rows, 64))
    return libc.mallinfo2().used - before
grown(range(10, 12))
kept = grown(range(100, 160))
keep_heap_whole()
print(kept, grown(range(200, 260)))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks glibc")
def test_new_shapes_leave_nothing_in_the_heap() -> None:
    told = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True).stdout.split()
    with_kernels_kept, without = map(int, told)
    assert without < 60 * 100, "bytes, for 60 shapes"
    assert with_kernels_kept == 0 or without < with_kernels_kept / 10, "elsewhere oneDNN may not be built in"
