"""What cleaning should have taken out and what may still be there: the audit asks here, and only here."""

from __future__ import annotations

from functools import lru_cache

from rct_lightning.corpus.exchange import Exchange
from rct_lightning.corpus.pii import KINDS
from rct_lightning.corpus.rules import EXCHANGE_RULES
from rct_lightning.dialogue import Example


def personal(row: Example) -> list[str]:
    """Kinds of personal data in a row, its history included; names have no form and are not among them."""
    texts = (row.input, row.output, *(turn.content for turn in row.context))
    return sorted({kind for text in texts for kind in _personal_in(text)})


def artefacts(row: Example) -> list[str]:
    """Rules of `rct corpus clean` that would take out a row's own exchange."""
    exchange = Exchange(row.input, row.output)
    return [rule.name for rule in EXCHANGE_RULES if rule.find is not None and rule.find(exchange)]


@lru_cache(maxsize=1 << 14)  # the rows of a conversation have their history in common
def _personal_in(text: str) -> tuple[str, ...]:
    return tuple(kind.name for kind in KINDS if next(kind.find(text), None) is not None)
