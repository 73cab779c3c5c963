"""English inflection of the words in `lexicon`: verbs, plurals, comparison."""

from rct_lightning.nano import lexicon as lex

_VOWELS = "aeiou"


def third(verb: str) -> str:
    """Return the third person singular of a base form."""
    if verb in ("be", "have", "do", "go"):
        return {"be": "is", "have": "has", "do": "does", "go": "goes"}[verb]
    if verb.endswith(("s", "x", "z", "ch", "sh")):
        return verb + "es"
    if verb.endswith("y") and verb[-2] not in _VOWELS:
        return verb[:-1] + "ies"
    return verb + "s"


def _ed(verb: str) -> str:
    if verb.endswith("e"):
        return verb + "d"
    if verb.endswith("y") and verb[-2] not in _VOWELS:
        return verb[:-1] + "ied"
    return verb + (verb[-1] if verb in lex.DOUBLING else "") + "ed"


def past(verb: str) -> str:
    """Return the past tense of a base form."""
    return lex.IRREGULAR[verb][0] if verb in lex.IRREGULAR else _ed(verb)


def participle(verb: str) -> str:
    """Return the past participle of a base form."""
    return lex.IRREGULAR[verb][1] if verb in lex.IRREGULAR else _ed(verb)


def gerund(verb: str) -> str:
    """Return the -ing form of a base form."""
    if verb in ("lie", "die", "tie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")):
        return verb[:-1] + "ing"
    return verb + (verb[-1] if verb in lex.DOUBLING else "") + "ing"


def plural(noun: str) -> str:
    """Return the plural of a countable noun."""
    odd = {
        "knife": "knives",
        "leaf": "leaves",
        "loaf": "loaves",
        "shelf": "shelves",
        "scarf": "scarves",
        "mouse": "mice",
        "goose": "geese",
        "tooth": "teeth",
        "foot": "feet",
        "sheep": "sheep",
        "fish": "fish",
        "child": "children",
        "man": "men",
        "woman": "women",
        "person": "people",
        "calf": "calves",
        "wolf": "wolves",
        "deer": "deer",
        "salmon": "salmon",
        "trout": "trout",
        "watch": "watches",
        "bus": "buses",
        "crutch": "crutches",
        "thief": "thieves",
    }
    if noun in odd:
        return odd[noun]
    if noun.endswith(("scissors", "pliers", "shears", "trousers", "spectacles", "bellows", "stairs", "dice")):
        return noun
    return third(noun)


def compare(adjective: str, ending: str) -> str:
    """Return the comparative (ending "er") or superlative ("est") of a short adjective."""
    if adjective.endswith("e"):
        return adjective + ending[1:]
    if adjective.endswith("y"):
        return adjective[:-1] + "i" + ending
    if adjective in ("big", "thin", "flat", "hot", "sad", "fat", "wet"):
        return adjective + adjective[-1] + ending
    return adjective + ending
