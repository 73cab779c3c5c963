"""The allowed dependencies between rooms: the table of docs/architecture.md, checked against the imports."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "rct_lightning"
ROOT = Path(__file__).parents[1]
TABLE = re.findall(r"^\| (`.*?) \|", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.MULTILINE)
FLOORS = [set(re.findall(r"`(\w+)`", row)) for row in reversed(TABLE)]
"""From the bottom; rooms of one floor do not import each other."""
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
ONLY_IN = {
    "hydra": {"config", "train", "evaluate", "experiment"},
    "omegaconf": {"config", "train", "evaluate", "experiment"},
    "peft": {"backbone"},
    "bitsandbytes": {"backbone"},
}
WITHOUT_TORCH = {
    *FLOORS[0] - {"processes", "memory"},
    "reading",
    "dialogue",
    "console",
    "page",
    "template",
    "markers",
    "runs",
    "config",
    "corpus",
    "health",
}
HEAVY = {"torch", "lightning", "transformers", "peft", "bitsandbytes", "torchmetrics", "safetensors"}

SOURCES = {path.relative_to(ROOT): path for path in sorted((ROOT / PACKAGE).rglob("*.py"))}
ENTRY_POINTS = {Path(name): ROOT / name for name in ("train.py", "evaluate.py")}


def imported(source: str, file: Path) -> Iterator[str]:
    """Yield the full names of a file's imports, wherever in it; relative imports are resolved."""
    package = file.with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            base += [node.module] if node.module else []
            yield from (".".join([*base, alias.name]) for alias in node.names)


def room_of(name: str) -> str | None:
    """Return the room of this package that a full name belongs to."""
    parts = name.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 and parts[1] != "__version__" else None


def violations(source: str, file: Path) -> list[str]:
    """Return imports that lead upwards, sideways or to a room that is not in the table."""
    here = file.with_suffix("").parts[1]
    if here == "__init__":
        return [f"{file} imports {name}" for name in imported(source, file) if room_of(name)]
    found = []
    for name in imported(source, file):
        room = room_of(name)
        if room is not None and room != here and not FLOOR_OF.get(room, 99) < FLOOR_OF[here]:
            found.append(f"{file} imports {name}")
    return found


def misplaced(source: str, file: Path) -> list[str]:
    """Return imports of libraries that only certain rooms may use."""
    tops = {name.split(".")[0] for name in imported(source, file)}
    room = file.with_suffix("").parts[min(1, len(file.parts) - 1)]
    found = [f"{file} imports {top}" for top in tops & set(ONLY_IN) if room not in ONLY_IN[top]]
    if room in WITHOUT_TORCH:
        found += [f"{file} imports {top}" for top in tops & HEAVY]
    return found


@pytest.mark.parametrize("file", SOURCES, ids=str)
def test_imports_run_downwards_only(file: Path) -> None:
    room = file.with_suffix("").parts[1]
    assert room in FLOOR_OF or room == "__init__", f"{room} has no place in the table of docs/architecture.md"
    assert violations(SOURCES[file].read_text(encoding="utf-8"), file) == []


@pytest.mark.parametrize("file", [*SOURCES, *ENTRY_POINTS], ids=str)
def test_libraries_are_known_only_where_they_belong(file: Path) -> None:
    assert misplaced((ROOT / file).read_text(encoding="utf-8"), file) == []


def test_all_sources_are_read() -> None:
    assert {"errors", "scoring", "losses", "experiment"} <= {file.with_suffix("").parts[1] for file in SOURCES}
    assert any(violations("import rct_lightning.cli", file) for file in SOURCES)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("scoring.py", "from rct_lightning.losses import TERMS"),
        ("scoring.py", "def f():\n    from rct_lightning.module import RelationalModule"),
        ("scoring.py", "import rct_lightning.data as d"),
        ("scoring.py", "from rct_lightning import data"),
        ("scoring.py", "from .data import Batch"),
        ("scoring.py", "from . import data"),
        ("data/module.py", "from rct_lightning.backbone import Lora"),
        ("backbone/loading.py", "from rct_lightning.generation import generate"),
        ("losses/presence.py", "from ..module import RelationalModule"),
        ("losses/presence.py", "from rct_lightning.unknown import x"),
        ("evaluation/report.py", "from rct_lightning.callbacks import Events"),
        ("__init__.py", "from rct_lightning.errors import UserError"),
    ],
)
def test_a_planted_import_is_found(file: str, source: str) -> None:
    assert violations(source, Path(PACKAGE) / file)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("losses/presence.py", "from rct_lightning.data import Batch"),
        ("losses/presence.py", "from rct_lightning.losses.recurrence import candidate_loss"),
        ("losses/presence.py", "from .recurrence import candidate_loss"),
        ("experiment/training.py", "from rct_lightning import backbone, runs"),
        ("experiment/training.py", "from rct_lightning import __version__"),
    ],
)
def test_a_lawful_import_is_not(file: str, source: str) -> None:
    assert not violations(source, Path(PACKAGE) / file)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("data/module.py", "from omegaconf import DictConfig"),
        ("module/relational.py", "import hydra"),
        ("losses/seed.py", "import peft.utils"),
        ("generation.py", "def f():\n    import bitsandbytes as bnb"),
        ("markers/words.py", "import torch.nn"),
        ("corpus/card.py", "from transformers import AutoTokenizer"),
    ],
)
def test_a_planted_library_is_found(file: str, source: str) -> None:
    assert misplaced(source, Path(PACKAGE) / file)
