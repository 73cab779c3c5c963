"""Names of keys as on the command line, the schema's description of each, and the nearest name to an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pydantic import BaseModel


def keys_of(section: type[BaseModel], prefix: str = "") -> Iterable[str]:
    """Yield the dotted keys of a section, as on the command line."""
    for name, info in section.model_fields.items():
        key = f"{prefix}{info.alias or name}"
        yield key
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from keys_of(annotation, f"{key}.")


def description(section: type[BaseModel], place: Iterable[str | int]) -> str:
    """Return the schema's description of the key at ``place``, or of the innermost known key above it; may be empty."""
    found = ""
    for part in place:
        fields = section.model_fields
        info = fields.get(str(part)) or next((each for each in fields.values() if each.alias == part), None)
        if info is None:
            break
        found = info.description or ""
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            section = info.annotation
    return found


def hint(name: str, candidates: Iterable[str]) -> str:
    """Return the nearest candidate as a question; empty if none is near."""
    alike = [candidate for candidate in candidates if candidate.count(".") == name.count(".")]
    nearest = difflib.get_close_matches(name, alike, n=1, cutoff=0.6)
    return f" Did you mean {nearest[0]}?" if nearest else ""
