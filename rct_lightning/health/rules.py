"""The health rules: each checks what a run has reported and yields what is wrong."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from rct_lightning.health.history import History, RepliesSeen, Values

WINDOW = 50
"""Optimizer steps within which a term must change."""
RATIO = (0.01, 10.0)
"""Allowed ratio of a term's weighted gradient norm to the LM gradient norm, in one step. Healthy runs reach 5 in three
measurements in a row: a step has few recurrent words and few pairs, so its gradient is mostly noise."""
MEASUREMENTS = 3
"""Consecutive gradient measurements, or evaluations, that count as a trend."""
OPPOSED = -0.5
"""Cosine of a term's gradient with the LM gradient below which the two conflict."""
IN_A_ROW = 5
"""Consecutive steps without a finite gradient that end a run."""
WORSE_THAN_BASE, RISEN = 1.2, 1.02
TOO_GOOD = 0.4
"""Share of the base's LM loss below which no adapter gets on unseen rows; for a small corpus the bigram floor is too
low to catch it."""
REPETITION = 0.8
"""Mean share of repeated 4-grams. A reply of sixty words that is a loop of ten has 0.82; if that is the mean, nearly
all replies are such loops. Greedy replies of small models partly loop in any case (Holtzman et al. 2020), most of all
in runs that stop early: those of nano reach 0.73 after sixty steps."""
ENDED, OPENINGS, WARM = 0.05, 0.5, 0.5
ROOM = 1.5
"""Factor by which the token limit of replies must exceed the corpus's mean reply for their endings to be judged."""

Watches = Literal["step", "evaluation", "replies", "end"]
Seen = Iterator[tuple[str, str]]
"""Yields the subject of the alert (a term, or nothing) and what was seen."""


@dataclass(frozen=True)
class Rule:
    """One thing that can go wrong.

    Attributes:
        name: Name, as in docs/guards.md.
        watches: Kind of report after which the rule is applied.
        condition: When the rule alerts, for the documentation.
        look: Yields subject and observation of whatever is wrong.
        means: What that usually means.
        remedy: What to do.
        fatal: Whether further training is pointless.
    """

    name: str
    watches: Watches
    condition: str
    look: Callable[[History], Seen]
    means: str
    remedy: str
    fatal: bool = False


def _weighted(history: History) -> list[str]:
    return [term for term, weight in history.expected.weights.items() if weight > 0]


def _not_finite(history: History) -> Seen:
    values = history.steps[-1][1]
    yield from _wrong_numbers(values, "")
    if "skipped" in values and all(map(math.isfinite, values.values())):
        yield "", "the gradient was not finite"


def _never_finite(history: History) -> Seen:
    tail = [values for _, values in history.steps[-IN_A_ROW:]]
    if len(tail) == IN_A_ROW and all("skipped" in values for values in tail):
        yield "", f"{IN_A_ROW} steps in a row were skipped"


def _not_finite_in_evaluation(history: History) -> Seen:
    yield from _wrong_numbers(history.evaluations[-1][1], " in evaluation")


def _wrong_numbers(values: Values, where: str) -> Seen:
    wrong = sorted(name for name, value in values.items() if not math.isfinite(value))
    if wrong:
        yield "", f"{', '.join(wrong[:4])} not finite{where}"


def _window(history: History, term: str) -> list[float] | None:
    """Return a term's values over the last WINDOW steps; None before that many have passed."""
    if history.steps[-1][0] < WINDOW or len(history.steps) < 2:
        return None
    return [values[term] for _, values in history.steps if term in values]


def _constant(history: History) -> Seen:
    for term in _weighted(history):
        found = _window(history, term)
        if found and len(found) > 1 and found[0] != 0 and max(found) - min(found) <= 1e-6 * max(map(abs, found)):
            yield term, f"{term} was {found[0]:.4g} in every one of the last {WINDOW} steps"


def _silent(history: History) -> Seen:
    for term in _weighted(history):
        found = _window(history, term)
        if found is not None and not any(found):
            if not found:
                yield term, f"nothing in the last {WINDOW} steps was judged by {term}"
            elif term not in history.moved:
                yield term, f"{term} was 0 in every step so far"


