"""Damaged exports: every one ends in a message or in a count, none in a traceback, none in an empty success."""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import Any

import pytest
from exported import EXPORTS, SPEAKERS, claude, counts, import_into, replaced, write_json
from hypothesis import given, settings
from hypothesis import strategies as st

from rct_lightning.corpus import jsonstream
from rct_lightning.corpus.jsonstream import Damaged, JsonStream
from rct_lightning.errors import UserError

JSON_FORMATS = ("claude", "chatgpt", "gemini", "grok", "messages", "sharegpt", "alpaca", "rows")
WRONG: list[Any] = [
    None,
    True,
    -1,
    1e300,
    "",
    "word",
    [],
    {},
    [[[[[[[[[[{}]]]]]]]]]],
    ["a", 1, None],
    {"x": {"type": "text"}},
]
FUZZ = settings(max_examples=50, deadline=None)


def fixture(name: str) -> list[Any]:
    """Return the records of a fixture: elements of its list, its lines, or the items of its `conversations`."""
    path = next(path for path in EXPORTS.iterdir() if path.stem == name and path.suffix in (".json", ".jsonl"))
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in content.splitlines() if line]
    whole = json.loads(content)
    return whole["conversations"] if isinstance(whole, dict) else whole


def wrapped(name: str, records: list[Any]) -> Any:
    return {"conversations": records} if name == "grok" else records


def healthy(name: str) -> Any:
    """Return a record whose rows must be imported, whatever surrounds it."""
    record = copy.deepcopy(fixture(name)[0])
    if name == "grok":
        record["conversation"]["id"] = "healthy"
    if name == "gemini":
        record["time"] = "2020-01-01T00:00:00Z"
    return record | ({} if name == "grok" else {"id": "healthy", "uuid": "healthy", "conversation": "healthy"})


def outcome(out: Path, path: Path, **options: Any) -> int:
    """Return the number of rows of an import, each readable; 0 if it was refused with a message and left no files."""
    try:
        report, rows = import_into(out, path, force=True, **options)
    except UserError as error:
        assert len(str(error)) > 20
        assert not list(out.glob("*")) if out.exists() else True
        return 0
    assert rows and report.rows == len(rows)
    return len(rows)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda value: json.dumps(value)[:12])
@pytest.mark.parametrize("name", JSON_FORMATS)
def test_any_field_may_be_of_any_type_or_absent(name: str, wrong: Any, tmp_path: Path) -> None:
    """All variants are in one file, before a complete record."""
    variants = [variant for record in fixture(name)[:2] for variant in replaced(record, wrong)]
    assert len(variants) > 8
    file = write_json(tmp_path / "x.json", wrapped(name, [*variants, healthy(name)]))
    _, rows = import_into(tmp_path / "out", file, format_name=name)
    mark = "gemini-20200101" if name == "gemini" else "healthy"
    assert any(row.conversation.startswith(mark) for row in rows)


@pytest.mark.parametrize("name", JSON_FORMATS)
def test_each_field_alone_is_detected_or_refused(name: str, tmp_path: Path) -> None:
    found = [
        outcome(tmp_path / "out" / str(number), write_json(tmp_path / "x.json", wrapped(name, [variant])))
        for number, variant in enumerate(replaced(fixture(name)[0], 7)[::3])
    ]
    assert any(found), "some fields are not needed"


@pytest.mark.parametrize("ahead", [{"conversations": []}, {"made": "2026-01-01", "rows": 3}, 7, {"conversations": [3]}])
def test_the_format_may_be_told_by_a_later_line(ahead: Any, tmp_path: Path) -> None:
    lines = [ahead, fixture("sharegpt")[0]]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    report, rows = import_into(tmp_path / "out", tmp_path / "x.jsonl")
    assert report.files[0].format == "sharegpt" and [row.output for row in rows] == ["The wren.", "The owl."]
    assert sum(counts(report).values()) > 0, "the line that holds none is counted"


@pytest.mark.parametrize("whole", [None, 3, "text", [], {}, [[]], [None], {"conversations": 3}, {"conversations": []}])
@pytest.mark.parametrize("name", [None, *JSON_FORMATS])
def test_any_value_at_the_top_is_refused(name: str | None, whole: Any, tmp_path: Path) -> None:
    file = write_json(tmp_path / "x.json", whole)
    assert outcome(tmp_path / "out", file, format_name=name) == 0


