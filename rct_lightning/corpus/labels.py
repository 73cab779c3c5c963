"""Types by rule for rows that have none; the rules are in ``labels.toml``.

Rules match words, not meaning: their agreement with labels given by hand is measured (``rct corpus audit``), and a
type that a file states is never changed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from rct_lightning.dialogue import TYPES, Example
from rct_lightning.errors import UserError
from rct_lightning.markers import Lexicon, PhraseMatcher

OTHERWISE = "general"
OPENING_WORDS = 8
BY_RULE = "labelled"
"""Extra field of a row that lists which of its labels were given by rule."""
_PHRASES = {"user": "input", "user_opens": "input", "reply": "output", "reply_opens": "output"}
_FLAGS = ("history", "marked")


@dataclass(frozen=True)
class Rule:
    """Conditions that together give a row its type; see the head of ``labels.toml``."""

    type: str
    phrases: Mapping[str, tuple[str, ...]]
    history: bool | None = None
    marked: bool | None = None

    @cached_property
    def _matchers(self) -> dict[str, PhraseMatcher]:
        return {name: PhraseMatcher(found) for name, found in self.phrases.items()}

    def holds(self, row: Example, lexicon: Lexicon) -> bool:
        """Return whether a row meets every condition."""
        if self.history is not None and self.history != bool(row.context):
            return False
        for name, matcher in self._matchers.items():
            text = getattr(row, _PHRASES[name])
            if not matcher.occurs_in(_opening(text) if name.endswith("_opens") else text):
                return False
        return self.marked is None or self.marked == (lexicon.strength(row.input) > 0)


@dataclass(frozen=True)
class Labels:
    """Rules in the order in which they are applied, and the lexicon that defines markers."""

    rules: tuple[Rule, ...]
    lexicon: Lexicon

    def type_of(self, row: Example) -> str:
        """Return the type of the first rule that holds; ``general`` if none does."""
        return next((rule.type for rule in self.rules if rule.holds(row, self.lexicon)), OTHERWISE)

    def fill(self, rows: Iterable[Example]) -> list[Example]:
        """Return the rows with missing types and has_presence filled in by rule; stated values are kept."""
        return [self._filled(row) for row in rows]

    def _filled(self, row: Example) -> Example:
        given = [name for name in ("type", "has_presence") if getattr(row, name) is None]
        if not given:
            return row
        marked = self.lexicon.strength(row.input) > 0
        return replace(
            row,
            type=self.type_of(row) if row.type is None else row.type,
            has_presence=marked if row.has_presence is None else row.has_presence,
            extra={**row.extra, BY_RULE: given},
        )


def labels_of(own: Path | None = None) -> Labels:
    """Return the rules of this package, after those of a file if one is given.

    Raises:
        UserError: The file cannot be read, or holds something that is not a rule.
    """
    builtin = tomllib.loads(files("rct_lightning.corpus").joinpath("labels.toml").read_text(encoding="utf-8"))
    rules = _rules(builtin, "labels.toml")
    if own is None:
        return Labels(rules, Lexicon())
    try:
        read = tomllib.loads(own.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"{own}: cannot be read ({error.strerror}). Give a TOML file with rules.") from None
    except ValueError as error:  # not UTF-8, or not TOML; both messages give the place
        raise UserError(f"{own}: not valid TOML ({error}).") from None
    _check_names(read, ("rule", "markers", "builtin"), str(own))
    markers = _texts(read["markers"], f"{own}, markers") if "markers" in read else None
    kept = rules if _flag(read.get("builtin", True), f"{own}, builtin") else ()
    return Labels((*_rules(read, str(own)), *kept), Lexicon.build(markers))


def agreement(rows: Sequence[Example], labels: Labels) -> dict[tuple[str, str], int]:
    """Count rows by (type given by hand, type by rule); rows whose type is by rule, or absent, are left out."""
    counts: dict[tuple[str, str], int] = {}
    for row in rows:
        if row.type is not None and "type" not in given_by_rule(row):
            pair = row.type, labels.type_of(row)
            counts[pair] = counts.get(pair, 0) + 1
    return counts


def given_by_rule(row: Example) -> Sequence[str]:
    """Return which labels of a row were given by rule."""
    given = row.extra.get(BY_RULE)
    return given if isinstance(given, list) else ()


def _opening(text: str) -> str:
    return " ".join(text.split()[:OPENING_WORDS])


def _rules(read: Mapping[str, Any], file: str) -> tuple[Rule, ...]:
    found = read.get("rule", [])
    if not isinstance(found, list):
        raise UserError(f"{file}, rule: begin each rule with a line [[rule]].")
    return tuple(_rule(entry, f"{file}, rule {number}") for number, entry in enumerate(found, start=1))


def _rule(entry: Any, place: str) -> Rule:
    if not isinstance(entry, dict):
        raise UserError(f"{place}: begin each rule with a line [[rule]].")
    _check_names(entry, ("type", *_PHRASES, *_FLAGS), place)
    if entry.get("type") not in TYPES:
        raise UserError(f"{place}, type: expected one of {', '.join(TYPES)}, found {entry.get('type')!r}.")
    phrases = {name: _texts(entry[name], f"{place}, {name}") for name in _PHRASES if name in entry}
    flags = {name: _flag(entry[name], f"{place}, {name}") for name in _FLAGS if name in entry}
    if not phrases and not flags:
        raise UserError(f"{place}: a rule needs a condition: {', '.join((*_PHRASES, *_FLAGS))}.")
    return Rule(entry["type"], phrases, **flags)


def _check_names(entry: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    for name in entry:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(known)}."
            raise UserError(f"{place}: there is no {name!r}. {hint}")


def _texts(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(text, str) and text.strip() for text in value):
        raise UserError(f"{place}: expected a list of phrases in quotation marks, at least one.")
    return tuple(value)


def _flag(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        raise UserError(f"{place}: expected true or false, found {value!r}.")
    return value
