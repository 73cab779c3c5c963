"""Letters of scripts that do not set words apart by spaces.

To a regular expression such a letter is one of a word, like any other: what is written right before or behind it would
be taken for a part of that word.
"""

from __future__ import annotations

import re

UNSPACED = (
    r"\u0e01-\u0e4f\u0e80-\u0ecf\u0edc-\u0eff"  # Thai, Lao
    r"\u0f00-\u0f1f\u0f34-\u0fff\u1000-\u103f\u104a-\u108f\u109a-\u109f\uaa60-\uaa7f"  # Tibetan, Burmese
    r"\u1780-\u17df"  # Khmer
    r"\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff"  # Korean: it has spaces, but particles follow without one
    r"\u3005-\u9fff\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff"  # Chinese, Japanese
)
"""Ranges of a character class; they hold none of these scripts' digits, which belong to numbers like any others."""
WORD = rf"[^\W{UNSPACED}]"
"""Pattern of a letter, a digit or an underscore, as ``\\w``, but of a script that has spaces."""
LETTER_OR_DIGIT = rf"[^\W_{UNSPACED}]"
_UNSPACED = re.compile(f"[{UNSPACED}]")


def without_spaces(character: str) -> bool:
    """Return whether a character is of a script that does not set words apart by spaces."""
    return bool(_UNSPACED.match(character))
