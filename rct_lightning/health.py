"""Health while training: rules over what a run reports, relative to its own base and corpus.

A rule looks at numbers alone (losses and gradients of steps, evaluations, figures of the model's own replies), so that
a finished run can be judged again from its events. Each says what was seen, what it usually means, and what to do. It
speaks once, and again only when what it saw had gone in between.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

WINDOW = 50
"""Optimizer steps over which a term must move."""
RATIO = (0.01, 10.0)
"""Norm of a term's weighted gradient over that of the LM gradient, in one step. Healthy runs reach 4 in three
measurements in a row: a step holds few recurrent words and few pairs, and its gradient is mostly their chance."""
MEASUREMENTS = 3
"""Consecutive measurements of gradients, or evaluations, that make a tendency."""
OPPOSED = -0.5
"""Cosine of a term's gradient with the LM gradient."""
WORSE_THAN_BASE, RISEN = 1.2, 1.02
TOO_GOOD = 0.4
"""Share of the base's LM loss that no adapter gets to on unseen rows; the few counts of a small corpus say nothing."""
REPETITION, ENDED, OPENINGS, WARM = 0.6, 0.05, 0.5, 0.5
ROOM = 1.5
"""By how much replies may be longer than the corpus's, for their ends to be judged."""


@dataclass(frozen=True)
class Alert:
    """What a rule has to say.

    Attributes:
        rule: Its name, as in docs/guards.md.
        step: Optimizer step at which it was seen.
        seen: What was found, with its figures.
        means: What it usually means.
        remedy: What to do.
        fatal: Whether training on is pointless.
    """

    rule: str
    step: int
    seen: str
    means: str
    remedy: str
    fatal: bool

    def line(self) -> str:
        """In one paragraph."""
        return f"{self.rule}, step {self.step}: {self.seen}. {self.means} {self.remedy}"


@dataclass(frozen=True)
class RepliesSeen:
    """Figures of greedy replies to evaluation prompts that do not address the assistant.

    Attributes:
        repetition: Mean share of repeated 4-grams.
        ended: Share that ended with EOS.
        words: Mean number of words.
        bond_rate: Share with bond language.
        openings: Entropy of their first three words, as a share of what as many different openings have.
        most_tokens: After which a reply was cut off.
    """

    repetition: float
    ended: float
    words: float
    bond_rate: float
    openings: float
    most_tokens: int

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        *,
        ended: Sequence[bool],
        bond: Sequence[bool],
        repetition: Sequence[float],
        most_tokens: int,
    ) -> RepliesSeen:
        """From at least two replies, and what was found of each."""
        first_words = Counter(" ".join(text.lower().split()[:3]) for text in texts)
        shares = [count / len(texts) for count in first_words.values()]
        return cls(
            repetition=_mean(repetition),
            ended=_mean(ended),
            words=_mean([len(text.split()) for text in texts]),
            bond_rate=_mean(bond),
            openings=-sum(share * math.log(share) for share in shares) / math.log(len(texts)),
            most_tokens=most_tokens,
        )


@dataclass(frozen=True)
class Expected:
    """What this run's figures are judged against.

    Attributes:
        weights: Lambda * w of each relational term.
        floor: LM loss of the evaluation replies, nats per token, under bigram counts of these very replies.
        reply_tokens: Mean length of the evaluation replies.
    """

    weights: Mapping[str, float]
    floor: float = 0.0
    reply_tokens: float = math.inf


Values = Mapping[str, float]
Seen = Iterator[tuple[str, str]]
"""What the rule is about (a term, or nothing) and what was seen."""


@dataclass
class Health:
    """Takes in what a run reports and says what is wrong with it.

    ``total_steps`` are the optimizer steps of the run; rules that wait for its second half are silent while it is 0.
    """

    expected: Expected
    total_steps: int = 0
    steps: list[tuple[int, Values]] = field(default_factory=list)
    gradients: list[tuple[int, Values]] = field(default_factory=list)
    evaluations: list[tuple[int, Values]] = field(default_factory=list)
    replies: list[tuple[int, RepliesSeen]] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)  # terms that were above zero once
    standing: set[tuple[str, str]] = field(default_factory=set)  # what was said and still holds

    def step(self, step: int, values: Values) -> list[Alert]:
        """A training step: terms, total, and gradients where they were measured."""
        self.steps = [(at, seen) for at, seen in self.steps if at > step - WINDOW] + [(step, values)]
        self.moved |= {term for term in self.expected.weights if values.get(term, 0.0) > 0}
        if "grad/lm_norm" in values:
            self.gradients.append((step, values))
        return self._ask("step", step)

    def evaluation(self, step: int, values: Values) -> list[Alert]:
        """An evaluation; the first is the base's."""
        self.evaluations.append((step, values))
        return self._ask("evaluation", step)

    def spoken(self, step: int, replies: RepliesSeen) -> list[Alert]:
        """Replies of the model's own; the first are the base's."""
        self.replies.append((step, replies))
        return self._ask("replies", step)

    def _ask(self, watches: str, step: int) -> list[Alert]:
        alerts = []
        for rule in RULES:
            if rule.watches != watches:
                continue
            seen = dict(rule.look(self))
            alerts += [
                Alert(rule.name, step, what, rule.means, rule.remedy, rule.fatal)
                for about, what in seen.items()
                if (rule.name, about) not in self.standing
            ]
            self.standing = {pair for pair in self.standing if pair[0] != rule.name}
            self.standing |= {(rule.name, about) for about in seen}
        return alerts


