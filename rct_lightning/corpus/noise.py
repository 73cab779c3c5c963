"""Rules for texts that say almost nothing, and for texts that are not natural language."""

from __future__ import annotations

import re
import string

from rct_lightning.corpus.exchange import Exchange, excerpt

LEAST_LETTERS = 3
"""Least number of letters and digits in a reply; "Yes" is at the limit."""
LEAST_SHARE_OF_LETTERS = 0.4
"""Share of letters among the non-space characters; programs have about 0.7, formulas 0.45, number tables under 0.2."""
JUDGED_CHARACTERS = 60
UNBROKEN = 100
"""Length of a run of ASCII characters without a space; no word is so long, but a web address may be."""
MUCH_OF_A_TEXT, LONG_UNBROKEN = 0.2, 300
"""An unbroken piece counts if it is this share of the text, or this many characters long."""
JUDGED_WORDS = 40
FEWEST_DIFFERENT = 0.12
"""Distinct words divided by the number of words to the power of 0.9 (long texts repeat more; Heaps 1978)."""
ONE_LETTER = 30
"""Number of repetitions of a letter in a row from which a text counts as noise."""

_UNBROKEN = re.compile(rf"[!-~]{{{UNBROKEN},}}")
_WEB = re.compile(r"://|^www\.|^\(?[\w-]+(?:\.[\w-]+)+/")
_LINES_OF_TABLES = set("|-:=+_*#~.")
_ONE_LETTER = re.compile(rf"([^\W\d_])\1{{{ONE_LETTER - 1}}}")
_GARBLED = re.compile(r"[ÃÂ][\u0080-\u00bf\u0152-\u2122]|â€[\u0080-\u2122]?|[ÐÑ][\u0080-\u00bf]|ï¿½|ðŸ")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_ASCII_LETTERS = string.ascii_letters.encode()


def too_short(exchange: Exchange) -> str | None:
    """Find an empty side, an input without a letter or digit, or a reply with almost none."""
    for side, text in exchange.sides():
        if not text.strip():
            return f"the {side} is empty"
        if len(text) < JUDGED_CHARACTERS and sum(map(str.isalnum, text)) < (LEAST_LETTERS if side == "reply" else 1):
            return f"the {side} is {excerpt(text)}"
    return None


def noise(exchange: Exchange) -> str | None:
    """Find encoded data, tables of numbers, broken encodings, or one word over and over."""
    for side, text in exchange.sides():
        if seen := _unbroken(text) or _broken_encoding(text) or _no_language(text):
            return f"{side}: {seen}"
    return None


def _unbroken(text: str) -> str | None:
    longest = max(map(len, text.split()), default=0)
    if longest >= UNBROKEN:
        for match in _UNBROKEN.finditer(text):
            piece = match.group()
            much = len(piece) >= min(LONG_UNBROKEN, MUCH_OF_A_TEXT * len(text))
            if much and not set(piece) <= _LINES_OF_TABLES and not _WEB.search(piece):
                return f"{len(piece)} characters without a space, {excerpt(text, *match.span())}"
    if longest >= ONE_LETTER and (run := _ONE_LETTER.search(text)):
        return f"one letter over and over, {excerpt(text, *run.span())}"
    return None


def _broken_encoding(text: str) -> str | None:
    if len(_CONTROL.findall(text)) >= 3:
        return f"control characters, {excerpt(text)}"
    if text.isascii():
        return None
    if text.count("\ufffd") >= max(3, len(text) / 200):
        return f"replacement characters, {excerpt(text)}"
    garbled = _GARBLED.findall(text)
    return f"a broken encoding, such as {garbled[0]!r}" if len(garbled) >= 3 else None


def _no_language(text: str) -> str | None:
    if len(text) < JUDGED_CHARACTERS:
        return None
    letters, dense = _letters(text), len(text) - sum(map(text.count, " \n\t"))
    if letters < LEAST_SHARE_OF_LETTERS * dense:
        return f"{letters / dense:.0%} of the characters are letters, {excerpt(text)}"
    found = text.lower().split()
    if len(found) >= JUDGED_WORDS and len(set(found)) < FEWEST_DIFFERENT * len(found) ** 0.9:
        return f"few words over and over, {excerpt(text)}"
    return None


def _letters(text: str) -> int:
    if not text.isascii():
        return sum(map(str.isalpha, text))
    encoded = text.encode()
    return len(encoded) - len(encoded.translate(None, _ASCII_LETTERS))
