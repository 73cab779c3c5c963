"""Faults to plant into a clean corpus, to measure what cleaning finds and what it wrongly takes for a fault.

The wordings are in ``planted/``. The ``seen`` files may be used while developing a rule; the ``unseen`` ones give the
reported figures, and rules are not adjusted to them. Values that look personal (numbers, addresses, keys) are drawn
from patterns, so that no file contains any.
"""

from __future__ import annotations

import base64
import json
import random
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rct_lightning.corpus.overlap import shingles
from rct_lightning.dialogue import Example, read_jsonl

ROOT = Path(__file__).parents[2]
WORDINGS = Path(__file__).parent / "planted"
Which = Literal["seen", "unseen"]
NAMES = ["Mirela", "Tom Aldous", "José", "Zoë-Marie", "王伟", "Okonkwo"]
JACCARD = 0.8


@dataclass(frozen=True)
class Planted:
    """A row and its fault.

    Attributes:
        row: The row.
        fault: The rule that should find it; None if nothing is wrong.
        secret: For personal data: what must not remain in the text.
        original: For duplicates: the row it repeats. Either of the two may stay.
    """

    row: Example
    fault: str | None = None
    secret: str | None = None
    original: str | None = None


def study(which: Which, seed: int = 0) -> list[Planted]:
    """Return a corpus with faults: the bundled rows, innocent look-alikes, and what is planted, shuffled."""
    draw = random.Random(f"{which} {seed}")
    base = [row for side in ("train", "eval") for row in read_jsonl(ROOT / "data" / "relational" / f"{side}.jsonl")]
    unused = iter(draw.sample([row for row in base if not row.context], 300))
    donors = Donors(draw, base)
    found = [Planted(row) for row in base]
    found += [Planted(row) for row in innocents(which)]
    found += duplicates(draw, unused)
    found += personal(which, draw, donors)
    for fault, count in (("placeholder", 100), ("reasoning", 100), ("wrong-speaker", 50), ("noise", 40)):
        found += list(texts(fault, count, which, draw, donors))
    found += retries(draw, donors, 30)
    found += short(donors, 20)
    conversations = sorted({one.row.conversation for one in found})
    draw.shuffle(conversations)
    place = {name: position for position, name in enumerate(conversations)}
    return sorted(found, key=lambda one: place[one.row.conversation])  # stable: rows of a conversation stay in order


class Donors:
    """Clean exchanges to put a fault into: pieces of bundled rows, joined so that no two are alike."""

    def __init__(self, draw: random.Random, base: list[Example]) -> None:
        self._draw, self._made = draw, 0
        self._inputs = [sentence for row in base for sentence in sentences(row.input)]
        self._outputs = [sentence for row in base for sentence in sentences(row.output)]

    def row(self, name: str, **fields: Any) -> Example:
        """Return a row that is its own conversation."""
        self._made += 1
        made = {"input": self.text(self._inputs, 2), "output": self.text(self._outputs, 4)} | fields
        return Example(f"{name}-{self._made:04}", f"{name}-{self._made:04}", **made)

    def text(self, of: list[str], count: int) -> str:
        """Return some sentences from different rows."""
        return " ".join(self._draw.sample(of, count))


def sentences(text: str) -> list[str]:
    """Return the sentences of four words or more."""
    marked = text.replace("? ", "?\n").replace("! ", "!\n").replace(". ", ".\n")
    return [part for part in marked.split("\n") if len(part.split()) >= 4]


def lines(kind: str, which: Which) -> list[str]:
    r"""Return the wordings of one kind; a written ``\n`` is a newline."""
    text = (WORDINGS / f"{kind}_{which}.txt").read_text(encoding="utf-8")
    return [line.replace("\\n", "\n") for line in text.split("\n") if line]


def innocents(which: Which) -> Iterator[Example]:
    """Yield rows that look faulty but are not."""
    for number, line in enumerate(lines("innocent", which)):
        asked, answered = line.split(" ||| ")
        yield Example(f"innocent-{number:03}", f"innocent-{number:03}", asked, answered)


def texts(fault: str, count: int, which: Which, draw: random.Random, donors: Donors) -> Iterator[Planted]:
    """Yield rows whose reply is at fault, using the wordings in turn."""
    kind = {"placeholder": "placeholders", "wrong-speaker": "speakers"}.get(fault, fault)
    wordings = lines(kind, which)
    draw.shuffle(wordings)
    for number in range(count):
        row, other = donors.row(fault), donors.row(fault)
        wording = wordings[number % len(wordings)]
        if fault == "reasoning":
            wording += draw.choice(["", " ", "\n", "\n\n"]) + "{reply}"
        slots = {
            "{reply}": row.output, "{input}": row.input, "{other_reply}": other.output, "{other_input}": other.input,
        }  # fmt: skip
        for slot, value in slots.items():
            wording = wording.replace(slot, value)
        yield Planted(replace(row, output=fill_noise(wording, draw)), fault)


