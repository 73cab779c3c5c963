"""What cleaning should have removed and may still be there; the audit uses only this module for that."""

from __future__ import annotations

from functools import lru_cache

from rct_lightning.corpus.exchange import Exchange
from rct_lightning.corpus.pii import KINDS
from rct_lightning.corpus.rules import EXCHANGE_RULES
from rct_lightning.corpus.scrub import other_texts
from rct_lightning.dialogue import Example


def personal(row: Example) -> list[str]:
    """Return the kinds of personal data in a row, its history and other fields included; names cannot be detected."""
    spoken = (row.input, row.output, *(turn.content for turn in row.context))
    texts = [*((text, False) for text in spoken), *other_texts(row)]
    return sorted({kind for text, fields in texts for kind in _personal_in(text, fields)})


def artefacts(row: Example) -> list[str]:
    """Return the rules of `rct corpus clean` that would remove a row because of its own exchange."""
    exchange = Exchange(row.input, row.output)
    return [rule.name for rule in EXCHANGE_RULES if rule.find is not None and rule.find(exchange)]


@lru_cache(maxsize=1 << 14)  # the rows of a conversation share their history
def _personal_in(text: str, fields: bool) -> tuple[str, ...]:
    kinds = (kind for kind in KINDS if kind.in_fields or not fields)
    return tuple(kind.name for kind in kinds if next(kind.find(text), None) is not None)
