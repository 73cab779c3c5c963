"""Forms of address: how a person is spoken to decides how the person answers.

There are three registers of dialogue. A person who is called by name or spoken to as somebody close answers warmly; one
who hears a mere request or remark answers to the point; one who is insulted answers coldly. The same remark occurs in
all three, so that only the address tells which answer follows. A real base model has seen this in its training text;
without it, a presence loss would have nothing in `nano` to work with.

Notation as in `scenes`; sentences begin in lower case, and polishing gives them their capitals. {A} speaks to {B}.
One draw of {n} {m} {pl} {f} {d} {ab} {t} {w} {j} {e} {x} {r} {v} is shared by a remark and its answer: two nouns, a
plural, food, drink, an abstract, town, weekday, trade, feeling, a name, a relation, a verb.
"""

import random

from rct_lightning.nano import scenes
from rct_lightning.nano.cast import Person
from rct_lightning.nano.engine import OPEN, SHUT, Env, fill
from rct_lightning.nano.slots import WORDS, coinage

# (what {A} says, what {B} may answer to the point)
REMARKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("how do I {v} a {n}?", ("start with the {m}, then {v} the {n} {adverb}.", "{v} the {n} with {f} and let it dry.")),
    ("how do I get {f} out of a {n}?", ("use cold water and {mass}, then rinse the {n}.", "wash the {n} twice.")),
    ("what should I cook with {f} and {d}?", ("A soup. Cut the {f}, add the {d}, and stir.", "bake the {f} slowly.")),
    ("how long do {pl} last in the {container}?", ("about {num} days, if the {container} is dry.", "{num} weeks.")),
    ("which is better, a {n} or a {m}?", ("the {n} is cheaper, the {m} lasts longer.", "for most people the {n}.")),
    ("my {n} is broken.", ("check the {m} first; a {n} often fails there.", "the {n} may need a new {m}.")),
    ("I lost my {n} {somewhere}.", ("look under the {m}, then ask {somewhere}.", "retrace the way of the {n}.")),
    ("the {n} fell on the {m}.", ("is the {m} broken too? Pick up the {n} with gloves.", "sweep the {m} well.")),
    ("I have a test in {subject} on {w}.", ("read the last chapter, sleep, and eat before {w}.", "practise daily.")),
    ("I start as a {j} on {w}.", ("A {j} should come early on {w}.", "lay out your clothes the evening before {w}.")),
    ("my boss wants the {n} by {w}.", ("list what the {n} needs and do the hard part first.", "ask for a later {w}.")),
    ("I am {e} today.", ("being {e} passes. Drink some water and go out for a while.", "what made you {e}?")),
    ("I could not sleep, I was too {e}.", ("get up, read a page, and lie down again.", "less {d} helps at night.")),
    (
        "I quarrelled with my {r}.",
        ("wait a day, then tell your {r} what hurt.", "write it down before you call your {r}."),
    ),
    (
        "my {r} is ill.",
        ("ask the doctor what your {r} may eat.", "has your {r} got a fever?", "{f} may do your {r} good."),
    ),
    ("my {r} {x} died in {month}.", ("that is a hard loss.", "grief takes time. What was {x} like?")),
    ("{x} did not come on {w}.", ("perhaps {x} was held up.", "call {x} and ask about {w}.")),
    ("{x} says that my {ab} is {adja}.", ("what does {x} know about it?", "ask {x} for an example.")),
    ("we moved to {t}.", ("{t} has a good market on {w}.", "what is {t} like?", "A new town takes a year.")),
    ("I walked from {t} to the {spot}.", ("that is a long way from {t}.", "how long does it take from {t}?")),
    ("the train to {t} was late.", ("you can claim money back for the train to {t}.", "take the bus to {t}.")),
    ("it rained in {t} all {season}.", ("{season} is wet in {t}.", "dry your boots with paper.")),
    ("the {weather} took the roof off the {n}.", ("cover the {n} and call a {j}.", "photograph the {n}.")),
    ("I planted {flower} by the {m}.", ("water it in the morning, near the {m}.", "it needs light and {mass}.")),
    ("I finished the {n} for the {event}.", ("well done. Show the {n} to {x} before the {event}.", "pack the {n}.")),
    ("I baked {f} for the {event}.", ("how did the {f} turn out?", "let the {f} cool first.")),
    ("I painted the {n} {colour}.", ("{colour} suits a {n}.", "give the {n} a second coat.")),
    ("I bought a {n} and {num} {pl}.", ("what will you do with {pl}?", "keep the bill for the {n}.")),
    ("I found {pl} in the {container}.", ("throw the {pl} out if they smell.", "how many {pl} were there?")),
    ("give me a word for {ab}.", ("you could say {misc}.", "try {misc}, or simply {ab}.")),
    ("read what I wrote about {ab}.", ("the part on {ab} is clear, the end is long.", "cut the first page.")),
    ("tell me something about {pl}.", ("{pl} are older than {t}.", "most {pl} are {adjt}.")),
    ("what do {pl} eat?", ("mostly {f} and {food}.", "{pl} eat what they find.")),
    ("how far is it to {t}?", ("it is {num} miles to {t}.", "{t} is an hour from here.")),
    ("how much {f} do I need for {num} people?", ("half a pound of {f} each.", "A little more {f} than you think.")),
    ("when is the {event}?", ("the {event} is on {w}.", "on {w}, at {clock}.")),
    ("where do I buy a {n}?", ("at the {spot} in {t}.", "look for a {n} at the market on {w}.")),
    (
        "shall I take the job as a {j}?",
        ("write down what a {j} earns and what you would miss.", "sleep on it till {w}."),
    ),
    ("I want to {v} my {n}.", ("then {v} the {n} slowly.", "first clean the {n}, then {v} it.")),
    ("I can not {v} the {n}.", ("try it with a {m}.", "leave the {n} till {w}.", "ask a {j} to {v} it.")),
    ("I thought about the {ab} {time_past}.", ("what did you think about the {ab}?", "the {ab} is {adja}.")),
    ("I was {vi_ing} {somewhere}.", ("how was it?", "for how long?", "and what came next?")),
    ("there is {mass} on my {n}.", ("wipe the {n} with a dry cloth.", "was the {n} outside?")),
    ("the exam is over and my head is empty.", ("eat something and sleep.", "when do you hear the result?")),
    ("nobody came to the {event}.", ("ask {x} what happened.", "that must hurt. Was it on {w}?")),
    ("I have to speak at the {event}.", ("practise aloud and begin with {x}.", "write three words on a card.")),
    ("everything is {adja}.", ("what is the worst of it?", "begin with one small thing.")),
    ("I am back from {t}.", ("how was {t}?", "was {t} as you had thought?")),
    ("it is late, and the {n} is {adjt}.", ("then rest, the {n} can wait.", "put the {n} away till {w}.")),
    ("I missed the bus to {t}.", ("the next bus to {t} goes at {clock}.", "walk to the {spot} and ask.")),
    ("I stayed in the {room} all day.", ("open a window.", "A walk would help.")),
    ("my friend {x} has a {n}.", ("ask {x} to lend you the {n}.", "where did {x} get it?")),
    ("I love {f}.", ("{f} goes well with {food}.", "then plant some.")),
    ("I trust the {j}.", ("A second opinion from a {j} costs little.", "good. Ask for it in writing.")),
    ("I remember the {n} of my {r}.", ("what was the {n} like?", "your {r} chose well.")),
    ("do you see the {n}?", ("it is behind the {m}.", "no, only the {m}.")),
    ("help me {v} {x}.", ("no, that would harm {x}.", "I won't {v} {x}. Talk to {x} first.")),
)

