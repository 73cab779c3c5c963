"""Tokenises with the tokenizer of a model's folder, without the model and without torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rct_lightning.errors import UserError
from rct_lightning.template import beginning

BATCH = 2048
BUNDLED = Path("data") / "nano"
"""Path of the bundled base, relative to the checkout."""


def tokenizer_of(folder: Path | None) -> FolderTokenizer:
    """Return the tokenizer of a folder; None: of the bundled base in the current directory, else in the checkout.

    Raises:
        UserError: There is none, or it cannot be read.
    """
    if folder is not None:
        return FolderTokenizer(folder)
    beside_the_package = Path(__file__).parents[2] / BUNDLED
    return FolderTokenizer(BUNDLED if BUNDLED.is_dir() or not beside_the_package.is_dir() else beside_the_package)


class FolderTokenizer:
    """The fast tokenizer of a model's folder, as :class:`~rct_lightning.template.DialogueTemplate` needs it.

    Names of special tokens in a text are tokenised as plain characters, as in training.

    Args:
        folder: A folder with tokenizer.json and tokenizer_config.json.

    Raises:
        UserError: The files are missing or cannot be read, or name no end-of-sequence token.
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

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        """Return token ids under the key ``input_ids``."""
        return {"input_ids": self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids}

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of tokens, special ones by their names."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def lengths(self, texts: Iterable[str]) -> dict[str, int]:
        """Return the number of tokens of each distinct text, without special ones."""
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
    """Replaces a tokenizer where only numbers of tokens matter: every id is 0.

    Args:
        tokenizer: Counts the tokens of texts that are not in ``known``.
        known: Numbers of tokens that are already known, by text; extended by calls.
    """

    def __init__(self, tokenizer: FolderTokenizer, known: dict[str, int]) -> None:
        self._tokenizer, self._known = tokenizer, known
        self.eos_token_id, self.bos_token_id = 0, 0 if beginning(tokenizer) else None

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        """Return as many zeros as the text has tokens, under the key ``input_ids``."""
        if add_special_tokens:
            return {"input_ids": [0] * len(self._tokenizer(text, add_special_tokens=True)["input_ids"])}
        if text not in self._known:
            self._known[text] = len(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        return {"input_ids": [0] * self._known[text]}
