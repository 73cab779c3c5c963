"""Cache of the base's side of an evaluation for the next runs of a study: it is the same for all that share a base."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rct_lightning.generation import Reply
from rct_lightning.page import write_files

FOLDER = ".base"
"""Folder within a study's directory."""


@dataclass(frozen=True)
class OneSide:
    """All measurements of one side.

    Attributes:
        values: By endpoint, one value per item.
        groups: By endpoint, the unit each item was sampled in.
        weights: By endpoint; None if all are equal.
        said: Replies to the prompts of the endpoints, in order.
        fixed: Replies to the fixed prompts.
    """

    values: Mapping[str, np.ndarray]
    groups: Mapping[str, Sequence[str]]
    weights: Mapping[str, Sequence[float] | None]
    said: Sequence[Reply]
    fixed: Sequence[Reply]


@dataclass(frozen=True)
class KeptBase:
    """The cache file of the base's side.

    Attributes:
        path: A file named by a hash of everything that the figures depend on.
    """

    path: Path

    @classmethod
    def of(cls, study: Path, made_from: str) -> KeptBase:
        """Return the cache file in a study's directory.

        Args:
            study: The study's directory.
            made_from: A hash of base, rows, probes, template, settings and code.
        """
        return cls(study / FOLDER / f"{made_from[:32]}.json")

    def read(self) -> OneSide | None:
        """Return the cached side, or None if there is none; a damaged file is reported and also gives None."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            if found["sha256"] != _sum(found["base"]):
                raise ValueError("its sum is another")
            return _side(found["base"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            print(f"{self.path}: damaged ({error}), so the base is measured anew.", file=sys.stderr)
            return None

    def write(self, side: OneSide) -> None:
        """Write the measurements to the cache.

        Raises:
            UserError: The file cannot be written.
        """
        base = {
            "values": {key: [float(value) for value in values] for key, values in side.values.items()},
            "groups": {key: list(groups) for key, groups in side.groups.items()},
            "weights": {key: None if weights is None else list(weights) for key, weights in side.weights.items()},
            "said": [asdict(reply) for reply in side.said],
            "fixed": [asdict(reply) for reply in side.fixed],
        }
        write_files({self.path: json.dumps({"sha256": _sum(base), "base": base}).encode()})


def _side(base: Mapping[str, Any]) -> OneSide:
    values = {key: np.array(each) for key, each in base["values"].items()}
    said, fixed = ([Reply(**reply) for reply in base[name]] for name in ("said", "fixed"))
    return OneSide(values, base["groups"], base["weights"], said, fixed)


def _sum(base: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(base, sort_keys=True).encode()).hexdigest()


def hash_of_file(path: Path) -> str:
    """Return the SHA-256 of a file of any size; it is read once as long as it does not change."""
    status = path.stat()
    return _hash(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _hash(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
