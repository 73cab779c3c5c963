"""What was evaluated, on what, and where: the context of a report's figures."""

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
        config: The run's configuration.
        adapter: ``last`` or ``best``, and the path it was read from.
        parameters: Number of parameters of the base, without adapters.
        rows: Number of corpus rows, by side.
        conversations: Number of conversations among the evaluation rows.
        probes: Number of probes, by kind.
        misread: Probes that are marked, or unmarked, where the run's own markers say otherwise.
        phrases: Number of held-out phrases of bond and of rupture.
        cut: What did not fit into ``max_seq_length``, by side.
        cleaning: Contents of the corpus's ``clean.json``; empty if there is none.
        data: Current SHA-256 of the files that were read, by the key that names them.
        evaluated_on: SHA-256 of the evaluation rows' texts and of the probes; reports with equal hashes are comparable.
        environment: Versions, device and commit of the evaluation.
        made_from: Hash of everything the report was made from; see :func:`report.fingerprint`.
    """

    config: Mapping[str, Any]
    adapter: tuple[str, str] = ("last", "adapter")
    parameters: int | None = None
    rows: Mapping[str, int] = field(default_factory=dict)
    conversations: int | None = None
    probes: Mapping[str, int] = field(default_factory=dict)
    misread: int = 0
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
    """Return the SHA-256 of what evaluation uses of rows: their ids, texts and pairs, in order."""
    digest = hashlib.sha256()
    for row in rows:
        turns = [asdict(turn) for turn in row.context]
        said = [row.id, row.conversation, turns, row.input, row.output, row.extra.get("pair")]
        digest.update(json.dumps(said, ensure_ascii=True).encode())
    return digest.hexdigest()
