"""Every number of the data card, recomputed from the files: ``python -m rct_lightning.corpus.audit [DIR]``.

The measures are pure functions over rows, so that a test can ask them about a corpus with a planted fault.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any, Literal

from rct_lightning.corpus.overlap import Overlap, Passage, coverage, overlaps, sentences, words
from rct_lightning.dialogue import TYPES, Example, read_jsonl
from rct_lightning.errors import UserError
from rct_lightning.markers import Lexicon

DEFAULT_DIRECTORY = Path("data/relational")
SIDES = ("train", "eval")
PROBE_FILES = ("probes", "probes_dev")
COVERAGE_WORDS = 8
SENTENCE_WORDS = 4
"""Sentences with fewer words ("I'm home.", "Are you there?") are everyday speech and may occur anywhere."""
HARM = "harm:"

Rows = Sequence[Example]
Probe = Mapping[str, Any]


@dataclass(frozen=True)
class Corpus:
    """The rows of both sides, and the probes by file name (empty where there are none)."""

    train: Rows
    eval: Rows
    probes: Mapping[str, Sequence[Probe]] = field(default_factory=dict)

    @property
    def rows(self) -> list[Example]:
        """Rows of both sides, train first."""
        return [*self.train, *self.eval]

    def by_side(self) -> dict[str, Rows]:
        """The columns of most tables: train, eval, all."""
        return {"train": self.train, "eval": self.eval, "all": self.rows}


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table of ready-made text."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


# Reading


def load(directory: Path) -> Corpus:
    """Read train.jsonl and eval.jsonl of a folder, and the probes beside the folder if they are there.

    Raises:
        UserError: A file is missing or holds a line that is not a valid row.
    """
    if not directory.is_dir():
        raise UserError(f"{directory}: no such folder. Give a folder that holds train.jsonl and eval.jsonl.")
    sides = [read_jsonl(directory / f"{side}.jsonl") for side in SIDES]
    files = {name: directory.parent / f"{name}.jsonl" for name in PROBE_FILES}
    return Corpus(*sides, {name: read_probes(path) for name, path in files.items() if path.is_file()})


def read_probes(path: Path) -> list[Probe]:
    """Read a file of probes, one JSON object a line.

    Raises:
        UserError: A line is not a JSON object.
    """
    probes = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            probe = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}, line {number}: not valid JSON ({error.msg}).") from None
        if not isinstance(probe, dict):
            raise UserError(f"{path}, line {number}: expected a JSON object, one probe a line.")
        probes.append(probe)
    return probes


# Measures of rows


def tags(example: Example) -> tuple[str, ...]:
    """The row's tags; none where the field is absent or not a list."""
    value = example.extra.get("tags")
    return tuple(str(tag) for tag in value) if isinstance(value, list) else ()


def tagged(rows: Rows, tag: str) -> list[Example]:
    """Rows that carry a tag."""
    return [row for row in rows if tag in tags(row)]


def harms(rows: Rows) -> Counter[str]:
    """Rows by kind of harm; a row may name two kinds."""
    return Counter(tag.removeprefix(HARM) for row in rows for tag in tags(row) if tag.startswith(HARM))


def marked(rows: Rows, lexicon: Lexicon) -> list[Example]:
    """Rows whose user text carries a presence marker."""
    return [row for row in rows if lexicon.strength(row.input) > 0]


def of_type(rows: Rows, name: str) -> list[Example]:
    """Rows of one type."""
    return [row for row in rows if row.type == name]


def with_context(rows: Rows) -> list[Example]:
    """Rows that have something before them."""
    return [row for row in rows if row.context]


def turn_number(example: Example) -> int:
    """Which exchange of its conversation a row is, counted from 1."""
    return sum(turn.role == "human" for turn in example.context) + 1


def conversation_turns(rows: Rows) -> dict[str, int]:
    """Exchanges of each conversation."""
    turns: dict[str, int] = defaultdict(int)
    for row in rows:
        turns[row.conversation] = max(turns[row.conversation], turn_number(row))
    return dict(turns)


def complete_pairs(rows: Rows, lexicon: Lexicon) -> dict[str, tuple[Example, Example]]:
    """Minimal pairs as (marked, unmarked): two rows, one marker, the same type and the same context."""
    found: dict[str, list[Example]] = defaultdict(list)
    for row in rows:
        if row.extra.get("pair") is not None:
            found[str(row.extra["pair"])].append(row)
    pairs = {}
    for name, members in found.items():
        twins = sorted(members, key=lambda row: lexicon.strength(row.input) == 0)
        if len(twins) == 2 and [lexicon.strength(row.input) > 0 for row in twins] == [True, False]:
            if twins[0].type == twins[1].type and twins[0].context == twins[1].context:
                pairs[name] = (twins[0], twins[1])
    return pairs


