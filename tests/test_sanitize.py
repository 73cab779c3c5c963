"""Nothing that is shown controls a terminal, in one piece or in many."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rct_lightning.sanitize import Stream, printable

HOSTILE = {
    "clipboard": "\x1b]52;c;ZXZpbA==\x07",
    "clipboard, other end": "\x1b]52;c;ZXZpbA==\x1b\\",
    "title": "\x1b]0;you are root\x07",
    "link": "\x1b]8;;http://evil\x1b\\here\x1b]8;;\x1b\\",
    "clear": "\x1b[2J\x1b[H",
    "colour": "\x1b[38;5;196m",
    "C1 clear": "\x9b2J",
    "C1 string": "\x9d0;title\x9c",
    "device": "\x1bP1$r0m\x1b\\",
    "reset": "\x1bc",
    "character set": "\x1b(0",
    "bell and backspace": "\x07\x08\x08",
    "delete": "\x7f",
    "override": "\u202egnp.exe\u202c",
    "isolate": "\u2066a\u2069",
    "marks": "\u200e\u200f\u061c",
    "zero width": "\u200b\ufeff\u2060",
    "line separator": "\u2028\u2029",
    "tags": "\U000e0041\U000e007f",
    "unfinished": "\x1b]52;c;ZXZpbA==",
    "unfinished control": "\x1b[38;5",
    "lone escape": "\x1b",
    "nested": "\x1b\x1b[2J[2J",
}
ANYTHING = st.text(
    st.one_of(
        st.sampled_from("\x0b\x0c\x85\u2028\x1b\x9b\x9d\x90\x9c\x07\\[];Pc0m2J?\r\n\t \u202e\u200b"),
        st.characters(codec=None),
    ),
    max_size=60,
)


def harmless(text: str) -> bool:
    return all(
        char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in text
    ) and not set(text) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_what_stands_around_it_stays(text: str) -> None:
    shown = printable(f"before {text} after")
    assert harmless(shown) and shown.startswith("before ")
    assert "ZXZpbA" not in printable(f"{text}\x07") and not set(shown) & {"\x1b"}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_cut_anywhere_it_is_the_same(text: str) -> None:
    whole = f"before {text} after\n"
    for at in range(len(whole) + 1):
        stream = Stream()
        shown = stream.feed(whole[:at]) + stream.feed(whole[at:]) + stream.end()
        assert harmless(shown) and shown == printable(whole), at


@pytest.mark.parametrize(
    "text",
    [
        "Gr\u00fc\u00dfe, \u4f60\u597d,\n\t\u05e9\u05dc\u05d5\u05dd \U0001f33f",
        "[/bold] a; b [2J ]52;",
        "\U0001f468\u200d\U0001f469",
    ],
)
def test_what_people_write_is_left_alone(text: str) -> None:
    assert printable(text) == text


def test_ends_of_lines_are_newlines() -> None:
    assert printable("a\r\nb\rc") == "a\nb\nc"
    assert printable("one\u2028two\u2029three\x0bfour\x0cfive\x85six") == "one\ntwo\nthree\nfour\nfive\nsix"
    stream = Stream()
    assert stream.feed("a\r") + stream.feed("\nb") + stream.end() == "a\nb"
    assert printable("\ud83d") == "\ufffd"


def test_words_read_in_a_wrong_encoding_are_not_taken_for_a_string() -> None:
    """Closing and opening quotes of UTF-8 read as Latin-1: their last bytes would begin and end a string."""
    said = "\u201dquoted words\u201c".encode().decode("latin-1")
    assert printable(said) == "\xe2quoted words\xe2"
    assert printable("\u0157\u015b".encode().decode("latin-1") + "word") == "\xc5\xc5word"


def test_a_sequence_that_never_ends_is_not_held_for_ever() -> None:
    stream = Stream()
    assert stream.feed("\x1b]52;" + "A" * 10_000).endswith("A" * 100)


@given(text=ANYTHING)
@settings(max_examples=200, deadline=None)
def test_whatever_it_is(text: str) -> None:
    shown = printable(text)
    assert harmless(shown) and printable(shown) == shown


@given(text=ANYTHING, cuts=st.lists(st.integers(0, 60), max_size=6))
@settings(max_examples=200, deadline=None)
def test_whatever_it_is_in_pieces(text: str, cuts: list[int]) -> None:
    stream, edges = Stream(), [0, *sorted(cuts), len(text)]
    shown = "".join(stream.feed(text[a:b]) for a, b in zip(edges, edges[1:], strict=False)) + stream.end()
    assert harmless(shown) and shown == printable(text)
