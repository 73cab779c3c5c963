"""Which process runs a run, told again from another process: numbers of processes are given out anew.

A number alone would take any process for the one that trained. So the moment at which it began is noted beside it, the
machine, and the table of numbers it is from: a container has its own.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

Presence = Literal["there", "suspended", "gone", "elsewhere", "unknown"]
PROC = Path("/proc")


def own_identity() -> dict[str, Any]:
    """Of this process, as JSON: ``pid``, ``host``, ``pid_namespace`` and ``process_started`` (None where unknown)."""
    number = os.getpid()
    started, _ = _looked_up(number)
    return {"pid": number, "host": platform.node(), "pid_namespace": _namespace(), "process_started": started}


def presence(identity: Mapping[str, Any]) -> Presence:
    """Whether the process of a former :func:`own_identity` is there now.

    Returns:
        ``there``; ``suspended`` (stopped by a signal, and can go on); ``gone``; ``elsewhere`` (another machine or
        container, whose processes are not seen from here); ``unknown`` (nothing was noted, or this system does not
        tell).
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
    if found != started or state in ("Z", "X"):  # another one's, none's, or dead and not yet taken note of
        return "gone"
    return "suspended" if state in ("T", "t") else "there"


def _looked_up(number: int) -> tuple[str | None, str]:
    """When a process began, in this system's own words, and its state's letter; None where there is none.

    Raises:
        PermissionError: There is one, and nothing is told of it.
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
    """On Linux: this boot, and clock ticks since it. Unlike a time of day, these never change."""
    try:
        line = (PROC / str(number) / "stat").read_text(encoding="utf-8", errors="replace")
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (FileNotFoundError, ProcessLookupError):
        try:
            os.kill(number, 0)  # some systems hide the processes of others there
        except ProcessLookupError:
            return None, "X"
        raise PermissionError(number) from None
    fields = line.rpartition(")")[2].split()  # the name before it may hold anything
    return f"{boot} {fields[19]}", fields[0]


def _namespace() -> str | None:
    try:
        return os.readlink(PROC / "self/ns/pid")
    except OSError:
        return None
