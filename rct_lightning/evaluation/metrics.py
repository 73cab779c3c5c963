"""Read back what an evaluation wrote, and flatten configurations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rct_lightning.errors import UserError
from rct_lightning.reading import read_object


def read_endpoints(metrics: Path) -> dict[str, Any]:
    """Return the endpoints of a report's metrics.json.

    Raises:
        UserError: The file is damaged.
    """
    found = read_object(metrics, strict=False).get("endpoints")
    if not isinstance(found, dict) or not all(map(_is_endpoint, found.values())):
        raise UserError(f"{metrics}: it holds no endpoints. Take it away, and the run is evaluated anew.")
    return found


def read_evaluated_on(metrics: Path) -> dict[str, Any]:
    """Return the hashes of the rows and probes behind a report's figures; empty if the report has none."""
    found = read_object(metrics, strict=False).get("evaluated_on")
    return found if isinstance(found, dict) else {}


def flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every setting of a configuration under its dotted key."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _is_endpoint(described: Any) -> bool:
    """Return whether both sides have one figure per item."""
    if not isinstance(described, dict):
        return False
    groups, weights = described.get("groups"), described.get("weights")
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups) or not groups:
        return False
    sides = [described.get(side) for side in ("base", "tuned")]
    lists = [side.get("values") if isinstance(side, dict) else None for side in sides]
    lists += [weights] if weights is not None else []
    return all(isinstance(each, list) and len(each) == len(groups) and all(map(_is_number, each)) for each in lists)


def _is_number(value: Any) -> bool:
    """Accept any number but a bool: a diverged model's figures may be NaN, and are reported as such."""
    return isinstance(value, int | float) and not isinstance(value, bool)
