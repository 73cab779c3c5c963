"""Pages: one description, three renderings; no text, whatever its source, becomes part of their markup."""

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hostile_replies import hostile_replies
from markdown_it import MarkdownIt
from markdown_it.token import Token
from matplotlib.figure import Figure as Canvas
from pages import CONTROLS, Reading

from rct_lightning.errors import UserError
from rct_lightning.page import (
    Cell,
    Facts,
    Figure,
    Figures,
    Page,
    Paragraph,
    Points,
    Section,
    SideBySide,
    Table,
    as_html,
    as_markdown,
    as_text,
    write_page,
)
from rct_lightning.sanitize import printable

HOSTILE = ["".join(pieces) for pieces in hostile_replies(500)]


@pytest.fixture(scope="module")
def png() -> bytes:
    written = io.BytesIO()
    Canvas(figsize=(1, 0.5)).savefig(written, format="png", dpi=100)
    return written.getvalue()


def page(text: str, png: bytes) -> Page:
    """Return a page with the text in every place that takes one."""
    blocks = [
        Paragraph(text),
        Paragraph(text, "bad"),
        Points([text, text]),
        Facts([(text, text)]),
        Table(text, [text, "b"], [[text, Cell(text, text, "good")], [Cell(text, text), "1"]], "lr"),
        Figures([Figure("drawn", png, f"Drawn: {text}", text, dark=png)]),
        SideBySide(text, [(text, text)], [("base", text), (text, text)]),
        Section(text, [Paragraph(text), Section(text, [Points([text])])]),
    ]
    return Page(text, [Paragraph(text)], [Section(text, blocks), Section("more", [])], text)


def test_a_page_is_sound(png: bytes) -> None:
    html = as_html(page("Plain words.", png))
    read = Reading(html)
    assert read.problems == []
    assert html.startswith("<!DOCTYPE html>\n<html lang=") and read.tags["section"] == 2 == read.tags["source"] + 1
    assert 'width="50" height="25"' in html, "two pixels for one of the page"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("Plain words.", "<script>", "<script>"),
        ("Plain words.", "<img src='a.png' alt='x'>", "src=a.png"),
        ("Plain words.", "<img alt='x' onerror='x'>", "<img onerror>"),
        ("Plain words.", "\x1b[2J", "control character '\\x1b'"),
        ("Plain words.", "<!-- hidden -->", "a comment"),
        ("Plain words.", "</p>", "</p> closes something else"),
        ("Plain words.", "<a href='http://example.invalid'>x</a>", "href=http://example.invalid"),
        ("default-src 'none'", "default-src *", "no content security policy"),
        ('alt="Drawn: Plain words."', 'alt=""', "an image without words"),
        ("body {", "body { background: url(x);", "the style asks for something"),
        ("<h3>", "<h5>", "h5 under h2"),
    ],
)
def test_a_planted_fault_is_found(png: bytes, old: str, new: str, problem: str) -> None:
    html = as_html(page("Plain words.", png))
    assert old in html and problem in Reading(html.replace(old, new)).problems


@pytest.mark.parametrize("place", range(0, 500, 100))
def test_no_text_becomes_part_of_a_page(png: bytes, place: int) -> None:
    """A hundred texts at a time: every tag and attribute is the template's own, and nothing controls a terminal."""
    sound = Reading(as_html(page("x", png))).tags
    for text in HOSTILE[place : place + 100]:
        described = page(text, png)
        read = Reading(as_html(described))
        assert read.problems == [], text
        assert read.tags == sound or not text, text
        assert not CONTROLS.search(as_markdown(described)) and not CONTROLS.search(as_text(described)), text


MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
OF_A_PAGE = {
    "heading_open", "paragraph_open", "blockquote_open", "bullet_list_open", "list_item_open", "table_open",
    "thead_open", "tbody_open", "tr_open", "th_open", "td_open", "strong_open", "text", "softbreak", "image", "fence",
    "inline", "hr",
}  # fmt: skip


def kinds_of(tokens: Sequence[Token]) -> Counter[str]:
    """Return what Markdown found, by kind; images are ours."""
    found: Counter[str] = Counter()
    for token in tokens:
        found[token.type] += not token.type.endswith("_close")
        found += kinds_of(token.children or []) if token.type == "inline" else Counter()
        assert token.type != "image" or token.attrs["src"] == "figures/drawn.png"
    return found


def test_no_text_becomes_part_of_markdown(png: bytes) -> None:
    sound = kinds_of(MARKDOWN.parse(as_markdown(page("x", png))))
    for text in [*HOSTILE[:100], *HOSTILE[400::5]]:  # every payload alone, and some combined
        found = kinds_of(MARKDOWN.parse(as_markdown(page(text, png))))
        assert set(found) <= OF_A_PAGE, text
        if printable(text).strip():
            structure = ("heading_open", "table_open", "tr_open", "td_open", "list_item_open", "fence", "image")
            assert [found[kind] for kind in structure] == [sound[kind] for kind in structure], text


def test_all_three_say_the_same_words(png: bytes) -> None:
    table = Table("Figures.", ["of", "is"], [["one", Cell("1.0", "[0.5, 1.5]")], [Cell("two", "a pair"), "2.0"]], "lr")
    quoted = SideBySide("Who?", [("human", "Hello\nthere")], [("base", "*Hm*"), ("tuned", "`Hi`")])
    parts = [Section("Part", [table, Facts([("seed", "7")]), Points(["late"])]), Section("Said", [quoted])]
    described = Page("A title", [Paragraph("First & foremost, 3 < 4.", "good")], parts)
    marked, plain, html = as_markdown(described), as_text(described), Reading(as_html(described))
    for words in (plain, html.text, marked.replace("&lt;", "<").replace("&amp;", "&").replace("**", "")):
        for said in (
            "A title",
            "First & foremost, 3 < 4.",
            "Part",
            "1.0 [0.5, 1.5]",
            "two a pair",
            "seed",
            "7",
            "late",
        ):
            assert said in words, (said, words)
    assert "*Hm*" in marked and "*Hm*" in plain and html.quoted == ["Hello\nthere", "*Hm*", "`Hi`"]
    assert "| **two** a pair | 2.0 |" in marked and "| one | 1.0 [0.5, 1.5] |" in marked


def test_wide_tables_of_a_terminal_are_cut_between_columns() -> None:
    columns = [f"column-{number}-{'x' * 30}" for number in range(6)]
    shown = as_text(Page("t", [], [Section("s", [Table("c", ["name", *columns], [["row", *"123456"]])])]))
    assert all(len(line) <= 110 for line in shown.splitlines())
    assert all(column in shown for column in columns) and shown.count("row ") == 3


def test_files_stand_whole_or_not_at_all(png: bytes, tmp_path: Path) -> None:
    write_page(tmp_path, "page", page("Plain words.", png))
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["drawn.png", "page.html", "page.md"]
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(UserError, match="taken.*cannot be written"):
        write_page(tmp_path / "taken", "page", page("Plain words.", png))
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_page_that_cannot_be_right_is_refused(png: bytes) -> None:
    with pytest.raises(ValueError, match="c: a row of"):
        Table("c", ["one", "two"], [["1"]])
    with pytest.raises(ValueError, match="names no file"):
        Figure("../x", png, "a", "b")
