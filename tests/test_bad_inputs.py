"""Every mistake in the tables is answered at once by one paragraph with place and remedy, and leaves no files."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bad_inputs import CASES, page
from typing_in import Case, Said, faults, type_as_process

ROOT = Path(__file__).parents[1]
TABLES = [(kind, number) for kind, cases in CASES.items() for number in range(len(cases))]
AT_LEAST = {"corpora": 60, "configs": 60, "hostile": 40}
AS_PROCESSES = {
    "corpora": ("single quotes", "rows split at random"),
    "configs": ("a slip in a key", "a tab", "where a run is"),
    "hostile": ("an adapter: a pickle under another name", "an experiment: a callback of Hydra"),
}


def case_of(table: tuple[str, int]) -> Case:
    return CASES[table[0]][table[1]]


@pytest.fixture(scope="module")
def said() -> dict[str, list[Said]]:
    """The program's answer to every case, run in one process without torch."""
    script = [sys.executable, str(ROOT / "tests" / "bad_inputs.py"), "--json"]
    done = subprocess.run(script, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return {kind: [Said(**each | {"left": tuple(each["left"])}) for each in told] for kind, told in found.items()}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: f"{table[0]}: {case_of(table).name}")
def test_a_mistake_is_told_with_place_and_remedy(table: tuple[str, int], said: dict[str, list[Said]]) -> None:
    case, answer = case_of(table), said[table[0]][table[1]]
    assert faults(case, answer) == [], answer.paragraph[-2000:]


def test_there_are_as_many_as_were_promised_and_none_twice() -> None:
    for kind, least in AT_LEAST.items():
        assert len(CASES[kind]) >= least
        assert len({(case.name, case.command, case.shown) for case in CASES[kind]}) == len(CASES[kind])
        assert all(case.words or case.passed_over for case in CASES[kind])


def test_the_counts_in_the_documentation_are_those_of_the_tables() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    for kind, what in (("corpora", "probe files"), ("configs", "run directories"), ("hostile", "hostile files")):
        assert f"{what} ({len(CASES[kind])})" in text


def test_the_page_says_what_the_program_says_today(said: dict[str, list[Said]]) -> None:
    """Except for what is in parentheses: a library's own words, which differ between its versions."""
    written = (ROOT / "docs" / "bad-input.md").read_text(encoding="utf-8")
    today = page(said)
    theirs = re.compile(r"\([^()]*\)")
    assert theirs.sub("()", written) == theirs.sub("()", today), "python tests/bad_inputs.py > docs/bad-input.md"


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[] if case.name in AS_PROCESSES[kind] else pytest.mark.long, id=f"{kind}: {case.name}")
        for kind, cases in CASES.items()
        for case in cases
    ],
)
def test_typed_as_a_process_it_is_told_as_well(case: Case) -> None:
    answer = type_as_process(case)
    assert faults(case, answer) == [], answer.paragraph[-2000:]


# --- what the tests would miss --------------------------------------------------------------------------------------

GOOD = Said(2, "", "Error: own.jsonl, line 3: no. Remove it.\n")
CASE = Case("x", ("train.py",), ("own.jsonl, line 3", "Remove it"))


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (Said(1, "", GOOD.err), "exit code 1"),
        (Said(0, "", ""), "exit code 0"),
        (Said(-1, "", "Traceback (most recent call last):"), "a traceback"),
        (Said(2, "", "own.jsonl, line 3: Remove it"), "does not begin with Error:"),
        (Said(2, "", "Error: own.jsonl, line 3\n\nRemove it"), "is more than a paragraph"),
        (Said(2, "", "Error: own.jsonl: Remove it"), "does not say 'own.jsonl, line 3'"),
        (Said(2, "", "Error: own.jsonl, line 3: no."), "does not say 'Remove it'"),
        (Said(2, "", GOOD.err, ("here/canary",)), "leaves here/canary"),
        (Said(-1, "", "", heavy=True), "went on to import what is heavy"),
        (Said(2, "", f"{GOOD.err}\x1b[2J"), "commands the terminal"),
    ],
)
def test_a_bad_answer_would_be_seen(answer: Said, fault: str) -> None:
    assert fault in faults(CASE, answer)
    assert faults(CASE, GOOD) == []


def test_what_a_case_writes_would_be_seen(tmp_path: Path) -> None:
    wrong = Case("x", ("evaluate.py", "run=nowhere"), ("nowhere",))
    assert faults(wrong, type_as_process(wrong)) == []
    listed = type_as_process(Case("x", ("train.py", "--help"), ()))
    assert listed.code == 0 and listed.left == () and not listed.heavy
