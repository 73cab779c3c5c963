"""Conversations of random words, so that nothing in them is similar unless a test makes it so."""

import random

from rct_lightning.dialogue import Example, Turn

NOUNS = ("lamp river kettle bridge garden violin harbour letter mountain bakery orchard window copper winter engine "
         "sister market candle forest wagon").split()  # fmt: skip


def sentence(draw: random.Random, length: int = 24) -> str:
    """Return words in random order: two of these share no five in a row."""
    return " ".join(f"{draw.choice(NOUNS)}{draw.randrange(99)}" for _ in range(length)).capitalize() + "."


def conversations(*sizes: int, seed: int = 0, **fields: object) -> list[Example]:
    """Return rows of conversations of the given sizes, none like another."""
    draw, rows = random.Random(seed), []
    for number, size in enumerate(sizes):
        said: tuple[Turn, ...] = ()
        for turn in range(size):
            row = Example(f"c{number}-{turn}", f"c{number}", sentence(draw), sentence(draw), said, **fields)  # type: ignore[arg-type]
            said = (*said, Turn("human", row.input), Turn("assistant", row.output))
            rows.append(row)
    return rows
