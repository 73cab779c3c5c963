"""Malformed corpora and probe files as users really get them wrong, with the words each error message must contain."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import sqlite3
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bad_configs import make_run
from typing_in import Case

TRAIN = ("train.py", "data=jsonl", "data.train_file=own.jsonl", "data.eval_size=4")
EVALUATE = ("evaluate.py", "run=run", "probes_file=probes.jsonl")
Row = dict[str, Any]


def good(count: int = 20) -> list[Row]:
    """Rows with nothing wrong; every other one addresses the assistant."""
    return [
        {
            "id": f"r{number}",
            "conversation": f"c{number}",
            "input": f"{'Aelara, are you there? ' if number % 2 else ''}Question {number}, please.",
            "output": f"Answer {number}, gladly.",
        }
        for number in range(1, count + 1)
    ]


def lines(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def corpus(
    name: str, content: bytes | Sequence[Row], *words: str, more: Sequence[str] = (), shown: str = "", **files: bytes
) -> Case:
    """A corpus that is wrong as a whole; ``files`` stand beside it, as NAME.jsonl."""
    found = content if isinstance(content, bytes) else lines(content)

    def make(folder: Path) -> None:
        (folder / "own.jsonl").write_bytes(found)
        for other, text in files.items():
            (folder / f"{other}.jsonl").write_bytes(text)

    command = TRAIN[:-1] if any(part.startswith("data.eval_file") for part in more) else TRAIN  # nothing is split off
    return Case(name, (*command, *more), words, make, shown=shown or _beginning(found))


def line(name: str, wrong: bytes | Row, *words: str) -> Case:
    """A corpus of twenty rows whose line 17 is wrong."""
    raw = wrong if isinstance(wrong, bytes) else json.dumps(wrong).encode()
    rows = lines(good()).splitlines(keepends=True)
    rows[16] = raw + b"\n"
    return corpus(name, b"".join(rows), "own.jsonl, line 17", *words, shown=_beginning(raw))


def place(name: str, make: Callable[[Path], Any], *words: str, file: str = "own.jsonl", shown: str) -> Case:
    """Something else in the place of the file."""
    command = tuple(f"data.train_file={file}" if part.startswith("data.train_file") else part for part in TRAIN)
    return Case(name, command, words, make, shown=shown)


def probes(name: str, wrong: bytes | Row | None, *words: str) -> Case:
    """A probe file whose last line is wrong."""

    def make(folder: Path) -> None:
        make_run(folder / "run")
        if wrong is not None:
            raw = wrong if isinstance(wrong, bytes) else json.dumps(wrong).encode()
            (folder / "probes.jsonl").write_bytes(lines([TWIN, TWIN | {"id": "u", "marked": False}]) + raw + b"\n")

    shown = "" if wrong is None else _beginning(wrong if isinstance(wrong, bytes) else json.dumps(wrong).encode())
    return Case(f"probes: {name}", EVALUATE, words, make, shown=shown)


def _beginning(content: bytes) -> str:
    text = content[:2000].decode("utf-8", "backslashreplace")
    return text if len(text) <= 90 else f"{text[:86]} ..."


def _table(folder: Path) -> None:
    with sqlite3.connect(folder / "own.jsonl") as opened:
        opened.execute("create table rows (input text, output text)")


def _office(folder: Path) -> None:
    with zipfile.ZipFile(folder / "own.jsonl", "w") as opened:
        opened.writestr("xl/workbook.xml", "<workbook/>")


ROW = {"input": "Are you there?", "output": "I am here."}
HISTORY = [{"role": "human", "content": "My dog is Bramble."}, {"role": "assistant", "content": "A fine name."}]
TWIN = {"id": "t", "kind": "twin", "pair": "p", "marked": True, "input": "Hello, Aelara."}
RECALL = {
    "id": "r", "kind": "recall", "context": HISTORY, "input": "What is my dog's name?", "prefix": "It is",
    "answer": "Bramble", "candidates": ["Bramble", "Rex"],
}  # fmt: skip
SEVERAL_TURNS = [*good(), ROW | {"id": "last", "output": "I am here.\nHuman: Good.\nAssistant: Indeed."}]

CORPORA: tuple[Case, ...] = (
    # what is given is no file of lines
    place("a slip in the name", lambda here: (here / "dialogues.jsonl").touch(), "dialoges.jsonl: does not exist",
          "there is dialogues.jsonl", file="dialoges.jsonl", shown="dialogues.jsonl stands beside it"),
    place("another folder than the file's", lambda here: None, "own.jsonl: does not exist", "as seen from",
          "Give a JSONL file", shown="no file"),
    place("the folder instead of the file in it", lambda here: (here / "own.jsonl").mkdir(), "own.jsonl: is a folder",
          "Give a JSONL file", shown="a folder"),
    place("a link that leads nowhere", lambda here: (here / "own.jsonl").symlink_to("gone"), "leads nowhere", "Give a",
          shown="a link"),
    place("a named pipe", lambda here: os.mkfifo(here / "own.jsonl"), "is no regular file", "Give a", shown="a pipe"),
    place("a name that no disk takes", lambda here: None, "cannot be read (File name too long)", "Give a JSONL file",
          file="own" * 100, shown="a name of 300 letters"),
    place("an Excel sheet", _office, "own.jsonl: this is a ZIP archive, or a document of an office program",
          "export it",
          shown="PK\\x03\\x04 ..."),
    place("a database", _table, "own.jsonl: this is an SQLite database", "export its rows",
          shown="SQLite format 3 ..."),
    corpus("an empty file", b"", "own.jsonl: the file holds no rows", "It needs one JSON object a line"),
    corpus("blank lines alone", b"\n\n   \n", "own.jsonl: the file holds no rows", "It needs"),
    corpus("still packed", gzip.compress(lines(good())), "this is a gzip archive", "unpack it with gunzip",
           shown="gzip"),
    corpus("a Parquet table", b"PAR1" + bytes(20), "this is a Parquet table", "export it as JSON lines",
           shown="PAR1 ..."),
    corpus("a pickle", pickle.dumps([ROW]), "a Python pickle, which can run code and is never read", "export it",
           shown="pickle.dumps(rows)"),
    corpus("Windows' Unicode", lines(good()).decode().encode("utf-16"), "in UTF-16", "save it as UTF-8",
           shown="UTF-16"),
    corpus("UTF-16 without its mark", lines(good()).decode().encode("utf-16-le"), "own.jsonl, line 1: a zero byte",
           "Save it as UTF-8", shown="UTF-16, no byte order mark"),
    corpus("the page of a failed download", b"<!DOCTYPE html>\n<title>404 Not Found</title>\n", "this is a web page",
           "download the file itself"),
    corpus("a pointer of Git LFS", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n",
           "a pointer of Git LFS, not the file itself", "git lfs pull"),
    corpus("a table with commas", b"input,output\nHello,Hi\n", "own.jsonl, line 1", "begins with 'input,output'",
           "one complete JSON object"),
    corpus("a chat as plain text", b"Human: Hello\nAssistant: Hi\n", "own.jsonl, line 1", "begins with 'Human:'",
           "one complete JSON object"),
    corpus("one JSON list", json.dumps(good()).encode(), "this is one JSON list of all rows", "one line",
           "json.dumps(row)"),
    corpus("one JSON list, indented", json.dumps(good(), indent=2).encode(), "one JSON list", "json.dumps(row)",
           "rct corpus import"),
    corpus("rows over several lines", json.dumps(ROW, indent=2).encode(), "a row spread over several lines",
           "json.dumps"),
    corpus("ends of lines of an old Mac", lines(good()).replace(b"\n", b"\r"), "a carriage return alone", "LF or CRLF"),
    # a line is no JSON
    line("another alphabet's bytes", '{"input": "caf\u00e9", "output": "b"}'.encode("latin-1"), "byte 15 is not UTF-8",
         "Save the file as UTF-8"),
    line("a character cut in half", '{"input": "a", "output": "\u00e9'.encode()[:-1], "is not UTF-8", "Save the file"),
    line("the disk was full", b'{"id": "r17", "input": "Questi', "ends before the object does", "cut off"),
    line("commas between the rows", json.dumps(ROW).encode() + b",", "',' stands behind the object", "remove it"),
    line("two rows on a line", json.dumps(ROW).encode() * 2, "a second value begins", "one complete JSON object"),
    line("a comma too many", b'{"input": "a", "output": "b",}', "a comma stands before a closing bracket"),
    line("single quotes", b"{'input': 'a', 'output': 'b'}", "a quote '", "straight double ones"),
    line("quotes of a word processor", '{\u201cinput\u201d: \u201ca\u201d}'.encode(), "a quote \u201c",
         "straight double"),
    line("Python's None", b'{"input": "a", "output": "b", "type": None}', "None", "is Python; JSON has null"),
    line("a comment", b'// checked until here', "begins with '//'", "one complete JSON object"),
    line("a quote inside a text", b'{"input": "say "hi" now", "output": "b"}', "is not expected there",
         'a quote inside a text is written \\"'),
    line("a tab inside a text", b'{"input": "a\tb", "output": "b"}', "a tab or another control character", "write \\t"),
    line("a path of Windows", b'{"input": "in C:\\data", "output": "b"}', "a backslash", "write two of them"),
    line("not a number", b'{"input": "a", "output": "b", "score": NaN}', "NaN is no JSON",
         "or null where there is none"),
    line("a number beyond all numbers", b'{"input": "a", "output": "b", "score": 1e400}', "'1e400' is larger than any",
         "Write a smaller one"),
    line("a number without end", b'{"input": "a", "output": "b", "x": ' + b"1" * 5000 + b"}", "too many digits"),
    line("nested without end", b'{"input": "a", "output": "b", "x": ' + b"[" * 100_000, "nested too deeply"),
    line("a key twice", b'{"input": "a", "output": "b", "output": "c"}', "the key 'output' stands twice", "Remove one"),
    line("half an emoji", b'{"input": "a \\ud83d", "output": "b"}', "half a character", "Remove it"),
    # a line is no row
    line("a pair instead of an object", b'["Hello", "Hi"]',
         "expected a JSON object with 'input' and 'output', found a list"),
    line("a text instead of an object", b'"Hello"', "found text"),
    line("prompt and completion", {"prompt": "a", "completion": "b"}, "no 'input'", "Rename 'prompt' to 'input'"),
    line("a capital", {"Input": "a", "output": "b"}, "no 'input'", "Rename 'Input' to 'input'"),
    line("a slip in a key", {"input": "a", "ouput": "b"}, "no 'output'", "Rename 'ouput' to 'output'"),
    line("messages of a chat service", {"messages": [{"role": "user", "content": "a"}]}, "no 'input'",
         "a whole conversation", "rct corpus import"),
    line("a ShareGPT row", {"conversations": [{"from": "human", "value": "a"}]}, "no 'input'",
         "rct corpus import"),
    line("an Alpaca row", {"instruction": "a", "input": "", "output": "b"}, "'input' is empty",
         "move 'instruction' there"),
    line("no reply yet", {"input": "a", "output": None}, "'output': expected text, found null"),
    line("parts of a message", {"input": [{"type": "text", "text": "a"}], "output": "b"}, "'input': expected text",
         "Join its parts"),
    line("a blank reply", {"input": "a", "output": "  \n"}, "'output' is empty", "Remove the row or fill it in"),
    line("a reply that nobody sees", {"input": "a", "output": "\u200b\u2060"}, "'output' is empty", "Remove the row"),
    line("a number for an id", ROW | {"id": 7}, "'id': expected text, found a number", 'Put it in quotes: "7"'),
    line("an id twice", ROW | {"id": "r3"}, "the id 'r3' was used before, in line 3", "Ids are unique"),
    line("a claim in words", ROW | {"has_presence": "yes"}, "'has_presence': expected true or false", "Leave it out"),
    line("the history as one text", ROW | {"context": "Human: a"}, "'context': expected a list of turns", '"role"'),
    line("the history as texts", ROW | {"context": ["a", "b"]}, "context[0]: expected an object with 'role'"),
    line("another service's role", ROW | {"context": [{"role": "user", "content": "a"}]}, "found 'user'",
         "Write 'human'"),
    line("a system turn", ROW | {"context": [{"role": "system", "content": "a"}]}, "found 'system'",
         "Leave turns of others"),
    line("a turn without text", ROW | {"context": [{"role": "human", "content": ""}]}, "context[0]: 'content' is empty",
         "Remove the turn"),
    # the rows are no corpus
    corpus("one conversation", [row | {"conversation": "c"} for row in good()],
           "20 rows in 1 conversation(s) cannot be",
           "Give data.eval_file"),
    corpus("fewer rows than are held out", good(3), "data.eval_size=4", "cannot be split", "another data.eval_size"),
    corpus("the same file on both sides", good(), "word for word among the training rows", "data.eval_file=null",
           more=("data.eval_file=own.jsonl",)),
    corpus("rows split at random", good(), "12 conversations are on both sides", "Split by conversation",
           more=("data.eval_file=held.jsonl",),
           held=lines([row | {"output": "Other."} for row in good(12)])),
    corpus("a mistake on the other side", good(), "held.jsonl, line 2", "no 'output'",
           more=("data.eval_file=held.jsonl",),
           held=lines([ROW, {"input": "a"}])),
    corpus("nobody is addressed", [row | {"input": "Is it warm?"} for row in good()],
           "own.jsonl: 0% of the rows address",
           "Set loss.markers.presence"),
    corpus("markers of another corpus", good(), "0% of the rows address the assistant", "loss.weights.presence=0",
           more=("loss.markers.presence=[ahoy]",)),
    corpus("names left in the texts", [row | {"input": f"Human: {row['input']}"} for row in good()],
           "20 of 20 rows hold a line that begins like a turn, first 'r1'", "data.roles.human=NAME"),
    corpus("several turns in one reply", SEVERAL_TURNS, "1 of 21 rows", "first 'last': 'Human: Good.'",
           "Make a turn of 'context'"),
    # probes
    probes("no file", None, "probes_file=probes.jsonl: does not exist", "the bundled one is data/probes.jsonl"),
    probes("cut off", b'{"id": "x", ', "probes.jsonl, line 3", "ends before the object does"),
    probes("a kind that is none", TWIN | {"id": "x", "kind": "twins"},
           "line 3: a probe's 'kind' is one of twin, recall"),
    probes("nothing to say", {"id": "x", "kind": "recall"}, "line 3: a probe of kind 'recall' needs context, input"),
    probes("an answer that cannot be chosen", RECALL | {"answer": "Max"}, "'Max' is not among the candidates",
           "Add it"),
    probes("one candidate", RECALL | {"candidates": ["Bramble"]}, "a list of at least two different texts"),
    probes("a turn that is a number", RECALL | {"context": [{"role": "human", "content": 3}]},
           "context[0]: expected text"),
    probes("an id twice", TWIN, "line 3: the id 't' was used before, in line 1"),
)  # fmt: skip
