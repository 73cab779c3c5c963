"""From where on a corpus is said to be unfit: by its audit, and by the guards of a run that would learn from it."""

MARKED_SHARE = (0.1, 0.9)
"""Presence compares rows that address the assistant with rows that do not; it needs so many of either."""
REPLY_TOKENS_KEPT = 0.95
"""Share of the reply tokens that must fit into the length of a row."""
CUT_ROWS = 0.05
"""Share of rows that may lose a part (their oldest turns, mostly) before it is worth a word."""
