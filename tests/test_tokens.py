"""Texts are tokenised once, even across runs, and tokens from before a change are never served."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rct_lightning.data.tokens import RememberedTokens

TEXTS = (" Good morning, Aelara.", "Human:", "", " Wanda \ud83d", "\n")


class Counting:
    """A tokenizer that counts its calls."""

    def __init__(self, real: Any, vocabulary: dict[str, int] | None = None) -> None:
        self.real, self.asked, self.vocabulary = real, [], vocabulary or {"a": 0}

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        self.asked.append(text)
        return {"input_ids": [len(self.vocabulary), *text.encode("utf-8", "replace")]}

    def get_vocab(self) -> dict[str, int]:
        return self.vocabulary | {"the last byte": 255}


def read(tokens: RememberedTokens, *texts: str) -> list[list[int]]:
    return [tokens(text, add_special_tokens=False)["input_ids"] for text in texts]


@pytest.fixture
def later(tmp_path: Path) -> Callable[..., tuple[Counting, RememberedTokens]]:
    """A later run over the same corpus, with another tokenizer if a vocabulary is given."""

    def make(vocabulary: dict[str, int] | None = None, corpus: str = "a.jsonl") -> tuple[Counting, RememberedTokens]:
        counting = Counting(None, vocabulary)
        return counting, RememberedTokens(counting, tmp_path / "kept", corpus)

    return make


def test_a_text_is_read_once_and_not_at_all_by_a_later_run(later: Any) -> None:
    counting, tokens = later()
    first = read(tokens, *TEXTS, *TEXTS)
    assert counting.asked == list(TEXTS)
    tokens.keep()
    counting, tokens = later()
    assert read(tokens, *TEXTS, *TEXTS) == first and counting.asked == []


def test_what_changed_is_read_anew(later: Any) -> None:
    _, tokens = later()
    read(tokens, *TEXTS)
    tokens.keep()
    counting, tokens = later()
    assert read(tokens, "Human:", "User:")[1][1:] == list(b"User:") and counting.asked == ["User:"]
    other, tokens = later({"a": 0, "b": 1})
    assert read(tokens, "Human:")[0][0] == 2 and other.asked == ["Human:"], "another tokenizer"


def test_what_is_not_read_any_more_is_not_kept(later: Any, tmp_path: Path) -> None:
    for texts in (TEXTS, ("Human:", "new")):
        _, tokens = later()
        read(tokens, *texts)
        tokens.keep()
    (file,) = (tmp_path / "kept").iterdir()
    assert len(np.load(file)["ends"]) == 2
    assert b"Wanda" not in file.read_bytes()


@pytest.mark.parametrize("harm", ["cut", "emptied", "other", "pickled"])
def test_a_damaged_file_is_as_good_as_none(harm: str, later: Any, tmp_path: Path) -> None:
    _, tokens = later()
    read(tokens, *TEXTS)
    tokens.keep()
    (file,) = (tmp_path / "kept").iterdir()
    whole = file.read_bytes()
    if harm == "pickled":
        with file.open("wb") as opened:
            np.savez(opened, keys=np.array([{}], dtype=object), ends=[1], ids=[1])
    else:
        file.write_bytes({"cut": whole[: len(whole) // 2], "emptied": b"", "other": b"PK\x03\x04 no archive"}[harm])
    counting, tokens = later()
    read(tokens, *TEXTS)
    assert counting.asked == list(TEXTS)
    tokens.keep()
    assert file.read_bytes()[:2] == b"PK"


def test_where_nothing_can_be_written_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    tokens = RememberedTokens(Counting(None), tmp_path / "file" / "kept")
    read(tokens, *TEXTS)
    tokens.keep()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_bundled_tokenizer_reads_the_same_from_the_file(tokenizer: Any, tmp_path: Path) -> None:
    texts = (" Good morning, Aelara.", "Human:", "\n")
    straight = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    for _ in range(2):
        tokens = RememberedTokens(tokenizer, tmp_path)
        assert read(tokens, *texts) == straight
        tokens.keep()
    assert tokens.pad_token_id == tokenizer.pad_token_id


def test_a_corpus_is_the_same_from_the_file(make_data: Any, tmp_path: Path) -> None:
    first = make_data(token_cache=tmp_path)
    first.tokens.keep()
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]
    second = make_data(token_cache=tmp_path)
    assert [row.encoded for row in second.train_set.rows] == [row.encoded for row in first.train_set.rows]