# --- duplicates -----------------------------------------------------------------------------------------------------


def duplicates(draw: random.Random, unused: Iterator[Example]) -> list[Planted]:
    """Return 100 exact copies, 100 near copies, and 50 rows that are similar but not similar enough."""
    made = []
    for number in range(100):
        row = next(unused)
        loud = draw.random() < 0.3
        copy = replace(row, input=row.input.upper() if loud else row.input, output=row.output + " " * (number % 2))
        made.append(Planted(named(copy, f"zz-copy-{number:03}"), "duplicate", original=row.id))
    for number in range(100):
        row = next(unused)
        copy = row
        while copy == row or jaccard(row, copy) < JACCARD:
            copy = edited(row, draw, draw.choice([1, 1, 2]))
        made.append(Planted(named(copy, f"zz-near-{number:03}"), "near-duplicate", original=row.id))
    for number in range(50):
        row = next(unused)
        copy = row
        while not 0.3 < jaccard(row, copy) < JACCARD:
            copy = edited(row, draw, draw.choice([2, 3, 4]))
        made.append(Planted(named(copy, f"zz-alike-{number:03}")))
    return made


def named(row: Example, name: str) -> Example:
    return replace(row, id=name, conversation=name)


def jaccard(one: Example, other: Example) -> float:
    """Return the Jaccard similarity of two exchanges: shared 5-word shingles over all of theirs."""
    first, second = (
        {(side, shingle) for side in ("input", "output") for shingle in shingles(getattr(row, side))}
        for row in (one, other)
    )
    return len(first & second) / len(first | second)


def edited(row: Example, draw: random.Random, times: int) -> Example:
    """Return a row with some words left out, doubled or replaced."""
    for _ in range(times):
        side = draw.choice(["input", "output", "output"])
        found = getattr(row, side).split()
        at = draw.randrange(len(found))
        found[at : at + 1] = draw.choice([[], [found[at], "really"], ["something"]])
        if not found:
            continue
        row = replace(row, **{side: " ".join(found)})
    return row


def retries(draw: random.Random, donors: Donors, count: int) -> list[Planted]:
    """Return conversations in which a user at once asked the same again; the last answer should be kept."""
    made = []
    for _ in range(count):
        first = donors.row("retry")
        again = replace(donors.row("retry"), conversation=first.conversation, input=first.input)
        history = [("human", first.input), ("assistant", first.output)]
        made.append(Planted(first, "retry"))
        made.append(Planted(with_context(again, history)))
    return made


def with_context(row: Example, history: list[tuple[str, str]]) -> Example:
    from rct_lightning.dialogue import Turn

    return replace(row, context=tuple(Turn(role, content) for role, content in history))  # type: ignore[arg-type]


def short(donors: Donors, count: int) -> list[Planted]:
    """Return rows in which one side says nothing, or next to nothing."""
    nothing = [{"output": "."}, {"output": "..."}, {"output": "Ok"}, {"input": "?"}, {"output": "—"}, {"output": "👍"},
               {"input": " "}, {"output": ""}, {"output": "\n"}, {"input": "", "output": ""}]  # fmt: skip
    return [Planted(donors.row("short", **nothing[number % len(nothing)]), "too-short") for number in range(count)]


# --- noise ----------------------------------------------------------------------------------------------------------


def fill_noise(wording: str, draw: random.Random) -> str:
    """Replace slots such as ``{base64:400}``."""
    while "{" in wording and wording[wording.index("{") + 1 :].partition("}")[0].split(":")[0] in NOISE:
        before, _, rest = wording.partition("{")
        slot, _, after = rest.partition("}")
        kind, *arguments = slot.split(":")
        wording = before + NOISE[kind](draw, *arguments) + after
    return wording


def _letters(alphabet: str) -> Callable[..., str]:
    return lambda draw, count: "".join(draw.choices(alphabet, k=int(count)))


