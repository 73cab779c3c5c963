"""Chooses the rows to hold out; this is the only splitter of the project.

Rows of a conversation stay together, and so do conversations that are tied (``leakage.py``). Such groups are ordered by
a keyed hash of their content, so that neither the order of the file nor its ids matter. Groups are taken in that order
if they bring the mix of types, of rows with a history and of marked rows nearer to that of the corpus, and only if the
requested number of rows can still be reached exactly (subset sums of the remaining groups). Exchanging groups of the
same size then improves the mix further.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rct_lightning.corpus.leakage import Tie, TieKind, ties
from rct_lightning.dialogue import Example
from rct_lightning.errors import UserError
from rct_lightning.markers import Lexicon

WEAK: tuple[TieKind, ...] = ("same history", "same passage", "same short user text")
"""Ties that are ignored if they prevent holding out the requested number of rows and more can be held out without."""
LARGEST_SHARES = (4, 2, 1)
"""A group may fill a quarter of what is held out; if the number cannot be reached that way, half; at last all of it."""
EXCHANGES = 200

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Group:
    """Conversations that stay together.

    Attributes:
        rows: Positions of their rows.
        conversations: Their names.
        ties: Why they stay together: number of ties between them by kind; empty for a single conversation.
    """

    rows: tuple[int, ...]
    conversations: frozenset[str]
    ties: Counter[TieKind]


@dataclass(frozen=True)
class Split:
    """Rows of both sides, in the order of the file.

    Attributes:
        train: Training rows.
        held: Evaluation rows.
        wished: Number of rows that were requested to be held out.
        groups: The groups that were kept together, in the order of the file.
        loosened: Whether weak ties were ignored.
    """

    train: list[Example]
    held: list[Example]
    wished: int
    groups: list[Group]
    loosened: bool = False

    @property
    def rows(self) -> int:
        """Number of rows of both sides."""
        return len(self.train) + len(self.held)


def split(rows: Sequence[Example], eval_size: int, seed: int = 0, lexicon: Lexicon | None = None) -> Split:
    """Hold out exactly ``eval_size`` rows, or as many fewer as whole groups allow.

    Args:
        rows: The rows of one corpus. They should have types: rows without one are treated as a type of their own.
        eval_size: Number of rows to hold out.
        seed: Key of the hash that orders the groups.
        lexicon: Defines which rows are marked.

    Raises:
        UserError: One side would be empty.
    """
    found = ties(rows)
    groups = group(rows, found)
    chosen = _choose(rows, groups, eval_size, seed, lexicon or Lexicon())
    looser = group(rows, [tie for tie in found if tie.kind not in WEAK])
    loosened = _size(groups, chosen) < eval_size and len(looser) > len(groups)
    if loosened:
        other = _choose(rows, looser, eval_size, seed, lexicon or Lexicon())
        loosened = _size(looser, other) > _size(groups, chosen)
        groups, chosen = (looser, other) if loosened else (groups, chosen)
    held = {position for number in chosen for position in groups[number].rows}
    if not held or len(held) == len(rows):
        raise _cannot(rows, looser, eval_size)
    train = [row for position, row in enumerate(rows) if position not in held]
    return Split(train, [rows[position] for position in sorted(held)], eval_size, groups, loosened)


def group(rows: Sequence[Example], found: Iterable[Tie]) -> list[Group]:
    """Return tied conversations as groups, in the order of the first row of each."""
    first: dict[str, int] = {}
    root = [first.setdefault(row.conversation, position) for position, row in enumerate(rows)]

    def find(position: int) -> int:
        while root[position] != position:
            root[position] = root[root[position]]
            position = root[position]
        return position

    between = []
    for tie in found:
        ends = {find(root[position]) for position in tie.rows}
        if len({rows[position].conversation for position in tie.rows}) > 1:
            between.append(tie)
        for end in ends:
            root[max(end, min(ends))] = min(ends)
    members: dict[int, list[int]] = defaultdict(list)
    reasons: dict[int, Counter[TieKind]] = defaultdict(Counter)
    for position in range(len(rows)):
        members[find(position)].append(position)
    for tie in between:
        reasons[find(tie.rows[0])][tie.kind] += 1
    return [
        Group(tuple(held), frozenset(rows[position].conversation for position in held), reasons[key])
        for key, held in members.items()
    ]


def _choose(rows: Sequence[Example], groups: Sequence[Group], wished: int, seed: int, lexicon: Lexicon) -> list[int]:
    """Return the numbers of the groups to hold out."""
    if wished >= len(rows):
        return []
    order = _by_content(rows, groups, seed)
    mix = _mix(rows, groups, lexicon)
    best: tuple[int, list[int]] = (0, [])
    for part in LARGEST_SHARES:
        allowed = [number for number in order if len(groups[number].rows) <= max(1, wished // part)]
        reach = _reachable([len(groups[number].rows) for number in allowed], wished)
        total = reach[0].bit_length() - 1
        if total > best[0]:
            best = total, _take(allowed, groups, mix, reach, total)
        if total == wished:
            break
    return _exchanged(best[1], [number for number in order if number not in set(best[1])], groups, mix)


def _by_content(rows: Sequence[Example], groups: Sequence[Group], seed: int) -> list[int]:
    """Return the numbers of the groups in an order that depends only on the seed and on the content."""
    key = str(seed).encode()

    def digest(parts: Iterable[bytes]) -> bytes:
        total = hashlib.blake2b(key=key, digest_size=16)
        for part in parts:
            total.update(len(part).to_bytes(8, "little") + part)
        return total.digest()

    said = [digest((row.input.encode(), row.output.encode())) for row in rows]
    keys = [digest(sorted(said[position] for position in group.rows)) for group in groups]
    return sorted(range(len(groups)), key=lambda number: keys[number])


def _mix(rows: Sequence[Example], groups: Sequence[Group], lexicon: Lexicon) -> Vector:
    """Return the number of rows of each group by type, with a history, and marked: shape (groups, types + 2)."""
    kinds = sorted({row.type or "" for row in rows})
    mix = np.zeros((len(groups), len(kinds) + 2))
    for number, members in enumerate(groups):
        for position in members.rows:
            row = rows[position]
            mix[number, kinds.index(row.type or "")] += 1
            mix[number, -2] += bool(row.context)
            mix[number, -1] += lexicon.strength(row.input) > 0
    return mix


def _reachable(sizes: Sequence[int], wished: int) -> list[int]:
    """Return for each place, as a bit set, the sums up to ``wished`` that the sizes from there on can form."""
    mask, reach = (1 << (wished + 1)) - 1, [1]
    for size in reversed(sizes):
        reach.append((reach[-1] | reach[-1] << size) & mask)
    return reach[::-1]


def _take(order: Sequence[int], groups: Sequence[Group], mix: Vector, reach: Sequence[int], total: int) -> list[int]:
    """Take groups in order if they bring the mix nearer, while the total stays reachable."""
    target, scale = _target(mix, total)
    left, missing = total, target.copy()
    taken = []
    for place, number in enumerate(order):
        size = len(groups[number].rows)
        may_skip = reach[place + 1] >> left & 1
        may_take = size <= left and reach[place + 1] >> (left - size) & 1
        nearer = float((((missing - mix[number]) ** 2 - missing**2) / scale).sum()) < 0
        if may_take and (nearer or not may_skip):
            taken.append(number)
            left, missing = left - size, missing - mix[number]
    return taken


def _target(mix: Vector, total: int) -> tuple[Vector, Vector]:
    """Return the target mix of the held-out side, and the divisor of squared deviations from it."""
    rows = mix[:, :-2].sum()
    target = mix.sum(axis=0) * (total / rows)
    return target, np.maximum(target, 1.0)


def _exchanged(taken: list[int], rest: list[int], groups: Sequence[Group], mix: Vector) -> list[int]:
    """Return groups with the same number of rows and a better mix, by exchanging groups of the same size."""
    if not taken or not rest:
        return taken
    target, scale = _target(mix, _size(groups, taken))
    off = mix[taken].sum(axis=0) - target
    inside, outside = (_first_of_each_kind(side, groups, mix) for side in (taken[::-1], rest))
    for _ in range(EXCHANGES):
        best = -1e-9, 0, 0
        for size in sorted(inside.keys() & outside.keys()):
            ins, outs = list(inside[size].values()), list(outside[size].values())
            change = mix[[s[0] for s in outs]][None] - mix[[s[0] for s in ins]][:, None]  # (ins, outs, kinds)
            gain = (((off + change) ** 2 - off**2) / scale).sum(axis=2)
            place = int(gain.argmin())
            if gain.flat[place] < best[0]:
                best = float(gain.flat[place]), ins[place // len(outs)][0], outs[place % len(outs)][0]
        if not best[0] < -1e-9:
            break
        _, leaves, comes = best
        off += mix[comes] - mix[leaves]
        for side, goes, enters in ((inside, leaves, comes), (outside, comes, leaves)):
            _move(side, groups, mix, goes, enters)
    return [number for kinds in inside.values() for numbers in kinds.values() for number in numbers]


Kinds = dict[int, dict[bytes, list[int]]]


def _first_of_each_kind(numbers: Sequence[int], groups: Sequence[Group], mix: Vector) -> Kinds:
    """Return groups by size and by their row of the mix; groups that agree in both are exchanged in order."""
    kinds: Kinds = defaultdict(dict)
    for number in numbers:
        kinds[len(groups[number].rows)].setdefault(mix[number].tobytes(), []).append(number)
    return kinds


def _move(kinds: Kinds, groups: Sequence[Group], mix: Vector, goes: int, enters: int) -> None:
    of_size = kinds[len(groups[goes].rows)]
    same = of_size[mix[goes].tobytes()]
    same.remove(goes)
    if not same:
        del of_size[mix[goes].tobytes()]
    of_size.setdefault(mix[enters].tobytes(), []).append(enters)


def _size(groups: Sequence[Group], chosen: Iterable[int]) -> int:
    return sum(len(groups[number].rows) for number in chosen)


def _cannot(rows: Sequence[Example], groups: Sequence[Group], wished: int) -> UserError:
    conversations = len({row.conversation for row in rows})
    largest = max(groups, key=lambda found: len(found.rows))
    why = f"{len(rows)} rows in {conversations} conversation(s)"
    if len(rows) == 1:
        return UserError("One row cannot be split: both sides need some. Give more, or a file of evaluation rows.")
    if wished >= len(rows):
        return UserError(
            f"{why} cannot be split so that {wished} are held out: none would be left to train on. Give a size below "
            f"{len(rows)} (data.eval_size, or --eval-size of `rct corpus split`), or a file of evaluation rows."
        )
    if len(largest.conversations) > 1:
        kind = largest.ties.most_common(1)[0][0]
        why += f", {len(largest.conversations)} of which belong together (most often by the {kind}),"
    return UserError(
        f"{why} cannot be split so that {wished} rows or fewer are held out, both sides have rows, and nothing is on "
        f"both. Give another size (data.eval_size, or --eval-size of `rct corpus split`), or a file of evaluation rows."
    )