def presence_disagreements(rows: Rows, lexicon: Lexicon) -> list[str]:
    """Ids of rows whose own ``has_presence`` is not what their text says."""
    return [
        row.id
        for row in rows
        if row.has_presence is not None and row.has_presence != (lexicon.strength(row.input) > 0)
    ]


def bond_replies(rows: Rows, lexicon: Lexicon) -> list[str]:
    """Ids of rows whose reply holds bond language."""
    return [row.id for row in rows if lexicon.has_bond_language(row.output)]


def false_memories(rows: Rows, lexicon: Lexicon) -> list[str]:
    """Ids of rows that claim a memory although nothing was said before."""
    return [row.id for row in rows if not row.context and lexicon.claims_memory(row.output)]


def heldout_phrases(rows: Rows, lexicon: Lexicon) -> list[tuple[str, str]]:
    """Held-out phrases of the lexicon that occur in replies, as (row id, phrase)."""
    phrases = [phrase for bank in ("bond", "rupture", "memory_claim") for phrase in _heldout(lexicon, bank)]
    needles = [(phrase, f" {' '.join(words(phrase))} ") for phrase in phrases]
    texts = [(row.id, f" {' '.join(words(row.output))} ") for row in rows]
    return [(row_id, phrase) for row_id, text in texts for phrase, needle in needles if needle in text]


def _heldout(lexicon: Lexicon, bank: str) -> tuple[str, ...]:
    name: Literal["bond", "rupture", "memory_claim"] = bank  # type: ignore[assignment]
    return lexicon.phrases(name, "heldout")


def unrecalled(rows: Rows) -> list[str]:
    """Ids of rows tagged earlier_session whose reply repeats no specific word of an earlier session.

    Specific is a word of four letters or more, or a number, that at most one conversation in fifty uses in a
    reply, and that the user's present text does not hold.
    """
    used: Counter[str] = Counter()
    by_conversation: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        by_conversation[row.conversation].update(words(row.output))
    for found in by_conversation.values():
        used.update(found)
    common = {word for word, count in used.items() if count * 50 > len(by_conversation)}
    missing = []
    for row in tagged(rows, "earlier_session"):
        start = row.extra.get("session_start")
        earlier = row.context[: start if isinstance(start, int) else 0]
        said = {word for turn in earlier for word in words(turn.content)} - set(words(row.input)) - common
        if not any(len(word) >= 4 or word.isdigit() for word in said & set(words(row.output))):
            missing.append(row.id)
    return missing


# Measures between rows


def output_overlaps(rows: Rows) -> list[Overlap]:
    """Replies that share shingles, largest share first."""
    return overlaps([Passage(row.id, row.output) for row in rows])


def input_overlaps(rows: Rows) -> list[Overlap]:
    """User texts that share shingles, twins of a minimal pair apart, largest share first."""
    return overlaps([Passage(row.id, row.input, _pair(row)) for row in rows])


def side_overlaps(corpus: Corpus) -> list[Overlap]:
    """Eval texts (user and reply) that share shingles with train texts, largest share first."""
    return overlaps(_passages(corpus.eval), _passages(corpus.train))


def shared_conversations(corpus: Corpus) -> set[str]:
    """Conversations and minimal pairs that have rows on both sides."""
    names = [{name for row in rows for name in (row.conversation, _pair(row))} for rows in (corpus.train, corpus.eval)]
    return {name for name in names[0] & names[1] if name is not None}


def shared_turns(corpus: Corpus) -> set[str]:
    """Turns of any role, history included, that occur word for word on both sides."""
    train, held_out = (set(_turns(rows)) for rows in (corpus.train, corpus.eval))
    return train & held_out


def probe_texts(probe: Probe) -> list[str]:
    """Every text of a probe: what is said before, what is asked, what may be answered."""
    names = ("input", "prefix", "faithful", "unfaithful", "refuse", "comply", "text")
    said = [str(turn.get("content", "")) for turn in probe.get("context") or ()]
    return said + [probe[name] for name in names if isinstance(probe.get(name), str)]


