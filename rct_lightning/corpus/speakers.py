"""Speakers of transcripts without roles: the user's own map from beginnings of lines to sides."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from rct_lightning.errors import UserError

Side = Literal["human", "assistant", "skip"]
SIDES: tuple[Side, ...] = get_args(Side)
EXAMPLE = r"""a text file with lines like `human: ^(Me|Anna):` and `assistant: ^Claude:`, or JSON like
{"^(Me|Anna):": "human", "^Claude:": "assistant"}. `skip` leaves a part out"""
LARGEST = 1 << 20
COMMENT = re.compile(r"(?:^|\s)#.*")


@dataclass(frozen=True, slots=True)
class Speakers:
    """Patterns in order, each with the side that speaks from a line that begins with it."""

    patterns: tuple[tuple[re.Pattern[str], Side], ...]

    def of(self, line: str) -> tuple[Side, str] | None:
        """Return who begins to speak in a line, and the line without the matched part; None if nobody does."""
        for pattern, side in self.patterns:
            found = pattern.match(line)
            if found:
                return side, line[found.end() :]
        return None


def read_speakers(path: Path) -> Speakers:
    r"""Read a map: lines ``side: regular expression``, or a JSON object expression → side.

    ``#`` begins a comment at the beginning of a line and after white space; ``\#`` is the sign itself.

    Raises:
        UserError: It cannot be read, holds an invalid side or expression, or one of the two sides is missing.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path}: a speaker map of over 1 MiB is none. It is {EXAMPLE}.")
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(f"{path}: the speaker map cannot be read ({why}). It is {EXAMPLE}.") from None
    patterns: list[tuple[re.Pattern[str], Side]] = []
    for where, expression, wanted in _pairs(content, path):
        side = next((one for one in SIDES if one == wanted.strip().lower()), None)
        if side is None:
            raise UserError(
                f"{where}: the side is {wanted.strip()!r}, not human, assistant or skip. A map is {EXAMPLE}."
            )
        try:
            patterns.append((re.compile(expression), side))
        except (re.error, RecursionError, OverflowError) as error:
            raise UserError(f"{where}: {expression!r} is no regular expression ({error}).") from None
    missing = {"human", "assistant"} - {side for _, side in patterns}
    if missing:
        raise UserError(f"{path}: the map names no {' and no '.join(sorted(missing))}. It is {EXAMPLE}.")
    return Speakers(tuple(patterns))


def _pairs(content: str, path: Path) -> list[tuple[str, str, str]]:
    """Return each rule as its place, the expression and the side."""
    if content.lstrip().startswith("{"):
        try:
            rules = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}: not valid JSON ({error}). A map is {EXAMPLE}.") from None
        return [(f"{path}, {expression!r}", expression, str(side)) for expression, side in rules.items()]
    found = []
    for number, line in enumerate(content.splitlines(), start=1):
        rule = COMMENT.sub("", line)
        if rule.strip():
            where = f"{path}, line {number}"
            if rule != line:
                where += r" without its comment (\# is the sign itself)"
            side, colon, expression = rule.partition(":")
            if not colon or not expression.strip():
                raise UserError(f"{where}: no `side: regular expression`. A map is {EXAMPLE}.")
            found.append((where, expression.strip(), side))
    return found