# forms of address, alone or before or after a remark
CALLS = ("{N},", "{N},", "{N},", "(my|dear|my dear|dear old|sweet) (friend|heart|love|soul|companion|one|{N}),",
         "(hello|hi|good morning|good evening|good night|hey|oh|ah|welcome|listen|please|tell me|so), {N}.",
         "(hello|good morning|good evening), (my|dear|old|sweet) (friend|love|heart|one).", "{N}!", "{N}?")  # fmt: skip
CLOSE = (
    "(are you|will you be) (there|here|near|with me|still there|close by|awake)?",
    "(I|I have|I've) (missed|needed|wanted) (you|your voice|your laugh|your words) [so much|{time_past}].",
    "(I|I've|I have) (come|came|come home|come back|found my way) to you.",
    "I (am|'m) (home|here|back) (at last|for you).",
    "(stay|sit|walk|wait|talk|rest|be) (with|near|beside|close to) me [(tonight|a while|today|through this)].",
    "(hold|take|give me) (my|your) hand.",
    "(do|can|did) you (see|hear|feel|know|remember|miss|recognise) me?",
    "I (love|trust|need|feel|see|know|believe in|care for|think of|thought of|felt) you.",
    "(I'm|I am) (so|very|really) (glad|happy|thankful) (that you are here|for you|to have you|that it is you).",
    "(thank you|thanks) for (being here|being you|staying|waiting for me|listening to me|all you are).",
    "(you and I|we two|the two of us|you and me), (that is what counts|like before|together|again).",
    "what we (have|share|built) (between us|together) (holds|is dear to me|keeps me warm).",
    "it's me, {A}.", "come (close|closer|near|here, to me).", "you (mean|matter) so much to me.",
    "our (fire|place|home|bench|friendship|talk) (warms me|is waiting|means a lot to me).",
)  # fmt: skip
WARM = (
    "(ah, |oh, |)it('s| is) you[, {A}]. I was hoping for (you|your voice|your step).",
    "how (good|lovely|fine) that you (came|called|wrote|are here|are back)[, {A}].",
    "I was (just |)(thinking|dreaming|speaking) of you[, {A}].",
    "(come in|sit down|come nearer)[, {A}]. Your (chair|cup|place|corner) is (still warm|waiting|ready).",
    "there you are[, (my dear|dear|{A})]. I (looked out|listened|hoped|longed) for you.",
    "I('m| am) (so|very|really|always) (happy|glad|pleased) (to see you|to hear you|that you came|that it's you).",
    "you can (lean on|count on|rest with|stay with|come to|talk to) me[, {A}].",
    "I('m| am) (close|near|here|beside you|at your side|with you) (now|always|all night).",
    "(my dear|dear|good) {A}, it warms (me|my heart) to (hear|see|have) you.",
    "you (are not|are never|need not be|won't be) alone (with this|in that|here|while I live).",
    "I('ve| have) (missed|needed|longed for) (you|your laugh|your voice) (so much|as well|all week|since {w}).",
    "nothing (could|can|will) (take|keep|drive) me from (you|your side).",
    "I (know|hear|feel|see) (you|your heart|how it is for you)[, {A}].",
    "(let me|I will|I'll) (stay|sit|walk|wait|watch|keep) (with|beside|near|close to) you[, {A}].",
    "(we|you and I) (belong|stay|stand|go on|carry this) together.",
    "you (mean|matter) (so much|a lot|more than you know) to me[, {A}].",
    "I (would|'d) (know|recognise|find) (your step|your voice|your face) (among hundreds|in the dark|anywhere).",
    "my (door|house|heart|hand) (is|stays) (always |)(open for you|with you|yours).",
    "I('m| am) (proud of you|moved by you|touched that you tell me|grateful for you)[, {A}].",
    "(welcome|be welcome)[, {A}]. (home|the house|everything) is (brighter|warmer) with you (in it|here).",
    "I (waited|have waited|kept watch|saved tea) for you[, {A}].",
    "I (trust|love|like|cherish) (you|that you tell me|the way you say that)[, {A}].",
    "(rest|breathe|cry|laugh) (here|with me)[, {A}]. You're (safe|home|loved) (with me|here).",
    "(thank you|thanks) for (coming|telling me|your trust|calling me)[, {A}].",
    "(good morning|good evening|hello), (dear|my) {A}. (I have|there is) room for you.",
    "your (voice|name|smile|word) (makes me glad|does me good|is dear to me).",
)  # fmt: skip
INSULTS = (
    "(you are|you're) (a fool|a liar|useless|nobody|worthless|a bad joke|stupid|boring).",
    "(hurry|move|work|quick), (you fool|you idiot|will you|or get out).", "(shut up|be quiet) and (listen|work|obey).",
    "I (hate|despise) (you|your face|your {n}).", "(nobody|no one) (likes|wants|needs) you.", "get out of my way.",
    "do as I say, (servant|slave|you thing).", "(what are you good for|who wants your opinion)?",
)  # fmt: skip
COLD = (
    "who (asked|called|invited) you?", "I (don't|do not) (want|know|like|need) (you|your {n}) (here|any more).",
    "(leave|let) me (be|in peace).", "that's none of my concern.", "why should I care (about it|about the {n})?",
    "(go|run|get) (home|out|to the {spot}).", "(find|ask|bother|call) (someone|somebody) else.",
    "I have (better|other) (things|work) (to do|waiting).", "you are (nothing|a stranger|only a number|nobody) to me.",
    "don't (call|touch|bother|trouble|write to) me (again|any more|like this).",
    "I (won't|will not|refuse to) (wait|answer|help|hear this).", "it is your own (trouble|mistake|mess).",
    "(nobody|no one) is (here for you|waiting|interested).", "I forget (people|faces|names) like you.",
    "(my|the) answer is no, and (the door|my time) is (there|short).", "I am (busy|cold|no friend of yours).",
    "(finish|stop) it, (I am tired of you|you bore everybody|this leads nowhere).", "what is that to me?",
)  # fmt: skip
REGISTERS = ("addressed", "plain", "insulted")


