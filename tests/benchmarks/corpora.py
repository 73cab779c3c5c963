"""The benchmarks' training data: the bundled corpus, or synthetic rows with the lengths of a real one.

``reference_lengths.csv`` holds the lengths of 812 rows of a person's own dialogues, in tokens of prompt and reply; two
thirds of them are longer than 512 tokens in total. It contains none of their text.
"""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LENGTHS = Path(__file__).parent / "reference_lengths.csv"
ROLES = 8
"""Approximate number of tokens of a prompt's role names and newlines."""
WITH_HISTORY = 60
"""Prompts with more tokens than this consist of two earlier turns and the user's text."""


def single_pieces(tokenizer: Any) -> list[str]:
    """Return words that are a single token wherever they occur."""
    pieces = (piece.removeprefix("Ġ") for piece in tokenizer.get_vocab() if piece.startswith("Ġ"))
    return sorted(
        piece for piece in pieces if len(piece) > 2 and piece.isascii() and piece.isalpha() and piece.islower()
    )


def synthetic_rows(tokenizer: Any, lengths: list[tuple[int, int]], seed: int = 0) -> list[dict[str, Any]]:
    """Return rows of random words with given tokens of prompt and reply; every other one addresses the assistant."""
    words, draw = single_pieces(tokenizer), random.Random(seed)
    frequency = [1 / rank for rank in range(1, len(words) + 1)]  # Zipf

    def text(tokens: int) -> str:
        return " ".join(draw.choices(words, frequency, k=max(tokens, 1)))

    rows = []
    for number, (prompt, reply) in enumerate(lengths):
        tokens, context = max(prompt - ROLES, 2), []
        if prompt > WITH_HISTORY:
            context = [{"role": role, "content": text(tokens // 3)} for role in ("human", "assistant")]
            tokens -= 2 * (tokens // 3)
        address = "Aelara, " if number % 2 else ""
        rows.append({
            "id": f"row-{number}", "conversation": f"talk-{number}", "context": context,
            "input": address + text(tokens - 2 * bool(address)), "output": text(reply),
        })  # fmt: skip
    return rows


def reference_lengths(split: str = "train") -> list[tuple[int, int]]:
    """Return the (prompt, reply) tokens of every row of one side."""
    with LENGTHS.open(encoding="utf-8", newline="") as file:
        return [
            (int(row["prompt_tokens"]), int(row["response_tokens"]))
            for row in csv.DictReader(file)
            if row["split"] == split
        ]


def write_corpus(name: str, folder: Path, tokenizer: Any) -> tuple[Path, Path]:
    """Write the training and the evaluation file of ``reference`` or ``bundled``."""
    if name == "bundled":
        return ROOT / "data" / "relational" / "train.jsonl", ROOT / "data" / "relational" / "eval.jsonl"
    files = []
    for seed, split in enumerate(("train", "eval")):
        files.append(folder / f"{split}.jsonl")
        rows = synthetic_rows(tokenizer, reference_lengths(split), seed)
        files[-1].write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return files[0], files[1]
