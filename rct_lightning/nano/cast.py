"""People and facts of a story, and the slot bindings with which patterns refer to them."""

import random
from dataclasses import dataclass

from rct_lightning.nano import lexicon as lex
from rct_lightning.nano.engine import OPEN, SHUT, Env, fill
from rct_lightning.nano.facts import Family
from rct_lightning.nano.slots import coinage

_RELATIONS = [(lex.RELATIONS_F, "f"), (lex.RELATIONS_M, "m"), (lex.RELATIONS_N, "n")]
PRONOUNS = {"f": ("she", "her", "her"), "m": ("he", "him", "his"), "n": ("they", "them", "their")}


@dataclass(frozen=True)
class Person:
    """A character: first name and gender (f or m)."""

    name: str
    gender: str


@dataclass(frozen=True)
class Fact:
    """A value bound to an owner and a key, with what is needed to express it in any grammatical person."""

    family: Family
    owner: Person
    key: str
    value: str
    extra: Env


def draw_person(rng: random.Random, taken: set[str]) -> Person:
    """Draw a person whose name is not in ``taken``, and add the name to it."""
    while True:
        gender = "f" if rng.random() < 0.5 else "m"
        names = lex.FEMALE if gender == "f" else lex.MALE
        name = names[int(rng.random() * len(names))] if rng.random() < 0.93 else coinage(rng).capitalize()
        if name not in taken:
            taken.add(name)
            return Person(name, gender)


def cast_env(a: Person, b: Person) -> Env:
    """Return the bindings for a scene between two people: names and pronouns."""
    env = {"A": a.name, "B": b.name}
    for tag, person in (("A", a), ("B", b)):
        he, him, his = PRONOUNS[person.gender]
        env |= {f"{tag}he": he, f"{tag}him": him, f"{tag}his": his}
    return env


def draw_fact(family: Family, owner: Person, rng: random.Random, taken: set[str], key: str = "") -> Fact:
    """Draw a fact of the family with a value that no other fact of the story has; `key` fixes its key."""
    extra: Env = {}
    gender = "n"
    if family.key == "rel":
        rows = [(key, g) for names, g in _RELATIONS if key in names]
        if not rows:
            names, g = _RELATIONS[(0, 0, 1, 1, 2)[int(rng.random() * 5)]]
            rows = [(rng.choice(names), g)]
        key, gender = rows[0]
        gender = gender if gender != "n" else rng.choice("fm")
        he, him, his = PRONOUNS[gender]
        extra = {"khe": he, "khim": him, "khis": his}
    elif not key:
        key = fill("{" + family.key + "}", rng)
    while True:
        if family.value == "kin":
            value = rng.choice(lex.FEMALE if gender == "f" else lex.MALE)
            value = value if rng.random() < 0.9 else coinage(rng).capitalize()
        else:
            value = fill("{" + family.value + "}", rng)
        if value not in taken and value != key:
            taken.add(value)
            return Fact(family, owner, key, value, extra)


def fact_env(fact: Fact, person: str, tense: str, rng: random.Random, mark: bool) -> Env:
    """Return the bindings that express a fact in `person`: i, you or 3 (the owner in the third person)."""
    name = fact.owner.name
    he, him, his = PRONOUNS[fact.owner.gender]
    if person == "3":
        full = rng.random() < 0.85
        who = {"S": name if full else he, "p": f"{name}'s" if full else his, "O": name if full else him}
    else:
        who = {"i": {"S": "I", "p": "my", "O": "me"}, "you": {"S": "you", "p": "your", "O": "you"}}[person]
    value = f"{OPEN}{fact.value}{SHUT}" if mark else fact.value
    return {**fact.extra, **who, "person": person, "tense": tense, "k": fact.key, "v": value}
