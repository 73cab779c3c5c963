"""The user's settings: how tokens are sampled, what is remembered, and whether the base answers as well."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from rct_lightning.errors import UserError
from rct_lightning.reading import shown


@dataclass(frozen=True)
class Settings:
    """How replies are generated.

    Attributes:
        temperature: 0 is greedy.
        top_p: Share of the probability mass that tokens are sampled from.
        repetition_penalty: 1 means none.
        max_tokens: Maximum number of tokens of a reply.
        seed: Seed of every reply; None draws one per reply. Each is stored with its reply.
        memory: Number of exchanges of earlier conversations that are fed before the current one; 0 means none.
        compare: Whether the base (adapter off) answers in addition to the tuned model.
    """

    temperature: float = 0.7
    top_p: float = 0.95
    repetition_penalty: float = 1.0
    max_tokens: int = 200
    seed: int | None = None
    memory: int = 6
    compare: bool = False

    def changed(self, name: str, value: str) -> Settings:
        """Return these settings with one of them changed, given as text.

        Raises:
            UserError: There is no such setting, or it cannot have this value.
        """
        name = known(name)
        return replace(self, **{name: RANGES[name].read(name, value.strip().lower())})

    def with_kept(self, kept: Mapping[str, str]) -> Settings:
        """Return these settings with stored ones applied; unknown or invalid ones are ignored."""
        found = self
        for name, value in kept.items():
            with suppress(UserError):
                found = found.changed(name, value)
        return found

    def written(self, name: str) -> str:
        """Return a setting's value as it can be typed."""
        return _written(getattr(self, name))

    def lines(self) -> list[str]:
        """Return each setting with its value and range."""
        return [f"{name:19} {self.written(name):7} {RANGES[name].says}" for name in RANGES]

    def line(self) -> str:
        """Return the most important settings in one line."""
        seed = "" if self.seed is None else f", seed {self.seed}"
        penalty = "" if self.repetition_penalty == 1 else f", repetition {self.repetition_penalty:g}"
        compare = ", A/B" if self.compare else ""
        return f"t {self.temperature:g}, top-p {self.top_p:g}{penalty}{seed}, memory {self.memory or 'off'}{compare}"


@dataclass(frozen=True)
class Range:
    """The values a setting can have: numbers in a range, and words that stand for a value."""

    kind: type
    least: float
    most: float
    words: dict[str, Any]
    says: str

    def read(self, name: str, value: str) -> Any:
        """Parse a value.

        Raises:
            UserError: The text is not a value of this range.
        """
        if value in self.words:
            return self.words[value]
        try:
            number = self.kind(value)
        except ValueError:
            number = None
        if number is None or self.kind is bool or not self.least <= number <= self.most:
            raise UserError(f"{name}: {shown(value)} is not possible. Give {self.says}.")
        return number


SWITCH = {"on": True, "off": False, "yes": True, "no": False, "true": True, "false": False}
RANGES = {
    "temperature": Range(float, 0, 5, {"greedy": 0.0}, "a number from 0 (greedy) to 5"),
    "top_p": Range(float, 0.01, 1, {"off": 1.0}, "a number from 0.01 to 1"),
    "repetition_penalty": Range(float, 0.5, 3, {"off": 1.0}, "a number from 0.5 to 3; 1 is none"),
    "max_tokens": Range(int, 1, 4096, {}, "a whole number from 1 to 4096"),
    "seed": Range(
        int, 0, 2**32 - 1, {"new": None, "none": None, "random": None}, "a whole number from 0 to 4294967295, or new"
    ),
    "memory": Range(int, 0, 100, {"off": 0, "on": Settings.memory}, "on, off or a number of exchanges up to 100"),
    "compare": Range(bool, 0, 0, SWITCH, "on or off"),
}


def known(name: str) -> str:
    """Return a setting's canonical name, however it was typed.

    Raises:
        UserError: There is no such setting.
    """
    name = name.strip().lower().replace("-", "_")
    if name not in RANGES:
        alike = difflib.get_close_matches(name, RANGES, n=1)
        hint = f" Did you mean {alike[0]}?" if alike else ""
        raise UserError(f"{shown(name)}: no such setting.{hint} There are {', '.join(RANGES)}.")
    return name


def _written(value: Any) -> str:
    if value is None:
        return "new"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.15g}" if isinstance(value, float) else str(value)
