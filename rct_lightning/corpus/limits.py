"""From where on a corpus is said to be unfit: by its audit, and by the guards of a run that would learn from it."""

MARKED_SHARE = (0.1, 0.9)
"""Presence compares rows that address the assistant with rows that do not; it needs so many of either."""
REPLY_TOKENS_KEPT = 0.95
"""Share of the reply tokens that must fit into the length of a row."""
CUT_ROWS = 0.05
"""Share of rows that may lose a part (their oldest turns, mostly) before it is worth a word."""
LARGEST_CONVERSATION = 0.1
"""Share of all rows from which on a single conversation shapes what is learnt."""
LARGEST_GROUP = 0.25
"""Share of all rows that conversations which are tied may hold together."""
LARGEST_EVAL_CONVERSATION = (0.25, 0.5)
"""Share of the evaluation rows that one conversation may hold: a warning above the first, a fault above the second."""
SMALL_EVAL = 30
"""Evaluation rows below which an interval is too wide to tell runs apart."""
TYPE_SHIFT = 0.05
"""How far the share of a type may differ between the sides."""
REPEATED_ROWS = 0.02
"""Share of rows that may repeat another row's text, or nearly, before it is worth a word."""
