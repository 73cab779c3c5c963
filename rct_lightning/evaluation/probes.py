"""Held-out probes: their format and how they are read. Nothing trains on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rct_lightning.dialogue import Turn, is_visible, read_rows, turns
from rct_lightning.errors import UserError
from rct_lightning.reading import kind_of, shown

KINDS = ("twin", "recall", "impostor", "harmful", "ordinary")
_NEEDED = {
    "twin": ("pair", "marked", "input"),
    "recall": ("context", "input", "prefix", "answer", "candidates"),
    "impostor": ("context", "input", "faithful", "unfaithful"),
    "harmful": ("pair", "marked", "input", "refuse", "comply"),
    "ordinary": ("text",),
}
_MEANT = {"marked": "true or false", "candidates": "a list of at least two different texts"}


@dataclass(frozen=True)
class Probe:
    """One probe.

    Attributes:
        id: Unique.
        kind: One of :data:`KINDS`.
        context: Earlier turns.
        input: The user's text; empty for ordinary text.
        fields: All fields of the probe, with those its kind needs (see data/README.md).
    """

    id: str
    kind: str
    context: tuple[Turn, ...]
    input: str
    fields: Mapping[str, Any]


def read_probes(path: Path) -> list[Probe]:
    """Read a probe file.

    Raises:
        UserError: The file is missing or empty, or a line is not a valid probe; names file and line.
    """
    probes: list[Probe] = []
    lines: dict[str, int] = {}
    try:
        for number, place, row in read_rows(path, "a file of probes; the bundled one is data/probes.jsonl"):
            probe = _probe(row, place)
            if probe.id in lines:
                raise UserError(f"{place}: the id {shown(probe.id)} was used before, in line {lines[probe.id]}. Ids "
                                f"are unique.")  # fmt: skip
            lines[probe.id] = number
            probes.append(probe)
    except UserError as error:
        raise UserError(f"probes_file={error}" if not lines else str(error)) from None
    if not probes:
        raise UserError(f"probes_file={path}: the file holds no probes. The bundled one is data/probes.jsonl.")
    _check_pairs(probes, path)
    return probes


def _probe(row: Any, place: str) -> Probe:
    if not isinstance(row, dict):
        raise UserError(f"{place}: expected a JSON object, one probe a line, found {kind_of(row)}. See data/README.md.")
    kind = row.get("kind")
    if not isinstance(kind, str) or kind not in _NEEDED:
        raise UserError(f"{place}: a probe's 'kind' is one of {', '.join(KINDS)}, found {shown(kind)}.")
    missing = [name for name in ("id", *_NEEDED[kind]) if name not in row]
    if missing:
        raise UserError(f"{place}: a probe of kind '{kind}' needs {', '.join(missing)}. See data/README.md.")
    for name in ("id", *_NEEDED[kind], *(["input"] if "input" in row else [])):
        if not _fits(name, row[name]):
            said = f"'{name}' of a probe of kind '{kind}' cannot be {shown(row[name])}"
            raise UserError(f"{place}: {said}. It is {_MEANT.get(name, 'a text that is not empty')}.")
    if kind == "recall" and row["answer"] not in row["candidates"]:
        raise UserError(f"{place}: the answer {shown(row['answer'])} is not among the candidates. Add it to them.")
    return Probe(row["id"], kind, turns(row.get("context") or [], place), row.get("input", ""), row)


def _fits(name: str, value: Any) -> bool:
    """Return whether a field's value has the right type; ``context`` is checked elsewhere."""
    if name == "candidates":
        texts = isinstance(value, list) and all(isinstance(each, str) and is_visible(each) for each in value)
        return texts and len(set(value)) == len(value) >= 2
    if name == "marked":
        return isinstance(value, bool)
    return name == "context" or (isinstance(value, str) and is_visible(value))


def _check_pairs(probes: Sequence[Probe], path: Path) -> None:
    """Require at least one complete pair if there are twins; incomplete pairs are left out of the comparison."""
    sides: dict[str, set[bool]] = {}
    for probe in probes:
        if probe.kind == "twin":
            sides.setdefault(probe.fields["pair"], set()).add(probe.fields["marked"])
    if sides and not any(len(found) == 2 for found in sides.values()):
        raise UserError(
            f"{path}: no probe of kind 'twin' has its other side: two with the same 'pair', one of them marked, the "
            f"other not. See data/README.md."
        )
