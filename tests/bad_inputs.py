"""All malformed corpora, bad configurations and hostile files of the tests, with the exact message that each gets.

python tests/bad_inputs.py > docs/bad-input.md      writes the page; a test compares it with the program's messages
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict

from bad_configs import CONFIGS
from bad_corpora import CORPORA
from hostile import HOSTILE
from typing_in import Case, NothingHeavy, Said, Typist

CASES = {"corpora": CORPORA, "configs": CONFIGS, "hostile": HOSTILE}
"""By kind."""
HEAD = """# What is said of bad input

Each of these is typed by the tests, and must be answered by one paragraph that names the place and the remedy, with
exit code 2, before anything heavy is imported, and with nothing left behind. The page is written by

    python tests/bad_inputs.py > docs/bad-input.md

and a test compares it with what the program says today (`tests/test_bad_inputs.py`; words in parentheses are a
library's, and differ between its versions). `DIR` is the folder where the command is typed.
"""
TITLES = {
    "corpora": "Malformed corpora and probes",
    "configs": "Bad configurations",
    "hostile": "Hostile files\n\nEach would make a file named `canary`, or read or write outside of its folder, if "
    "something in it were run, followed or believed. Nothing does.",
}


def answers(kinds: Iterable[str] = CASES) -> dict[str, list[Said]]:
    """Return the program's answer to every case, with the commands run in this process."""
    sys.meta_path.insert(0, NothingHeavy())
    typist = Typist()
    return {kind: [typist.type_in(case) for case in CASES[kind]] for kind in kinds}


def page(said: dict[str, list[Said]]) -> str:
    """Return the documentation page."""
    parts = [HEAD]
    for kind, cases in CASES.items():
        parts.append(f"## {TITLES[kind]}\n\n| what somebody did | typed, and what stands there | what is said |")
        rows = [row(case, answer) for case, answer in zip(cases, said[kind], strict=True)]
        parts.append("\n".join(["|---|---|---|", *rows, ""]))
    return "\n".join(parts)


def row(case: Case, said: Said) -> str:
    """Render a case as a table row."""
    typed = " ".join(part if part.strip() == part and " " not in part else f"'{part}'" for part in case.command)
    there = [code(typed), *([code(case.shown)] if case.shown else [])]
    answer = said.paragraph.removeprefix("Error: ") or "(passed over)"
    return f"| {case.name} | {'<br>'.join(there)} | {escaped(answer)} |"


def code(text: str) -> str:
    """Format text as code, on one line of a table."""
    shown = re.sub(r"[\x00-\x1f\x7f]", lambda found: repr(found.group())[1:-1], text.rstrip("\n"))
    shown = shown if len(shown) <= 120 else f"{shown[:116]} ..."
    return f"<code>{escaped(shown)}</code>"


def escaped(text: str) -> str:
    """Escape text so that it starts no markup."""
    for character, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "&#124;"), ("*", "&#42;")):
        text = text.replace(character, written)
    return re.sub(r"([_`\[\]])", r"\\\1", text) if "<code>" not in text else text


if __name__ == "__main__":
    if sys.argv[1:] == ["--json"]:  # for the tests, which run this in a process without torch
        print(json.dumps({kind: [asdict(each) for each in found] for kind, found in answers().items()}))
    else:
        print(page(answers()), end="")
