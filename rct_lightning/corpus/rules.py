"""The rules that judge a single exchange; those that compare rows are in :mod:`rct_lightning.corpus.duplicates`."""

from __future__ import annotations

from rct_lightning.corpus.exchange import Rule
from rct_lightning.corpus.noise import noise, too_short
from rct_lightning.corpus.placeholders import placeholder
from rct_lightning.corpus.reasoning import reasoning
from rct_lightning.corpus.wrong_speaker import wrong_speaker

EXCHANGE_RULES = (
    Rule("too-short", "an empty side, an input without a letter, a reply of one or two letters", too_short),
    Rule("reasoning", "the assistant thinking about the user instead of speaking to them", reasoning, spoils=True),
    Rule("placeholder", 'text of the export: "This block is not supported …", "[image]"', placeholder, spoils=True),
    Rule("wrong-speaker", "a reply that holds turns of the user, or is the user's text", wrong_speaker, spoils=True),
    Rule("noise", "encoded data, tables of numbers, broken encodings, one word over and over", noise, spoils=True),
)
"""Rules in the order in which they are applied; a row is counted under the first one that applies."""
