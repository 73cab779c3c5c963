"""Limits beyond which a corpus counts as unfit, for its audit and for the guards of a run that would learn from it."""

MARKED_SHARE = (0.1, 0.9)
"""Least and largest share of marked rows: presence needs marked and unmarked rows."""
REPLY_TOKENS_KEPT = 0.95
"""Share of the reply tokens that must fit into the maximum length of a row."""
CUT_ROWS = 0.05
"""Share of rows that may lose a part (mostly their oldest turns) without a warning."""
LARGEST_CONVERSATION = 0.1
"""Share of all rows above which a single conversation dominates what is learnt."""
LARGEST_GROUP = 0.25
"""Share of all rows that a group of tied conversations may hold together."""
LARGEST_EVAL_CONVERSATION = (0.25, 0.5)
"""Share of the evaluation rows that one conversation may hold: warning above the first, failure above the second."""
SMALL_EVAL = 30
"""Number of evaluation rows below which an interval is too wide to distinguish runs."""
TYPE_SHIFT = 0.05
"""Maximum difference of a type's share between the sides."""
REPEATED_ROWS = 0.02
"""Share of rows that may repeat another row's text exactly or nearly without a warning."""
