"""Exports for tests: the fixtures of tests/exports, builders for those easier to read as code, and an import helper."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rct_lightning.corpus.folder import CorpusDir
from rct_lightning.corpus.importing import Report, import_corpus
from rct_lightning.dialogue import Example, read_jsonl

EXPORTS = Path(__file__).parent / "exports"
SPEAKERS = EXPORTS / "transcript.speakers"


def import_into(out: Path, *paths: Path, **options: Any) -> tuple[Report, list[Example]]:
    """Import, and read the rows back as every later step reads them."""
    report = import_corpus(paths, CorpusDir(out), **options)
    return report, read_jsonl(CorpusDir(out).imported)


def counts(report: Report) -> dict[str, int]:
    """Return the counts of what was left out."""
    return {what: one.count for what, one in report.tally.dropped.items()}


def exchange(*texts: str) -> list[dict[str, Any]]:
    """Alternating messages of the Claude export, without a tree."""
    return [{"sender": ("human", "assistant")[n % 2], "text": text} for n, text in enumerate(texts)]


def claude(name: str, *texts: str, **fields: Any) -> dict[str, Any]:
    """A conversation of the Claude export."""
    return {"uuid": name, "chat_messages": exchange(*texts)} | fields


def write_json(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def write_zip(path: Path, entries: Mapping[str, str | bytes], **options: Any) -> Path:
    with zipfile.ZipFile(path, "w", options.pop("compression", zipfile.ZIP_DEFLATED)) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def replaced(value: Any, substitute: Any) -> Sequence[Any]:
    """Return all copies of a JSON value in which one part, at any depth, is replaced."""
    found = [substitute]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += [value | {key: other} for other in replaced(inner, substitute)]
            found.append({k: v for k, v in value.items() if k != key})
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += [[*value[:index], other, *value[index + 1 :]] for other in replaced(inner, substitute)]
    return found
