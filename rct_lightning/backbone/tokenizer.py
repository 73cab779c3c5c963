"""The tokenizer of a base."""

from __future__ import annotations

from typing import Any

from rct_lightning.backbone.source import check_obtainable, not_loadable
from rct_lightning.errors import UserError


def load_tokenizer(name_or_path: str) -> Any:
    """Load a tokenizer, with a padding token that differs from its end-of-sequence token.

    Raises:
        UserError: It cannot be loaded, or has no EOS token or no usable padding token.
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
        tokenizer.pad_token = "<|padding|>" if "<|padding|>" in tokenizer.get_vocab() else _unused_token(tokenizer)
    tokenizer.padding_side = "right"
    return tokenizer


def _unused_token(tokenizer: Any) -> str:
    for token in ("<pad>", "<|pad|>", "<unk>"):
        if token in tokenizer.get_vocab() and token != tokenizer.eos_token:
            return token
    raise UserError(
        "The tokenizer has no padding token that differs from its end-of-sequence token; add one to its files, "
        "otherwise the model could not learn where a reply ends."
    )
