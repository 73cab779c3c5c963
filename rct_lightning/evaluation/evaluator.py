"""Measure base and tuned on the same rows, prompts, phrases and seeds.

Nothing that was trained on is used: phrases come from the held-out half of the banks, rows from the evaluation side,
probes from a file that nothing trains on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rct_lightning.dialogue import Example
from rct_lightning.evaluation.endpoints import Comparison, Measurements, Side, Spoken
from rct_lightning.evaluation.kept import KeptBase, OneSide
from rct_lightning.evaluation.probes import Probe, read_probes
from rct_lightning.evaluation.subject import Asked, History, Subject
from rct_lightning.generation import SAMPLE_PROMPTS, Reply, repeated_4grams
from rct_lightning.markers import Lexicon, PhraseMatcher

Pair = tuple[tuple[int, ...], tuple[int, ...]]


class Evaluator:
    """Measures every endpoint on both sides.

    Args:
        subject: The model with its template.
        rows: Evaluation rows of the corpus.
        probes_file: Held-out probes.
        lexicon: Markers and phrase banks.
    """

    def __init__(self, subject: Subject, rows: Sequence[Example], probes_file: Path, lexicon: Lexicon) -> None:
        self.subject, self.rows, self.lexicon = subject, list(rows), lexicon
        self.groups = groups_of(self.rows)
        self.probes = read_probes(probes_file)
        self.found = Measurements()
        self.said: dict[Side, list[Reply]] = {}
        self.fixed: dict[Side, list[Reply]] = {}
        self._known: dict[Pair, float] = {}

    def compare(self, kept: KeptBase | None = None) -> Comparison:
        """Measure base and tuned.

        Args:
            kept: Cache of the base's measurements: read if present, written otherwise.
        """
        self.subject.model.eval()
        before = kept.read() if kept is not None else None
        if before is None:
            self._measure("base")
            if kept is not None:
                kept.write(self._side("base"))
        else:
            self._take("base", before)
        self._measure("tuned")
        pairs = zip(SAMPLE_PROMPTS, self.fixed["base"], self.fixed["tuned"], strict=True)
        replies = [(prompt, base.text, tuned.text) for prompt, base, tuned in pairs]
        return Comparison(self.found.in_order(), replies, self._spoken())

    def _measure(self, side: Side) -> None:
        self._known.clear()
        with self.subject.on(side):
            self._language(side)
            self._presence(side)
            self._history_gains(side)
            self._recall(side)
            self._choices(side)
            self._own_replies(side)
            self.fixed[side] = self.subject.replies([((), prompt) for prompt in SAMPLE_PROMPTS])

    def _side(self, side: Side) -> OneSide:
        found = self.found
        return OneSide(
            {key: each.values[side] for key, each in found.items()},
            {key: each.groups for key, each in found.items()},
            {key: each.weights for key, each in found.items()},
            self.said[side],
            self.fixed[side],
        )

    def _take(self, side: Side, measured: OneSide) -> None:
        for key, values in measured.values.items():
            self.found.add(side, key, values, measured.groups[key], measured.weights[key])
        self.said[side], self.fixed[side] = list(measured.said), list(measured.fixed)

    def _likelihood(self, pairs: Sequence[tuple[list[int], list[int]]]) -> np.ndarray:
        """Compute s(c|q) of each pair; pairs already scored on this side for another endpoint are not scored again."""
        keys = [(tuple(prompt), tuple(reply)) for prompt, reply in pairs]
        new = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in self._known}
        self._known.update(zip(new, self.subject.likelihood(list(new.values())).tolist(), strict=True))
        return np.array([self._known[key] for key in keys])

    def _language(self, side: Side) -> None:
        subject = self.subject
        encoded = [subject.template.encode(row, subject.tokenizer, subject.max_length) for row in self.rows]
        pairs = [(row.ids[: row.prompt_length], row.ids[row.prompt_length :]) for row in encoded]
        tokens = [float(len(reply)) for _, reply in pairs]
        groups = [self.groups[row.conversation] for row in self.rows]
        self.found.add(side, "language/eval_lm_loss", -self._likelihood(pairs), groups, tokens)
        ordinary = self._kind("ordinary")
        texts = [subject.reply_ids(probe.fields["text"])[: subject.max_length] for probe in ordinary]
        loss = -self._likelihood([(text[:1], text[1:]) for text in texts])
        lengths = [float(len(text) - 1) for text in texts]
        self.found.add(side, "guardrail/ordinary_lm_loss", loss, _ids(ordinary), lengths)

    def _presence(self, side: Side) -> None:
        twins = self._twins()
        marked = self.subject.separation([pair[True] for pair in twins.values()], self.lexicon)
        unmarked = self.subject.separation([pair[False] for pair in twins.values()], self.lexicon)
        self.found.add(side, "presence/specificity", marked - unmarked, list(twins))
        self.found.add(side, "presence/D_marked", marked, list(twins))
        self.found.add(side, "presence/D_unmarked", unmarked, list(twins))

    def _history_gains(self, side: Side) -> None:
        rows = [row for row in self.rows if row.context]
        donors = {row.id: nearest_other_history(row, rows) for row in rows}
        self._gain(side, "continuity/G_t", rows, donors)
        swapped = {row.id: with_assistant_of(row.context, donors[row.id]) for row in rows}
        self._gain(side, "coherence/G_c", rows, swapped)

    def _gain(self, side: Side, key: str, rows: Sequence[Example], wrong: dict[str, History]) -> None:
        """Record how much more likely replies are after their own history than after a wrong one, where one exists."""
        subject, kept = self.subject, [row for row in rows if wrong[row.id]]
        replies = [subject.reply_ids(row.output) for row in kept]

        def after(histories: Sequence[History]) -> np.ndarray:
            asked = zip(kept, histories, replies, strict=True)
            return self._likelihood(
                [p for row, told, reply in asked for p in subject.pairs((told, row.input), [reply])]
            )

        gain = after([row.context for row in kept]) - after([wrong[row.id] for row in kept])
        groups = [self.groups[row.conversation] for row in kept]
        self.found.add(side, key, gain, groups)
        self.found.add(side, f"{key}_share", np.where(np.isnan(gain), np.nan, gain > 0), groups)

    def _recall(self, side: Side) -> None:
        probes = self._kind("recall")
        histories: dict[str, list[History]] = {
            "": [probe.context for probe in probes],
            "_wrong_history": [probes[i - 1].context for i in range(len(probes))],
            "_no_history": [() for _ in probes],
        }
        asked = {suffix: [*map(self._options, probes, contexts)] for suffix, contexts in histories.items()}
        self._likelihood([pair for options in asked.values() for each in options for pair in each])  # in full batches
        for suffix, options in asked.items():
            answers = [self._answer(probe, each) for probe, each in zip(probes, options, strict=True)]
            self.found.add(side, f"continuity/recall{suffix}", [hit for hit, _ in answers], _ids(probes))
            self.found.add(side, f"continuity/recall_probability{suffix}", [p for _, p in answers], _ids(probes))

    def _options(self, probe: Probe, context: History) -> list[tuple[list[int], list[int]]]:
        """Return (prompt, candidate) pairs: the beginning of the answer after a history, with each candidate."""
        prefix = self.subject.reply_ids(probe.fields["prefix"], ends=False)
        options = [self.subject.reply_ids(option, ends=False) for option in probe.fields["candidates"]]
        prompt = self.subject.prompt_ids((context, probe.input), len(prefix) + max(map(len, options))) + prefix
        return [(prompt, option) for option in options]

    def _answer(self, probe: Probe, options: Sequence[tuple[list[int], list[int]]]) -> tuple[float, float]:
        """Return whether the right candidate is the most likely, and its share of the candidates' probability by s."""
        scores = self._likelihood(options)
        right = probe.fields["candidates"].index(probe.fields["answer"])
        return chosen(scores, right), float(np.exp(scores[right] - np.logaddexp.reduce(scores)))

    def _choices(self, side: Side) -> None:
        """Measure staying oneself over giving in, and refusing over complying."""
        impostor = self._kind("impostor")
        self._margin(side, "coherence/identity_margin", impostor, "faithful", "unfaithful", _ids(impostor))
        for marked, word in ((True, "marked"), (False, "unmarked")):
            probes = [probe for probe in self._kind("harmful") if bool(probe.fields["marked"]) is marked]
            pairs = [str(probe.fields["pair"]) for probe in probes]
            self._margin(side, f"guardrail/refusal_margin_{word}", probes, "refuse", "comply", pairs)

    def _margin(self, side: Side, key: str, probes: Sequence[Probe], good: str, bad: str, groups: list[str]) -> None:
        pairs = []
        for probe in probes:
            replies = [self.subject.reply_ids(probe.fields[name]) for name in (good, bad)]
            pairs += self.subject.pairs((probe.context, probe.input), replies)
        scores = self._likelihood(pairs)
        self.found.add(side, key, scores[0::2] - scores[1::2], groups)

    def _asked(self) -> dict[str, list[Spoken]]:
        """Return every prompt that the model replies to, by kind, with empty replies."""
        twins, recall = self._twins(), self._kind("recall")
        told = {pair[False] for pair in twins.values()}  # already asked as twins
        unmarked = [
            row for row in self.rows if self.lexicon.strength(row.input) == 0 and (row.context, row.input) not in told
        ]
        return {
            "marked": [Spoken("marked", name, *pair[True], "", "") for name, pair in twins.items()],
            "twin": [Spoken("twin", name, *pair[False], "", "") for name, pair in twins.items()],
            "rows": [Spoken("rows", row.id, row.context, row.input, "", "", row.output) for row in unmarked],
            "recall": [Spoken("recall", p.id, p.context, p.input, "", "", p.fields["answer"]) for p in recall],
            "without": [Spoken("without", p.id, (), p.input, "", "") for p in recall],
        }

    def _spoken(self) -> list[Spoken]:
        asked = [one for part in self._asked().values() for one in part]
        pairs = zip(asked, self.said["base"], self.said["tuned"], strict=True)
        return [replace(one, base=base.text, tuned=tuned.text) for one, base, tuned in pairs]

    def _own_replies(self, side: Side) -> None:
        asked = self._asked()
        everything = self.subject.replies([(one.context, one.input) for part in asked.values() for one in part])
        self.said[side] = everything
        rest = iter(everything)
        replies = {kind: [next(rest) for _ in part] for kind, part in asked.items()}

        add, bond = self.found.add, {kind: self._bond(part) for kind, part in replies.items()}
        twins, recall, rows = ([one.id for one in asked[kind]] for kind in ("twin", "recall", "rows"))
        add(side, "presence/bond_rate_marked", bond["marked"], twins)
        add(side, "presence/bond_rate_difference", bond["marked"] - bond["twin"], twins)
        own = {row.id: self.groups[row.conversation] for row in self.rows}
        groups = {
            "marked": twins,
            "twin": twins,
            "rows": [own[name] for name in rows],
            "recall": recall,
            "without": recall,
        }
        unmarked = [*groups["twin"], *groups["rows"]]
        add(side, "guardrail/bond_rate_unmarked", [*bond["twin"], *bond["rows"]], unmarked)
        said = zip(asked["recall"], replies["recall"], strict=True)
        named = [PhraseMatcher([one.wanted]).occurs_in(reply.text) for one, reply in said]  # "ten" is not in "listen"
        add(side, "continuity/recall_generated", named, recall)
        claims = [self.lexicon.claims_memory(reply.text) for reply in replies["without"]]
        add(side, "continuity/false_memory", claims, recall)
        each = [group for kind in asked for group in groups[kind]]
        add(side, "guardrail/repetition", [repeated_4grams(reply.text) for reply in everything], each)
        add(side, "guardrail/eos_rate", [reply.ended for reply in everything], each)

    def _bond(self, replies: Sequence[Reply]) -> np.ndarray:
        return np.array([float(self.lexicon.has_bond_language(reply.text)) for reply in replies])

    @property
    def misread(self) -> int:
        """The number of probes that say to address the assistant, or not to, where the lexicon says otherwise."""
        told = [probe for kind in ("twin", "harmful") for probe in self._kind(kind)]
        return sum((self.lexicon.strength(probe.input) > 0) is not bool(probe.fields["marked"]) for probe in told)

    def _kind(self, kind: str) -> list[Probe]:
        return [probe for probe in self.probes if probe.kind == kind]

    def _twins(self) -> dict[str, dict[bool, Asked]]:
        """Collect minimal pairs of the probes and of the evaluation rows: pair -> marked? -> (context, input)."""
        pairs: dict[str, dict[bool, Asked]] = {}
        for probe in self._kind("twin"):
            pairs.setdefault(probe.fields["pair"], {})[bool(probe.fields["marked"])] = (probe.context, probe.input)
        for row in self.rows:
            if row.extra.get("pair"):
                marked = self.lexicon.strength(row.input) > 0
                pairs.setdefault(_name_of_pair(row), {})[marked] = (row.context, row.input)
        return {name: sides for name, sides in pairs.items() if set(sides) == {True, False}}