@dataclass(frozen=True)
class Rule:
    """One thing that can go wrong.

    Attributes:
        name: As in docs/guards.md.
        watches: What it is asked after.
        condition: When it speaks, for the documentation.
        look: Yields what it is about and what it sees, where something is wrong.
        means: What that usually means.
        remedy: What to do.
        fatal: Whether training on is pointless.
    """

    name: str
    watches: Literal["step", "evaluation", "replies"]
    condition: str
    look: Callable[[Health], Seen]
    means: str
    remedy: str
    fatal: bool = False


def _weighted(health: Health) -> list[str]:
    return [term for term, weight in health.expected.weights.items() if weight > 0]


def _not_finite(health: Health) -> Seen:
    step, values = health.steps[-1]
    wrong = sorted(name for name, value in values.items() if not math.isfinite(value))
    if wrong:
        yield "", f"{', '.join(wrong[:4])} not finite"


def _window(health: Health, term: str) -> list[float] | None:
    """A term's values over the last WINDOW steps; None before as many have passed."""
    if health.steps[-1][0] < WINDOW or len(health.steps) < 2:
        return None
    return [values[term] for _, values in health.steps if term in values]


def _constant(health: Health) -> Seen:
    for term in _weighted(health):
        found = _window(health, term)
        if found and len(found) > 1 and found[0] != 0 and max(found) - min(found) <= 1e-6 * max(map(abs, found)):
            yield term, f"{term} was {found[0]:.4g} in every one of the last {WINDOW} steps"


def _silent(health: Health) -> Seen:
    for term in _weighted(health):
        found = _window(health, term)
        if found is not None and not any(found):
            if not found:
                yield term, f"nothing in the last {WINDOW} steps was judged by {term}"
            elif term not in health.moved:
                yield term, f"{term} was 0 in every step so far"


def _ratios(health: Health, term: str) -> list[float]:
    """Newest measurements of a term's weighted gradient relative to the LM gradient."""
    weight, key = health.expected.weights[term], f"grad/{term}_norm"
    measured = [values for _, values in health.gradients if key in values and values["grad/lm_norm"] > 0]
    return [weight * values[key] / values["grad/lm_norm"] for values in measured[-MEASUREMENTS:]]


def _out_of_proportion(health: Health) -> Seen:
    for term in _weighted(health):
        ratios = _ratios(health, term)
        if len(ratios) < MEASUREMENTS:
            continue
        shown = ", ".join(f"{ratio:.2g}" for ratio in ratios)
        if min(ratios) > RATIO[1] or max(ratios) < RATIO[0]:
            yield term, f"the weighted gradient of {term} was {shown} times that of the LM loss"


def _opposed(health: Health) -> Seen:
    for term in _weighted(health):
        key = f"grad/{term}_cosine_lm"
        measured = [(at, values[key]) for at, values in health.gradients if key in values]
        tail = [pair for pair in measured if pair[0] >= measured[-1][0] - WINDOW]
        if len(tail) > 1 and tail[-1][0] - tail[0][0] >= WINDOW and all(cosine < OPPOSED for _, cosine in tail):
            yield term, f"the gradient of {term} has had a cosine of {tail[-1][1]:.2f} with the LM gradient"


def _too_good(health: Health) -> Seen:
    base, found = (health.evaluations[at][1]["lm"] for at in (0, -1))
    if found < health.expected.floor:
        floor = f"where bigram counts of these very replies give {health.expected.floor:.3f}"
        yield "", f"an evaluation LM loss of {found:.3f} nats per token, {floor}"
    elif found < TOO_GOOD * base:
        yield "", f"the evaluation LM loss is {found:.3f}, {found / base:.0%} of the base's {base:.3f}"


