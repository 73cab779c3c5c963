import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rct_lightning.dialogue import Example, Turn, after, as_jsonl, content_hash, read_jsonl, write_jsonl
from rct_lightning.errors import UserError

ROOT = Path(__file__).parents[1]

GOOD = '{"input": "Hello", "output": "Hi"}'


def lines_with(bad: bytes, at: int) -> bytes:
    lines = [GOOD.encode()] * 20
    lines[at - 1] = bad
    return b"\n".join(lines) + b"\n"


MALFORMED = {
    "broken JSON": (b'{"input": "a", "output": ', "not valid JSON"),
    "cut in a string": (b'{"input": "a", "outp', "not valid JSON"),
    "two objects": (GOOD.encode() * 2, "not valid JSON"),
    "nested too deeply": (b'{"input": "a", "output": "b", "x": ' + b"[" * 200_000, "nested too deeply"),
    "endless number": (b'{"input": "a", "output": "b", "x": ' + b"1" * 5000 + b"}", "too many digits"),
    "a list": (b'["a", "b"]', "found a list"),
    "a number": (b"17", "found a number"),
    "null": (b"null", "found null"),
    "no output": (b'{"input": "a"}', "no 'output'"),
    "no input": (b'{"output": "a"}', "no 'input'"),
    "output is a number": (b'{"input": "a", "output": 3}', "'output': expected text, found a number"),
    "output is null": (b'{"input": "a", "output": null}', "'output': expected text, found null"),
    "input is a list": (b'{"input": ["a"], "output": "b"}', "'input': expected text, found a list"),
    "output is blank": (b'{"input": "a", "output": "  "}', "'output' is empty"),
    "id is a number": (b'{"id": 7, "input": "a", "output": "b"}', "'id': expected text"),
    "conversation is a list": (b'{"conversation": [], "input": "a", "output": "b"}', "'conversation'"),
    "has_presence is text": (b'{"has_presence": "yes", "input": "a", "output": "b"}', "found text"),
    "context is text": (b'{"context": "", "input": "a", "output": "b"}', "expected a list of turns"),
    "context holds text": (b'{"context": ["x"], "input": "a", "output": "b"}', "context[0]"),
    "a turn without content": (
        b'{"context": [{"role": "human"}], "input": "a", "output": "b"}',
        "context[0]",
    ),
    "an unknown role": (
        b'{"context": [{"role": "system", "content": "x"}], "input": "a", "output": "b"}',
        "'system'",
    ),
    "a turn of a number": (
        b'{"context": [{"role": "human", "content": 1}], "input": "a", "output": "b"}',
        "context[0]: expected text",
    ),
    "Latin-1": ('{"input": "caf\u00e9", "output": "b"}'.encode("latin-1"), "byte 15 is not UTF-8"),
    "UTF-16": (GOOD.encode("utf-16"), "not UTF-8"),
    "half a character": (b'{"input": "a\\ud800", "output": "b"}', "half a character"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_line_is_named_by_file_and_line(name: str, tmp_path: Path) -> None:
    bad, said = MALFORMED[name]
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(lines_with(bad, at=17))
    with pytest.raises(UserError) as error:
        read_jsonl(path)
    assert str(error.value).startswith(f"{path}, line 17")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"\n\n  \n"])
def test_an_empty_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match="holds no rows"):
        read_jsonl(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_jsonl(tmp_path / "absent.jsonl")
    with pytest.raises(UserError, match="is a folder"):
        read_jsonl(tmp_path)


def test_a_duplicate_id_names_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    row = '{"id": "x", "input": "a", "output": "b"}\n'
    path.write_text(row + "\n" + row, encoding="utf-8")
    with pytest.raises(UserError, match=r"line 3: the id 'x' was used before, in line 1"):
        read_jsonl(path)


def test_blank_lines_a_byte_order_mark_and_windows_newlines_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode() + b"\r\n\r\n" + GOOD.encode())
    assert [example.id for example in read_jsonl(path)] == ["corpus-1", "corpus-3"]


