"""What was evaluated, on what, and where: what a report says beside its figures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rct_lightning.data import TruncationReport
from rct_lightning.dialogue import Example


@dataclass(frozen=True)
class Setting:
    """What was evaluated.

    Attributes:
        config: Of the run.
        adapter: ``last`` or ``best``, and where it was read from.
        parameters: Of the base, without adapters.
        rows: Of the corpus, by side.
        conversations: Of the evaluation rows.
        probes: How many there are, by kind.
        phrases: Held-out phrases of bond and of rupture.
        cut: What did not fit into ``max_seq_length``, by side.
        cleaning: What ``clean.json`` beside the corpus says; empty where there is none.
        data: SHA-256 of the files that were read, by the key that names them, as they are now.
        evaluated_on: SHA-256 of the evaluation rows' texts and of the probes: reports with the same can be compared.
        environment: Versions, device and commit of the evaluation.
        made_from: Of everything that the report was made from; see :func:`report.fingerprint`.
    """

    config: Mapping[str, Any]
    adapter: tuple[str, str] = ("last", "adapter")
    parameters: int | None = None
    rows: Mapping[str, int] = field(default_factory=dict)
    conversations: int | None = None
    probes: Mapping[str, int] = field(default_factory=dict)
    phrases: tuple[int, int] | None = None
    cut: Mapping[str, TruncationReport] = field(default_factory=dict)
    cleaning: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    evaluated_on: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    made_from: str = ""

    @property
    def title(self) -> str:
        """The run in one line."""
        model, loss = self.config["model"], self.config["loss"]
        return f"{model['name']}, loss={loss['name']}, lambda={loss['lambda']:g}, seed={self.config['seed']}"


def hash_of_rows(rows: Iterable[Example]) -> str:
    """SHA-256 of what evaluation asks of rows: their ids and texts, in order."""
    digest = hashlib.sha256()
    for row in rows:
        turns = [asdict(turn) for turn in row.context]
        said = [row.id, row.conversation, turns, row.input, row.output, row.extra.get("pair")]
        digest.update(json.dumps(said, ensure_ascii=True).encode())
    return digest.hexdigest()
