"""The project's own corpus files: rows with ``input`` and ``output``, passed on with all their fields."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from rct_lightning.corpus.conversation import Conversation
from rct_lightning.corpus.importers.base import Format, Source, until_damaged
from rct_lightning.corpus.jsonstream import Damaged
from rct_lightning.dialogue import Example, Line, line_from_row, with_context
from rct_lightning.errors import UserError


def claims(record: Mapping[str, Any]) -> bool:
    """Return whether an object is a row."""
    return "input" in record and "output" in record and "instruction" not in record


def read(source: Source) -> Iterator[Conversation]:
    """Yield the rows of the whole file by conversation; the file is held in memory, as in training."""
    stem = PurePosixPath(source.member.base).stem
    lines: list[Line] = []
    ids: set[str] = set()
    made: set[str] = set()  # ids that only say where a row stands in its file
    damage: list[Damaged] = []
    for number, (where, record) in enumerate(until_damaged(source.records(), damage), start=1):
        try:
            line = line_from_row(record, number, where, default_id=f"{stem}-{number}")
            json.dumps(record, allow_nan=False)
        except (UserError, ValueError) as error:
            told = str(error) if isinstance(error, UserError) else f"{where}: NaN and Infinity are no JSON"
            source.tally.drop("rows that are not valid", told)
            continue
        if line.example.id in ids:
            source.tally.drop("rows whose id was used before", f"{where}, {line.example.id!r}")
            continue
        ids.add(line.example.id)
        made |= set() if record.get("id") else {line.example.id}
        lines.append(line)
    conversations: dict[str, list[Example]] = defaultdict(list)
    for row in with_context(lines):
        conversations[row.conversation].append(row)
    for name, members in conversations.items():
        yield Conversation(
            name,
            FORMAT.name,
            rows=tuple(members),
            local=frozenset(made & {name, *(row.id for row in members)}),
        )
    if damage:
        raise damage[0]


FORMAT = Format("rows", 'rows of this project: {"input": …, "output": …}', claims, read)
