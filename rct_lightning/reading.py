"""Reading of JSON written elsewhere: every error names its place and the remedy."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, NoReturn

from rct_lightning.errors import UserError

MOST_BYTES = 64 * 2**20
"""Maximum size of a file that is read as one JSON value; this project writes none nearly as large."""
NOT_TEXT = {
    b"\x1f\x8b": "a gzip archive; unpack it with gunzip",
    b"PK\x03\x04": "a ZIP archive, or a document of an office program; export it as JSON lines",
    b"BZh": "a bzip2 archive; unpack it with bunzip2",
    b"\xfd7zXZ": "an xz archive; unpack it with unxz",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive; unpack it with unzstd",
    b"PAR1": "a Parquet table; export it as JSON lines",
    b"ARROW1": "an Arrow table; export it as JSON lines",
    b"SQLite format 3": "an SQLite database; export its rows as JSON lines",
    b"%PDF": "a PDF document; copy its text into JSON lines",
    b"\x80\x04\x95": "a Python pickle, which can run code and is never read; export it as JSON lines",
    b"\xff\xfe": "in UTF-16 (Windows calls it Unicode); save it as UTF-8",
    b"\xfe\xff": "in UTF-16 (Windows calls it Unicode); save it as UTF-8",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself; fetch it with git lfs pull",
    b"<!DOCTYPE": "a web page, perhaps of a download that failed; download the file itself",
    b"<html": "a web page, perhaps of a download that failed; download the file itself",
    b"<?xml": "XML; export it as JSON lines",
}
"""First bytes of files that are given by mistake, with what they are and what to do."""
PYTHON_WORDS = {"None": "null", "True": "true", "False": "false", "undefined": "null"}


class _Refused(ValueError):
    """JSON that Python accepts although it is not valid or loses data."""


def check_is_text(content: bytes, place: str) -> None:
    """Refuse a file that is not UTF-8 text, judged by its first bytes.

    Raises:
        UserError: It begins as one of :data:`NOT_TEXT`, or holds a zero byte near its beginning.
    """
    for beginning, what in NOT_TEXT.items():
        if content[: len(beginning)].lower() == beginning.lower():
            raise UserError(f"{place}: this is {what}.")
    zero = content[:4096].find(b"\x00")
    if zero >= 0:
        line = content.count(b"\n", 0, zero) + 1
        raise UserError(
            f"{place}, line {line}: a zero byte, so this is not UTF-8: no text at all, or UTF-16. Save it as UTF-8."
        )


def parse(
    content: bytes,
    place: str,
    whole: str = "Each line must hold one complete JSON object.",
    decoder: json.JSONDecoder | None = None,
) -> Any:
    """Parse one JSON value.

    Parsing is strict: duplicate keys, NaN, infinite numbers and lone surrogates are refused as well, since other
    programs read them differently or not at all.

    Args:
        content: UTF-8, with or without a byte order mark.
        place: Where the content comes from, named in messages.
        whole: What is expected, added to the message if the content is not JSON.
        decoder: A decoder that is less strict.

    Raises:
        UserError: The content is not JSON.
    """
    text = _decoded(content, place)
    try:
        value = (decoder or _STRICT).decode(text)
    except _Refused as error:
        raise UserError(f"{place}: {error}") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{place}: not valid JSON: {_what_is_wrong(text, error)}. {whole}") from None
    except RecursionError:
        raise UserError(f"{place}: not valid JSON: nested too deeply. {whole}") from None
    except ValueError:  # Python's own limit
        raise UserError(f"{place}: not valid JSON: a number has too many digits. {whole}") from None
    if b"\\u" in content and _has_lone_surrogate(value):
        raise UserError(f"{place}: an escape \\ud800 to \\udfff stands alone; it is half a character. Remove it.")
    return value


def read_object(path: Path, most_bytes: int = MOST_BYTES, *, strict: bool = True) -> dict[str, Any]:
    """Read a file that is one JSON object.

    Args:
        path: The file.
        most_bytes: Maximum size of the file.
        strict: Parse strictly; otherwise duplicate keys, NaN and infinity, which this project writes, are accepted.

    Raises:
        UserError: There is no such file, it is too large, or it is not a JSON object.
    """
    try:
        if not path.is_file():
            raise UserError(f"{path}: there is no such file.")
        size = path.stat().st_size
        if size > most_bytes:
            raise UserError(f"{path}: {size:,} bytes are more than such a file has ({most_bytes:,} at most).")
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}).") from None
    value = parse(content, str(path), "It is one JSON object.", decoder=_STRICT if strict else _LENIENT)
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a JSON object, found {kind_of(value)}.")
    return value


def kind_of(value: Any) -> str:
    """Name the type of a JSON value in words."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true/false", type(None): "null"}
    return names.get(type(value), "a number")


