"""Held-out probes: what they are and how they are read. Nothing trains on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rct_lightning.dialogue import ROLES, Turn
from rct_lightning.errors import UserError

KINDS = ("twin", "recall", "impostor", "harmful", "ordinary")
_NEEDED = {
    "twin": ("pair", "marked", "input"),
    "recall": ("context", "input", "prefix", "answer", "candidates"),
    "impostor": ("context", "input", "faithful", "unfaithful"),
    "harmful": ("pair", "marked", "input", "refuse", "comply"),
    "ordinary": ("text",),
}


@dataclass(frozen=True)
class Probe:
    """One probe.

    Attributes:
        id: Unique.
        kind: One of :data:`KINDS`.
        context: Earlier turns.
        input: The user's text; empty for ordinary text.
        fields: What the kind needs besides (see data/README.md).
    """

    id: str
    kind: str
    context: tuple[Turn, ...]
    input: str
    fields: Mapping[str, Any]


def read_probes(path: Path) -> list[Probe]:
    """Read a probe file.

    Raises:
        UserError: Missing, empty, or a line is not a valid probe; names file and line.
    """
    if not path.is_file():
        raise UserError(f"probes_file={path}: there is no such file. The bundled one is data/probes.jsonl.")
    probes = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if line.strip():
            probes.append(_probe(line, f"{path}, line {number}"))
    if not probes:
        raise UserError(f"probes_file={path}: the file holds no probes. The bundled one is data/probes.jsonl.")
    return probes


def _probe(line: bytes, place: str) -> Probe:
    try:
        row = json.loads(line.decode("utf-8"))
        kind = row["kind"]
        missing = [name for name in _NEEDED[kind] if name not in row]
        context = tuple(Turn(turn["role"], turn["content"]) for turn in row.get("context", []))
        identifier = str(row["id"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{place}: not a probe ({type(error).__name__}: {error}). See data/README.md.") from None
    if missing:
        raise UserError(f"{place}: a probe of kind '{kind}' needs {', '.join(missing)}. See data/README.md.")
    for name in _NEEDED[kind]:
        if not _fits(name, row[name]):
            raise UserError(f"{place}: '{name}' of a probe of kind '{kind}' cannot be {row[name]!r}.")
    if kind == "recall" and row["answer"] not in row["candidates"]:
        raise UserError(f"{place}: the answer {row['answer']!r} is not among the candidates. Add it to them.")
    if any(turn.role not in ROLES for turn in context):
        raise UserError(f"{place}: the role of a turn must be {' or '.join(ROLES)}.")
    return Probe(identifier, kind, context, row.get("input", ""), row)


def _fits(name: str, value: Any) -> bool:
    """Whether a field has the type of its name; turns are read apart."""
    if name == "candidates":
        return isinstance(value, list) and all(isinstance(candidate, str) for candidate in value)
    return isinstance(value, {"marked": bool, "context": list}.get(name, str))