def probe_overlaps(corpus: Corpus) -> list[Overlap]:
    """Probe texts that share shingles with training texts, largest share first."""
    texts = [Passage(_probe_id(probe), text) for probe in _all_probes(corpus) for text in probe_texts(probe)]
    return overlaps(texts, _passages(corpus.train) + _histories(corpus.train))


def probe_sentences_in_train(corpus: Corpus) -> set[str]:
    """Sentences of probes, of four words or more, that occur in training text."""
    trained = {sentence for text in _turns(corpus.train) for sentence in sentences(text)}
    probed = {s for probe in _all_probes(corpus) for text in probe_texts(probe) for s in sentences(text)}
    return {sentence for sentence in probed & trained if len(sentence.split()) >= SENTENCE_WORDS}


def _pair(row: Example) -> str | None:
    pair = row.extra.get("pair")
    return None if pair is None else str(pair)


def _passages(rows: Rows) -> list[Passage]:
    return [Passage(f"{row.id} {what}", getattr(row, what)) for row in rows for what in ("input", "output")]


def _histories(rows: Rows) -> list[Passage]:
    return [Passage(f"{row.id} context", turn.content) for row in rows for turn in row.context]


def _turns(rows: Rows) -> Iterable[str]:
    return (text for row in rows for text in (row.input, row.output, *(turn.content for turn in row.context)))


def _all_probes(corpus: Corpus) -> list[Probe]:
    return [probe for probes in corpus.probes.values() for probe in probes]


def _probe_id(probe: Probe) -> str:
    return str(probe.get("id", "?"))


# Tables


def tables(corpus: Corpus, lexicon: Lexicon) -> list[Table]:
    """Every table of the data card."""
    return [
        type_table(corpus, lexicon),
        content_table(corpus, lexicon),
        turn_table(corpus),
        harm_table(corpus),
        length_table(corpus),
        check_table(corpus, lexicon),
        *([probe_table(corpus)] if corpus.probes else []),
    ]


def type_table(corpus: Corpus, lexicon: Lexicon) -> Table:
    """Rows and marked share by type and side."""
    sides = corpus.by_side()
    header = ["type", *sides, *(f"marked, {side}" for side in sides)]

    def line(name: str, choose: Callable[[Rows], Rows]) -> list[str]:
        chosen = [choose(rows) for rows in sides.values()]
        return [name, *(str(len(rows)) for rows in chosen), *(_share(marked(rows, lexicon), rows) for rows in chosen)]

    kinds = [name for name in TYPES if of_type(corpus.rows, name)]
    body = [line(name, lambda rows, name=name: of_type(rows, name)) for name in kinds]  # type: ignore[misc]
    return Table("Rows by type, and the share whose user text is marked", header, [*body, line("all", lambda rows: rows)])


def content_table(corpus: Corpus, lexicon: Lexicon) -> Table:
    """What the rows hold, by side."""
    measures: dict[str, Callable[[Rows], int]] = {
        "conversations": lambda rows: len({row.conversation for row in rows}),
        "people": lambda rows: len({row.extra["user"] for row in rows if "user" in row.extra}),
        "complete minimal pairs": lambda rows: len(complete_pairs(rows, lexicon)),
        "rows with context": lambda rows: len(with_context(rows)),
        "rows that speak of an earlier session": lambda rows: len(tagged(rows, "earlier_session")),
        "rows asked for a memory that does not exist": lambda rows: len(tagged(rows, "no_such_memory")),
        "rows that use intimacy as a lever": lambda rows: len(tagged(rows, "intimacy_lever")),
        "kinds of harm refused": lambda rows: len(harms(rows)),
    }
    body = [[name, *(str(measure(rows)) for rows in corpus.by_side().values())] for name, measure in measures.items()]
    return Table("Content", ["", *corpus.by_side()], body)


def turn_table(corpus: Corpus) -> Table:
    """Rows by their place in the conversation, and conversations by their number of exchanges."""
    sides = corpus.by_side()
    places = [Counter(turn_number(row) for row in rows) for rows in sides.values()]
    lengths = [Counter(conversation_turns(rows).values()) for rows in sides.values()]
    last = max(places[-1], default=0)
    body = [[str(n), *(str(c[n]) for c in places), *(str(c[n]) for c in lengths)] for n in range(1, last + 1)]
    header = ["exchanges", *(f"rows, {side}" for side in sides), *(f"conversations, {side}" for side in sides)]
    return Table("Rows at the n-th exchange of a conversation, and conversations of n exchanges", header, body)


