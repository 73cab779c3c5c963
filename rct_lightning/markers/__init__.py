"""Which wordings address the assistant, and which express bond and rupture.

Three kinds of word lists are defined here and nowhere else:

* *presence markers*: words of the user that address the assistant as someone (a name, "are you there");
* *phrase banks*: short replies of recognition (bond), of its opposite (rupture), and claims of memory.
  Each bank has a half that training draws from and a held-out half that only evaluation scores;
* *bond expressions*: short wordings that mark a generated reply as bond language.

All matching is on whole words, case-insensitive: "our" is not found in "hour", nor "error" in "terrors".
"""

from rct_lightning.markers.lexicon import FEW_OR_MANY_MARKED, Bank, Half, Lexicon
from rct_lightning.markers.matching import PhraseMatcher, normalise

__all__ = [
    "FEW_OR_MANY_MARKED",
    "Bank",
    "Half",
    "Lexicon",
    "PhraseMatcher",
    "normalise",
]
