"""Access to fields of foreign JSON: each function returns a value of the expected type, or an empty one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rct_lightning.dialogue import Role

ROLES: dict[str, Role] = {
    "human": "human",
    "user": "human",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "ai": "assistant",
}
"""Names that exports and data sets use for the two sides, in lower case."""

LAST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


def text(value: Any) -> str:
    """Return the value if it is a string, else an empty string."""
    return value if isinstance(value, str) else ""


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> Sequence[Any]:
    """Return the value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def role(value: Any) -> Role | None:
    """Return the side that a name stands for; None for system, tools and anything unknown."""
    return ROLES.get(value.strip().lower()) if isinstance(value, str) else None


def instant(value: Any) -> float | None:
    """Return seconds since 1970 (UTC) from a time as exports write it.

    Accepts ISO 8601 (UTC if it has no zone), seconds, milliseconds or microseconds as a number or as digits, and the
    ``{"$date": …}`` and ``{"$numberLong": …}`` of a Mongo dump. Returns None for anything else.
    """
    for _ in range(3):
        if not isinstance(value, dict):
            break
        value = value.get("$date", value.get("$numberLong"))
    if isinstance(value, str):
        return _from_text(value.strip())
    return _from_number(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _from_text(written: str) -> float | None:
    if written.isdecimal() and len(written) != len("20251231"):  # of 13 digits, some can be read as a date and a time
        return _from_number(float(written))
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        try:
            return _from_number(float(written))
        except ValueError:
            return None
    try:
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):  # the first and the last representable day, shifted by their zone
        return None
    return seconds if 0 <= seconds <= LAST else None


def _from_number(number: float) -> float | None:
    try:
        seconds = float(number)
    except OverflowError:
        return None
    if not math.isfinite(seconds):
        return None
    for limit, unit in ((1e14, 1e6), (1e11, 1e3)):  # in seconds, 1e11 would be the year 5138
        if seconds >= limit:
            seconds /= unit
            break
    return seconds if 0 <= seconds <= LAST else None


def iso(seconds: float) -> str:
    """Return a time in the form that rows use: ISO 8601, UTC, whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
