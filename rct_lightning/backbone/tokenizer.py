"""The tokenizer of a base."""

from __future__ import annotations

from typing import Any

from rct_lightning.backbone.source import check_obtainable, not_loadable
from rct_lightning.errors import UserError
from rct_lightning.template import beginning

PADDING = ("<|padding|>", "<pad>", "<|pad|>", "<unk>", "\u00ff", "<0xFF>")
"""Tokens that can serve as padding. The last two stand for the byte FF, which no text in UTF-8 holds."""


def load_tokenizer(name_or_path: str) -> Any:
    """Load a tokenizer, with a padding token that differs from its end-of-sequence token.

    Padding is hidden by its place, not by its id, so a tokenizer without a padding token, as GPT-2's, pads with another
    token that it has; nothing is added to its vocabulary.

    Raises:
        UserError: It cannot be loaded, or has no EOS token.
    """
    from transformers import AutoTokenizer

    check_obtainable(name_or_path)
    try:
        # "<|endoftext|>" in a text is tokenised as plain characters and does not end a reply
        tokenizer = AutoTokenizer.from_pretrained(name_or_path, split_special_tokens=True, trust_remote_code=False)
    except Exception as error:
        raise not_loadable(name_or_path, "tokenizer", error) from error
    if tokenizer.eos_token_id is None:
        raise UserError(f"{name_or_path}: the tokenizer has no end-of-sequence token, so no reply could ever end.")
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        tokenizer.pad_token = _other_than_eos(tokenizer)
    tokenizer.padding_side = "right"
    return tokenizer


def _other_than_eos(tokenizer: Any) -> str:
    """Return the first of :data:`PADDING` that the tokenizer has, or else its last token: that of its rarest merge."""
    vocabulary = {token: at for token, at in tokenizer.get_vocab().items() if at != tokenizer.eos_token_id}
    known = next((token for token in PADDING if token in vocabulary), None)
    own = [token for token, at in vocabulary.items() if at < tokenizer.vocab_size]  # without what was added to it
    return known or max(own, key=vocabulary.__getitem__)


def check_embedded(name_or_path: str, tokenizer: Any, rows: int) -> None:
    """Check that a model has an embedding for every token that can occur; special ones in a text are split.

    Raises:
        UserError: It has fewer rows than that.
    """
    special = {at for at, token in tokenizer.added_tokens_decoder.items() if token.special}
    placed = {*beginning(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id}
    highest = max(set(tokenizer.get_vocab().values()) - special | placed)
    if highest >= rows:
        raise UserError(
            f"model.name_or_path={name_or_path}: the tokenizer's token {tokenizer.convert_ids_to_tokens(highest)!r} is "
            f"number {highest}, and the model has embeddings for 0 to {rows - 1}. Give a folder whose tokenizer files "
            f"belong to its model: take tokens that were added to them out again, or resize the model's embeddings."
        )
