"""Which process trains a run: a lock on the run's folder, and a record of who it is for those who only look.

A process id alone does not tell whether its process is still alive, since ids are reused. So the start time of the
process, the machine and the PID namespace (a container has its own) are recorded with it.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Presence = Literal["there", "suspended", "gone", "elsewhere", "unknown"]
PROC = Path("/proc")
_locked: set[int] = set()
"""File descriptors of the folders that this process has locked."""


@contextmanager
def alone_in(folder: Path) -> Iterator[bool]:
    """Create and lock a folder; yield False if another process holds the lock. A killed process releases it.

    Where there are no locks (Windows, some file systems), True is yielded.
    """
    if fcntl is None:
        yield True
        return
    handle, alone = _lock(folder)
    _locked.add(handle)
    try:
        yield alone
    finally:
        if handle in _locked:  # in a process forked within, it is closed already, and the number may be another file's
            _locked.discard(handle)
            os.close(handle)


def _lock(folder: Path) -> tuple[int, bool]:
    """Open a folder and try to lock it; return its descriptor, and whether no other process holds the lock."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # another process removed the folder, which was empty, in between
            handle = os.open(folder, os.O_RDONLY)
            alone = _is_locked_by_this(handle)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), folder.stat()):
                    return handle, alone
            os.close(handle)


def _is_locked_by_this(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _leave_locks() -> None:
    """Close the descriptors that a forked process (of a loader, say) inherits: they would outlive a killed parent."""
    while _locked:
        os.close(_locked.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_locks)


def own_identity() -> dict[str, Any]:
    """Return ``pid``, ``host``, ``pid_namespace`` and ``process_started`` of this process for JSON; None if unknown."""
    number = os.getpid()
    started, _ = _looked_up(number)
    return {"pid": number, "host": platform.node(), "pid_namespace": _namespace(), "process_started": started}


def presence(identity: Mapping[str, Any]) -> Presence:
    """Return whether the process of a recorded :func:`own_identity` is alive.

    Returns:
        ``there``; ``suspended`` (stopped by a signal, and can continue); ``gone``; ``elsewhere`` (another machine or
        container, whose processes are not visible here); ``unknown`` (nothing was recorded, or the system gives no
        information).
    """
    number, started = identity.get("pid"), identity.get("process_started")
    if type(number) is not int or not 0 < number < 2**31 or not isinstance(started, str):
        return "unknown"
    if (identity.get("host"), identity.get("pid_namespace")) != (platform.node(), _namespace()):
        return "elsewhere"
    try:
        found, state = _looked_up(number)
    except PermissionError:
        return "unknown"
    if found != started or state in ("Z", "X"):  # the id is reused or free, or the process is a zombie
        return "gone"
    return "suspended" if state in ("T", "t") else "there"


def _looked_up(number: int) -> tuple[str | None, str]:
    """Return a process's start time, in a system-specific form (None if it does not exist), and its state letter.

    Raises:
        PermissionError: The process exists, but its data may not be read.
    """
    if (PROC / "self" / "stat").is_file():
        return _of_proc(number)
    import psutil

    try:
        process = psutil.Process(number)
        state = {psutil.STATUS_ZOMBIE: "Z", psutil.STATUS_DEAD: "X", psutil.STATUS_STOPPED: "T"}
        return repr(process.create_time()), state.get(process.status(), "R")
    except psutil.AccessDenied as error:
        raise PermissionError from error
    except psutil.NoSuchProcess:
        return None, "X"


def _of_proc(number: int) -> tuple[str | None, str]:
    """On Linux, use the boot id and the clock ticks since boot; unlike a wall-clock time, these never change."""
    try:
        line = (PROC / str(number) / "stat").read_text(encoding="utf-8", errors="replace")
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (FileNotFoundError, ProcessLookupError):
        try:
            os.kill(number, 0)  # some systems hide other users' processes in /proc
        except ProcessLookupError:
            return None, "X"
        raise PermissionError(number) from None
    fields = line.rpartition(")")[2].split()  # the name in parentheses may hold any character
    return f"{boot} {fields[19]}", fields[0]


def _namespace() -> str | None:
    try:
        return os.readlink(PROC / "self/ns/pid")
    except OSError:
        return None
