"""Types of single values of the configuration.

Ranges are wide: a value outside is a typing error, and would end in a library's traceback.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

Weight = Annotated[float, Field(ge=0, le=1e4)]
Share = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=10**9)]
CountOrZero = Annotated[int, Field(ge=0, le=10**9)]
Rows = Annotated[int, Field(ge=1, le=65_536)]
Rate = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Text = Annotated[str, Field(min_length=1, max_length=4096)]


def _limit(value: Any) -> Any:
    """Check a share of the batches, given as a float, or a count of them, given as an int."""
    share = isinstance(value, float) and 0 < value <= 1
    count = type(value) is int and 1 <= value <= 10**9
    if not (share or count):
        raise ValueError("should be a share above 0 and at most 1.0, or a whole number of batches")
    return value


def _length(value: int) -> int:
    if value == 0:
        raise ValueError("would train nothing; check=only makes the checks alone, -1 sets no limit")
    return value


def _visible(value: str) -> str:
    if not any(map(str.isalnum, value)):
        raise ValueError("should hold at least one letter or digit")
    return value


def _role(value: str) -> str:
    if not re.fullmatch(r"[^\s:]([^:\r\n]*[^\s:])?", value):
        raise ValueError("should be a name on one line, without a colon and without blanks around it")
    return value


def _without_slots(value: str) -> str:
    if set(value) & set("{}\r\n"):
        raise ValueError("should be a name on one line, without braces")
    return value


def _time(value: str) -> str:
    if not re.fullmatch(r"\d+(:\d\d){3}", value) or not value.strip("0:"):  # over before the first step
        raise ValueError("is no time, or is over before the first step")
    return value


Role = Annotated[Text, AfterValidator(_role)]
Time = Annotated[str, AfterValidator(_time)]
Limit = Annotated[Any, AfterValidator(_limit)]
Length = Annotated[int, Field(ge=-1, le=10**9), AfterValidator(_length)]
Word = Annotated[str, Field(max_length=200), AfterValidator(_visible)]
SlotlessWord = Annotated[Word, AfterValidator(_without_slots)]