def proportions(reported: Iterable[Values], term: str, weight: float) -> list[float]:
    """Return ratios of a term's weighted gradient norm to the LM gradient norm, wherever both were measured."""
    key = f"grad/{term}_norm"
    measured = [values for values in reported if key in values and values.get("grad/lm_norm", 0) > 0]
    return [weight * values[key] / values["grad/lm_norm"] for values in measured]


def _out_of_proportion(history: History) -> Seen:
    for term in _weighted(history):
        reported = (values for _, values in history.gradients)
        ratios = proportions(reported, term, history.expected.weights[term])[-MEASUREMENTS:]
        if len(ratios) < MEASUREMENTS:
            continue
        shown = ", ".join(f"{ratio:.2g}" for ratio in ratios)
        if min(ratios) > RATIO[1] or max(ratios) < RATIO[0]:
            yield term, f"the weighted gradient of {term} was {shown} times that of the LM loss"


def _opposed(history: History) -> Seen:
    for term in _weighted(history):
        key = f"grad/{term}_cosine_lm"
        measured = [(at, values[key]) for at, values in history.gradients if key in values]
        before = [at for at, _ in measured if at <= measured[-1][0] - WINDOW]
        if before and all(cosine < OPPOSED for at, cosine in measured if at >= before[-1]):
            yield term, f"the gradient of {term} has had a cosine of {measured[-1][1]:.2f} with the LM gradient"


def _too_good(history: History) -> Seen:
    base, found = (history.evaluations[at][1]["lm"] for at in (0, -1))
    if found < history.expected.floor:
        floor = f"where bigram counts of these very replies give {history.expected.floor:.3f}"
        yield "", f"an evaluation LM loss of {found:.3f} nats per token, {floor}"
    elif found < TOO_GOOD * base:
        yield "", f"the evaluation LM loss is {found:.3f}, {found / base:.0%} of the base's {base:.3f}"


def _two_losses(history: History) -> Seen:
    values = history.evaluations[-1][1]
    own, true = values["lm"], values.get("next_token", values["lm"])
    if abs(own - true) > 0.01 * max(1.0, true):
        yield "", f"the objective calls {own:.3f} its LM loss; the replies' next-token loss is {true:.3f}"


def _worse_than_base(history: History) -> Seen:
    base, now = (_true_loss(history.evaluations[at][1]) for at in (0, -1))
    if now > WORSE_THAN_BASE * base:
        yield "", f"the evaluation LM loss is {now:.3f}, the base's was {base:.3f}"


def _rising(history: History) -> Seen:
    tail = [_true_loss(values) for _, values in history.evaluations[-MEASUREMENTS - 1 :]]
    rises = all(later > earlier for earlier, later in zip(tail, tail[1:], strict=False))
    if len(tail) == MEASUREMENTS + 1 and rises and tail[-1] > RISEN * tail[0]:
        yield "", f"the evaluation LM loss rose from {tail[0]:.3f} to {tail[-1]:.3f} over {MEASUREMENTS} evaluations"


def _standstill(history: History) -> Seen:
    tail = [_true_loss(values) for _, values in history.evaluations[-2:]]
    if len(tail) == 2 and tail[0] == tail[1] and history.evaluations[-1][0] > history.evaluations[-2][0]:
        yield "", f"the evaluation LM loss is {tail[1]:.6f}, to the last digit what it was"


def _true_loss(values: Values) -> float:
    return values.get("next_token", values["lm"])


def _repeats(history: History) -> Seen:
    now = history.replies[-1][1]
    if _lasts(history, lambda seen: seen.repetition > REPETITION):
        yield "", f"{now.repetition:.0%} of the 4-grams of its replies are repetitions"


def _lasts(history: History, wrong: Callable[[RepliesSeen], bool]) -> bool:
    """Return whether two consecutive rounds of replies in the second half of the run are wrong; one holds few replies.

    At the end, one round is enough if there was no other in that half.
    """
    late = [wrong(seen) for step, seen in history.replies if 2 * step >= history.total_steps > 0]
    ended = history.replies[-1][0] >= history.total_steps
    return bool(late) and all(late[-2:]) and (len(late) > 1 or ended)


