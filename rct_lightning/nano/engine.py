"""A small template engine: expands sentence patterns and polishes the resulting text.

Notation of a pattern: {slot} a word or phrase, [x] optional, (a|b) one of, <verb> a verb that agrees with the
subject.
"""

import random
import re

from rct_lightning.nano.inflect import past, third
from rct_lightning.nano.slots import PHRASES, WORDS

OPEN, SHUT = "\x01", "\x02"  # mark the start and end of a recalled value in a raw story

Env = dict[str, str]
Node = tuple[str, object]

_TOKEN = re.compile(r"\{(\w+)\}|<(?:([3p]):)?(\w+)>|([\[\](|)])|([^\[\](|){}<>]+)")
_CACHE: dict[str, list[Node]] = {}


def _parse(tokens: list[tuple[str, ...]], at: int, until: str) -> tuple[list[list[Node]], int]:
    branches: list[list[Node]] = [[]]
    while at < len(tokens):
        slot, agree, verb, mark, text = tokens[at]
        at += 1
        if slot:
            branches[-1].append(("slot", slot))
        elif verb:
            branches[-1].append(("verb", (agree, verb)))
        elif text:
            branches[-1].append(("text", text))
        elif mark in until:
            return branches, at
        elif mark == "|":
            branches.append([])
        else:
            inner, at = _parse(tokens, at, "]" if mark == "[" else ")")
            branches[-1].append(("any" if mark == "(" else "maybe", inner))
    return branches, at


def _compile(template: str) -> list[Node]:
    nodes = _CACHE.get(template)
    if nodes is None:
        nodes = _CACHE[template] = _parse(_TOKEN.findall(template), 0, "\0")[0][0]
    return nodes


def _agree(verb: str, agree: str, env: Env) -> str:
    person = {"3": "3", "p": "you"}.get(agree, env.get("person", "3"))
    if env.get("tense") == "past":
        if verb == "be":
            return "were" if person == "you" else "was"
        return past(verb)
    if verb == "be":
        return {"i": "am", "you": "are"}.get(person, "is")
    return third(verb) if person == "3" else verb


def _walk(nodes: list[Node], rng: random.Random, env: Env, out: list[str]) -> None:
    for kind, what in nodes:
        if kind == "text":
            out.append(what)  # type: ignore[arg-type]
        elif kind == "slot":
            if what in env:
                out.append(env[what])
            elif what in WORDS:
                out.append(WORDS[what](rng))
            else:
                choices = PHRASES[what]  # type: ignore[index]
                _walk(_compile(choices[int(rng.random() * len(choices))]), rng, env, out)
        elif kind == "verb":
            out.append(_agree(what[1], what[0], env))  # type: ignore[index]
        elif kind == "any" or rng.random() < 0.5:
            branch = what[int(rng.random() * len(what))]  # type: ignore[index,arg-type]
            _walk(branch, rng, env, out)


def fill(template: str, rng: random.Random, env: Env | None = None) -> str:
    """Expand one pattern; slots come from `env` first, then from the word classes."""
    out: list[str] = []
    _walk(_compile(template), rng, env or {}, out)
    return "".join(out)


_ARTICLE = re.compile(r"\b([Aa])n? (\x01?)(\w+)")
_START = re.compile(r"(^|[.?!:] |\n|(?:^|[\s(])\")(\x01?)([a-z])")
_AN = re.compile(r"(?:[aeio8]|u(?!ni[^mn]|s[eu]|k|r[aeiou])|hour|honest|heir|11\b|18\b)(?!ne\b|nce\b|uro)", re.I)


def _article(match: re.Match[str]) -> str:
    a, mark, word = match.groups()
    return f"{a}{'n' if _AN.match(word) else ''} {mark}{word}"


def polish(text: str) -> str:
    """Correct a/an, capitals at the start of sentences and quotes, and doubled spaces."""
    text = re.sub(r" +", " ", text).replace(" ,", ",").replace(" .", ".").replace(" ?", "?")
    text = _ARTICLE.sub(_article, text)
    return _START.sub(lambda m: m.group(1) + m.group(2) + m.group(3).upper(), text).strip()