def _two_losses(health: Health) -> Seen:
    values = health.evaluations[-1][1]
    own, true = values["lm"], values.get("next_token", values["lm"])
    if abs(own - true) > 0.01 * max(1.0, true):
        yield "", f"the objective calls {own:.3f} its LM loss; the replies' next-token loss is {true:.3f}"


def _worse_than_base(health: Health) -> Seen:
    base, now = (_true_loss(health.evaluations[at][1]) for at in (0, -1))
    if now > WORSE_THAN_BASE * base:
        yield "", f"the evaluation LM loss is {now:.3f}, the base's was {base:.3f}"


def _rising(health: Health) -> Seen:
    tail = [_true_loss(values) for _, values in health.evaluations[-MEASUREMENTS - 1 :]]
    rises = all(later > earlier for earlier, later in zip(tail, tail[1:], strict=False))
    if len(tail) == MEASUREMENTS + 1 and rises and tail[-1] > RISEN * tail[0]:
        yield "", f"the evaluation LM loss rose from {tail[0]:.3f} to {tail[-1]:.3f} over {MEASUREMENTS} evaluations"


def _standstill(health: Health) -> Seen:
    tail = [_true_loss(values) for _, values in health.evaluations[-2:]]
    if len(tail) == 2 and tail[0] == tail[1] and health.evaluations[-1][0] > health.evaluations[-2][0]:
        yield "", f"the evaluation LM loss is {tail[1]:.6f}, to the last digit what it was"


def _true_loss(values: Values) -> float:
    return values.get("next_token", values["lm"])


def _repeats(health: Health) -> Seen:
    now = health.replies[-1][1]
    if _late(health) and now.repetition > REPETITION:
        yield "", f"{now.repetition:.0%} of the 4-grams of its replies are repetitions"


def _late(health: Health) -> bool:
    return 2 * health.replies[-1][0] >= health.total_steps > 0


def _never_ends(health: Health) -> Seen:
    now = health.replies[-1][1]
    has_room = now.most_tokens >= ROOM * health.expected.reply_tokens
    if _late(health) and has_room and now.ended < ENDED:
        yield "", f"{now.ended:.0%} of its replies end by themselves"


def _says_little(health: Health) -> Seen:
    now = health.replies[-1][1]
    if now.words < 2:
        yield "", f"its replies have {now.words:.1f} words"


def _says_the_same(health: Health) -> Seen:
    base, now = health.replies[0][1], health.replies[-1][1]
    if _late(health) and now.openings < OPENINGS * min(1.0, base.openings):
        spread = f"{now.openings:.2f} of the largest, {base.openings:.2f} with the base"
        yield "", f"its replies to different prompts begin alike: entropy of their first words is {spread}"


def _warm_to_everybody(health: Health) -> Seen:
    base, now = health.replies[0][1], health.replies[-1][1]
    last = health.replies[-1][0] >= health.total_steps > 0
    if health.expected.weights.get("presence", 0) > 0 and last and now.bond_rate > base.bond_rate + WARM:
        others = f"{base.bond_rate:.0%} of the base's"
        yield "", f"{now.bond_rate:.0%} of its replies to those who do not address it hold bond language, {others}"


