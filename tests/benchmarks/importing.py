"""How long the import of a large export takes, and how much memory.

python tests/benchmarks/importing.py                 # 20,000 conversations of about 50 kB, Claude's in a zip archive
python tests/benchmarks/importing.py --size 500

Exports are made up and deleted afterwards; a temporary folder needs 2.5 times their size, about 2.5 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
EXCHANGES = 10
ASKED, ANSWERED = 500, 2800
"""Characters of a question and of an answer, for conversations of about 50 kB with their metadata."""
WORDS = (
    "the lamp stood by a window and rain fell on “old” roofs while somebody wrote to her brother about the café, "
    "naïve plans, twelve eggs; nobody slept. Why? Because the river rose again \U0001f642 and"
).split()
RUN = "import sys; from rct_lightning.cli import app; app(sys.argv[1:])"


def texts(seed: int) -> Callable[[int], str]:
    """Return a function that gives texts of a length, cut from one long text, so that making them is cheap."""
    draw = random.Random(seed)
    long = " ".join(draw.choice(WORDS) + draw.choice(["", "", "", "\n\n", "."]) for _ in range(200_000))

    def text(length: int) -> str:
        at = draw.randrange(len(long) - 2 * length)
        return long[at : at + draw.randrange(length // 2, length * 3 // 2)]

    return text


def chatgpt(number: int, text: Callable[[int], str]) -> dict[str, Any]:
    """A conversation with a hidden system message, a tool call, a citation and a rejected answer."""
    mapping: dict[str, Any] = {"root": {"id": "root", "message": None, "parent": None, "children": []}}
    last = "root"

    def add(role: str, content: dict[str, Any], step: bool = True, **fields: Any) -> None:
        nonlocal last
        key = f"{number:08d}-{len(mapping):04d}-4000-8000-000000000000"
        message = {
            "id": key,
            "author": {"role": role, "name": None, "metadata": {}},
            "create_time": 1.7e9 + number * 1000 + len(mapping),
            "update_time": None,
            "content": content,
            "status": "finished_successfully",
            "end_turn": True,
            "weight": 1.0,
            "metadata": {
                "model_slug": "m",
                "message_type": "next",
                "finish_details": {"type": "stop", "stop_tokens": [1]},
            },
            "recipient": "all",
        }
        mapping[key] = {"id": key, "message": message | fields, "parent": last, "children": []}
        mapping[last]["children"].append(key)
        last = key if step else last

    add("system", {"content_type": "text", "parts": [""]}, weight=0)
    for turn in range(EXCHANGES):
        add("user", {"content_type": "text", "parts": [text(ASKED)]})
        if turn == 3:
            add("assistant", {"content_type": "code", "text": "search()"}, recipient="web")
            add("tool", {"content_type": "tether_quote", "text": text(ASKED)})
        if turn == 5:
            add("assistant", {"content_type": "text", "parts": [text(ASKED)]}, step=False)
        cited = "\ue200cite\ue202turn0search1\ue201" if turn == 4 else ""
        add("assistant", {"content_type": "text", "parts": [text(ANSWERED) + cited]})
    return {"title": text(20), "create_time": 1.7e9, "mapping": mapping, "current_node": last, "id": f"chat-{number}"}


def claude(number: int, text: Callable[[int], str]) -> dict[str, Any]:
    """A conversation whose messages hold their text twice, as Claude's export does, and a block of thinking."""
    messages: list[dict[str, Any]] = []
    for turn in range(2 * EXCHANGES):
        said = text(ANSWERED * 2 // 3 if turn % 2 else ASKED // 2)
        blocks: list[dict[str, Any]] = [{"type": "text", "text": said, "citations": []}]
        if turn == 7:
            blocks.insert(0, {"type": "thinking", "thinking": text(ASKED)})
        messages.append(
            {
                "uuid": f"{number}-{turn}",
                "text": said,
                "content": blocks,
                "sender": ("human", "assistant")[turn % 2],
                "created_at": "2026-01-01T00:00:00.000000Z",
                "parent_message_uuid": f"{number}-{turn - 1}" if turn else "00000000-0000-4000-8000-000000000000",
                "attachments": [],
                "files": [],
            }
        )
    return {"uuid": f"talk-{number}", "name": text(20), "created_at": "2026-01-01T00:00:00Z", "chat_messages": messages}


def pieces(make: Callable[..., dict[str, Any]], size: int, plain: bool) -> Iterator[bytes]:
    """Yield a list of conversations as bytes of JSON."""
    text = texts(size)
    for number in range(size):
        yield (b"[" if number == 0 else b", ") + json.dumps(make(number, text), ensure_ascii=plain).encode()
    yield b"]"


def build(path: Path, make: Callable[..., dict[str, Any]], size: int, plain: bool) -> int:
    """Write an export; return its unpacked size in bytes."""

    def write(file: IO[bytes]) -> int:
        return sum(file.write(piece) for piece in pieces(make, size, plain))

    if path.suffix != ".zip":
        with path.open("wb") as file:
            return write(file)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("conversations.json", "w", force_zip64=True) as entry:
            return write(entry)


def measured(path: Path, out: Path) -> tuple[float, float, float]:
    """Return seconds, CPU seconds and peak MiB of an import in a separate process."""
    start = time.perf_counter()
    command = [sys.executable, "-c", RUN, "corpus", "import", str(path), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(f"the import of {path.name} failed")
    peak = used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return seconds, used.ru_utime + used.ru_stime, peak


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=20_000, help="conversations of each export")
    size = parser.parse_args().size
    print("| export | MB | conversations | rows | seconds | CPU seconds | peak MiB |\n|---|---|---|---|---|---|---|")
    exports = [("chatgpt.json", chatgpt, True), ("claude.zip", claude, False)]
    for name, make, plain in exports:
        with tempfile.TemporaryDirectory() as folder:
            path, out = Path(folder) / name, Path(folder) / "out"
            megabytes = build(path, make, size, plain) / 1e6
            seconds, cpu, peak = measured(path, out)
            account = json.loads((out / "import.json").read_text())
        counts = f"{account['conversations']:,} | {account['rows']:,}"
        print(f"| {name} | {megabytes:,.0f} | {counts} | {seconds:.0f} | {cpu:.0f} | {peak:.0f} |", flush=True)


if __name__ == "__main__":
    main()
