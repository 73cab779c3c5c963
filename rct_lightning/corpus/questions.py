"""The questions of an audit: each gives one line, with a remedy if something is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from rct_lightning.console import Line
from rct_lightning.corpus import limits
from rct_lightning.corpus.labels import agreement
from rct_lightning.corpus.leakage import MOST_COVERED, TEXTS, TieKind
from rct_lightning.corpus.measures import pair_of
from rct_lightning.corpus.residue import artefacts, personal
from rct_lightning.corpus.sides import Sides
from rct_lightning.dialogue import TYPES, Example

SHOWN = 3
"""Maximum number of names shown in a line."""
WEAK: tuple[TieKind, ...] = ("same passage", "same history", "same short user text")


def ask(sides: Sides) -> list[Line]:
    """Ask every question; those that compare the sides only if there are two."""
    between = (_leakage, _ties_across, _held_skew) if sides.held else ()
    return [question(sides) for question in (_counts, *between, *_OF_ROWS)]


def _counts(sides: Sides) -> Line:
    seen = _and_conversations(sides.train)
    if not sides.held:
        return Line("warn", "rows", f"{seen}, not split yet", "`rct corpus split` holds some out to measure with")
    seen = f"{seen} to learn from, {_and_conversations(sides.held)} to measure with"
    if len(sides.held) < limits.SMALL_EVAL:
        return Line("warn", "rows", seen, f"Under {limits.SMALL_EVAL} rows an interval tells little: --eval-size")
    return Line("ok", "rows", seen)


def _leakage(sides: Sides) -> Line:
    """Report what the guard before step 0 would refuse."""
    found = sides.leakage
    seen = [f"{_named(found.conversations, 'conversation')} on both sides"] if found.conversations else []
    exact = found.rows.get("same row", frozenset())
    seen += [f"{_named(exact, 'eval row')} word for word in train"] if exact else []
    for (_, same, near), what in zip(TEXTS, ("user text", "reply"), strict=True):
        ids = found.rows.get(same, frozenset()) | found.rows.get(near, frozenset())
        seen += [f"{_named(ids, 'eval row')} with the same or nearly the same {what} as in train"] if ids else []
    twins = found.rows.get("same pair", frozenset())
    seen += [f"{_named(twins, 'eval row')} with the other row of a minimal pair in train"] if twins else []
    covered = f"{found.covered:.1%} of the 8-grams of eval replies occur in train"
    if seen or found.covered > MOST_COVERED:
        return Line(
            "fail", "leakage", "; ".join([*seen, covered]), "`rct corpus split` keeps what is alike on one side"
        )
    return Line("ok", "leakage", f"no conversation, pair, user text or reply is on both sides, nor nearly; {covered}")


def _ties_across(sides: Sides) -> Line:
    """Report weaker ties between the sides."""
    found = sides.leakage.rows
    seen = [f"{_named(found[kind], 'eval row')} with the {kind}" for kind in WEAK if kind in found]
    if seen:
        return Line("warn", "ties", f"{'; '.join(seen)} as in train", "`rct corpus split` keeps them on one side")
    return Line("ok", "ties", "no passage, history or short user text is shared by the sides")


def _types(sides: Sides) -> Line:
    missing = sum(row.type is None for row in sides.rows)
    if missing:
        return Line("warn", "types", f"{missing} rows have none", "`rct corpus split` gives them by rule")
    unknown = sorted({str(row.type) for row in sides.rows} - set(TYPES))
    if unknown:
        return Line("warn", "types", f"unknown: {', '.join(unknown[:SHOWN])}", f"Known are {', '.join(TYPES)}")
    counts = [Counter(row.type for row in rows) for rows in (sides.train, sides.held)]
    if not sides.held:
        return Line("ok", "types", f"{len(counts[0])} of {len(TYPES)}")
    shift = {name: counts[1][name] / len(sides.held) - counts[0][name] / len(sides.train) for name in TYPES}
    name = max(shift, key=lambda name: abs(shift[name]))
    seen = f"the share of {name} differs most between the sides, by {abs(shift[name]):.1%}"
    if abs(shift[name]) > max(limits.TYPE_SHIFT, 1 / len(sides.held)):
        return Line("warn", "types", seen, "`rct corpus split` keeps the mix")
    return Line("ok", "types", seen)


def _markers(sides: Sides) -> Line:
    part = sum(sides.marked[: len(sides.train)]) / len(sides.train)
    seen = f"{part:.1%} of the training rows address the assistant"
    if limits.MARKED_SHARE[0] <= part <= limits.MARKED_SHARE[1]:
        return Line("ok", "markers", seen)
    remedy = "Presence needs 10 to 90%. Name your own markers (--rules here, loss.markers.presence in training)"
    return Line("fail", "markers", seen, remedy)


def _history(sides: Sides) -> Line:
    count = sum(bool(row.context) for row in sides.train)
    seen = f"{count} of {len(sides.train)} training rows have something before them"
    if count:
        return Line("ok", "history", seen)
    return Line("fail", "history", seen, "Coherence and continuity learn nothing here: keep conversations together")


def _lengths(sides: Sides) -> Line:
    found = sides.lengths
    kept, cut = found.reply_tokens_kept, found.cut_rows / len(sides.rows)
    seen = f"{kept:.1%} of the reply tokens fit into {found.limit}, {cut:.1%} of the rows lose something"
    if kept < limits.REPLY_TOKENS_KEPT:
        remedy = f"data.max_seq_length={found.limit_for_replies} holds every reply; or take the longest rows out"
        return Line("fail", "lengths", seen, remedy)
    if cut > limits.CUT_ROWS:
        return Line("warn", "lengths", seen, "Mostly oldest turns; a larger data.max_seq_length keeps them")
    return Line("ok", "lengths", seen)


def _repeats(sides: Sides) -> Line:
    exact, near = (_tied_rows(sides, kinds) for kinds in (
        {"same row", "same user text", "same reply"}, {"near user text", "near reply"}))  # fmt: skip
    seen = f"{len(exact)} rows repeat the user text or reply of another, {len(near - exact)} nearly (twins apart)"
    if len(exact | near) > limits.REPEATED_ROWS * len(sides.rows):
        return Line(
            "warn",
            "repeats",
            seen,
            "They weigh as often as they occur; of whole exchanges `rct corpus clean` leaves one",
        )
    return Line("ok", "repeats", seen)


def _skew(sides: Sides) -> Line:
    name, most, part = _largest(sides.rows)
    seen = f"conversation {name!r} has the most rows, {most} of {len(sides.rows)} ({part:.1%})"
    if part > limits.LARGEST_CONVERSATION:
        return Line("warn", "skew", seen, "What is learnt is its voice; more conversations, or fewer rows of it, help")
    return Line("ok", "skew", seen)


def _held_skew(sides: Sides) -> Line:
    name, most, part = _largest(sides.held)
    seen = f"of the evaluation rows {most} of {len(sides.held)} ({part:.1%}) are of conversation {name!r}"
    status = sum(part > limit for limit in limits.LARGEST_EVAL_CONVERSATION)
    if status == 0:
        return Line("ok", "eval skew", seen)
    remedy = "What is measured is one talk: `rct corpus split` prefers many short ones"
    return Line("fail" if status == 2 else "warn", "eval skew", seen, remedy)


def _phrases(sides: Sides) -> Line:
    scored = sides.phrases("heldout")
    known = {row for row, phrase in sides.quotes[0] if phrase in scored}
    if known:
        seen = f"{_named(known, 'training reply', 'training replies')} with a phrase that evaluation scores"
        return Line("warn", "phrases", seen, "Part of what is scored was learnt word for word; reword these replies")
    return Line("ok", "phrases", "no training reply holds a phrase that evaluation scores")


def _presence(sides: Sides) -> Line:
    said = [(row, marked) for row, marked in zip(sides.rows, sides.marked, strict=True) if row.has_presence is not None]
    wrong = [row.id for row, marked in said if row.has_presence != marked]
    seen = f"has_presence is stated in {len(said)} rows and agrees with their text in {len(said) - len(wrong)}"
    if wrong:
        return Line("warn", "has_presence", seen, "Training reads the text alone. If the field is right, markers are "
                    "missing: --rules")  # fmt: skip
    return Line("ok", "has_presence", seen)


def _labels(sides: Sides) -> Line:
    seen = []
    for side, rows in (("train", sides.train), ("eval", sides.held)):
        counts = agreement(rows, sides.labels)
        total, same = sum(counts.values()), sum(count for (hand, rule), count in counts.items() if hand == rule)
        seen += [f"{same} of {total} {side} rows ({same / total:.1%})"] if total else []
    if not seen:
        return Line("ok", "labels", "no type was given by hand, so nothing says how often rules are right")
    return Line("ok", "labels", f"rules find the type that the file states in {', '.join(seen)}")


def _personal(sides: Sides) -> Line:
    return _found_in("personal", sides, personal, "nothing that looks like personal data, names apart",
                     "`rct corpus clean` replaces it; a name must be given to be found")  # fmt: skip


def _artefacts(sides: Sides) -> Line:
    return _found_in("artefacts", sides, artefacts, "no placeholder and no reasoning in a text",
                     "A model would learn to write it: `rct corpus clean` takes such rows out")  # fmt: skip


_OF_ROWS: tuple[Callable[[Sides], Line], ...] = (
    _types, _markers, _history, _lengths, _repeats, _skew, _phrases, _presence, _labels, _personal, _artefacts,
)  # fmt: skip


def _found_in(what: str, sides: Sides, kinds: Callable[[Example], list[str]], nothing: str, remedy: str) -> Line:
    """Report the number of rows in which something is found, by kind."""
    found = Counter(kind for row in sides.rows for kind in kinds(row))
    if not found:
        return Line("ok", what, nothing)
    return Line("fail", what, ", ".join(f"{kind} in {count} rows" for kind, count in found.most_common()), remedy)


def _tied_rows(sides: Sides, kinds: set[str]) -> set[int]:
    """Return the rows that have a tie of these kinds; twins of a minimal pair are alike on purpose and are skipped."""
    found: set[int] = set()
    for tie in sides.ties:
        if tie.kind in kinds and len({pair_of(sides.rows[position]) or position for position in tie.rows}) > 1:
            found.update(tie.rows)
    return found


def _largest(rows: Sequence[Example]) -> tuple[str, int, float]:
    name, most = Counter(row.conversation for row in rows).most_common(1)[0]
    return name, most, most / len(rows)


def _and_conversations(rows: Sequence[Example]) -> str:
    return f"{len(rows)} rows in {len({row.conversation for row in rows})} conversations"


def _named(ids: Iterable[str], one: str, many: str = "") -> str:
    """Return the number of ids and the first few of them."""
    names = sorted(ids)
    more = ", …" if len(names) > SHOWN else ""
    return f"{len(names)} {one if len(names) == 1 else many or one + 's'} ({', '.join(names[:SHOWN])}{more})"