@pytest.mark.parametrize("name", JSON_FORMATS)
def test_a_file_cut_anywhere_is_refused_at_its_byte(name: str, tmp_path: Path) -> None:
    raw = json.dumps(wrapped(name, fixture(name)), ensure_ascii=False).encode("utf-8", "replace")
    for at in range(1, len(raw), max(1, len(raw) // 60)):
        (tmp_path / "x.json").write_bytes(raw[:at])
        with pytest.raises(UserError) as caught:
            import_into(tmp_path / "out", tmp_path / "x.json", format_name=name)
        assert f"byte {at + 1:,}" in str(caught.value) or "in the middle of a character" in str(caught.value)
        assert "was cut" in str(caught.value)
        assert not (tmp_path / "out").exists()


def test_what_stands_before_the_cut_can_be_salvaged(tmp_path: Path) -> None:
    raw = json.dumps([claude(f"c{n}", "Hm?", "Yes.") for n in range(9)])
    (tmp_path / "conversations.json").write_text(raw[: raw.index("c7")])
    with pytest.raises(UserError, match=r"after 7 whole entries: the file ends in the middle.*--salvage"):
        import_into(tmp_path / "out", tmp_path / "conversations.json")
    report, rows = import_into(tmp_path / "out", tmp_path / "conversations.json", salvage=True)
    assert len(rows) == 7 and counts(report) == {"damaged files of which the rest was not read": 1}


@pytest.mark.parametrize("name", JSON_FORMATS)
def test_every_format_salvages_the_entries_before_the_cut(name: str, tmp_path: Path) -> None:
    whole = json.dumps(wrapped(name, fixture(name)[:1]), ensure_ascii=True)
    _, rows = import_into(tmp_path / "whole", write_json(tmp_path / "y.json", json.loads(whole)), format_name=name)
    end = {"grok": "]}"}.get(name, "]")
    (tmp_path / "x.json").write_text(whole.removesuffix(end) + ', {"id"')
    _, salvaged = import_into(tmp_path / "out", tmp_path / "x.json", format_name=name, salvage=True)
    assert [row.output for row in salvaged] == [row.output for row in rows]


CONTENT = json.dumps([claude("c", "Schläfst du?", "Nein, „noch“ nicht \U0001f642.")], ensure_ascii=False)
LINES = "\r\n".join(
    json.dumps({"messages": [{"role": r, "content": c} for r, c in (("user", "a"), ("assistant", n))]}) for n in "xyz"
)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (CONTENT.encode("utf-16"), "UTF-16"),
        (CONTENT.encode("utf-16-le"), "NUL byte|not UTF-8"),
        (CONTENT.encode("cp1252", "replace"), "not UTF-8"),
        (CONTENT.encode()[:60] + b"\xff" + CONTENT.encode()[60:], "byte 61 is not UTF-8|byte 61,"),
        (CONTENT.encode().replace(b"Nein", b"Ne\0in"), "NUL byte"),
        (CONTENT.encode() + b"\0" * 100, "NUL byte|something follows"),
        (CONTENT.encode() + CONTENT.encode(), "something follows"),
        (CONTENT.encode()[:-1] + b",]", "not valid JSON"),
        (CONTENT.encode().replace(b": ", b" ", 1), "not valid JSON"),
        (b"[" * 5000, "nested too deeply|cut"),
        (b'[{"mapping": ' + b"9" * 5000 + b"}]", "too many digits"),
        (b"", "empty"),
        (b" \n\t", "no JSON object"),
        (b"\x89PNG\r\n\x1a\n\0\0", "not UTF-8"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_other_damage_is_named(raw: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "conversations.json").write_bytes(raw)
    with pytest.raises(UserError, match=why):
        import_into(tmp_path / "out", tmp_path / "conversations.json")


@pytest.mark.parametrize(
    "raw",
    [b"\xef\xbb\xbf" + CONTENT.encode(), CONTENT.encode() + b"\r\n\r\n", CONTENT.replace(', "', ' ,\r\n"').encode()],
    ids=["BOM", "empty lines", "CRLF"],
)
def test_what_is_only_unusual_is_read(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "conversations.json").write_bytes(raw)
    _, rows = import_into(tmp_path / "out", tmp_path / "conversations.json")
    assert rows[0].output == "Nein, „noch“ nicht 🙂."


@pytest.mark.parametrize("ends", ["", "\r\n", "\n\n\n"])
def test_lines_of_json_with_any_line_ends(ends: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(b"\xef\xbb\xbf" + (LINES + ends).encode())
    _, rows = import_into(tmp_path / "out", tmp_path / "x.jsonl")
    assert [row.output for row in rows] == ["x", "y", "z"]


def test_half_characters_are_joined_or_replaced(tmp_path: Path) -> None:
    raw = json.dumps([claude("c", "X \ud83d\ude42 Y", "half \ud83d") | {"name": "\udc00"}])
    (tmp_path / "conversations.json").write_text(raw)
    report, rows = import_into(tmp_path / "out", tmp_path / "conversations.json")
    assert (rows[0].input, rows[0].output) == ("X 🙂 Y", "half �")
    assert report.tally.changed["rows with half a character (now U+FFFD)"].count == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"{\\rtf1 Me: a\\par Friend: b",
        b"{\\rtf1 Me: a\\par Friend: \\u99999999 ?}",
        b"{\\rtf1\\ansicpg77777 Me: \\'e9\\par Friend: b}",
        b"{\\rtf1 {\\pict\\bin",
        b"Me: caf\xe9\nFriend: b",
        b"\0\0\0",
    ],
)
def test_a_damaged_transcript_is_refused_or_read(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.rtf").write_bytes(raw)
    outcome(tmp_path / "out", tmp_path / "x.rtf", speakers=SPEAKERS)


# The stream of JSON itself


def stream(raw: bytes) -> JsonStream:
    return JsonStream(io.BytesIO(raw), "x")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(VALUES, max_size=6), st.integers(1, 40), st.booleans(), st.sampled_from([None, 1]))
@FUZZ
def test_pieces_of_any_size_give_the_same_elements(
    values: list[Any], piece: int, plain: bool, indent: int | None
) -> None:
    raw = json.dumps(values, ensure_ascii=plain, indent=indent).encode("utf-8", "surrogatepass")
    lines = "\n".join(json.dumps(value) for value in values).encode()
    under = json.dumps({"a": values, "conversations": values, "b": [1]}).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonstream, "PIECE", piece)
        assert list(stream(raw).elements()) == values
        assert list(stream(lines).documents()) == values
        assert list(stream(under).elements_under("conversations")) == values


@given(st.lists(VALUES, min_size=1, max_size=6), st.data())
@FUZZ
def test_a_cut_is_found_in_pieces_of_any_size(values: list[Any], data: st.DataObject) -> None:
    raw = json.dumps(values, ensure_ascii=False).encode("utf-8", "surrogatepass")
    at = data.draw(st.integers(1, len(raw) - 1))
    read = []
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Damaged, match="it was cut"):
        patch.setattr(jsonstream, "PIECE", data.draw(st.integers(1, 40)))
        for value in stream(raw[:at]).elements():
            read.append(value)
    if read and isinstance(read[-1], int | float):  # a number cut in two is still a number
        read.pop()
    assert read == values[: len(read)]


