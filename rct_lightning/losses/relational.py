"""The weighted sum: total = lm + lambda * (w_p presence + w_c coherence + w_t continuity).

Each term is a sum over everything it applies to, divided by the count over the whole optimizer step, so that the
contributions of micro-batches add up to the value of the step, however it was split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from rct_lightning.data import COHERENCE, CONTINUITY, Batch
from rct_lightning.losses.coherence import coherence_loss
from rct_lightning.losses.continuity import false_memory_loss, recall_loss
from rct_lightning.losses.language import language_loss
from rct_lightning.losses.presence import PresenceSettings, Replies, log_mean_exp, presence_loss
from rct_lightning.losses.recurrence import Among, candidate_hits, recurrence_loss
from rct_lightning.markers import Bank, Lexicon
from rct_lightning.scoring import (
    Branches,
    PairScores,
    Twins,
    base_model,
    hidden_states,
    logits_at,
    reply_log_probs,
    score_pairs,
)

TERMS = ("presence", "coherence", "continuity")
BANKS: tuple[Bank, ...] = ("bond", "rupture", "plain", "memory_claim")
OBSERVED_PHRASES = 4
"""Phrases per bank that evaluation during training scores; always the same ones, so that figures are comparable."""

Figure = tuple[Tensor, Tensor]
"""A sum and the count to divide it by, both scalars, so that the figures of micro-batches can be added."""


@dataclass(frozen=True)
class LossSettings:
    """How the terms are weighted and computed.

    Attributes:
        lambda_: Weight of all relational terms together.
        weights: Weight of each term of :data:`TERMS`.
        presence: Margins and weights within presence.
        recall_among: What a recurrent word must win against: the whole vocabulary, or candidates.
        label_smoothing: Label smoothing of that choice, in a training batch; never in what is observed.
        phrases_per_step: Phrases drawn per step from the training half of each bank.
        seed: Seed of the draw.
    """

    lambda_: float = 0.3
    weights: Mapping[str, float] = field(default_factory=lambda: {"presence": 1.0, "coherence": 1.0, "continuity": 2.0})
    presence: PresenceSettings = PresenceSettings()
    recall_among: Among = "vocabulary"
    label_smoothing: float = 0.0
    phrases_per_step: int = 3
    seed: int = 0

    def weight(self, term: str) -> float:
        """Lambda * w of a term."""
        return self.lambda_ * self.weights[term]

    @property
    def trains_phrases(self) -> bool:
        """Whether any term that scores phrases has weight."""
        return self.weight("presence") > 0 or self.weight("continuity") > 0


@dataclass(frozen=True)
class Outcome:
    """What an objective returns for a (micro-)batch.

    Attributes:
        total: Scalar with gradient: this batch's contribution to the step's loss.
        terms: ``lm`` and each of :data:`TERMS`: contributions to the step's values, with gradient where the term has
            weight. A term is absent if it was not computed or applies to nothing in the step.
        figures: Other monitored quantities, detached.
        row_nll: [B], summed next-token loss of each row's reply in nats, detached.
        asked: [2, banks, Q], the scores that presence is made of, after Q rows and after their twins, with gradient;
            None where no phrases were asked.
    """

    total: Tensor
    terms: dict[str, Tensor]
    figures: dict[str, Figure]
    row_nll: Tensor
    asked: Tensor | None = None


class PhraseBook:
    """The training half of every phrase bank, tokenised as the beginning of a reply."""

    def __init__(self, lexicon: Lexicon, tokenize: Callable[[str], list[int]]) -> None:
        self.ids: list[list[int]] = []
        self.members: dict[str, list[int]] = {}
        for bank in BANKS:
            phrases = lexicon.phrases(bank, "train")
            self.members[bank] = list(range(len(self.ids), len(self.ids) + len(phrases)))
            self.ids += [tokenize(phrase) for phrase in phrases]

    def draw(self, count: int, seed: Sequence[int]) -> dict[str, list[int]]:
        """Draw phrases of each bank, as indices into ``ids``; the same for the same seed."""
        random = np.random.default_rng(list(seed))
        return {
            bank: sorted(random.choice(members, size=min(count, len(members)), replace=False).tolist())
            for bank, members in self.members.items()
        }


class RelationalLoss:
    """LM loss and relational terms of a batch, from one pass of the model.

    Args:
        settings: Weights and variants of the terms.
        phrases: The phrase banks.
    """

    def __init__(self, settings: LossSettings, phrases: PhraseBook) -> None:
        self.settings, self.phrases = settings, phrases
        self.observed = phrases.draw(OBSERVED_PHRASES, [0])

    @property
    def phrase_tokens(self) -> int:
        """Approximate number of phrase tokens scored after each prompt in a training step."""
        if not self.settings.trains_phrases:
            return 0
        mean = sum(map(len, self.phrases.ids)) / len(self.phrases.ids)
        return round(mean * len(BANKS) * self.settings.phrases_per_step)

    @property
    def longest_phrase(self) -> int:
        """Tokens of the longest phrase; evaluation scores phrases whatever the weights."""
        return max(map(len, self.phrases.ids))

    def __call__(self, model: nn.Module, batch: Batch, step: int) -> Outcome:
        """Compute the loss of a training batch; without weight on a phrase term, phrases are not scored."""
        drawn = self.phrases.draw(self.settings.phrases_per_step, [self.settings.seed, step])
        asked = drawn if self.settings.trains_phrases else None
        return self._evaluate(model, batch, asked, self.settings.label_smoothing)  # the same function without gradient

    def observe(self, model: nn.Module, batch: Batch) -> Outcome:
        """Compute all terms, without gradient and unsmoothed, with :data:`OBSERVED_PHRASES` fixed phrases per bank."""
        with torch.no_grad():
            return self._evaluate(model, batch, self.observed, 0.0)

    def counts(self, batch: Batch) -> dict[str, int]:
        """Return the count each term of this batch is a mean over; those of continuity are among the figures."""
        own = batch.own
        return {"lm": own.reply_tokens, "presence": own.pairs, "coherence": own.coherence_positions}

    def _evaluate(
        self, model: nn.Module, batch: Batch, drawn: Mapping[str, list[int]] | None, smoothing: float
    ) -> Outcome:
        """Compute all terms; without drawn phrases, only those that need no phrases."""
        chosen = [] if drawn is None else [index for bank in BANKS for index in drawn[bank]]
        branches = Branches.of([self.phrases.ids[i] for i in chosen], batch.input_ids.device) if chosen else None
        hidden, scores = read_with_phrases(model, batch, branches)
        log_probs, row = reply_log_probs(model, hidden, batch.labels)
        terms = {"lm": language_loss(log_probs) / max(batch.totals.reply_tokens, 1)}
        figures: dict[str, Figure] = {}
        continuity, asked = self._history_terms(model, batch, hidden, smoothing, terms, figures), None
        if drawn is not None and branches is not None and scores is not None:
            reference = _base_scores(model, batch, branches)
            claims, asked = self._phrase_terms(batch, scores, reference, drawn, terms, figures)
            continuity = continuity + claims
        if batch.totals.continuity_positions or batch.totals.prompts_without_history:
            terms["continuity"] = continuity
        row_nll = sum_by_row(-log_probs.detach(), row, len(batch))
        return Outcome(self._total(terms), terms, figures, row_nll, asked)

    def _total(self, terms: Mapping[str, Tensor]) -> Tensor:
        total = terms["lm"]
        for term in TERMS:
            if term in terms and self.settings.weight(term) > 0:
                total = total + self.settings.weight(term) * terms[term]
        return total

    def _history_terms(
        self,
        model: nn.Module,
        batch: Batch,
        hidden: Tensor,
        smoothing: float,
        terms: dict[str, Tensor],
        figures: dict[str, Figure],
    ) -> Tensor:
        """Add coherence to the terms; return the recall part of continuity."""
        logits = logits_at(model, hidden[batch.recurrent_row, batch.recurrent_position - 1])
        costs = recurrence_loss(logits, batch.candidates, self.settings.recall_among, smoothing)
        hits = candidate_hits(logits.detach(), batch.candidates)
        for name, source in (("coherence", COHERENCE), ("continuity", CONTINUITY)):
            figures[f"{name}/candidate_accuracy"] = _over(hits, batch.recurrent_source == source)
        if batch.totals.coherence_positions:
            terms["coherence"] = coherence_loss(costs, batch.recurrent_source) / batch.totals.coherence_positions
        recall = recall_loss(costs, batch.recurrent_source)
        figures["continuity/recall_loss"] = (recall.detach(), figures["continuity/candidate_accuracy"][1])
        return recall / max(batch.totals.continuity_positions, 1)

    def _phrase_terms(
        self,
        batch: Batch,
        scores: PairScores,
        reference: PairScores,
        drawn: Mapping[str, list[int]],
        terms: dict[str, Tensor],
        figures: dict[str, Figure],
    ) -> tuple[Tensor, Tensor]:
        """Add presence to the terms; return the false-memory part of continuity and the bank scores [2, banks, Q].

        Args:
            batch: Q of its rows have a twin.
            scores: Scores of the drawn phrases after these rows and after their twins: [Q, C].
            reference: The same under the base.
            drawn: The drawn phrases of each bank, in the order of the C columns.
            terms: Presence is added here.
            figures: Monitored quantities are added here.
        """

        def by_bank(of_phrases: Tensor) -> Tensor:
            """[Q, C] -> [banks, Q]."""
            parts = of_phrases.split([len(drawn[bank]) for bank in BANKS], dim=1)
            return torch.stack([log_mean_exp(part) for part in parts])

        found = torch.stack([by_bank(scores.rows), by_bank(scores.twins)])  # [2, banks, Q]: rows and their twins
        base = torch.stack([by_bank(reference.rows), by_bank(reference.twins)])
        rise = found - base
        strengths = torch.stack([batch.strength[batch.twin_of], batch.twin_strength])  # [2, Q]
        marked = (strengths[0] == 0).long()  # index of the marked one of the two
        sides = {"marked": marked, "unmarked": 1 - marked}
        pair = torch.arange(len(marked), device=marked.device)

        rises = {side: Replies(*rise[at, :, pair].T[: len(Replies._fields)]) for side, at in sides.items()}
        strength = strengths[marked, pair]
        cost = presence_loss(rises["marked"], rises["unmarked"], strength, self.settings.presence)
        terms["presence"] = cost.total.sum() / max(batch.totals.pairs, 1)
        figures["presence/contrast"] = _sum_and_count(cost.contrast)
        figures["presence/level"] = _sum_and_count(cost.level)
        figures["presence/active_share"] = _sum_and_count((cost.total > 0).float())
        for side, at in sides.items():
            bond, rupture, plain, _ = found[at, :, pair].T
            for name, value in (("S_B", bond), ("S_R", rupture), ("D", bond - rupture), ("P", bond - plain)):
                figures[f"presence/{name}_{side}"] = _sum_and_count(value)
            figures[f"presence/D_rise_{side}"] = _sum_and_count(rises[side].over_rupture)
            figures[f"presence/P_rise_{side}"] = _sum_and_count(rises[side].over_plain)

        claim = BANKS.index("memory_claim")
        has_history = batch.has_history[batch.twin_of].repeat(2)
        claims = false_memory_loss(found[:, claim].flatten(), base[:, claim].flatten(), has_history)
        figures["continuity/S_M_rise"] = _over(rise[:, claim].flatten(), ~has_history)
        figures["continuity/false_memory_loss"] = (claims.detach(), (~has_history).float().sum())
        return claims / max(batch.totals.prompts_without_history, 1), found


def read_with_phrases(model: nn.Module, batch: Batch, branches: Branches | None) -> tuple[Tensor, PairScores | None]:
    """Return hidden states of all rows [B, T, H], and phrase scores after rows that have a twin and after the twins."""
    asked = torch.zeros(len(batch), dtype=torch.bool, device=batch.index.device)
    asked[batch.twin_of] = True
    if branches is None or not len(batch.twin_of):
        return hidden_states(model, batch.input_ids), None
    scores = _score(model, batch, branches)
    if asked.all():
        return scores.hidden, scores
    hidden = torch.cat([scores.hidden, hidden_states(model, batch.input_ids[~asked])])
    place = torch.cat([batch.twin_of, torch.nonzero(~asked).flatten()]).argsort()
    return hidden[place], scores


def _base_scores(model: nn.Module, batch: Batch, branches: Branches) -> PairScores:
    """Return the same scores under the frozen base, without gradient; rows are cut at the last scored position."""
    with base_model(model):
        return _score(model, batch, branches, int(batch.asked_at[batch.twin_of].max()))


def _score(model: nn.Module, batch: Batch, branches: Branches, longest: int | None = None) -> PairScores:
    rows = batch.twin_of
    twins = Twins(batch.twin_ids, batch.twin_start, batch.twin_length)
    return score_pairs(model, batch.input_ids[rows, :longest], batch.asked_at[rows], twins, branches)


def sum_by_row(values: Tensor, row: Tensor, rows: int) -> Tensor:
    """Sum per-token values over each row: [N], int64 [N] -> [B]."""
    return torch.zeros(rows, device=values.device).index_add(0, row, values)


def _over(values: Tensor, rows: Tensor) -> Figure:
    """Return sum and count of a detached value over the rows of a mask."""
    return (values.detach() * rows).sum(), rows.float().sum()


def _sum_and_count(values: Tensor) -> Figure:
    """Return sum and count of a detached value over all entries."""
    return _over(values, torch.ones_like(values, dtype=torch.bool))
