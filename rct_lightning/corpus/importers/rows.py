"""The project's own corpus files: rows with ``input`` and ``output``, handed on with every field they have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from rct_lightning.corpus.conversation import Conversation
from rct_lightning.corpus.importers.base import Format, Source, until_damaged
from rct_lightning.corpus.jsonstream import Damaged
from rct_lightning.dialogue import Example, example_from_row, rebuild_contexts
from rct_lightning.errors import UserError


def claims(record: Mapping[str, Any]) -> bool:
    """Whether an object is a row."""
    return "input" in record and "output" in record and "instruction" not in record


def read(source: Source) -> Iterator[Conversation]:
    """Rows by their conversation, of the whole file: it is held in memory, as training does."""
    stem = PurePosixPath(source.member.base).stem
    rows: list[Example] = []
    without_context: set[str] = set()
    ids: set[str] = set()
    damage: list[Damaged] = []
    for number, (where, record) in enumerate(until_damaged(source.records(), damage), start=1):
        try:
            row = example_from_row(record, where, default_id=f"{stem}-{number}")
        except UserError as error:
            source.tally.drop("rows that are not valid", str(error))
            continue
        if row.id in ids:
            source.tally.drop("rows whose id was used before", f"{where}, {row.id!r}")
            continue
        ids.add(row.id)
        rows.append(row)
        if "context" not in record:
            without_context.add(row.id)
    conversations: dict[str, list[Example]] = defaultdict(list)
    for row in rebuild_contexts(rows, without_context):
        conversations[row.conversation].append(row)
    for name, members in conversations.items():
        yield Conversation(name, FORMAT.name, rows=tuple(members))
    if damage:
        raise damage[0]


FORMAT = Format("rows", 'rows of this project: {"input": …, "output": …}', claims, read)
