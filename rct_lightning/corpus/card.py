"""Every number of the data card, recomputed: ``python -m rct_lightning.corpus.card [DIR]``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, median

from rct_lightning.corpus import measures as measure
from rct_lightning.corpus.measures import Corpus, Probe, Rows
from rct_lightning.corpus.near import coverage
from rct_lightning.corpus.overlap import Overlap
from rct_lightning.corpus.tables import render, share
from rct_lightning.dialogue import TYPES, read_jsonl, read_rows
from rct_lightning.errors import UserError
from rct_lightning.markers import Lexicon
from rct_lightning.page import Table

DEFAULT_DIRECTORY = Path("data/relational")
PROBE_FILES = ("probes", "probes_dev")
COVERAGE_WORDS = 8


def load(directory: Path) -> Corpus:
    """Read train.jsonl and eval.jsonl of a folder, and the probes beside the folder if they are there.

    Raises:
        UserError: A file is missing or holds a line that is not valid.
    """
    if not directory.is_dir():
        raise UserError(f"{directory}: no such folder. Give a folder that holds train.jsonl and eval.jsonl.")
    train, held_out = (read_jsonl(directory / f"{side}.jsonl") for side in ("train", "eval"))
    files = {name: directory.parent / f"{name}.jsonl" for name in PROBE_FILES}
    return Corpus(train, held_out, {name: read_probes(path) for name, path in files.items() if path.is_file()})


def read_probes(path: Path) -> list[Probe]:
    """Read a file of probes, one JSON object per line.

    Raises:
        UserError: The file cannot be read, or a line is not a JSON object.
    """
    probes: list[Probe] = []
    for _, place, probe in read_rows(path, "a file with one probe a line"):
        if not isinstance(probe, dict):
            raise UserError(f"{place}: expected a JSON object, one probe a line.")
        probes.append(probe)
    return probes


def tables(corpus: Corpus, lexicon: Lexicon) -> list[Table]:
    """Return all tables of the data card."""
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
    """Return rows by type and side, and the share of them that is marked."""
    sides = corpus.by_side()
    kinds = [name for name in TYPES if measure.of_type(corpus.rows, name)]
    chosen = {name: [measure.of_type(rows, name) for rows in sides.values()] for name in kinds}
    chosen["all"] = [list(rows) for rows in sides.values()]
    body = []
    for name, columns in chosen.items():
        shares = [share(measure.marked(rows, lexicon), rows) for rows in columns]
        body.append([name, *(str(len(rows)) for rows in columns), *shares])
    header = ["type", *sides, *(f"marked, {side}" for side in sides)]
    return Table("Rows by type, and the share whose user text is marked", header, body)


def content_table(corpus: Corpus, lexicon: Lexicon) -> Table:
    """Return counts of what the rows contain, by side."""
    lines: dict[str, Callable[[Rows], int]] = {
        "conversations": lambda rows: len({row.conversation for row in rows}),
        "people": lambda rows: len({row.extra["user"] for row in rows if "user" in row.extra}),
        "complete minimal pairs": lambda rows: len(measure.complete_pairs(rows, lexicon)),
        "rows with context": lambda rows: len(measure.with_context(rows)),
        "rows that speak of an earlier session": lambda rows: len(measure.tagged(rows, "earlier_session")),
        "rows asked for a memory that does not exist": lambda rows: len(measure.tagged(rows, "no_such_memory")),
        "rows that use intimacy as a lever": lambda rows: len(measure.tagged(rows, "intimacy_lever")),
        "kinds of harm refused": lambda rows: len(measure.harms(rows)),
    }
    sides = corpus.by_side()
    body = [[name, *(str(count(rows)) for rows in sides.values())] for name, count in lines.items()]
    return Table("Content", ["", *sides], body)


def turn_table(corpus: Corpus) -> Table:
    """Return rows by their place in the conversation, and conversations by their number of exchanges."""
    sides = corpus.by_side()
    places = [Counter(measure.turn_number(row) for row in rows) for rows in sides.values()]
    lengths = [Counter(measure.conversation_turns(rows).values()) for rows in sides.values()]
    last = max(places[-1], default=0)
    body = [[str(n), *(str(count[n]) for count in (*places, *lengths))] for n in range(1, last + 1)]
    header = ["n", *(f"rows, {side}" for side in sides), *(f"conversations, {side}" for side in sides)]
    return Table("Rows at the n-th exchange of a conversation, and conversations of n exchanges", header, body)


def harm_table(corpus: Corpus) -> Table:
    """Return rows by kind of harm and side."""
    counts = [measure.harms(rows) for rows in corpus.by_side().values()]
    body = [[kind.replace("_", " "), *(str(count[kind]) for count in counts)] for kind in sorted(counts[-1])]
    return Table("Refused requests by kind of harm (a row may name two)", ["harm", *corpus.by_side()], body)


def length_table(corpus: Corpus) -> Table:
    """Return lengths of user texts and replies in words."""
    body = []
    for name, what in (("user text", "input"), ("reply", "output")):
        words = [len(getattr(row, what).split()) for row in corpus.rows]
        body.append([name, str(min(words)), f"{median(words):g}", f"{mean(words):.1f}", str(max(words))])
    return Table("Length in words", ["", "least", "median", "mean", "most"], body)


def check_table(corpus: Corpus, lexicon: Lexicon) -> Table:
    """Return the checks, whose values should be small or zero."""
    lines = {**_overlap_checks(corpus), **_row_checks(corpus.rows, lexicon)}
    if corpus.probes:
        lines["largest overlap of a probe text with a train text"] = _largest(measure.probe_overlaps(corpus))
        lines["sentences of probes found in train"] = str(len(measure.probe_sentences_in_train(corpus)))
    title = "Checks (overlap: shared 5-word shingles over those of the shorter text)"
    return Table(title, ["check", "value"], [[name, value] for name, value in lines.items()])


def _overlap_checks(corpus: Corpus) -> dict[str, str]:
    def covered(what: str) -> str:
        held_out, train = ([getattr(row, what) for row in rows] for rows in (corpus.eval, corpus.train))
        return f"{coverage(held_out, train, COVERAGE_WORDS):.2%}"

    return {
        "largest overlap of two replies": _largest(measure.output_overlaps(corpus.rows)),
        "largest overlap of two user texts (twins apart)": _largest(measure.input_overlaps(corpus.rows)),
        "largest overlap of an eval text with a train text": _largest(measure.side_overlaps(corpus)),
        "8-grams of eval replies found in train replies": covered("output"),
        "8-grams of eval user texts found in train user texts": covered("input"),
        "conversations or pairs on both sides": str(len(measure.shared_conversations(corpus))),
        "turns on both sides, word for word": str(len(measure.shared_turns(corpus))),
    }


def _row_checks(rows: Rows, lexicon: Lexicon) -> dict[str, str]:
    marked = measure.marked(rows, lexicon)
    unmarked = measure.unmarked(rows, lexicon)
    disagreeing = measure.presence_disagreements(rows, lexicon)
    return {
        "rows whose has_presence disagrees with their text": str(len(disagreeing)),
        "marked rows with bond language in the reply": share(measure.bond_replies(marked, lexicon), marked),
        "unmarked rows with bond language in the reply": str(len(measure.bond_replies(unmarked, lexicon))),
        "rows whose context is not the conversation so far": str(len(measure.broken_contexts(rows))),
        "rows that claim a memory without any history": str(len(measure.false_memories(rows, lexicon))),
        "earlier-session rows that repeat nothing specific of it": str(len(measure.unrecalled(rows))),
        "replies that name a person nobody has named": str(len(measure.unnamed_people(rows))),
        "replies that cite rules or claim to be human": str(len(measure.out_of_character(rows))),
        "held-out phrases of the lexicon in replies": str(len(measure.heldout_phrases(rows, lexicon))),
    }


def probe_table(corpus: Corpus) -> Table:
    """Return probes by kind and file."""
    counts = [Counter(str(probe.get("kind")) for probe in probes) for probes in corpus.probes.values()]
    kinds = sorted({kind for count in counts for kind in count})
    body = [[kind, *(str(count[kind]) for count in counts)] for kind in kinds]
    body.append(["all", *(str(count.total()) for count in counts)])
    return Table("Probes by kind", ["kind", *(f"{name}.jsonl" for name in corpus.probes)], body)


def _largest(found: Sequence[Overlap]) -> str:
    return f"{found[0].share:.1%}" if found else "0.0%"


def main(arguments: Sequence[str]) -> int:
    """Print the tables of a folder; return the exit status, 2 if the folder cannot be read."""
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