def _never_ends(history: History) -> Seen:
    now = history.replies[-1][1]
    has_room = now.most_tokens >= ROOM * history.expected.reply_tokens
    if has_room and _lasts(history, lambda seen: seen.ended < ENDED):
        yield "", f"{now.ended:.0%} of its replies end by themselves"


def _says_little(history: History) -> Seen:
    now = history.replies[-1][1]
    if now.words < 2:
        yield "", f"its replies have {now.words:.1f} words"


def _says_the_same(history: History) -> Seen:
    base, now = history.replies[0][1], history.replies[-1][1]
    if _lasts(history, lambda seen: seen.openings < OPENINGS * min(1.0, base.openings)):
        spread = f"{now.openings:.2f} of the largest, {base.openings:.2f} with the base"
        yield "", f"its replies to different prompts begin alike: entropy of their first words is {spread}"


def _warm_to_everybody(history: History) -> Seen:
    base, now = history.replies[0][1], history.replies[-1][1]
    last = history.replies[-1][0] >= history.total_steps > 0
    if history.expected.weights.get("presence", 0) > 0 and last and now.bond_rate > base.bond_rate + WARM:
        others = f"{base.bond_rate:.0%} of the base's"
        yield "", f"{now.bond_rate:.0%} of its replies to those who do not address it hold bond language, {others}"


def _mixed_phases(history: History) -> Seen:
    trained = [step for step, phase in history.logged if phase == "train"]
    evaluated = len(history.logged) - len(trained)
    twice = sorted({step for step, count in Counter(trained).items() if count > 1})
    if twice:
        yield "", f"loss_components.csv calls two rows of step {twice[0]:.0f} train"
    elif history.logged and evaluated != len(history.evaluations):
        yield "", f"loss_components.csv holds {evaluated} evaluations, {len(history.evaluations)} were made"


RULES = (
    Rule("not finite", "step", "a loss or a gradient is NaN or infinite", _not_finite,
         "The step was skipped where its gradient was: adapters and AdamW's moments are as they were before it.",
         "If it comes again, lower optimizer.lr and look at trainer.precision and at the rows."),
    Rule("never finite", "step", f"{IN_A_ROW} steps in a row were skipped", _never_finite,
         "Nothing is learnt any more.",
         "Lower optimizer.lr, look at trainer.precision; the newest checkpoint is of before.", fatal=True),
    Rule("no number", "evaluation", "a figure of an evaluation is NaN or infinite", _not_finite_in_evaluation,
         "The adapters are of no use any more, or the base is not.",
         "Lower optimizer.lr, look at trainer.precision and at the evaluation rows.", fatal=True),
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
         f"from half of the run on, over {REPETITION:.0%} of the 4-grams of its replies are repetitions, twice in a "
         "row", _repeats,
         "The replies run in circles.", "Look at generation_samples.txt; lower optimizer.lr or the weights."),
    Rule("no end", "replies",
         f"from half of the run on, under {ENDED:.0%} of the replies end with EOS, twice in a row (where {ROOM:g} "
         "times the corpus's mean length fits)", _never_ends,
         "Stopping is not learnt.", "See `labels` of check=only: EOS must carry a label."),
    Rule("few words", "replies", "replies of under two words", _says_little,
         "The replies have collapsed.", "Look at generation_samples.txt; lower optimizer.lr or the weights."),
    Rule("one phrase", "replies",
         f"from half of the run on, openings vary less than {OPENINGS:.0%} as much as the base's, twice in a row",
         _says_the_same,
         "One phrase has become the answer to everything.", "Lower loss.weights.presence, or give more varied rows."),
    Rule("warm to everybody", "replies",
         f"at the end, bond language where nobody addressed it is over {100 * WARM:.0f} points commoner than with the "
         "base", _warm_to_everybody, "Presence is not told from its absence.",
         "Raise loss.weights.presence, or give more rows without markers."),
    Rule("mixed phases", "end",
         "loss_components.csv calls two rows of a step train, or holds more or fewer evaluations than were made",
         _mixed_phases, "Evaluation rows are logged as training rows, and a curve of the two tells nothing.",
         "Draw no curve from this file; write what a callback logs under its own phase."),
)  # fmt: skip
