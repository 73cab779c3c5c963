"""The slots of the patterns: word classes that draw one word, and phrases that are patterns themselves."""

import random
from collections.abc import Callable

from rct_lightning.nano import lexicon as lex
from rct_lightning.nano.inflect import compare, gerund, participle, past, plural, third
from rct_lightning.nano.scenes import RULES


def _pick(items: tuple[str, ...]) -> Callable[[random.Random], str]:
    return lambda rng: items[int(rng.random() * len(items))]


def coinage(rng: random.Random) -> str:
    """Return an invented word of two or three random syllables."""
    return "".join(rng.choice(lex.SYLLABLES) for _ in range(rng.choice((2, 2, 3))))


def _number(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.3:
        return rng.choice(lex.SMALL_NUMBERS)
    if kind < 0.45:
        return rng.choice(lex.TEENS)
    if kind < 0.7:
        return rng.choice(lex.TENS) + "-" + rng.choice(("one", *lex.SMALL_NUMBERS[:8]))
    if kind < 0.8:
        return rng.choice(lex.TENS)
    return str(rng.randrange(2, 1000) if kind < 0.92 else rng.randrange(2, 100))


def _clock(rng: random.Random) -> str:
    hour = rng.choice(lex.HOURS)
    pattern = rng.choice(
        (
            "{} o'clock",
            "{}",
            "half past {}",
            "a quarter to {}",
            "a quarter past {}",
            "ten past {}",
            "twenty to {}",
        )
    )
    if rng.random() < 0.15:
        return f"{rng.randrange(1, 13)}:{rng.choice(('00', '15', '30', '45', '10', '20', '40', '50'))}"
    return pattern.format(hour)


def _name(rng: random.Random) -> str:
    return rng.choice(lex.FEMALE if rng.random() < 0.5 else lex.MALE)


def _town(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(lex.TOWNS)
    if kind < 0.85:
        return rng.choice(lex.TOWN_HEADS) + rng.choice(lex.TOWN_TAILS)
    return coinage(rng).capitalize()


def _day(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.6:
        return rng.choice(lex.WEEKDAYS)
    if kind < 0.85:
        return f"the {rng.choice(lex.ORDINALS)} of {rng.choice(lex.MONTHS)}"
    return f"{rng.randrange(1, 31)} {rng.choice(lex.MONTHS)}"


def _pet(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(lex.PET_NAMES)
    if kind < 0.6:
        return _name(rng)
    return coinage(rng).capitalize() if kind < 0.75 else rng.choice(lex.NOUNS).capitalize()


def _code(rng: random.Random) -> str:
    return "".join(rng.choice("0123456789") for _ in range(rng.choice((2, 3, 4))))


Word = Callable[[random.Random], str]
_T, _I, _M = lex.VERBS_T, lex.VERBS_I, lex.VERBS_MIND
_PAIRS = ("shoes", "boots", "gloves", "socks", "trousers", "slippers", "pyjamas", "sandals")
WORDS: dict[str, Word] = {
    "noun": _pick(lex.NOUNS),
    "plural": _pick(tuple(plural(n) for n in lex.NOUNS + lex.ANIMALS + lex.WILD)),
    "obj": _pick(lex.NOUNS),
    "pet": _pick(lex.ANIMALS),
    "animal": _pick(lex.ANIMALS + lex.WILD),
    "wild": _pick(lex.WILD),
    "adjt": _pick(lex.ADJ_THING),
    "adjp": _pick(lex.ADJ_PERSON),
    "adja": _pick(lex.ADJ_ABSTRACT),
    "colour": _pick(lex.COLOURS),
    "material": _pick(lex.MATERIALS),
    "food": _pick(lex.FOODS),
    "drink": _pick(lex.DRINKS),
    "dish": _pick(lex.DISHES),
    "cloth": _pick(tuple(c for c in lex.CLOTHES if c not in _PAIRS)),
    "cloth_pl": _pick(_PAIRS),
    "trade": _pick(lex.TRADES),
    "instrument": _pick(lex.INSTRUMENTS),
    "language": _pick(lex.LANGUAGES),
    "subject": _pick(lex.SUBJECTS),
    "sport": _pick(lex.SPORTS),
    "illness": _pick(lex.ILLNESSES),
    "body": _pick(lex.BODY),
    "flower": _pick(lex.FLOWERS),
    "tree": _pick(lex.TREES),
    "room": _pick(lex.ROOMS),
    "spot": _pick(lex.SPOTS),
    "furniture": _pick(lex.FURNITURE),
    "container": _pick(lex.CONTAINERS),
    "event": _pick(lex.EVENTS),
    "occasion": _pick(lex.OCCASIONS),
    "weekday": _pick(lex.WEEKDAYS),
    "month": _pick(lex.MONTHS),
    "season": _pick(lex.SEASONS),
    "feeling": _pick(lex.FEELINGS),
    "abstract": _pick(lex.ABSTRACT),
    "mass": _pick(lex.MASS),
    "person": _pick(lex.NOUNS_PEOPLE),
    "townthing": _pick(lex.TOWN_THINGS),
    "adverb": _pick(lex.ADVERBS),
    "frequency": _pick(lex.FREQUENCY),
    "degree": _pick(lex.DEGREE),
    "time_past": _pick(lex.TIME_PAST),
    "time_future": _pick(lex.TIME_FUTURE),
    "weather": _pick(lex.WEATHER),
    "feeling_w": _pick(lex.ADJ_WEATHER),
    "misc": _pick(lex.MISC),
    "vt": _pick(_T),
    "vt_ed": _pick(tuple(map(past, _T))),
    "vt_en": _pick(tuple(map(participle, _T))),
    "vt_ing": _pick(tuple(map(gerund, _T))),
    "vt_s": _pick(tuple(map(third, _T))),
    "vi": _pick(_I),
    "vi_ed": _pick(tuple(map(past, _I))),
    "vi_ing": _pick(tuple(map(gerund, _I))),
    "vi_s": _pick(tuple(map(third, _I))),
    "mind_ed": _pick(tuple(map(past, _M))),
    "mind": _pick(_M),
    "another": _pick(("another", "the other", "every", "a different")),
    "bodies": _pick(lex.BODY_PLURAL),
    "people": _pick(lex.PEOPLE_PLURAL),
    "unit": _pick(lex.UNITS),
    "er": _pick((*(compare(a, "er") for a in lex.COMPARABLE), "better", "worse", "less", "more", "farther")),
    "est": _pick((*(compare(a, "est") for a in lex.COMPARABLE), "best", "worst", "last", "first", "only")),
    "num": _number,
    "number": _number,
    "age": _number,
    "clock": _clock,
    "name": _name,
    "town": _town,
    "day": _day,
    "petname": _pet,
    "code": _code,
    "coinage": coinage,
    "madeup": lambda r: coinage(r).capitalize(),
    "surname": _pick(lex.SURNAMES),
    "fullname": lambda r: _name(r) + (" " + r.choice(lex.SURNAMES) if r.random() < 0.6 else ""),
    "price": lambda r: (
        _number(r) + " " + r.choice(("pounds", "pence", "coins", "dollars", "euros", "crowns", "shillings"))
    ),
    "street": lambda r: f"{r.choice(lex.TOWN_HEADS + lex.SURNAMES)} {r.choice(lex.STREET_TAILS)}",
}

# values that are themselves patterns
PHRASES: dict[str, tuple[str, ...]] = {
    **RULES,
    "plural_": ("{plural}",),
    "garment": ("a {colour} {cloth}", "a {adjt} {cloth}", "a {colour} {cloth} and a {colour} {cloth}"),
    "thing": (
        "a {adjt} {noun}",
        "a {colour} {noun}",
        "a {material} {noun}",
        "a {noun}",
        "the {noun}",
        "{num} {plural}",
    ),
    "theobj": ("the {noun}", "the {adjt} {noun}", "the {colour} {noun}", "the {noun}"),
    "topic": (
        "the {noun}",
        "the {event}",
        "the {abstract}",
        "the {adja} {abstract}",
        "my {relation}'s {body}",
        "the {trade}",
        "{mass}",
    ),
    "vp": (
        "{vt} the {noun}",
        "{vt} the {plural}",
        "{vt} the {adjt} {noun}",
        "{vt} {name}",
        "{vi} in {town}",
        "learn {language}",
        "{vt} the {noun} and {vt} the {noun}",
        "become a {trade}",
        "{vi} {adverb}",
    ),
    "when": ("{time_future}", "on {weekday}", "in {month}", "at {clock}", "in the {season}"),
    "where": (
        "under the {furniture}",
        "in the {container}",
        "behind the {noun}",
        "on the {furniture}",
        "in the {adjt} {container}",
        "in the {room}",
        "next to the {noun}",
        "between the {noun} and the {noun}",
        "above the {furniture}",
        "inside the {noun}",
        "in the {colour} {container} under the {furniture}",
    ),
    "locked": (
        "the {noun}",
        "the {spot}",
        "the {colour} door",
        "the {adjt} {container}",
        "the gate",
        "the {room}",
    ),
    "named": (
        "boat",
        "ship",
        "house",
        "doll",
        "car",
        "farm",
        "island",
        "inn",
        "shop",
        "mountain",
        "star",
        "train",
        "bear",
        "bicycle",
        "kite",
        "lake",
        "club",
        "dragon",
        "robot",
        "computer",
        "café",
        "street",
        "village",
        "river",
        "band",
        "plant",
        "tree",
    ),
    "work": (
        "book",
        "song",
        "poem",
        "film",
        "play",
        "story",
        "novel",
        "painting",
        "game",
        "picture",
        "dance",
        "tune",
        "record",
    ),
    "booktitle": (
        "The {Adjt} {Noun}",
        "{Noun} and {Noun}",
        "The {Trade} of {town}",
        "The {Noun} in the {Noun}",
        "{name} and the {Noun}",
        "My {Noun}",
        "The {Noun}'s {Abstract}",
        "{Abstract}",
        "A {Abstract} for {name}",
        "The {Human} {Noun}",
    ),
    "Human": ("Human", "Assistant", "Good", "Last", "First", "Great"),
    "venue": (
        "at the {spot}",
        "in {town}",
        "in the {room}",
        "at {name}'s house",
        "in {street}",
        "in the {spot} at {town}",
    ),
    "concept": ("{noun}", "{animal}", "{food}", "{abstract}", "{mass}", "{colour}", "{feeling}"),
    "room": ("room {code}", "ward {num}", "the {adjt} room", "cell {num}", "room {num}"),
    "spotin": (
        "by the {noun}",
        "behind the {spot}",
        "under the {tree}",
        "in the {colour} pot",
        "along the {townthing}",
        "near the {noun}",
    ),
    "drinkorder": (
        "{drink} with {food}",
        "{drink}",
        "{drink} without {food}",
        "a cup of {drink}",
        "a glass of {drink}",
        "hot {drink}",
    ),
    "scene": (
        "a {adjt} {animal}",
        "a {animal} with a {noun}",
        "a {townthing} full of {plural}",
        "{num} {plural}",
        "a {trade} with a {animal}",
        "a {colour} {noun} in the {townthing}",
        "{someone}",
    ),
    "proverb": (
        "a {noun} is not a {noun}",
        "{plural} never {vi}",
        "{abstract} is better than {abstract}",
        "every {noun} needs a {noun}",
        "one must {vt} the {noun} first",
        "{mass} and {mass} go together",
        "no {animal} can {vi}",
        "{abstract} costs nothing",
    ),
    "relation": lex.RELATIONS_F + lex.RELATIONS_M + lex.RELATIONS_N,
    "nothing": ("",),
}
for _slot in ("adjt", "noun", "trade", "abstract"):
    WORDS[_slot.capitalize()] = (lambda draw: lambda rng: draw(rng).title())(WORDS[_slot])
