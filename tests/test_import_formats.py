"""Every export format: its rows and the account of what was left out, as written by hand next to the fixture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from exported import EXPORTS, SPEAKERS, claude, counts, import_into, write_json
from hypothesis import given, settings
from hypothesis import strategies as st

from rct_lightning.corpus.conversation import Tally
from rct_lightning.corpus.fields import instant, iso
from rct_lightning.corpus.importers.html import html_text
from rct_lightning.corpus.importers.tree import Node, newest_path
from rct_lightning.corpus.speakers import read_speakers
from rct_lightning.dialogue import Turn
from rct_lightning.errors import UserError

NEITHER = "messages of neither side (system, tools, unknown)"
PICTURES = "pictures, sounds and files inside messages"
MERGED = "messages merged with the one before, of the same side"
DROPPED: dict[str, dict[str, int]] = {
    "claude.json": {
        "attachments and files": 3,
        "messages without text": 3,
        "blocks that are no text (thinking)": 2,
        "blocks that are no text (tool_use)": 1,
        "blocks that are no text (tool_result)": 1,
        "blocks that are no text (of another kind)": 1,
        "messages on other branches": 2,
        "placeholders of blocks that the export leaves out": 2,
        "user turns without an answer": 2,
        "assistant turns before the first user turn": 1,
        "replies to a message without text": 1,
        "conversations without an answered turn": 1,
        "conversations without messages": 1,
        "entries that are no JSON objects": 1,
        NEITHER: 1,
    },
    "chatgpt.json": {
        "messages on other branches": 2,
        PICTURES: 2,
        "conversations without an answered turn": 1,
        "conversations without messages": 1,
        "hidden messages": 1,
        NEITHER: 1,
        "messages that are no dialogue (thoughts)": 1,
        "messages that are no dialogue (user_editable_context)": 1,
        "messages to tools": 1,
        "messages without text": 1,
        "replies to a message without text": 1,
    },
    "gemini.json": {
        "entries of other products": 1,
        "entries that are no prompts": 1,
        "prompts without a time": 1,
        "prompts without an answer": 1,
    },
    "grok.json": {
        "messages on other branches": 3,
        "messages that are no JSON objects": 1,
        "conversations without messages": 1,
        NEITHER: 1,
    },
    "messages.jsonl": {
        NEITHER: 2,
        "assistant turns before the first user turn": 1,
        "messages without text": 1,
        PICTURES: 1,
        "user turns without an answer": 1,
    },
    "sharegpt.json": {
        "assistant turns before the first user turn": 1,
        "conversations that are there in a newer or longer version": 1,
        "conversations without messages": 1,
        NEITHER: 1,
        "system prompts": 1,
    },
    "alpaca.json": {
        "conversations without an answered turn": 1,
        "exchanges of a history that are no pair of texts": 1,
        "messages without text": 1,
        "system prompts": 1,
        "user turns without an answer": 1,
    },
    "rows.jsonl": {"rows that are not valid": 1, "rows whose id was used before": 1},
    "transcript.txt": {"parts before the first speaker": 1},
    "transcript.rtf": {},
}
CHANGED: dict[str, dict[str, int]] = {
    "claude.json": {
        "conversations whose messages run in a circle (cut)": 1,
        MERGED: 1,
        "rows with half a character (now U+FFFD)": 1,
    },
    "chatgpt.json": {
        "citation marks taken out": 2,
        "conversations whose messages run in a circle (cut)": 1,
        "conversations that begin at a message whose parent is missing": 1,
        MERGED: 1,
    },
    "grok.json": {"citation marks taken out": 1},
    "messages.jsonl": {MERGED: 2},
}


def expected(name: str) -> Path:
    return EXPORTS / "expected" / ("transcript.rtf.jsonl" if name.endswith(".rtf") else f"{name.split('.')[0]}.jsonl")


@pytest.mark.parametrize("name", DROPPED)
def test_rows_and_account_of_a_fixture(name: str, tmp_path: Path) -> None:
    report, rows = import_into(tmp_path / "out", EXPORTS / name, speakers=SPEAKERS)
    assert (tmp_path / "out" / "imported.jsonl").read_text(encoding="utf-8") == expected(name).read_text(
        encoding="utf-8"
    )
    assert counts(report) == DROPPED[name]
    assert {what: one.count for what, one in report.tally.changed.items()} == CHANGED.get(name, {})
    assert [one.format for one in report.files] == [name.split(".")[0]], "the format was told by structure"
    assert report.rows == len(rows) and report.conversations == len({row.conversation for row in rows})
    assert json.loads((tmp_path / "out" / "import.json").read_text()) == report.to_json()


@pytest.mark.parametrize("name", DROPPED)
def test_every_row_has_its_whole_conversation_before_it(name: str, tmp_path: Path) -> None:
    _, rows = import_into(tmp_path / "out", EXPORTS / name, speakers=SPEAKERS)
    said: dict[str, tuple[Turn, ...]] = {}
    for row in rows:
        if row.id != "v-9":  # a row of a corpus, with a history that is not a row
            assert row.context == said.get(row.conversation, ())
        said[row.conversation] = (*row.context, Turn("human", row.input), Turn("assistant", row.output))
        assert row.input.strip() and row.output.strip()


@pytest.mark.parametrize("name", DROPPED)
def test_the_same_format_forced_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    import_into(tmp_path / "out", EXPORTS / name, speakers=SPEAKERS, format_name=name.split(".")[0])
    assert (tmp_path / "out" / "imported.jsonl").read_text(encoding="utf-8") == expected(name).read_text(
        encoding="utf-8"
    )


def test_another_format_forced_gives_no_empty_success(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no answered user turn"):
        import_into(tmp_path / "out", EXPORTS / "claude.json", format_name="chatgpt")
    with pytest.raises(UserError, match="no format 'cluade'"):
        import_into(tmp_path / "out", EXPORTS / "claude.json", format_name="cluade")


def test_a_single_conversation_is_an_export_too(tmp_path: Path) -> None:
    for name in ("claude", "chatgpt"):
        record = json.loads((EXPORTS / f"{name}.json").read_text(encoding="utf-8"))[0]
        report, rows = import_into(tmp_path / name, write_json(tmp_path / f"{name}-one.json", record))
        assert report.files[0].format == name and len(rows) == 2


# Claude


def test_thinking_never_leaks_although_the_plain_text_holds_it(tmp_path: Path) -> None:
    import_into(tmp_path / "out", EXPORTS / "claude.json")
    written = (tmp_path / "out" / "imported.jsonl").read_text(encoding="utf-8")
    for leaked in ("They want it to slide", "I think of an answer", "not supported", "Viewing artifacts", "rails 30"):
        assert leaked not in written


def test_plain_text_is_taken_where_all_blocks_are_empty_texts(tmp_path: Path) -> None:
    record = claude("c", "Hm?", "So.")
    record["chat_messages"][1]["content"] = [{"type": "text", "text": ""}]
    _, rows = import_into(tmp_path / "out", write_json(tmp_path / "conversations.json", [record]))
    assert rows[0].output == "So."


# Messages


def test_parts_of_the_responses_api_are_text_too(tmp_path: Path) -> None:
    asked = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": "x"}]
    answered = [{"type": "output_text", "text": "A tree."}]
    record = {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]}
    report, rows = import_into(tmp_path / "out", write_json(tmp_path / "x.json", [record]))
    assert [(row.input, row.output) for row in rows] == [("What is this?", "A tree.")]
    assert counts(report) == {PICTURES: 1}


# Gemini


def activity(minute: int, asked: str, **fields: Any) -> dict[str, Any]:
    return {
        "header": "Gemini",
        "title": f"Prompted {asked}",
        "time": f"2026-01-01T{10 + minute // 60}:{minute % 60:02d}:00Z",
        "products": ["Gemini"],
        "safeHtmlItem": [{"html": f"<p>{asked}!</p>"}],
    } | fields


def test_files_beside_a_prompt_are_counted(tmp_path: Path) -> None:
    two = [{"name": "Attached 2 files."}, {"name": "-  a.jpg"}, {"name": "-  b.jpg"}]
    entries = [
        activity(0, "a", subtitles=two),
        activity(1, "b", subtitles=[{"name": "Attached 1 file."}]),
        activity(2, "c", subtitles=[{"name": "1 Datei angehängt"}, {"name": "-  c.pdf"}], attachedFiles=["c.pdf"]),
        activity(3, "d", subtitles=[{"name": "By voice"}, 3, {}]),
    ]
    report, rows = import_into(tmp_path / "out", write_json(tmp_path / "MyActivity.json", entries))
    assert len(rows) == 4 and counts(report) == {"attachments and files": 4}


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]], ids=["oldest", "newest", "mixed"])
def test_half_an_hour_begins_a_conversation_in_any_order_of_the_file(order: list[int], tmp_path: Path) -> None:
    entries = [activity(0, "a"), activity(30, "b"), activity(61, "c"), activity(70, "d")]
    file = write_json(tmp_path / "MyActivity.json", [entries[index] for index in order])
    _, rows = import_into(tmp_path / "out", file)
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.conversation, []).append(row.input)
        assert row.extra["reconstructed"] is True
    assert sorted(found.values()) == [["a", "b"], ["c", "d"]]


def test_a_localised_verb_is_told_from_the_file(tmp_path: Path) -> None:
    titles = ["Eingegebener Prompt: Wie spät ist es?", "Eingegebener Prompt: Und jetzt?", "Eingegebener Prompt: Danke."]
    entries = [activity(n, "x", title=title) for n, title in enumerate(titles)]
    entries.append(activity(9, "x", title="Feedback gegeben", safeHtmlItem=[]))
    report, rows = import_into(tmp_path / "out", write_json(tmp_path / "MyActivity.json", entries))
    assert [row.input for row in rows] == ["Wie spät ist es?", "Und jetzt?", "Danke."]
    assert counts(report) == {"entries that are no prompts": 1}


def test_a_verb_that_cannot_be_told_is_refused(tmp_path: Path) -> None:
    entries = [activity(n, "x", title=title) for n, title in enumerate(["これは何", "ありがとう", "もう一度"])]
    with pytest.raises(UserError, match="language of the Google account"):
        import_into(tmp_path / "out", write_json(tmp_path / "MyActivity.json", entries))


def test_a_cut_activity_can_be_salvaged(tmp_path: Path) -> None:
    file = tmp_path / "MyActivity.json"
    file.write_text(json.dumps([activity(n, f"q{n}") for n in range(5)])[:-30])
    with pytest.raises(UserError, match="it was cut"):
        import_into(tmp_path / "out", file)
    _, rows = import_into(tmp_path / "out", file, salvage=True)
    assert [row.input for row in rows] == ["q0", "q1", "q2", "q3"]


@pytest.mark.parametrize("asked", [True, False])
def test_takeout_as_html_is_refused_and_says_how_to_get_json(asked: bool, tmp_path: Path) -> None:
    page = tmp_path / "takeout" / "MyActivity.html"
    page.parent.mkdir()
    page.write_text("<html><body>Gemini Apps<br>Prompted hello<br>Hello!</body></html>")
    with pytest.raises(UserError, match="format of activity records to JSON"):
        import_into(tmp_path / "out", page if asked else page.parent)


@given(st.text(alphabet="<>/ab&;!-'\" pre\n", max_size=60))
@settings(max_examples=50, deadline=None)
def test_any_html_becomes_text_without_elements(fragment: str) -> None:
    assert html_text(f"<p>{fragment.replace('<', '')}</p>").count("<p>") == 0
    html_text(fragment)


@pytest.mark.parametrize(
    ("fragment", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<ol><li>x</li><li>y &lt;z&gt;</li></ol>", "- x\n- y <z>"),
        (
            "<p>So:</p>\n<ul>\n<li><p>One.</p>\n</li>\n<li>\n<p>Two.</p>\n<p>More.</p></li>\n</ul>\n<p>End.</p>",
            "So:\n\n- One.\n- Two.\n\nMore.\n\nEnd.",
        ),
        ("<ul><li>a<ul><li>b</li></ul></li><li><p></p></li></ul><p>c</p>", "- a\n\n- b\n-\n\nc"),
        ("<p>a\n b</p><pre>  if x:\n    y\n\n\n  z</pre>", "a b\n\n  if x:\n    y\n\n  z"),
        ("<pre>  x", "x"),
        ("a<!-- open <p>b", "a"),
        ("a<script>b</SCRIPT>c", "a"),
        ('<a href="u>v" title=\'">\'>link</a>', "link"),
        ("<style>p {}</style><!-- no --><table><tr><td>1</td><td>2</td></tr></table>", "1 2"),
        ("2 < 3 and 5 > 4", "2 < 3 and 5 > 4"),
        ("", ""),
    ],
)
def test_html_becomes_text(fragment: str, text: str) -> None:
    assert html_text(fragment) == text


# Grok


def test_files_beside_a_message_are_counted(tmp_path: Path) -> None:
    said = [
        {"sender": "human", "message": "See.", "file_attachments": ["0b", "1c"]},
        {"sender": "Grok", "message": "I do."},
    ]
    export = {"conversations": [{"conversation": {"id": "k"}, "responses": [{"response": one} for one in said]}]}
    report, rows = import_into(tmp_path / "out", write_json(tmp_path / "x.json", export))
    assert len(rows) == 1 and counts(report) == {"attachments and files": 2}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('It was <entity|["people","Ada Lovelace","mathematician"]> then.', "It was Ada Lovelace then."),
        ("Read <url|the museum page|https://museum.example>.", "Read the museum page."),
        ("Clay lasts <cite|turn0search1|turn0search2>.", "Clay lasts."),
        ("Clay <entity|[1, 2]> lasts <entity|no JSON><url|>.", "Clay lasts."),
        ("Larks sing <cite|turn0search1", "Larks sing"),
    ],
)
def test_of_marks_in_chatgpts_replies_what_shows_stays(written: str, read: str, tmp_path: Path) -> None:
    marked = written.replace("<", "\ue200").replace("|", "\ue202").replace(">", "\ue201")
    message = {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": [marked]}}
    asked = {"author": {"role": "user"}, "content": {"content_type": "text", "parts": ["Hm?"]}}
    nodes = {"a": {"message": asked}, "b": {"parent": "a", "message": message}}
    export = write_json(tmp_path / "conversations.json", [{"id": "x", "mapping": nodes, "current_node": "b"}])
    _, (row,) = import_into(tmp_path / "out", export)
    assert row.output == read


# Times and trees


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T01:00:00.123456+01:00", "2026-01-01T00:00:00Z"),
        ("2026-01-01", "2026-01-01T00:00:00Z"),
        (1767225600, "2026-01-01T00:00:00Z"),
        (1767225600.9, "2026-01-01T00:00:00Z"),
        (1767225600000, "2026-01-01T00:00:00Z"),
        ("1767225600000", "2026-01-01T00:00:00Z"),
        ({"$date": {"$numberLong": "1767225600000"}}, "2026-01-01T00:00:00Z"),
        ({"$date": "2026-01-01T00:00:00Z"}, "2026-01-01T00:00:00Z"),
        ("1754051211234", "2025-08-01T12:26:51Z"),  # or the year 1754, month 05, day 12, 11:23:4?
        ("20260101", "2026-01-01T00:00:00Z"),
    ],
)
def test_times_that_exports_write(written: Any, read: str) -> None:
    seconds = instant(written)
    assert seconds is not None and iso(seconds) == read


@pytest.mark.parametrize(
    "written",
    [
        None,
        True,
        "",
        "soon",
        [],
        {},
        {"$date": []},
        float("nan"),
        float("inf"),
        -5,
        10**400,
        "9" * 400,
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_what_is_no_time_is_none(written: Any) -> None:
    assert instant(written) is None


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from([None, *"abcdefx"]), st.none() | st.floats(0, 9)),
        min_size=1,
        max_size=8,
    ),
    st.none() | st.sampled_from("abcx"),
)
@settings(max_examples=200, deadline=None)
def test_any_tree_has_a_path_that_follows_parents(nodes: list[tuple[str, str | None, float | None]], leaf: str) -> None:
    tree = [Node(*node) for node in nodes]
    path = newest_path(tree, Tally(), "here", leaf)
    assert path and len(set(path)) == len(path)
    known = {node.id for node in tree}
    if any(node.parent in known - {node.id} for node in tree):
        for before, after in zip(path, path[1:], strict=False):
            assert tree[after].parent == tree[before].id
        if leaf in known:
            assert tree[path[-1]].id == leaf
    else:
        assert path == list(range(len(tree)))


# Transcripts


def test_a_transcript_without_a_map_is_refused_with_an_example(tmp_path: Path) -> None:
    for name in ("transcript.txt", "transcript.rtf"):
        with pytest.raises(UserError, match=r"does not say who speaks.*human: \^"):
            import_into(tmp_path / "out", EXPORTS / name)


def test_a_map_that_fits_no_line_shows_the_first_one(tmp_path: Path) -> None:
    file = tmp_path / "notes.md"
    file.write_text("# Anna asks\nHello\n")
    with pytest.raises(UserError, match="its first one is '# Anna asks'"):
        import_into(tmp_path / "out", file, speakers=SPEAKERS)


def test_the_map_may_be_json_and_the_text_utf16(tmp_path: Path) -> None:
    who = write_json(tmp_path / "who.json", {r"^\*\*Ich\*\*: ": "human", r"^\*\*Du\*\*: ": "assistant"})
    file = tmp_path / "talk.md"
    file.write_bytes("**Ich**: Schläfst du?\r\n**Du**: Nein.\r\n".encode("utf-16"))
    _, rows = import_into(tmp_path / "out", file, speakers=who)
    assert (rows[0].input, rows[0].output) == ("Schläfst du?", "Nein.")


def test_comments_of_a_map_stand_on_lines_of_their_own_or_behind_a_rule(tmp_path: Path) -> None:
    (tmp_path / "who").write_text(
        "# who\nhuman: ^Me:  # that is I\n  # nobody\nassistant: ^You \\#\\d:\nskip: ^#p #x\n"
    )
    speakers = read_speakers(tmp_path / "who")
    assert [pattern.pattern for pattern, _ in speakers.patterns] == ["^Me:", r"^You \#\d:", "^#p"]
    assert speakers.of("You #2:Hm") == ("assistant", "Hm")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("human: # Me\nassistant: ^B:", r"line 1 without its comment \(\\# is the sign itself\): no `side"),
        ("human: ^A:\n", "no assistant"),
        ("human ^A:\nassistant: ^B:", "line 1"),
        ("narrator: ^A:", "'narrator'"),
        ("human: ^(A:\nassistant: ^B:", "no regular expression"),
        ('{"^A:": "human"', "not valid JSON"),
        ('{"^A:": 3}', "'3'"),
        ("", "no assistant and no human"),
    ],
)
def test_a_faulty_map_is_refused(content: str, why: str, tmp_path: Path) -> None:
    (tmp_path / "who").write_text(content)
    with pytest.raises(UserError, match=why):
        read_speakers(tmp_path / "who")


def test_a_map_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for name in ("nowhere", "bytes"):
        with pytest.raises(UserError, match="cannot be read"):
            read_speakers(tmp_path / name)
