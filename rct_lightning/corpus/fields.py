"""Fields of somebody else's JSON: whatever stands there, these give what was asked for or nothing."""

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
"""What exports and data sets call the two sides, in lower case."""

LAST = datetime(9999, 12, 31, tzinfo=UTC).timestamp()


def text(value: Any) -> str:
    """The text, or an empty one."""
    return value if isinstance(value, str) else ""


def mapping(value: Any) -> Mapping[str, Any]:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> Sequence[Any]:
    """The list, or an empty one."""
    return value if isinstance(value, list) else []


def role(value: Any) -> Role | None:
    """The side that a name stands for; None for system, tools and whatever is not known."""
    return ROLES.get(value.strip().lower()) if isinstance(value, str) else None


def instant(value: Any) -> float | None:
    """Seconds since 1970 (UTC) from what exports write as a time.

    ISO 8601 (without a zone it is UTC), seconds, milliseconds or microseconds as a number or as digits, and the
    ``{"$date": …}`` and ``{"$numberLong": …}`` of a Mongo dump. None for anything else.
    """
    for _ in range(3):
        if not isinstance(value, dict):
            break
        value = value.get("$date", value.get("$numberLong"))
    if isinstance(value, str):
        return _from_text(value.strip())
    return _from_number(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _from_text(written: str) -> float | None:
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        try:
            return _from_number(float(written))
        except ValueError:
            return None
    try:
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):  # the first and the last day, moved by their zone
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
    """A time as rows have it: ISO 8601, UTC, whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
