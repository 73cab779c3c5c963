"""Length of a row: prompt and reply without the context, which is cut to fit anyway."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rct_lightning.corpus.exchange import Exchange, Rule
from rct_lightning.corpus.tokens import FolderTokenizer
from rct_lightning.template import DialogueTemplate

TOO_LONG = Rule(
    "too-long", "more tokens of prompt and reply, without context, than --max-tokens N (words without --tokenizer)"
)
END_OF_REPLY = 1
"""The token that ends a reply."""

Measure = Callable[[Exchange], int]


def words_of(exchange: Exchange) -> int:
    """Return the number of words of prompt and reply, role names and the end of the reply included."""
    return len(_text(exchange).split()) + END_OF_REPLY


def tokens_by(folder: Path) -> Measure:
    """Return a measure in tokens of the tokenizer in a model's folder.

    Raises:
        UserError: The folder holds no tokenizer, or one that cannot be read.
    """
    tokenizer = FolderTokenizer(folder)

    def tokens_of(exchange: Exchange) -> int:
        return len(tokenizer(_text(exchange), add_special_tokens=False)["input_ids"]) + END_OF_REPLY

    return tokens_of


def _text(exchange: Exchange) -> str:
    template = DialogueTemplate()
    return template.prompt(exchange.input) + template.reply(exchange.output)
