"""How long `rct corpus clean` takes, and how much memory it needs.

python tests/benchmarks/cleaning.py [ROWS]        100,000 by default
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rct_lightning.corpus.overlap import words
from rct_lightning.dialogue import read_jsonl

ROOT = Path(__file__).parents[2]
ROWS = 100_000
WORDS_OF_A_SENTENCE, SENTENCES_ASKED, SENTENCES_ANSWERED = (5, 16), (1, 6), (2, 18)
COPIES, NEAR_COPIES, PERSONAL, LEAKS = 0.02, 0.02, 0.02, 0.01
"""Shares of the rows."""
LEAK = "The user is asking about this. I should keep it short."


class Writer:
    """Writes sentences with natural word frequencies, and whole sentences of the bundled corpus among them."""

    def __init__(self, seed: int = 0) -> None:
        self.draw = random.Random(seed)
        rows = read_jsonl(ROOT / "data" / "relational" / "train.jsonl")
        self._words = sorted({word for row in rows for word in words(f"{row.input} {row.output}")})
        self._weights = [1 / (rank + 2) for rank in range(len(self._words))]
        self.draw.shuffle(self._words)
        self._stock = [sentence for row in rows for sentence in row.output.split(". ")]

    def text(self, sentences: tuple[int, int]) -> str:
        """Return some sentences, every tenth from the stock."""
        return " ".join(self._sentence() for _ in range(self.draw.randint(*sentences)))

    def _sentence(self) -> str:
        if self.draw.random() < 0.1:
            return self.draw.choice(self._stock).rstrip(".") + "."
        chosen = self.draw.choices(self._words, self._weights, k=self.draw.randint(*WORDS_OF_A_SENTENCE))
        return " ".join(chosen).capitalize() + "."


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Yield rows in conversations of one to twelve, as an import leaves them: with times, without contexts."""
    writer, made = Writer(), 0
    draw, earlier = writer.draw, [("", "")]
    while made < count:
        conversation = f"talk-{made:07}"
        for number in range(min(draw.randint(1, 12), count - made)):
            asked, answered = writer.text(SENTENCES_ASKED), writer.text(SENTENCES_ANSWERED)
            luck = draw.random()
            if luck < COPIES + NEAR_COPIES and made:
                asked, answered = draw.choice(earlier)
                if luck < NEAR_COPIES:
                    answered += " Well."
            elif luck < COPIES + NEAR_COPIES + PERSONAL:
                asked += f" Write to {made}@mail.example or call +1 415 555 {draw.randint(1000, 9999)}."
            elif luck < COPIES + NEAR_COPIES + PERSONAL + LEAKS:
                answered = LEAK + answered
            elif luck > 0.9 and len(earlier) < 5000:
                earlier.append((asked, answered))
            yield {
                "id": f"{conversation}-{number + 1}", "conversation": conversation, "input": asked, "output": answered,
                "source": "synthetic", "time": f"2025-{made % 12 + 1:02}-{made % 28 + 1:02}T{number:02}:00:00Z",
            }  # fmt: skip
            made += 1


def main() -> None:
    """Write the rows, clean them in a separate process, print a table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "imported.jsonl"
        with file.open("w", encoding="utf-8") as out:
            out.writelines(json.dumps(row) + "\n" for row in rows(count))
        command = [sys.executable, "-c", "from rct_lightning.cli import app; app()", "corpus", "clean", folder]
        start = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        taken = time.perf_counter() - start
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        peak = usage.ru_maxrss / 2 ** (20 if sys.platform == "darwin" else 10)
        print("| rows | MiB of text | s | s of CPU | peak MiB |\n|--:|--:|--:|--:|--:|")
        size = file.stat().st_size / 2**20
        cpu = usage.ru_utime + usage.ru_stime
        print(f"| {count:,} | {size:.0f} | {taken:.0f} | {cpu:.0f} | {peak:.0f} |\n\n{done.stdout}")


if __name__ == "__main__":
    main()