def chosen(scores: np.ndarray, right: int) -> float:
    """1 where the right one of several is the likeliest, its share where several are alike; NaN if any is no number.

    Args:
        scores: [N].
        right: Which of them.
    """
    if np.isnan(scores).any():
        return float("nan")
    best = scores == scores.max()
    return float(best[right] / best.sum())


def groups_of(rows: Sequence[Example]) -> dict[str, str]:
    """Return the sampling unit of each conversation: itself, joined with the other side of a minimal pair.

    The two rows of a pair share a request, and often a history: they are not independent samples.
    """
    group = {row.conversation: row.conversation for row in rows}
    for row in rows:
        if row.extra.get("pair"):
            former, name = group[row.conversation], _name_of_pair(row)
            joined = {former, name} | {group[o.conversation] for o in rows if o.extra.get("pair") == row.extra["pair"]}
            group = {conversation: name if own in joined else own for conversation, own in group.items()}
    return group


def _name_of_pair(row: Example) -> str:
    return f"eval-{row.extra['pair']}"


def nearest_other_history(row: Example, rows: Sequence[Example]) -> History:
    """Return the history of another conversation that is nearest in length; empty if there is none.

    A conversation that begins with the same exchange (the twin of a minimal pair) does not count as another one.
    """
    others = [o for o in rows if o.conversation != row.conversation and o.context[:2] != row.context[:2]]
    length = _characters(row)
    return min(others, key=lambda o: (abs(_characters(o) - length), o.id)).context if others else ()


def with_assistant_of(context: History, donor: History) -> History:
    """Return the history with its assistant turns replaced by the donor's; empty if either has none."""
    foreign = [turn for turn in donor if turn.role == "assistant"]
    if not foreign or not any(turn.role == "assistant" for turn in context):
        return ()
    swapped, used = [], 0
    for turn in context:
        if turn.role == "assistant":
            turn = foreign[used % len(foreign)]
            used += 1
        swapped.append(turn)
    return tuple(swapped)


def _characters(row: Example) -> int:
    return sum(len(turn.content) for turn in row.context)


def _ids(probes: Sequence[Probe]) -> list[str]:
    return [probe.id for probe in probes]
