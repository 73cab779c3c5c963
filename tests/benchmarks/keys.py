"""How long a key of the chat takes, from the press to the bytes that draw it, while a model loads and while it speaks.

    python tests/benchmarks/keys.py RUN

types into a real terminal (a pty of 100 x 30) and prints a table. The model is a script of 25 tokens a second, then the
run's own in its process, then the same in a thread of the chat's process, which is what the chat does not do.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from itertools import count, cycle
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
LETTERS = (chr(0x100 + number) for number in count())  # each used once, so that its drawing is unmistakable
PROSE = "The lantern hung at **the window** all winter, and nobody took it in. " * 4
LIST = "\n\n- The kettle, as *you* left it\n- A coat\n- The boat, with both oars\n- Two letters\n\n"
TEXT = [word + " " for word in (PROSE + LIST).split(" ")]
PAUSE = 0.11  # seconds between keys, on average
KEYS = 60
QUESTION = "Tell me everything about the lantern."


class Slow:
    """Says 25 tokens per second, without end."""

    def start(self, tell: Any) -> None:
        from chat_stub import MODEL

        self.tell, self.stopping = tell, threading.Event()
        tell(MODEL)

    def ask(self, question: Any) -> None:
        threading.Thread(target=self._say, daemon=True).start()

    def _say(self) -> None:
        from rct_lightning.tui.chat.speaker import Done, Ended, Said

        for piece in cycle(TEXT):
            time.sleep(0.04)
            self.tell(Said("tuned", piece))
            if self.stopping.is_set():
                break
        self.tell(Ended("tuned", "stopped", 0, 0, None))
        self.tell(Done())

    def stop(self) -> None:
        self.stopping.set()

    def close(self) -> None: ...


class InThread(Slow):
    """A run's model in a thread of the chat's own process."""

    def __init__(self, run: str) -> None:
        self.run = run

    def start(self, tell: Any) -> None:
        self.tell, self.stopping = tell, threading.Event()
        threading.Thread(target=self._load, daemon=True).start()

    def _load(self) -> None:
        from rct_lightning.tui.chat.serving import load

        self.trained, loaded = load(self.run)
        self.tell(loaded)

    def ask(self, question: Any) -> None:
        threading.Thread(target=self._answer, args=(question,), daemon=True).start()

    def _answer(self, question: Any) -> None:
        from rct_lightning.tui.chat.serving import answer
        from rct_lightning.tui.chat.speaker import Done

        for event in answer(self.trained, question, self.stopping.is_set):
            self.tell(event)
        self.tell(Done())


def show(speaker: str, run: str, told: Path) -> None:
    """Run the chat in the pty; write what its speaker reports, and when, to a file."""
    start = time.monotonic()
    from chat_stub import fixed_session

    from rct_lightning.tui.chat.app import ChatApp
    from rct_lightning.tui.chat.settings import Settings
    from rct_lightning.tui.chat.speaker import ProcessSpeaker

    chosen: Any = {"script": Slow, "process": lambda: ProcessSpeaker(run), "thread": lambda: InThread(run)}[speaker]()
    with told.open("a", buffering=1) as file:

        def note(what: str) -> None:
            file.write(json.dumps([time.monotonic(), what]) + "\n")

        start_speaker, stop_speaker = chosen.start, chosen.stop
        chosen.start = lambda tell: start_speaker(lambda event: (note(type(event).__name__), tell(event)))
        chosen.stop = lambda: (note("stop"), stop_speaker())
        file.write(json.dumps([start, "imports"]) + "\n")
        note("app")
        settings = Settings(temperature=1.5, max_tokens=900, seed=5)  # hot, so that the reply does not end
        ChatApp(chosen, fixed_session(settings=settings)).run()


class Terminal:
    """The chat in a pty."""

    def __init__(self, speaker: str, run: str, told: Path) -> None:
        self.told, (self.master, slave) = told, pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        environment = os.environ | {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, __file__, run, "--show", speaker, "--told", str(told)],
            stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.seen = b""

    def wait(self, text: str, seconds: float = 120) -> float:
        """Wait until a text is drawn; return the time."""
        wanted, end = text.encode(), time.monotonic() + seconds
        while wanted not in self.seen:
            if not select.select([self.master], [], [], max(0, end - time.monotonic()))[0]:
                raise TimeoutError(f"{text!r} was not drawn; last: {self.seen[-500:]!r}")
            self.seen += os.read(self.master, 1 << 16)
        now = time.monotonic()
        self.seen = self.seen.partition(wanted)[2][-100_000:]
        return now

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def drain(self, seconds: float) -> None:
        """Keep reading, as a terminal does."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and select.select([self.master], [], [], left)[0]:
            self.seen = (self.seen + os.read(self.master, 1 << 16))[-100_000:]

    def key(self) -> float:
        """Return the milliseconds from a key to the bytes that draw it."""
        letter, pressed = next(LETTERS), time.monotonic()
        self.type(letter)
        return 1000 * (self.wait(letter) - pressed)

    def events(self) -> list[tuple[float, str]]:
        return [tuple(json.loads(line)) for line in self.told.read_text().splitlines()]

    def has_told(self, what: str) -> bool:
        return any(name == what for _, name in self.events())

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.master)


def measure(speaker: str, run: str) -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        terminal = Terminal(speaker, run, Path(folder) / "told")
        try:
            yield from _measured(terminal)
        finally:
            terminal.close()


def _measured(terminal: Terminal) -> Iterator[tuple[str, str]]:
    painted = terminal.wait("Aelara")
    at = {name: when for when, name in terminal.events()}
    yield "first paint after the app starts", f"{1000 * (painted - at['app']):.0f} ms"
    yield "first paint after the command", f"{1000 * (painted - terminal.begun):.0f} ms"
    loading = []
    while not terminal.has_told("Loaded"):
        loading.append(terminal.key())
        terminal.drain(PAUSE)
    if len(loading) > 3:
        yield "keys while it loads", spread(loading)
    terminal.type("\x01\x0b" + QUESTION + "\r")  # to the line's start, cut it, and type this
    while not terminal.has_told("Said"):
        terminal.drain(0.05)
    speaking = []
    for _ in range(KEYS):
        speaking.append(terminal.key())
        terminal.drain(PAUSE)
    if terminal.has_told("Done"):
        yield "note", "the reply ended before all keys were pressed"
    yield "keys while it speaks", spread(speaking)
    pressed = time.monotonic()
    terminal.type("\x1b")
    drawn = terminal.wait("stopped, ")
    events = terminal.events()
    word = next(when for when, name in events if name == "stop")
    said = [when for when, name in events if name == "Said"]
    yield "tokens a second meanwhile", f"{(len(said) - 1) / (said[-1] - said[0]):.0f}"
    yield "Esc: pieces after it", str(sum(when > word for when in said))
    yield "Esc: to 'stopped' on the screen", f"{1000 * (drawn - pressed):.0f} ms"


def spread(times: list[float]) -> str:
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"p50 {statistics.median(ordered):.0f} ms, p95 {p95:.0f} ms, max {ordered[-1]:.0f} ms (n={len(ordered)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a finished run's folder")
    parser.add_argument("--speakers", nargs="+", default=["script", "process", "thread"])
    parser.add_argument("--show", help=argparse.SUPPRESS)
    parser.add_argument("--told", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.show:
        show(arguments.show, arguments.run, arguments.told)
        return
    print("| model | measured | |\n|---|---|---|")
    for speaker in arguments.speakers:
        for what, value in measure(speaker, arguments.run):
            print(f"| {speaker} | {what} | {value} |", flush=True)


if __name__ == "__main__":
    main()