def test_an_element_longer_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonstream, "PIECE", 16)
    monkeypatch.setattr(jsonstream, "LONGEST", 64)
    with pytest.raises(Damaged, match="longer than"):
        list(stream(b'["' + b"x" * 500 + b'"]').elements())


# Fuzz of each reader


@pytest.mark.parametrize("name", JSON_FORMATS)
def test_mutated_records_never_break_a_reader(name: str, tmp_path: Path) -> None:
    records = fixture(name)

    @given(st.data())
    @FUZZ
    def check(data: st.DataObject) -> None:
        mutated = copy.deepcopy(records)
        for _ in range(data.draw(st.integers(1, 6))):
            _mutate(mutated, data)
        file = write_json(tmp_path / "x.json", wrapped(name, mutated))
        outcome(tmp_path / "out", file, format_name=data.draw(st.sampled_from([name, None])))
        _empty(tmp_path / "out")

    check()


def _mutate(value: Any, data: st.DataObject) -> None:
    """Put another value somewhere, or swap two parts."""
    while isinstance(value, dict | list) and value:
        key = data.draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
        inner = value[key]
        if not (isinstance(inner, dict | list) and inner) or data.draw(st.integers(0, 4)) == 0:
            value[key] = copy.deepcopy(data.draw(VALUES | st.sampled_from(WRONG)))
            return
        value = inner


@pytest.mark.parametrize("name", [*JSON_FORMATS, "transcript"])
def test_mutated_bytes_never_break_a_reader(name: str, tmp_path: Path) -> None:
    path = next(path for path in EXPORTS.iterdir() if path.stem == name and path.suffix != ".speakers")
    raw = path.read_bytes()

    @given(
        st.lists(st.tuples(st.integers(0, len(raw)), st.integers(0, 30), st.binary(max_size=8)), min_size=1, max_size=4)
    )
    @FUZZ
    def check(edits: list[tuple[int, int, bytes]]) -> None:
        damaged = raw
        for at, length, instead in edits:
            damaged = damaged[:at] + instead + damaged[at + length :]
        (tmp_path / path.name).write_bytes(damaged)
        outcome(tmp_path / "out", tmp_path / path.name, speakers=SPEAKERS)
        _empty(tmp_path / "out")

    check()


def _empty(folder: Path) -> None:
    if folder.exists():
        for path in folder.iterdir():
            path.unlink()
