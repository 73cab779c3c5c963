"""The narrative grammar: third-person stories in which facts are stated, left, and asked for again.

A story has a cast, a few facts (often several of one kind), and a sequence of beats: facts told in narration, in
dialogue or in letters; scenes in between; then questions whose only right answer was stated earlier.
"""

import random
import re
from collections.abc import Iterator

from rct_lightning.nano import lexicon as lex
from rct_lightning.nano import scenes
from rct_lightning.nano.address import draw_register, exchange
from rct_lightning.nano.cast import PRONOUNS, Fact, Person, cast_env, draw_fact, draw_person, fact_env
from rct_lightning.nano.engine import OPEN, SHUT, fill, polish
from rct_lightning.nano.facts import FAMILIES
from rct_lightning.nano.slots import WORDS

ROLE_NAMES = ("Human", "Assistant", "human", "assistant")
_GESTURES = ("looked up", "nodded", "smiled", "waited", "laughed", "thought", "turned")
_MARKS = re.compile(f"[{OPEN}{SHUT}]")


class Story:
    """Builds one story; `text()` returns the raw form with recalled values enclosed in OPEN and SHUT."""

    def __init__(self, rng: random.Random) -> None:
        """Draw the cast; all later choices are drawn from `rng` too."""
        self.rng = rng
        self.taken: set[str] = set()
        self.cast = [draw_person(rng, self.taken) for _ in range(rng.choice((2, 2, 2, 3)))]
        self.beats: list[str] = []
        self.told: list[Fact] = []

    # --- saying

    def clause(self, fact: Fact, person: str, tense: str = "now", mark: bool = True) -> str:
        """Return a declarative clause that states the fact, without a full stop."""
        return fill(self.rng.choice(fact.family.tell), self.rng, fact_env(fact, person, tense, self.rng, mark))

    def question(self, fact: Fact, person: str, tense: str = "now") -> str:
        """Return a question for the fact, with its question mark."""
        return fill(self.rng.choice(fact.family.ask), self.rng, fact_env(fact, person, tense, self.rng, False)) + "?"

    def answer(self, fact: Fact, person: str) -> str:
        """Return a short answer or the whole clause, with a full stop."""
        if self.rng.random() < 0.6:
            short = self.rng.choice(fact.family.short)
            return fill(short, self.rng, fact_env(fact, person, "now", self.rng, True)) + "."
        return self.clause(fact, person) + "."

    def speech(self, who: Person, line: str, clear: bool = False) -> str:
        """Return one line of dialogue: with the speaker's name, with a pronoun, or bare.

        With `clear` the line always names the speaker, because "my" is meaningless otherwise.
        """
        rng, (he, _, _) = self.rng, PRONOUNS[who.gender]
        kind = rng.random()
        if clear:
            while 0.3 <= kind < 0.42 or kind >= 0.75:
                kind = rng.random()
        verb = rng.choice(lex.SAY) if rng.random() < 0.5 else ("asked" if line[-1] == "?" else "said")
        inner = line[:-1] + "," if line[-1] == "." else line
        if kind < 0.3:
            return f'"{inner}" {verb} {who.name}.'
        if kind < 0.42:
            return f'"{inner}" {he} {verb}.'
        if kind < 0.57:
            return f'{who.name} {verb}, "{line}"'
        if kind < 0.65:
            return f'"{inner}" {who.name} {verb} {rng.choice(lex.ADVERBS)}.'
        if kind < 0.75:
            return f'{who.name} {rng.choice(_GESTURES)}. "{line}"'
        return f'"{line}"'

    def pair(self) -> tuple[Person, Person]:
        """Draw two different people of the cast, in random order."""
        a, b = self.rng.sample(self.cast, 2)
        return a, b

    def scene(self, patterns: tuple[str, ...]) -> str:
        """Return a sentence of narration."""
        return fill(self.rng.choice(patterns), self.rng, cast_env(*self.pair()))

    def chat(self, lines: int) -> str:
        """Return a few lines of talk that need no memory."""
        a, b = self.pair()
        out = []
        for _ in range(lines):
            out.append(self.speech(a, fill(self.rng.choice(scenes.SPEECH), self.rng, cast_env(a, b))))
            if self.rng.random() < 0.6:
                out.append(self.speech(b, fill(self.rng.choice(scenes.REPLIES), self.rng)))
            a, b = b, a
        return "\n".join(out)

    def talk(self, exchanges: int) -> str:
        """Return remarks and answers; how each remark addresses the listener decides how it is answered."""
        rng, (a, b) = self.rng, self.pair()
        out, quoted = [], rng.random() < 0.4
        for _ in range(exchanges):
            said, answer = map(polish, exchange(rng, a, b, draw_register(rng)))
            if quoted:
                out += [self.speech(a, said), self.speech(b, answer)]
            else:
                says, answers = rng.choice(scenes.SAYS), rng.choice(scenes.ANSWERS)
                out += [f"{a.name} {says} {b.name}: {said}", f"{b.name} {answers}: {answer}"]
            if rng.random() < 0.5:
                a, b = b, a
        return "\n".join(out)

    def headed(self) -> str:
        """Return narration after headings that end with a colon, one per line."""
        lines = []
        for _ in range(self.rng.choice((1, 2, 2, 3))):
            heading = fill(self.rng.choice(scenes.HEADINGS), self.rng)
            while heading.endswith(ROLE_NAMES):  # the roles of a dialogue are left to fine-tuning
                heading = fill(self.rng.choice(scenes.HEADINGS), self.rng)
            lines.append(f"{heading}: {self.scene(self.rng.choice((scenes.OPENINGS, scenes.ACTIONS)))}")
        return "\n".join(lines)

    # --- beats

    def tell(self, facts: list[Fact]) -> str:
        """State facts for the first time, in one of several forms."""
        rng, owner = self.rng, facts[0].owner
        other = rng.choice([p for p in self.cast if p is not owner])
        same = [f for f in facts if f.owner is owner]
        rest = [f for f in facts if f.owner is not owner]
        kind = rng.random()
        if kind < 0.3:
            text = " ".join(self.clause(f, "3", "past", False) + "." for f in same)
        elif kind < 0.8:
            lines = []
            for fact in same:
                line = self.clause(fact, "i", "now", False) + "."
                lines.append(self.speech(owner, line, clear=True))
                draw = rng.random()
                if draw < 0.25:
                    lines.append(self.speech(other, f"{OPEN}{fact.value}{SHUT}{rng.choice('.?')}"))
                elif draw < 0.4:
                    lines.append(self.speech(other, f"So {self.clause(fact, 'you')}."))
                elif draw < 0.7:
                    lines.append(self.speech(other, fill(rng.choice(scenes.REPLIES), rng)))
            text = "\n".join(lines)
        elif kind < 0.92:
            body = " ".join(self.clause(f, "i", "now", False) + "." for f in same)
            filler = fill(rng.choice(scenes.SPEECH), rng, cast_env(owner, other))
            letter = f"Dear {other.name}, {body} {filler} Yours, {owner.name}."
            text = f"{owner.name} wrote to {other.name}:\n{letter}"
        else:
            body = " ".join(self.clause(f, "3", "now", False) + "." for f in same)
            text = self.speech(other, body)
        self.told += same
        return text + ("\n" + self.tell(rest) if rest else "")

    def recall(self, fact: Fact) -> str:
        """Return to a fact: asked and answered in dialogue, thought, or narrated."""
        rng, owner = self.rng, fact.owner
        other = rng.choice([p for p in self.cast if p is not owner])
        kind = rng.random()
        if kind < 0.15:
            x = self.clause(fact, "3", "past")
            return fill(rng.choice(scenes.REMEMBER), rng, {**cast_env(owner, other), "x": x})
        if kind < 0.45:  # the owner asks, the friend remembers
            asker, teller, ask, say = owner, other, "i", "you"
        elif kind < 0.75:  # the friend asks, the owner answers
            asker, teller, ask, say = other, owner, "you", "i"
        else:  # somebody asks about the owner
            asker = draw_person(rng, self.taken) if len(self.cast) < 3 else rng.choice(self.cast)
            teller, ask, say = other, "3", "3"
            if asker is owner or asker is other:
                asker, ask, say = owner, "i", "you"
        question = self.question(fact, ask)
        clear = any(f.key == fact.key and f.owner is not owner for f in self.told)
        if rng.random() < 0.2:
            question = f"{rng.choice(scenes.ASKING)} {question}"
        answer = self.answer(fact, say)
        if rng.random() < 0.25:
            answer = f"{rng.choice(scenes.PROMPTS)} {answer}"
        elif rng.random() < 0.12:
            wrong = [f.value for f in self.told if f.family is fact.family and f is not fact]
            guess = (
                rng.choice(wrong)
                if wrong
                else fill("{" + fact.family.value + "}", rng)
                if fact.family.value != "kin"
                else ""
            )
            if guess:
                question, answer = f"{question} {guess}?", f"No. {answer}"
        return self.speech(asker, question, clear) + "\n" + self.speech(teller, answer)

    def again(self) -> str:
        """Return a passage that is repeated word for word: a list, a song, a letter, a question asked twice."""
        rng, (a, b) = self.rng, self.pair()
        kind = rng.random()
        if kind < 0.35:
            slot = rng.choice(
                (
                    "noun",
                    "plural",
                    "food",
                    "name",
                    "town",
                    "misc",
                    "abstract",
                    "adjt",
                    "vt",
                    "coinage",
                    "misc",
                    "adverb",
                )
            )
            items = [WORDS[slot](rng) for _ in range(rng.randrange(3, 8))]
            listed = ", ".join(items)
            after = "Then {B} read it again: {l}." if rng.random() < 0.5 else '"{l}," {B} repeated.'
            first = rng.choice(
                (
                    "{A} read the list: {l}.",
                    "The list said: {l}.",
                    "{A} wrote {n} words: {l}.",
                    'The parrot cried, "{l}."',
                )
            )
            marked = f"{OPEN}{listed}{SHUT}"
            return " ".join(
                s.replace("{A}", a.name).replace("{B}", b.name).replace("{n}", str(len(items))).replace("{l}", x)
                for s, x in ((first, listed), (after, marked))
            )
        if kind < 0.7:
            lines = [
                fill(rng.choice(scenes.SPEECH + scenes.ACTIONS), rng, cast_env(a, b))
                for _ in range(rng.randrange(1, 4))
            ]
            text = " ".join(lines).replace('"', "")
            title = rng.choice(("song", "letter", "note", "prayer", "poem", "sign", "message", "rule", "page"))
            pause, same = self.scene(scenes.ACTIONS), f"{OPEN}{polish(text)}{SHUT}"
            return f"The {title} said: {text} {pause} {b.name} read the {title} once more: {same}"
        line = fill(rng.choice(scenes.SPEECH), rng, cast_env(a, b))
        asked = rng.choice(("What did you say?", "What was that?", "Say that again.", "Did you hear that?", "Pardon?"))
        return "\n".join(
            (
                self.speech(a, line),
                self.speech(b, asked),
                self.speech(a, f"I said: {OPEN}{polish(line)}{SHUT}"),
            )
        )

    def facts(self) -> list[Fact]:
        """Draw the facts of the story; the first family often has two or three facts."""
        rng, out = self.rng, []
        weights = [f.weight for f in FAMILIES]
        chosen = rng.choices(FAMILIES, weights, k=rng.choice((1, 2, 2, 3)))
        for i, family in enumerate(dict.fromkeys(chosen)):
            many = rng.choice((2, 2, 3)) if i == 0 and rng.random() < 0.7 else 1
            keys: set[str] = set()
            key = ""
            shared = many > 1 and family.key != "nothing" and rng.random() < 0.35  # one key, several owners
            for n in range(many):
                owner = self.cast[n % len(self.cast)] if shared or family.key == "nothing" else self.cast[0]
                if family.key == "nothing" and n >= len(self.cast):
                    break
                fact = draw_fact(family, owner, rng, self.taken, key if shared else "")
                if (fact.key, owner.name) in keys:
                    continue
                keys.add((fact.key, owner.name))  # type: ignore[arg-type]
                key = fact.key
                out.append(fact)
        return out

    def text(self) -> str:
        """Compose the story; recalled values are enclosed in OPEN and SHUT."""
        rng = self.rng
        beats = [self.headed() if rng.random() < 0.2 else self.scene(scenes.OPENINGS)]
        kind = rng.random()
        if kind < 0.35:  # how people speak to each other
            for _ in range(rng.randrange(1, 4)):
                beats.append(self.talk(rng.randrange(1, 4)))
                if rng.random() < 0.4:
                    beats.append(self.headed() if rng.random() < 0.4 else self.scene(scenes.ACTIONS))
        elif kind < 0.4:  # English only
            for _ in range(rng.randrange(2, 6)):
                beats.append(self.chat(rng.randrange(1, 4)) if rng.random() < 0.5 else self.scene(scenes.ACTIONS))
        else:
            self._remembering(beats)
        if rng.random() < 0.25:
            beats.append(self.again())
        if rng.random() < 0.35:
            beats.append(self.scene(scenes.CLOSINGS))
        return "\n".join(polish(b) for b in beats)

    def _remembering(self, beats: list[str]) -> None:
        rng = self.rng
        facts = self.facts()
        rng.shuffle(facts)
        while facts:
            take = min(len(facts), rng.choice((1, 2, 3)))
            beats.append(self.tell(facts[:take]))
            facts = facts[take:]
            if rng.random() < 0.3:
                beats.append(self._between())
        for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
            beats.append(self._between())
        asked = list(self.told)
        rng.shuffle(asked)
        for fact in asked + (rng.choices(asked, k=1) if rng.random() < 0.4 else []):
            beats.append(self.recall(fact))
            if rng.random() < 0.2:
                beats.append(self._between())

    def _between(self) -> str:
        draw = self.rng.random()
        if draw < 0.15:
            return self.headed()
        if draw < 0.45:
            return " ".join(self.scene(scenes.ACTIONS) for _ in range(self.rng.choice((1, 1, 2))))
        if draw < 0.9:
            return (self.chat if draw < 0.6 else self.talk)(self.rng.choice((1, 1, 2)))
        return self.scene(scenes.ELSEWHERE)


def marked_stories(seed: int) -> Iterator[str]:
    """Yield raw stories of one seed without end; values that can be copied from earlier text are in OPEN and SHUT."""
    rng = random.Random(seed)
    while True:
        yield Story(rng).text()


def split_marks(raw: str) -> tuple[str, list[tuple[int, int]]]:
    """Remove the marks of a raw story; return the plain text and the (start, end) spans they enclosed."""
    spans: list[tuple[int, int]] = []
    out, length, start = [], 0, 0
    for piece in re.split(f"([{OPEN}{SHUT}])", raw):
        if piece == OPEN:
            start = length
        elif piece == SHUT:
            spans.append((start, length))
        else:
            out.append(piece)
            length += len(piece)
    return "".join(out), spans


def stories(seed: int) -> Iterator[str]:
    """Yield plain stories of one seed without end, each about 80 to 400 tokens long."""
    for raw in marked_stories(seed):
        yield _MARKS.sub("", raw)
