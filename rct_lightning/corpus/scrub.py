"""Replaces personal data by placeholders: each value has one placeholder, in every row and every context of a corpus.

There are two passes, because the numbers must not depend on the order of the file: :meth:`Scrubber.survey` sees every
text, then :meth:`Scrubber.scrub` replaces. Placeholders that a corpus already holds are kept, and new ones continue
their numbering.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from rct_lightning.corpus.pii import KINDS, Kind
from rct_lightning.corpus.scripts import LETTER_OR_DIGIT, UNSPACED, WORD, without_spaces
from rct_lightning.dialogue import Example
from rct_lightning.errors import UserError

PLACEHOLDER = re.compile(r"\[([A-Z]{2,10})_(\d{1,9})\]")
NAME = Kind("name", "NAME", "names of the list given with --names", lambda text: iter(()))
ROUNDS = 8
"""Maximum number of times a text is searched: a replacement can uncover further personal data."""
REMEMBERED = 2048
"""Number of texts whose result is cached: turns recur in the contexts of the rows that follow."""
RECORDS = ("scrubbed", "context_cut", "quarantined")
"""Fields that cleaning adds to rows; they are not searched."""
SPOKEN = ("title", "memory")
"""Other fields of a row that hold what was said: numbers are found there too."""
_WORD, _WORD_OF_ID = re.compile(f"{WORD}+"), re.compile(rf"{LETTER_OR_DIGIT}+|(?:(?=\w)[{UNSPACED}])+")
Place = tuple[float, int, str]
"""Sort key of a row among all rows, independent of the order of the file."""


class Names:
    """The user's own list of names: a name is found as a whole word, as it is written or in capitals.

    How accents are stored (in one character with their letter, or behind it) makes no difference.

    Args:
        replacements: Replacement by name; None for a placeholder.
    """

    def __init__(self, replacements: Mapping[str, str | None]) -> None:
        self.replacements = replacements
        self._name_of: dict[str, str] = {}
        for name in replacements:
            for form in (_composed(name), _composed(name.upper())):
                self._name_of.setdefault(form, name)
        self._by_word: defaultdict[str, list[str]] = defaultdict(list)
        spaced = {name: f" {_words_of_id(name)} " for name in replacements}
        self._in_ids = {words.strip() if without_spaces(name[0]) else words for name, words in spaced.items()}
        self._anywhere: list[str] = []  # found inside words too: scripts without spaces, a leading apostrophe
        for form in sorted(self._name_of, key=lambda form: (-len(form), form)):
            word = _WORD.match(form)
            if word is None or without_spaces(form[0]):
                self._anywhere.append(form)
            else:
                self._by_word[word.group()].append(form)

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Start and end of every name, the longest where several begin."""
        if unicodedata.is_normalized("NFC", text):
            yield from self._find(text)
            return
        places = _places(text)
        for start, end in self._find(_composed(text)):
            if start in places and end in places:
                yield places[start], places[end]

    def _find(self, text: str) -> Iterator[tuple[int, int]]:
        for word in _WORD.finditer(text):
            for form in self._by_word.get(word.group(), ()):
                if text.startswith(form, word.start()) and _ends(text, word.start() + len(form), form):
                    yield word.start(), word.start() + len(form)
                    break
        for form in self._anywhere:
            at = text.find(form)
            while at >= 0:
                if _ends(text, at + len(form), form):
                    yield at, at + len(form)
                at = text.find(form, at + 1)

    def in_id(self, text: str) -> bool:
        """Return whether an id holds a name, in letters of either case, as in ``chat-with-ann_lee``."""
        words = f" {_words_of_id(text)} "
        return any(name in words for name in self._in_ids)

    def name_of(self, found: str) -> str:
        """The name of the list that was found."""
        return self._name_of[_composed(found)]