NOISE: dict[str, Callable[..., str]] = {
    "base64": lambda draw, count: base64.b64encode(draw.randbytes(int(count) * 3 // 4)).decode(),
    "urlsafe": lambda draw, count: base64.urlsafe_b64encode(draw.randbytes(int(count) * 3 // 4)).decode(),
    "hex": _letters("0123456789abcdef"),
    "symbols": _letters("@#$%^&*()_+{}|<>?/\\;:!~ "),
    "boxes": _letters("▪▫■□◆◇○●△▽ "),
    "emoji": _letters("😀🎉🐸🍋🚀 "),
    "braille": _letters("⠁⠃⠉⠙⠑⠋ "),
    "digits": lambda draw, count: " ".join(str(draw.randrange(10**4)) for _ in range(int(count))),
    "repeat": lambda draw, unit, count: unit * int(count),
    "char": lambda draw, unit, count: unit * int(count),
    "mash": lambda draw, count: "".join(draw.choices("asdfghjkl;", k=int(count))),
    "replacement": lambda draw, count: " ".join(
        "".join(draw.choices(["\ufffd", "e", "n", "\ufffd"], k=5)) for _ in range(int(count))
    ),
    "mojibake": lambda draw: (
        "Ich möchte später über die schönen Bäume und die Größe der Straße schreiben, natürlich.".encode().decode(
            "cp1252", "replace"
        )
    ),
    "controls": lambda draw: "".join(
        f"\x1b[{draw.randrange(31, 37)}m\x00\x01{word}\x02" for word in "so it ends".split()
    ),
    "hexdump": lambda draw, count: "\n".join(
        f"{16 * line:08x}  " + " ".join(f"{byte:02x}" for byte in draw.randbytes(16)) for line in range(int(count))
    ),
    "bytes": lambda draw, count: "".join(f"\\x{byte:02x}" for byte in draw.randbytes(int(count))),
    "csv": lambda draw, count: "\n".join(",".join(f"{draw.random():.4f}" for _ in range(6)) for _ in range(int(count))),
    "stack": lambda draw, count: "\n".join(
        f"  at 0x{draw.getrandbits(48):012x} +{draw.randrange(999)}" for _ in range(int(count))
    ),
}


# --- personal data --------------------------------------------------------------------------------------------------

SETS = {
    "#": string.digits, "%": "23456789", "?": string.ascii_lowercase,
    "*": string.ascii_letters + string.digits, "^": string.ascii_uppercase + string.digits,
}  # fmt: skip
"""Characters that each placeholder in a value's pattern can be; ``{*48}`` is 48 of them."""
USERS = ["mberg", "tomtom", "kat.lee", "j_ortiz"]


def personal(which: Which, draw: random.Random, donors: Donors) -> list[Planted]:
    """Return 200 rows with one piece of personal data each, all kinds and styles in turn."""
    carriers = lines("pii", which)
    styles: dict[str, list[str]] = {}
    for line in (WORDINGS / f"values_{which}.txt").read_text(encoding="utf-8").splitlines():
        kind, _, style = line.partition(" ")
        styles.setdefault(kind, []).append(style)
    kinds, made = list(styles), []
    for number in range(200):
        kind = kinds[number % len(kinds)]
        of_kind = styles[kind]
        value, secret = filled(kind, of_kind[number // len(kinds) % len(of_kind)], draw)
        text = draw.choice(carriers).replace("{value}", value)
        side = draw.choice(["input", "output"])
        row = donors.row(f"pii-{kind}")
        row = replace(row, **{side: f"{getattr(row, side)} {text}"})
        made.append(Planted(row, kind, secret=secret))
    return made


def filled(kind: str, style: str, draw: random.Random) -> tuple[str, str]:
    """Return a value in a style, and the part of it that must not remain."""
    if kind == "name":
        return style, style.removesuffix("'s")
    if kind == "card":
        value = card(*style.split(" ", 2), draw=draw)
        return value, value
    user = draw.choice(USERS) + str(draw.randrange(100))
    value = style.replace("<home>", "/" + "home").replace("<users>", "/" + "Users")
    if kind == "home":
        return value.replace("<user>", user), user
    value = re.sub(r"\{(.)(\d+)\}", lambda match: match[1] * int(match[2]), value)
    value = "".join(draw.choice(SETS[one]) if one in SETS else one for one in value)
    return value, value


def card(prefix: str, length: str, groups: str = "", *, draw: random.Random) -> str:
    """Return a card number with a valid check digit, grouped as ``4 4 4 4`` or ``4-6-5`` says, or not at all."""
    digits = prefix + "".join(draw.choices(string.digits, k=int(length) - len(prefix) - 1))
    total = sum(sum(divmod(int(digit) * (2 - place % 2), 10)) for place, digit in enumerate(reversed(digits)))
    digits += str(-total % 10)
    sign = "-" if "-" in groups else " "
    parts, rest = [], digits
    for size in map(int, groups.split(sign) if groups else [length]):
        parts.append(rest[:size])
        rest = rest[size:]
    return sign.join(parts)


def write(planted: list[Planted], folder: Path) -> tuple[Path, Path]:
    """Write the corpus and the file of names."""
    corpus, names = folder / "imported.jsonl", folder / "names.txt"
    corpus.write_text(
        "".join(json.dumps(one.row.to_json(), ensure_ascii=False) + "\n" for one in planted), encoding="utf-8"
    )
    names.write_text("\n".join(NAMES) + "\n", encoding="utf-8")
    return corpus, names
