"""``rct corpus split``: whole conversations, ties, exact sizes, the mix, and nothing that depends on order or names."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from rct_lightning.cli import app
from rct_lightning.corpus.leakage import leakage, ties
from rct_lightning.corpus.near import NEARLY_THE_SAME, WINDOW, Likeness, alike
from rct_lightning.corpus.overlap import Passage, overlaps, words
from rct_lightning.corpus.split import group, split
from rct_lightning.dialogue import Example, Turn, read_jsonl
from rct_lightning.errors import UserError
from rct_lightning.markers import Lexicon

ROOT = Path(__file__).parents[1]
NOUNS = ("lamp river kettle bridge garden violin harbour letter mountain bakery orchard window copper winter engine "
         "sister market candle forest wagon").split()  # fmt: skip


def sentence(draw: random.Random, length: int = 24) -> str:
    """Words in no order: two of these share no five in a row."""
    return " ".join(f"{draw.choice(NOUNS)}{draw.randrange(99)}" for _ in range(length)).capitalize() + "."


def conversations(*sizes: int, seed: int = 0, **fields: object) -> list[Example]:
    """Rows of conversations of some sizes, none like another."""
    draw, rows = random.Random(seed), []
    for number, size in enumerate(sizes):
        said: tuple[Turn, ...] = ()
        for turn in range(size):
            row = Example(f"c{number}-{turn}", f"c{number}", sentence(draw), sentence(draw), said, **fields)  # type: ignore[arg-type]
            said = (*said, Turn("human", row.input), Turn("assistant", row.output))
            rows.append(row)
    return rows


def shuffled(rows: Sequence[Example], seed: int) -> list[Example]:
    """The same conversations in another order and by other names."""
    names = sorted({row.conversation for row in rows})
    random.Random(seed).shuffle(names)
    return [
        replace(row, id=f"{place}-{row.id}", conversation=f"named {place}")
        for place, name in enumerate(names)
        for row in rows
        if row.conversation == name
    ]


def said(rows: Sequence[Example]) -> set[tuple[str, str]]:
    return {(row.input, row.output) for row in rows}


@pytest.fixture(scope="module")
def bundled() -> list[Example]:
    return [row for side in ("train", "eval") for row in read_jsonl(ROOT / "data" / "relational" / f"{side}.jsonl")]


# --- whole conversations, exact sizes -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_split_keeps_conversations_whole(seed: int) -> None:
    rows = conversations(*[1, 2, 3, 4] * 5)
    found = split(rows, 10, seed)
    assert not {row.conversation for row in found.train} & {row.conversation for row in found.held}
    assert sorted(row.id for row in [*found.train, *found.held]) == sorted(row.id for row in rows)
    assert len(found.held) == 10
    assert [row.id for row in found.train] == [row.id for row in rows if row in found.train], "the order of the file"


@given(st.lists(st.integers(1, 9), min_size=2, max_size=25), st.integers(1, 40), st.integers(0, 3))
def test_as_many_rows_are_held_out_as_whole_conversations_allow(sizes: list[int], wished: int, seed: int) -> None:
    sums = {0}
    for size in sizes:
        sums |= {total + size for total in sums}
    best = max(total for total in sums if total <= wished)
    try:
        held = len(split(conversations(*sizes), wished, seed).held)
    except UserError:
        held = 0
    assert held == (best if wished < sum(sizes) else 0)


@pytest.mark.parametrize(("sizes", "eval_size"), [((5,), 2), ((5,), 5), ((3, 3), 2), ((1, 1), 2)])
def test_what_cannot_be_split_is_an_error(sizes: tuple[int, ...], eval_size: int) -> None:
    with pytest.raises(UserError, match="cannot be split"):
        split(conversations(*sizes), eval_size)


def test_another_seed_splits_otherwise() -> None:
    rows = conversations(*[1] * 30)
    assert said(split(rows, 10, 0).held) != said(split(rows, 10, 1).held)


@pytest.mark.parametrize("seed", range(3))
def test_neither_order_nor_names_decide(bundled: list[Example], seed: int) -> None:
    first = split(bundled, 82)
    again = split(shuffled(bundled, seed), 82)
    assert said(again.held) == said(first.held) and said(again.train) == said(first.train)


@pytest.mark.parametrize("seed", range(3))
def test_the_mix_is_kept(bundled: list[Example], seed: int) -> None:
    held = split(bundled, 82, seed).held
    lexicon, part = Lexicon(), 82 / len(bundled)
    for kind, total in Counter(row.type for row in bundled).items():
        assert abs(sum(row.type == kind for row in held) - total * part) < 1
    for count in (lambda rows: sum(bool(row.context) for row in rows),
                  lambda rows: sum(lexicon.strength(row.input) > 0 for row in rows)):  # fmt: skip
        assert abs(count(held) - count(bundled) * part) <= 2
    assert len({row.conversation for row in held}) >= 25, "not the longest conversations alone, nor the shortest"


def test_one_long_conversation_does_not_become_the_evaluation() -> None:
    found = split(conversations(60, *[3] * 50, *[1] * 20), 82)
    assert len(found.held) == 82 and "c0" not in {row.conversation for row in found.held}
    alone = split(conversations(60, 4, 4, *[30] * 3), 64)
    assert len(alone.held) == 64, "unless the number cannot be had otherwise"


# --- ties -----------------------------------------------------------------------------------------------------------


def changed(text: str, place: int = 2) -> str:
    """A word of it is another."""
    return " ".join("otherwise" if n == place else word for n, word in enumerate(text.split()))


def tied(kind: str, row: Example, other: Example) -> Example:
    """The second row, of another conversation, with something of the first."""
    return {
        "same row": lambda: replace(other, input="Yes.", output="Good."),
        "same user text": lambda: replace(other, input=row.input.upper()),
        "near user text": lambda: replace(other, input=changed(row.input, 1)),
        "same reply": lambda: replace(other, output=row.output),
        "near reply": lambda: replace(other, output=f"{row.output} And so on."),
        "same passage": lambda: replace(other, output=f"{other.output} {' '.join(row.output.split()[:16])}"),
        "same history": lambda: replace(other, context=(Turn("human", row.input), Turn("assistant", "Hm."))),
        "same pair": lambda: replace(other, extra={"pair": "p"}),
        "same short user text": lambda: replace(other, input="Left at the mill?"),
    }[kind]()


def two_tied(kind: str) -> list[Example]:
    """Single rows, the first two of them tied."""
    row, other, *rest = conversations(*[1] * 24)
    other = tied(kind, row, other)
    if kind in ("same row", "same short user text", "same pair"):
        row = replace(row, **{"same pair": {"extra": other.extra}}.get(kind, {"input": other.input}))
        row = replace(row, output=other.output) if kind == "same row" else row
    return [row, other, *rest]


KINDS = ("same row", "same user text", "near user text", "same reply", "near reply", "same passage", "same history",
         "same pair", "same short user text")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_tied_stays_together(kind: str) -> None:
    rows = two_tied(kind)
    assert kind in {tie.kind for tie in ties(rows)}
    for seed in range(12):
        held = {row.id for row in split(rows, 8, seed).held}
        assert ("c0-0" in held) == ("c1-0" in held)
    assert leakage(rows[1:], rows[:1]).count(kind) == 1  # type: ignore[arg-type]


def test_what_everybody_says_ties_nobody() -> None:
    rows = [replace(row, input="Thank you!") for row in conversations(*[1] * 12)]
    assert ties(rows) == [] and len(split(rows, 5).held) == 5
    assert {tie.kind for tie in ties(rows[:3])} == {"same short user text"}


def test_a_common_opening_is_let_go_before_the_split_is_refused() -> None:
    opening = (Turn("assistant", "Good to see you here, what would you like to talk about?"),)
    rows = [replace(row, context=opening) for row in conversations(*[1] * 12)]
    found = split(rows, 5)
    assert len(found.held) == 5 and found.loosened
    with pytest.raises(UserError, match="same user text"):
        split([replace(row, input=rows[0].input) for row in rows], 5)


def test_ties_chain_and_are_counted() -> None:
    a, b, c, d = conversations(2, 1, 1, 1)[1:]
    rows = [a, replace(b, input=a.input), replace(c, output=b.output), d]
    groups = group(rows, ties(rows))
    assert [len(found.conversations) for found in groups] == [3, 1]
    assert groups[0].ties == {"same user text": 1, "same reply": 1} and groups[1].ties == {}


# --- alike, without comparing each with each ------------------------------------------------------------------------


@given(st.randoms(use_true_random=False), st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_the_index_finds_what_comparing_all_pairs_finds(draw: random.Random, share: float) -> None:
    texts = [" ".join(draw.choice("abc") for _ in range(draw.randrange(5, 14))) for _ in range(30)]
    texts = list(dict.fromkeys(texts))
    slow = {
        (pair.first, pair.second)
        for pair in overlaps([Passage(str(number), text) for number, text in enumerate(texts)])
        if pair.share >= share
    }
    fast = {tuple(sorted((str(a), str(b)), key=int)) for a, b in alike(texts, Likeness(5, share))}
    assert fast == {tuple(sorted(pair, key=int)) for pair in slow}


def test_a_thousand_copies_are_chained_and_not_compared_each_with_each() -> None:
    draw = random.Random(0)
    base = sentence(draw, 60).split()
    copies = [" ".join([*base[:n % 60], f"other{n}", *base[n % 60 + 1:]]) for n in range(1000)]  # fmt: skip
    pairs = alike([*copies, sentence(draw)], NEARLY_THE_SAME)
    assert len(pairs) < 1000 * WINDOW * 2
    seen = {0}
    for _ in range(20):
        seen |= {other for pair in pairs if seen & set(pair) for other in pair}
    assert seen == set(range(1000))


def test_other_scripts_have_words_too() -> None:
    assert words("Schöne Grüße, Zoë's 2 Bücher!") == ["schöne", "grüße", "zoë's", "2", "bücher"]
    assert words("Привет, мир") == ["привет", "мир"] and words("今日は") == ["今", "日", "は"]
    text = "Меня зовут Анна и я живу в большом доме у реки с братом"
    assert alike([text, text.replace("Анна", "Инна"), "Совсем другой текст о том как пекут хлеб в деревне"],
                 Likeness(5, 0.6)) == [(0, 1)]  # fmt: skip


# --- the command ----------------------------------------------------------------------------------------------------


def command(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["corpus", "split", *map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, " ".join(done.output.split())