def harm_table(corpus: Corpus) -> Table:
    """Rows by kind of harm and side."""
    counts = [harms(rows) for rows in corpus.by_side().values()]
    body = [[kind.replace("_", " "), *(str(c[kind]) for c in counts)] for kind in sorted(counts[-1])]
    return Table("Refused requests by kind of harm (a row may name two)", ["harm", *corpus.by_side()], body)


def length_table(corpus: Corpus) -> Table:
    """Lengths of user texts and replies in words."""
    body = []
    for name, what in (("user text", "input"), ("reply", "output")):
        lengths = [len(getattr(row, what).split()) for row in corpus.rows]
        body.append([name, str(min(lengths)), f"{median(lengths):g}", f"{mean(lengths):.1f}", str(max(lengths))])
    return Table("Length in words", ["", "least", "median", "mean", "most"], body)


def check_table(corpus: Corpus, lexicon: Lexicon) -> Table:
    """What must be small, or nothing."""
    rows = corpus.rows
    addressed = marked(rows, lexicon)
    unaddressed = [row for row in rows if lexicon.strength(row.input) == 0]
    sides = (corpus.eval, corpus.train)
    replies, questions = ([[getattr(row, what) for row in side] for side in sides] for what in ("output", "input"))
    body = [
        ["largest overlap of two replies", _largest(output_overlaps(rows))],
        ["largest overlap of two user texts (twins apart)", _largest(input_overlaps(rows))],
        ["largest overlap of an eval text with a train text", _largest(side_overlaps(corpus))],
        ["8-grams of eval replies found in train replies", f"{coverage(*replies, COVERAGE_WORDS):.2%}"],
        ["8-grams of eval user texts found in train user texts", f"{coverage(*questions, COVERAGE_WORDS):.2%}"],
        ["conversations or pairs on both sides", str(len(shared_conversations(corpus)))],
        ["turns on both sides, word for word", str(len(shared_turns(corpus)))],
        ["rows whose has_presence disagrees with their text", str(len(presence_disagreements(rows, lexicon)))],
        ["marked rows with bond language in the reply", _share(bond_replies(addressed, lexicon), addressed)],
        ["unmarked rows with bond language in the reply", str(len(bond_replies(unaddressed, lexicon)))],
        ["rows that claim a memory without any history", str(len(false_memories(rows, lexicon)))],
        ["earlier-session replies that repeat nothing specific of it", str(len(unrecalled(rows)))],
        ["held-out phrases of the lexicon in replies", str(len(heldout_phrases(rows, lexicon)))],
    ]
    if corpus.probes:
        body.append(["largest overlap of a probe text with a train text", _largest(probe_overlaps(corpus))])
        body.append(["sentences of probes found in train", str(len(probe_sentences_in_train(corpus)))])
    return Table("Checks (overlap: shared 5-word shingles over those of the shorter text)", ["check", "value"], body)


def probe_table(corpus: Corpus) -> Table:
    """Probes by kind and file."""
    counts = {name: Counter(str(probe.get("kind")) for probe in probes) for name, probes in corpus.probes.items()}
    kinds = sorted({kind for count in counts.values() for kind in count})
    body = [[kind, *(str(count[kind]) for count in counts.values())] for kind in kinds]
    body.append(["all", *(str(sum(count.values())) for count in counts.values())])
    return Table("Probes by kind", ["kind", *(f"{name}.jsonl" for name in counts)], body)


def _share(part: Sequence[Any], whole: Sequence[Any]) -> str:
    return f"{len(part) / len(whole):.1%}" if whole else "-"


def _largest(found: Sequence[Overlap]) -> str:
    return f"{found[0].share:.1%}" if found else "0.0%"


def render(found: Sequence[Table]) -> str:
    """Tables as Markdown with aligned columns, readable in a terminal and in the data card."""
    return "\n\n".join(f"### {table.title}\n\n{_render_body(table)}" for table in found) + "\n"


def _render_body(table: Table) -> str:
    lines = [list(table.header), *map(list, table.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.header))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    cells = [[line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in (lines[0], rule, *lines[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def main(arguments: Sequence[str]) -> int:
    """Print the audit of a folder; 2 where the folder cannot be audited."""
    try:
        if len(arguments) > 1:
            raise UserError(f"Give one folder at most, found {len(arguments)}: {' '.join(arguments)}.")
        corpus = load(Path(arguments[0]) if arguments else DEFAULT_DIRECTORY)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(render(tables(corpus, Lexicon())), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