def _words_of_id(text: str) -> str:
    return " ".join(_WORD_OF_ID.findall(_composed(text).casefold()))


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _places(text: str) -> dict[int, int]:
    """Return the places in the text of the composed text's characters and its end; none within a changed one."""
    starts = [n for n, character in enumerate(text) if not n or not _goes_with_what_stands_before(character)]
    places: dict[int, int] = {}
    at = 0
    for start, end in pairwise([*starts, len(text)]):
        piece = _composed(text[start:end])
        places |= {at + n: start + n for n in (range(len(piece)) if piece == text[start:end] else (0,))}
        at += len(piece)
    return places | {at: len(text)}


def _goes_with_what_stands_before(character: str) -> bool:
    """A mark, or a part of a Korean syllable."""
    return unicodedata.category(character).startswith("M") or "\u1160" <= character <= "\u11ff"


def _ends(text: str, end: int, form: str) -> bool:
    """Return whether the word of a name ends at ``end``."""
    return without_spaces(form[-1]) or not _WORD.match(text, end)


def read_names(path: Path) -> Names:
    """Read a list of names: one per line, optionally ``name = replacement``; ``#`` begins a comment.

    Raises:
        UserError: The file is missing, not UTF-8 or empty, or a line is not valid.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: the list of names cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: byte {error.start + 1} is not UTF-8. Save the list of names as UTF-8.") from None
    found: dict[str, str | None] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, equals, replacement = (part.strip() for part in line.partition("#")[0].partition("="))
        if not name and not equals:
            continue
        _check_line(f"{path}, line {number}", name, replacement if equals else None)
        if found.get(name, replacement or None) != (replacement or None):
            raise UserError(f"{path}, line {number}: {name!r} has another replacement in line {lines[name]}.")
        found[name], lines[name] = replacement or None, number
    if not found:
        raise UserError(f"{path}: the list holds no names. Write one name a line.")
    names = Names(found)
    for name, new in found.items():
        for start, end in names.find(new or ""):
            raise UserError(
                f"{path}, line {lines[name]}: the replacement {new!r} holds the name {str(new)[start:end]!r}, which is "
                "to be replaced itself. Choose one that is not in the list."
            )
    return names


def _check_line(place: str, name: str, replacement: str | None) -> None:
    if replacement == "":
        raise UserError(f"{place}: nothing stands after the equals sign. Leave it out to get a placeholder.")
    if not any(character.isalpha() for character in name):
        raise UserError(f"{place}: {name!r} is no name. Write `name` or `name = replacement`.")
    if len(name) == 1 and name.isascii():
        raise UserError(f"{place}: the name {name!r} is a single letter and would be found everywhere.")


class Scrubber:
    """Finds personal data and replaces it.

    Args:
        off: Names of kinds that are turned off.
        names: The user's list, or None.

    Attributes:
        names: The list, unless it is turned off.
    """

    def __init__(self, off: Iterable[str] = (), names: Names | None = None) -> None:
        out = set(off)
        self.kinds = [kind for kind in KINDS if kind.name not in out]
        self._replacements: Mapping[str, str] = {}
        self.names = names if "name" not in out else None
        if self.names:
            self._replacements = {name: new for name, new in self.names.replacements.items() if new}
            self.kinds.append(replace(NAME, find=self.names.find, same=self.names.name_of))
        self.first: dict[tuple[str, str], tuple[Place, int]] = {}
        """First occurrence of each value, by (label, value)."""
        self._taken: Counter[str] = Counter()  # the highest number in use so far, by label
        self._numbers: dict[tuple[str, str], int] = {}
        self._values_in = lru_cache(REMEMBERED)(self._values)
        self.scrub = lru_cache(REMEMBERED)(self._scrub)

    def survey(self, text: str, place: Place, fields: bool = False) -> int:
        """Record the personal data in a text.

        Args:
            text: Any text of a row.
            place: The row's place.
            fields: As for :meth:`scrub`.

        Returns:
            The number of values found.
        """
        values = self._values_in(text, fields)
        for number, value in enumerate(values):
            here = (place, number)
            if value not in self.first or here < self.first[value]:
                self.first[value] = here
        return len(values)

    def number(self) -> None:
        """Assign the numbers in the order of first appearance, after every text was surveyed."""
        for label, value in sorted(self.first, key=lambda key: (self.first[key], key)):
            self._placeholder(label, value)

    def values(self) -> Counter[str]:
        """Count the distinct values by kind."""
        names = {kind.label: kind.name for kind in self.kinds}
        return Counter(names[label] for label, _ in self.first)

    def _placeholder(self, label: str, value: str) -> str:
        if label == NAME.label and value in self._replacements:
            return self._replacements[value]
        if (label, value) not in self._numbers:
            self._taken[label] += 1
            self._numbers[label, value] = self._taken[label]
        return f"[{label}_{self._numbers[label, value]}]"

    def _values(self, text: str, fields: bool) -> list[tuple[str, str]]:
        for label, number in PLACEHOLDER.findall(text):
            self._taken[label] = max(self._taken[label], int(number))
        found: list[tuple[str, str]] = []

        def note(kind: Kind, value: str) -> str:
            found.append((kind.label, value))
            return self._replacements.get(value, "[NAME_0]") if kind.label == NAME.label else f"[{kind.label}_0]"

        self._replace(text, note, fields)
        return found

    def _scrub(self, text: str, fields: bool = False) -> tuple[str, tuple[str, ...]]:
        """Return the text with placeholders, and the label of each replacement.

        Args:
            text: Any text that was surveyed.
            fields: Whether it is another field of the row, not an utterance: then numbers are left alone.
        """
        labels: list[str] = []

        def put(kind: Kind, value: str) -> str:
            labels.append(kind.label)
            return self._placeholder(kind.label, value)

        return self._replace(text, put, fields), tuple(labels)

    def _replace(self, text: str, put: Callable[[Kind, str], str], fields: bool) -> str:
        kinds = [kind for kind in self.kinds if kind.in_fields] if fields else self.kinds
        for _ in range(ROUNDS):
            spans = _spans(text, kinds)
            if not spans:
                break
            pieces, done = [], 0
            for start, end, kind in spans:
                pieces += [text[done:start], put(kind, kind.same(text[start:end]))]
                done = end
            text = "".join([*pieces, text[done:]])
        return text


def _spans(text: str, kinds: Sequence[Kind]) -> list[tuple[int, int, Kind]]:
    """Return what is to be replaced, from left to right; where places overlap, the kind listed first wins."""
    found: list[tuple[int, int, Kind]] = []
    taken = bytearray()
    for kind in kinds:
        for start, end in kind.find(text):
            if not taken:
                taken = bytearray(len(text))
                for match in PLACEHOLDER.finditer(text):
                    taken[match.start() : match.end()] = b"\1" * (match.end() - match.start())
            if not any(taken[start:end]):
                taken[start:end] = b"\1" * (end - start)
                found.append((start, end, kind))
    return sorted(found, key=lambda span: span[:2])


def other_fields(example: Example) -> dict[str, Any]:
    """Return the extra fields of a row that are searched."""
    return {name: value for name, value in example.extra.items() if name not in RECORDS}


def other_texts(example: Example) -> Iterator[tuple[str, bool]]:
    """Yield every text of a row beside its utterances, and whether numbers in it are left alone."""
    for name, value in {"source": example.source, **other_fields(example)}.items():
        for text in _texts_in(value):
            yield text, name not in SPOKEN


def _texts_in(value: Any) -> Iterator[str]:
    """Yield every string in a field of a row, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_in(inner)


def with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return the same field with ``change`` applied to every string in it."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {name: with_texts(inner, change) for name, inner in value.items()}
    return [with_texts(inner, change) for inner in value] if isinstance(value, list) else value