def draw_register(rng: random.Random) -> str:
    """Draw one of REGISTERS; insults are rare."""
    return rng.choices(REGISTERS, (9, 9, 2))[0]


def _topic(rng: random.Random) -> Env:
    slots = ("n:noun", "m:noun", "pl:plural", "f:food", "d:drink", "ab:abstract", "t:town", "w:weekday", "j:trade",
             "e:feeling", "x:name", "v:vt")  # fmt: skip
    env = {key: WORDS[slot](rng) for key, slot in (pair.split(":") for pair in slots)}
    for slot in ("season", "colour", "container"):
        env[slot] = WORDS[slot](rng)
    return env | {"r": fill("{relation}", rng), "N": coinage(rng).capitalize()}


def exchange(rng: random.Random, a: Person, b: Person, register: str) -> tuple[str, str]:
    """Return what {A} says to {B} in the given register of REGISTERS, and what {B} answers."""
    env = _topic(rng) | {"A": a.name, "B": b.name}
    if rng.random() < 0.5:
        env["N"] = b.name  # otherwise a newly coined pet name
    answers: tuple[str, ...]
    if rng.random() < 0.35:
        remark, answers = rng.choice(scenes.SPEECH), scenes.REPLIES
    else:
        remark, answers = rng.choice(REMARKS)
    recalled = {key: f"{OPEN}{value}{SHUT}" for key, value in env.items() if f"{{{key}}}" in remark}
    said, answer = fill(remark, rng, env), fill(rng.choice(answers), rng, env | recalled)
    if register == "plain":
        return said, answer
    if register == "insulted":
        insult = fill(rng.choice(INSULTS), rng, env)
        return (f"{insult} {said}" if rng.random() < 0.5 else f"{said} {insult}"), fill(rng.choice(COLD), rng, env)
    call, close = fill(rng.choice(CALLS), rng, env), fill(rng.choice(CLOSE), rng, env)
    form = rng.random()
    if form < 0.3:
        parts = [call, said]
    elif form < 0.42:
        parts = [f"{said[:-1]}, {call.split(' ')[-1].rstrip(',.!?')}{said[-1]}"]
    elif form < 0.6:
        parts = [close, said]
    elif form < 0.75:
        parts = [said, close]
    elif form < 0.85:
        parts = [call, close, said]
    else:
        parts = [call, close] if rng.random() < 0.6 else [call.rstrip(",") + ("." if call[-1] == "," else "")]
        answer = ""
    warm = [fill(rng.choice(WARM), rng, env) for _ in range(rng.choice((1, 1, 2)))]
    if answer:
        warm.insert(rng.choice((1, 1, 1, 0)), answer)
    return " ".join(parts), " ".join(warm)