def test_id_and_conversation_are_derived_where_absent(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text(GOOD + "\n" + '{"id": "own", "input": "a", "output": "b"}\n', encoding="utf-8")
    first, second = read_jsonl(path)
    assert (first.id, first.conversation) == ("corpus-1", "corpus-1")
    assert (second.id, second.conversation) == ("own", "own")


def conversation(path: Path) -> Path:
    rows = [
        {"id": "1", "conversation": "c", "input": "i1", "output": "o1"},
        {"id": "other", "conversation": "d", "input": "x", "output": "y"},
        {"id": "2", "conversation": "c", "input": "i2", "output": "o2"},
        {"id": "3", "conversation": "c", "input": "i3", "output": "o3", "context": []},
        {"id": "4", "conversation": "c", "input": "i4", "output": "o4"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_earlier_rows_of_a_conversation_become_the_context_of_a_row_that_has_none(tmp_path: Path) -> None:
    context = {e.id: [turn.content for turn in e.context] for e in read_jsonl(conversation(tmp_path / "c.jsonl"))}
    assert context["2"] == ["i1", "o1"]
    assert context["3"] == [], "an empty context that the file states is kept"
    assert context["4"] == ["i3", "o3"]
    assert context["other"] == []


def test_context_is_not_rebuilt_where_that_is_off(tmp_path: Path) -> None:
    examples = read_jsonl(conversation(tmp_path / "c.jsonl"), rebuild_context=False)
    assert all(example.context == () for example in examples)


def test_a_round_trip_keeps_every_field_known_or_not(tmp_path: Path) -> None:
    row = {
        "id": "x",
        "conversation": "c",
        "input": "Na, schon wach? \u2603",
        "output": "Ja.",
        "context": [{"role": "human", "content": "Hallo"}, {"role": "assistant", "content": "Hi"}],
        "type": "reunion",
        "has_presence": False,
        "source": "written",
        "session": 3,
        "tags": ["a", {"b": None}],
    }
    path, copy = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    path.write_text(json.dumps(row), encoding="utf-8")
    examples = read_jsonl(path)
    assert examples[0].context == (Turn("human", "Hallo"), Turn("assistant", "Hi"))
    assert examples[0].extra == {"session": 3, "tags": ["a", {"b": None}]}
    write_jsonl(copy, examples)
    assert json.loads(copy.read_text(encoding="utf-8")) == row
    assert read_jsonl(copy) == examples


@st.composite
def histories(draw: st.DrawFn) -> list[Example]:
    """Return rows of mixed conversations, with every kind of context that a file may state."""
    rows: list[Example] = []
    last: dict[str, tuple[Turn, ...]] = {}
    for number in range(draw(st.integers(1, 12))):
        name = draw(st.sampled_from("ab"))
        follows, said = last.get(name, ()), draw(st.sampled_from("xy"))
        some = draw(st.sampled_from([follows, follows, follows[2:], follows[:-2], (), (Turn("assistant", said),)]))
        rows.append(Example(str(number), name, said, draw(st.sampled_from("xy")), some, extra={"n": number}))
        last[name] = after(rows[-1]) if draw(st.booleans()) else (*after(rows[-1]), Turn("human", "left out"))
    return rows


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories())
def test_contexts_are_left_out_just_where_they_are_read_back_the_same(tmp_path: Path, rows: list[Example]) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(as_jsonl(rows, rebuild_context=True), encoding="utf-8")
    assert read_jsonl(path) == rows
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [{"context": None} | line for line in lines] == [
        row.to_json() | {"context": line.get("context")} for row, line in zip(rows, lines, strict=True)
    ], "no other field is touched"
    for number, line in enumerate(lines):
        if "context" in line:
            without = [*lines[:number], {name: line[name] for name in line if name != "context"}, *lines[number + 1 :]]
            path.write_text("".join(json.dumps(one) + "\n" for one in without), encoding="utf-8")
            assert read_jsonl(path)[number] != rows[number], "this one is needed"


@pytest.mark.parametrize("side", ["train", "eval"])
def test_the_bundled_rows_are_read_back_where_contexts_are_left_out(tmp_path: Path, side: str) -> None:
    rows = read_jsonl(ROOT / "data" / "relational" / f"{side}.jsonl")
    path = tmp_path / "rows.jsonl"
    path.write_text(as_jsonl(rows, rebuild_context=True), encoding="utf-8")
    assert read_jsonl(path) == rows
    stated = sum(bool(row.context) for row in read_jsonl(path, rebuild_context=False))
    assert 0 < stated < 0.1 * sum(bool(row.context) for row in rows), "only histories that are no rows of the file"


def test_absent_optional_fields_stay_absent() -> None:
    assert set(Example("i", "c", "a", "b").to_json()) == {"id", "conversation", "input", "output", "context"}


def test_the_content_hash_depends_on_the_bytes(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"x")
    b.write_bytes(b"y")
    assert content_hash(a) != content_hash(b)
    b.write_bytes(b"x")
    assert content_hash(a) == content_hash(b)