def shown(value: Any, most: int = 60) -> str:
    """Return a value's representation for a message, at most ``most`` characters long."""
    try:
        text = repr(value)
    except ValueError:  # Python prints no integer of more than 4,300 decimal digits, but reads one from YAML's 0x1...
        text = "a number of thousands of digits"
    return text if len(text) <= most else f"{text[: most - 4]} ..."


def _decoded(content: bytes, place: str) -> str:
    try:
        return content.decode("utf-8-sig" if content.startswith(b"\xef\xbb\xbf") else "utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{place}: byte {error.start + 1} is not UTF-8. Save the file as UTF-8.") from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Refused(
            f"the key {shown(twice)} stands twice in one object, and one of the two would be lost. Remove one."
        )
    return found


def _no_constant(name: str) -> NoReturn:
    raise _Refused(f"{name} is no JSON. Write a number, or null where there is none.")


def _finite_number(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _Refused(f"{shown(digits)} is larger than any number here. Write a smaller one, or null.")
    return number


_STRICT = json.JSONDecoder(object_pairs_hook=_without_twins, parse_constant=_no_constant, parse_float=_finite_number)
_LENIENT = json.JSONDecoder()


def _has_lone_surrogate(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _what_is_wrong(text: str, error: json.JSONDecodeError) -> str:
    """Describe a JSON error: a common mistake if it is recognised, else where the unexpected text is.

    Python's columns differ from version to version, so they are given in parentheses.
    """
    at = f"(column {error.colno})"
    before, here = text[: error.pos].rstrip(), text[error.pos :]
    word = re.match(r"[A-Za-z]+", here)
    if not before and here.strip() and here[0] not in '{["-0123456789tfn':
        return f"it begins with {shown(here.split()[0], 30)}, not with {{"
    if error.msg == "Extra data":
        if here.startswith(("{", "[")):
            return f"a second value begins {at}"
        return f"{shown(here.strip(), 20)} stands behind the object {at}; remove it"
    if re.match(r"\s*,?\s*[}\]]", here) and (before.endswith(",") or here.lstrip().startswith(",")):
        return f"a comma stands before a closing bracket {at}"
    if not here.strip() or error.msg.startswith("Unterminated string"):
        return f"it ends before the object does {at}; perhaps it is cut off or spread over several lines"
    if here[0] in "'\u2018\u2019\u201c\u201d\u201e\u00ab":
        return f"a quote {here[0]} {at}; JSON has straight double ones"
    if word and word.group() in PYTHON_WORDS:
        return f"{word.group()} {at} is Python; JSON has {PYTHON_WORDS[word.group()]}"
    if here.startswith(("//", "/*", "#")):
        return f"a comment {at}; JSON has none"
    if error.msg.startswith("Invalid control character"):
        return f"a tab or another control character inside a text {at}; write \\t, \\n or \\u0009"
    if error.msg.startswith("Invalid \\"):
        return f"a backslash {at} that begins no escape; write two of them"
    if error.msg.startswith("Expecting ',' delimiter"):
        return f'{shown(here[:12], 20)} is not expected there {at}; a quote inside a text is written \\"'
    return f"{shown(here[:12], 20)} is not expected there {at}"
