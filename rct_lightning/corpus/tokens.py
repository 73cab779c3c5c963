"""Tokens of a model's folder without the model and without torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rct_lightning.errors import UserError

BATCH = 2048
BUNDLED = Path("data") / "nano"
"""Where the bundled base is, seen from the checkout."""


def tokenizer_of(folder: Path | None) -> FolderTokenizer:
    """That of a model's folder, or of the bundled base: where the command is typed, else in the checkout installed.

    Raises:
        UserError: There is none.
    """
    if folder is not None:
        return FolderTokenizer(folder)
    beside_the_package = Path(__file__).parents[2] / BUNDLED
    return FolderTokenizer(BUNDLED if BUNDLED.is_dir() or not beside_the_package.is_dir() else beside_the_package)


class FolderTokenizer:
    """The fast tokenizer of a model's folder, as :class:`~rct_lightning.template.DialogueTemplate` asks it.

    Special tokens that stand in somebody's text are its characters, as in training.

    Args:
        folder: Holds tokenizer.json and tokenizer_config.json.

    Raises:
        UserError: It does not, or names no end-of-sequence token.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "tokenizer.json").is_file():
            raise UserError(f"{folder}: there is no tokenizer.json. Give a model's folder with --tokenizer.")
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        except Exception as error:  # the library raises plain Exception
            raise UserError(f"{folder}: the tokenizer cannot be read ({error}).") from None
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.eos_token_id = self._id_of(config.get("eos_token"))
        if self.eos_token_id is None:
            raise UserError(
                f"{folder}/tokenizer_config.json: names no eos_token of tokenizer.json; replies need an end."
            )
        self.bos_token_id = self._id_of(config.get("bos_token"))
        self.add_bos_token = bool(config.get("add_bos_token", False)) and self.bos_token_id is not None

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        """Token ids under the key ``input_ids``."""
        return {"input_ids": self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids}

    def decode(self, ids: Sequence[int]) -> str:
        """Text of some tokens, special ones by their names."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def lengths(self, texts: Iterable[str]) -> dict[str, int]:
        """Tokens of each distinct text, without special ones."""
        distinct = list(dict.fromkeys(texts))
        found: dict[str, int] = {}
        for start in range(0, len(distinct), BATCH):
            some = distinct[start : start + BATCH]
            encoded = self._tokenizer.encode_batch(some, add_special_tokens=False)
            found |= {text: len(tokens.ids) for text, tokens in zip(some, encoded, strict=True)}
        return found

    def _id_of(self, token: Any) -> int | None:
        name = token.get("content") if isinstance(token, dict) else token
        return self._tokenizer.token_to_id(name) if isinstance(name, str) else None


class LengthsOnly:
    """Stands for a tokenizer where only numbers of tokens matter: every id is 0.

    Args:
        tokenizer: Counts what is not in ``known``.
        known: Tokens of texts that were counted before.
    """

    def __init__(self, tokenizer: FolderTokenizer, known: dict[str, int]) -> None:
        self._tokenizer, self._known = tokenizer, known
        self.eos_token_id, self.bos_token_id = 0, 0
        self.add_bos_token = tokenizer.add_bos_token

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        """As many zeros as the text has tokens, under the key ``input_ids``."""
        if text not in self._known:
            self._known[text] = len(self._tokenizer(text, add_special_tokens=add_special_tokens)["input_ids"])
        return {"input_ids": [0] * self._known[text]}