RULES = (
    Rule("not finite", "step", "a loss or a gradient is NaN or infinite", _not_finite,
         "The adapters are of no use from here on.",
         "Lower optimizer.lr, look at trainer.precision and at the newest rows.", fatal=True),
    Rule("constant term", "step", f"a term with weight has one value in all of the last {WINDOW} steps", _constant,
         "A constant trains nothing.", "The term is not made of the model's outputs, or its text is lost on the way."),
    Rule("silent term", "step", f"a term with weight is absent for {WINDOW} steps, or was never above 0", _silent,
         "It trains nothing.", "Look at what the corpus offers it (check=only), or set its weight to 0."),
    Rule("proportion", "step",
         f"a term's weighted gradient is under {RATIO[0]:g} or over {RATIO[1]:g} times the LM loss's in {MEASUREMENTS} "
         "measurements in a row", _out_of_proportion,
         "The smaller of the two hardly trains.", "Change loss.lambda or the term's weight."),
    Rule("conflict", "step", f"cosine with the LM gradient under {OPPOSED:g} for {WINDOW} steps", _opposed,
         "What the term asks is what the corpus forbids, or one of the two has the wrong sign.",
         "Lower its weight, or look at the rows it judges."),
    Rule("too good", "evaluation",
         f"LM loss below bigram counts of the evaluation replies themselves, or under {TOO_GOOD:.0%} of the base's",
         _too_good,
         "Evaluation measures copying or memory: labels without shift, a leaked split, an answer in its prompt.",
         "Trust nothing of this run; see `next token` and `leakage` of check=only."),
    Rule("two losses", "evaluation", "the objective's LM loss is not the next-token loss of the same rows", _two_losses,
         "The figure that falls is not the model's.", "Shift labels by one; see `next token` of check=only."),
    Rule("worse than base", "evaluation", f"over {WORSE_THAN_BASE:g} times the base's LM loss", _worse_than_base,
         "The model forgets how to write.", "Lower optimizer.lr or loss.lambda."),
    Rule("rising", "evaluation",
         f"LM loss rises in {MEASUREMENTS} evaluations in a row, by over {RISEN - 1:.0%}", _rising,
         "It learns the training rows by heart.", "Fewer epochs, a lower optimizer.lr, or more rows."),
    Rule("standstill", "evaluation", "LM loss is to the last digit that of the evaluation before", _standstill,
         "No adapter has moved.", "See `trainable` of check=only; optimizer.lr must be above 0."),
    Rule("repetition", "replies",
         f"from half of the run on, over {REPETITION:.0%} of the 4-grams of its replies are repetitions", _repeats,
         "The replies run in circles.", "Look at generation_samples.txt; lower optimizer.lr or the weights."),
    Rule("no end", "replies",
         f"from half of the run on, under {ENDED:.0%} of the replies end with EOS (where {ROOM:g} times the "
         "corpus's mean length fits)", _never_ends,
         "Stopping is not learnt.", "See `labels` of check=only: EOS must carry a label."),
    Rule("few words", "replies", "replies of under two words", _says_little,
         "The replies have collapsed.", "Look at generation_samples.txt; lower optimizer.lr or the weights."),
    Rule("one phrase", "replies",
         f"from half of the run on, openings vary less than {OPENINGS:.0%} as much as the base's", _says_the_same,
         "One phrase has become the answer to everything.", "Lower loss.weights.presence, or give more varied rows."),
    Rule("warm to everybody", "replies",
         f"at the end, bond language where nobody addressed it is over {WARM:.0%} commoner than with the base",
         _warm_to_everybody, "Presence is not told from its absence.",
         "Raise loss.weights.presence, or give more rows without markers."),
)  # fmt: skip


def bigram_floor(replies: Sequence[Sequence[int]]) -> float:
    """Entropy of each token given the one before it, by the counts of these replies: nats per token.

    No model that has not seen them predicts them as well: the counts know every pair that occurs, and that nothing
    else does.

    Args:
        replies: Tokens; the first of each is only what the second is predicted from.
    """
    pairs = Counter((a, b) for reply in replies for a, b in zip(reply, reply[1:], strict=False))
    before = Counter(a for (a, _), count in pairs.items() for _ in range(count))
    total = sum(pairs.values())
    return -sum(count * math.log(count / before[a]) for (a, _), count in pairs.items()) / max(total, 1)


def _mean(values: Sequence[float] | Sequence[bool] | Sequence[int]) -> float:
    return sum(values) / len(values)


BAND_EDGES = (0, 50, 100, 200, 400, 600)
"""Optimizer steps at which a row of the table of bands begins."""
BANDS = ("lm", "presence", "coherence", "continuity", "total")


def bands(runs: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    """How figures ran, relative to the base: a Markdown table of the lowest and the highest run by step.

    Args:
        runs: The events of each run; the first evaluation is the base's.

    Returns:
        A row for each span of steps, with each run's mean over its logged steps divided by the base's figure on the
        evaluation rows; and the evaluations' LM loss, divided in the same way.
    """
    lines = ["| steps | " + " | ".join((*BANDS, "eval lm")) + " |", "|---" * (len(BANDS) + 2) + "|"]
    ends = [*BAND_EDGES[1:], math.inf]
    for start, end in zip(BAND_EDGES, ends, strict=True):
        shares: dict[str, list[float]] = {name: [] for name in (*BANDS, "eval lm")}
        for events in runs:
            base = next(event for event in events if event["event"] == "eval")
            inside = [event for event in events if start < event["step"] <= end]
            for kind, names in (("step", BANDS), ("eval", ("lm",))):
                for name in names:
                    found = [event[name] for event in inside if event["event"] == kind and name in event]
                    if found and base.get(name):
                        shares["eval lm" if kind == "eval" else name].append(_mean(found) / base[name])
        if any(shares.values()):
            span = f"{start + 1}-{end}" if end < math.inf else f"from {start + 1}"
            cells = [f"{min(found):.2f}-{max(found):.2f}" if found else "" for found in shares.values()]
            lines.append(f"| {span} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
