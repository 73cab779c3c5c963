"""Whatever bytes a file contains, a reader returns what it promises or raises one kind of message; never another error.

200 examples each by default, 10,000 with ``pytest -m long``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bad_configs import ADAPTER, TABLE, make_checkpoint, run_config
from bad_corpora import RECALL, ROW, TWIN, good
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from rct_lightning import checkpoint
from rct_lightning.config import load_run_config
from rct_lightning.data.tokens import RememberedTokens
from rct_lightning.dialogue import Example, read_jsonl
from rct_lightning.errors import UserError
from rct_lightning.evaluation.metrics import read_endpoints
from rct_lightning.evaluation.probes import Probe, read_probes
from rct_lightning.health import bands, largest_proportions
from rct_lightning.reading import read_object
from rct_lightning.runs import RunDir
from rct_lightning.template import DialogueTemplate
from rct_lightning.tui.monitor.summary import as_json
from rct_lightning.tui.monitor.view import whole_view
from rct_lightning.untrusted import check_adapter, check_model, check_tensors, load_template

EXAMPLES = [200, pytest.param(10_000, marks=pytest.mark.long)]
REFUSALS = (UserError, checkpoint.CheckpointError)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, -(10**400), 1e308, float("nan"), float("inf"), -0.0]),
    st.floats(),
    st.text(st.characters(codec=None), max_size=8),
)


def values(*names: str) -> SearchStrategy[Any]:
    """JSON values whose keys are often those that a reader looks for."""
    keys = st.one_of(st.sampled_from(names), st.text(max_size=3))
    return st.recursive(
        SCALARS, lambda deeper: st.lists(deeper, max_size=4) | st.dictionaries(keys, deeper, max_size=5)
    )


def spoilt(content: bytes) -> SearchStrategy[bytes]:
    """Once-valid bytes: truncated, overwritten, with something inserted or repeated."""
    place = st.integers(0, len(content))
    some = st.one_of(
        st.binary(max_size=4),
        st.sampled_from(
            [b"[" * 5000, b"\x00", b"\r", b"\xef\xbb\xbf", b"!!x ", b"&a *a", b"1" * 5000, b"0x" + b"1" * 5000]
        ),
    )

    def spoil(at: int, until: int, put: bytes) -> bytes:
        return content[:at] + put + content[until:]

    return st.builds(spoil, place, place, some)


def lines_of(row: dict[str, Any], *more: str) -> SearchStrategy[bytes]:
    """Files of lines: rows with other values in their fields, other JSON, and lines that are not JSON."""
    names = (*row, *more)
    changed = st.dictionaries(st.sampled_from(names), values(*names), max_size=3).map(lambda changes: row | changes)
    line = st.one_of(changed, values(*names)).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20)
    return st.lists(line, max_size=4).map(b"\n".join)


def one_object(row: dict[str, Any]) -> SearchStrategy[bytes]:
    """Files that are one JSON value."""
    changed = st.dictionaries(st.sampled_from(list(row)), values(*row), max_size=3).map(lambda changes: row | changes)
    return st.one_of(changed, values(*row)).map(lambda value: json.dumps(value).encode())


@dataclass(frozen=True)
class Reader:
    """A reader, its file, and what it must return."""

    file: str
    content: SearchStrategy[bytes]
    read: Callable[[Path], Any]
    gives: Callable[[Any], bool]


def whole_checkpoint(folder: Path, state: bytes) -> Any:
    """Return what is read of a checkpoint with correct checksums."""
    make_checkpoint(folder / "step-1", state)
    return checkpoint.read(folder / "step-1")


def table_of_events(run: Path) -> Any:
    events = RunDir(run).read_events()
    with_base = [events] if any(event["event"] == "eval" for event in events) else []
    return events, bands(with_base), largest_proportions(events, {"presence": 1.0})


def kept_tokens(folder: Path, tokenizer: Any) -> Any:
    return RememberedTokens(tokenizer, folder)._known


EVENT = {"time": 0.0, "event": "step", "step": 1, "lm": 2.0, "grad/lm_norm": 1.0, "grad/presence_norm": 2.0}
ENDPOINTS = {"made_from": "x", "endpoints": {"a": {"groups": ["c"], "weights": None, "tuned": {"values": [1.0]}}}}
STATE = {"map": [["global_step", 1], ["list", {"list": [1, {"tuple": []}]}]]}
TENSORS = {"__metadata__": {}, "w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}


def tensor_file(table: bytes) -> bytes:
    return len(table).to_bytes(8, "little") + table + bytes(4)


READERS = {
    "rows": Reader(
        "own.jsonl",
        lines_of(ROW, "id", "conversation", "context", "role", "content", "has_presence", "messages", "instruction"),
        read_jsonl,
        lambda rows: bool(rows) and all(isinstance(row, Example) and row.input.strip() for row in rows),
    ),
    "rows that were right": Reader("own.jsonl", spoilt("".join(json.dumps(row) + "\n" for row in good(4)).encode()),
                                   read_jsonl, bool),
    "probes": Reader(
        "own.jsonl",
        lines_of(TWIN, *RECALL) | lines_of(RECALL),
        read_probes,
        lambda probes: bool(probes) and all(isinstance(probe, Probe) for probe in probes),
    ),
    "any JSON": Reader("own.json", st.binary(max_size=60) | one_object({"a": 1}), read_object,
                       lambda value: isinstance(value, dict)),
    "an adapter": Reader("adapter_config.json", one_object(ADAPTER | {"auto_mapping": None, "rank_pattern": {}}),
                         lambda file: check_adapter(file.parent), lambda none: none is None),
    "tensors": Reader("adapter_model.safetensors", st.one_of(
        one_object(TENSORS).map(tensor_file), one_object(TENSORS["w"]).map(lambda t: tensor_file(b'{"w":' + t + b"}")),
        spoilt(tensor_file(json.dumps(TENSORS).encode()))), check_tensors, lambda none: none is None),
    "a model": Reader("config.json", one_object({"model_type": "x", "attn_implementation": "y", "sub": {}}),
                      lambda file: check_model(file.parent), lambda none: none is None),
    "role names": Reader("dialogue_template.json", one_object({"human": "A", "assistant": "B"}),
                         lambda file: load_template(file.parent), lambda found: isinstance(found, DialogueTemplate)),
    "a run's configuration": Reader("config.yaml", st.binary(max_size=40) | spoilt(b"seed: 1\nloss:\n  name: lm\n"),
                                    load_run_config, lambda config: False),
    "a run's whole configuration": Reader("config.yaml", st.deferred(lambda: spoilt(run_config().encode())),
                                          load_run_config, lambda config: config.seed >= 0),
    "events": Reader("events.jsonl", lines_of(EVENT) | spoilt(json.dumps(EVENT).encode() * 2),
                     lambda file: table_of_events(file.parent), lambda found: isinstance(found[1], str)),
    "events that are watched": Reader(
        "events.jsonl",
        lines_of(EVENT | {"not_finite": {"lm": "NaN"}, "total_steps": 9}) | spoilt(json.dumps(EVENT).encode() * 2),
        lambda file: as_json(whole_view(RunDir(file.parent))),
        lambda found: bool(json.dumps(found, allow_nan=False)),
    ),
    "a status": Reader("status.json", one_object({"state": "finished", "step": 1}) | st.binary(max_size=20),
                       lambda file: RunDir(file.parent).read_status(), lambda status: isinstance(status, dict)),
    "losses": Reader("loss_components.csv", spoilt(b"step,lm_loss,phase\n1,2.5,train\n2,2.0,eval\n")
                     | st.binary(max_size=40),
                     lambda file: RunDir(file.parent).read_loss_components(),
                     lambda rows: all({"step", "phase"} <= set(row) for row in rows)),
    "figures of an evaluation": Reader("metrics.json", one_object(ENDPOINTS) | st.binary(max_size=20), read_endpoints,
                                       lambda found: isinstance(found, dict)),
    "a checkpoint's state": Reader("state", one_object(STATE) | one_object({"map": [], "tensor": "t0", "tuple": []})
                                   | spoilt(json.dumps(STATE).encode()),
                                   lambda file: whole_checkpoint(file.parent, file.read_bytes()),
                                   lambda state: isinstance(state, dict)),
    "a checkpoint's manifest": Reader("step-1/manifest.json", one_object({"state.json": "0"}) | st.binary(max_size=20),
                                      lambda file: checkpoint.check(file.parent), lambda none: False),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the other files that readers look at besides the damaged one."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "adapter_model.safetensors").write_bytes(TABLE)
    (folder / "adapter_config.json").write_text(json.dumps(ADAPTER))
    make_checkpoint(folder / "step-1", b'{"map": []}')
    return folder


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("name", READERS)
def test_a_reader_gives_what_it_promises_or_one_message(name: str, examples: int, folder: Path) -> None:
    reader = READERS[name]
    file = folder / reader.file
    before = file.read_bytes() if file.is_file() else None

    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(content=reader.content)
    def any_content(content: bytes) -> None:
        file.write_bytes(content)
        try:
            found = reader.read(file)
        except REFUSALS as error:
            assert str(error) and "\n" not in str(error).rstrip("\n") and len(str(error)) < 12_000
        else:
            assert reader.gives(found)

    try:
        any_content()
    finally:
        file.unlink(missing_ok=True)
        if before is not None:
            file.write_bytes(before)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_kept_tokens_are_those_of_the_tokenizer_or_none(examples: int, tmp_path: Path, tokenizer: Any) -> None:
    tokens = RememberedTokens(tokenizer, tmp_path)
    tokens("Hello, Aelara.", add_special_tokens=False)
    tokens.keep()
    (file,) = tmp_path.glob("*.npz")
    whole = file.read_bytes()

    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(content=spoilt(whole))
    def any_content(content: bytes) -> None:
        file.write_bytes(content)
        for ids in RememberedTokens(tokenizer, tmp_path)._known.values():
            assert all(type(token) is int and 0 <= token < len(tokenizer) for token in ids)

    any_content()
