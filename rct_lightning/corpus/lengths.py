"""How long a row is: prompt and reply without the context, which is cut to fit anyway."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rct_lightning.corpus.exchange import Exchange, Rule
from rct_lightning.errors import UserError
from rct_lightning.template import DialogueTemplate

TOO_LONG = Rule(
    "too-long", "more tokens of prompt and reply, without context, than --max-tokens N (words without --tokenizer)"
)
END_OF_REPLY = 1
"""The token that ends a reply."""

Measure = Callable[[Exchange], int]


def words_of(exchange: Exchange) -> int:
    """Words of prompt and reply, role names included."""
    return len(_text(exchange).split()) + END_OF_REPLY


def tokens_by(folder: Path) -> Measure:
    """A measure in tokens of the tokenizer in a model's folder.

    Raises:
        UserError: The folder holds no tokenizer.json, or one that cannot be read.
    """
    file = folder / "tokenizer.json" if folder.is_dir() else folder
    if not file.is_file():
        raise UserError(f"{folder}: there is no tokenizer.json. Give the folder of a model, for example data/nano.")
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing more specific
        raise UserError(f"{file}: this is not a tokenizer ({error}).") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # somebody's "<|endoftext|>" is thirteen characters

    def tokens_of(exchange: Exchange) -> int:
        return len(tokenizer.encode(_text(exchange), add_special_tokens=False).ids) + END_OF_REPLY

    return tokens_of


def _text(exchange: Exchange) -> str:
    template = DialogueTemplate()
    return template.prompt(exchange.input) + template.reply(exchange.output)
