"""Reading back what an evaluation wrote, and the configuration it was of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rct_lightning.errors import UserError
from rct_lightning.reading import read_object


def read_endpoints(metrics: Path) -> dict[str, Any]:
    """The endpoints of a report's metrics.json.

    Raises:
        UserError: The file is damaged.
    """
    found = read_object(metrics, strict=False).get("endpoints")
    if not isinstance(found, dict) or not all(map(_is_endpoint, found.values())):
        raise UserError(f"{metrics}: it holds no endpoints. Take it away, and the run is evaluated anew.")
    return found


def flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting of a configuration under its dotted key."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _is_endpoint(described: Any) -> bool:
    """Whether the tuned side's figures are there, one a group."""
    if not isinstance(described, dict) or not isinstance(described.get("tuned"), dict):
        return False
    figures, groups, weights = described["tuned"].get("values"), described.get("groups"), described.get("weights")
    if not isinstance(figures, list) or not isinstance(groups, list) or len(groups) != len(figures):
        return False
    numbers = [*figures, *(weights if isinstance(weights, list) else [])]
    fits = weights is None or (isinstance(weights, list) and len(weights) == len(figures))
    return fits and all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers)
