"""What a run has reported so far, and the reference values for its figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Values = Mapping[str, float]


@dataclass(frozen=True)
class RepliesSeen:
    """Figures of greedy replies to evaluation prompts that do not address the assistant.

    Attributes:
        repetition: Mean share of repeated 4-grams.
        ended: Share that ended with EOS.
        words: Mean number of words.
        bond_rate: Share with bond language.
        openings: Entropy of their first three words, as a share of the entropy if all openings differed.
        most_tokens: Number of tokens after which a reply was cut off.
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
        """Aggregate at least two replies, given what was found in each."""
        first_words = Counter(" ".join(text.lower().split()[:3]) for text in texts)
        shares = [count / len(texts) for count in first_words.values()]
        return cls(
            repetition=mean(repetition),
            ended=mean(ended),
            words=mean([len(text.split()) for text in texts]),
            bond_rate=mean(bond),
            openings=-sum(share * math.log(share) for share in shares) / math.log(len(texts)),
            most_tokens=most_tokens,
        )


@dataclass(frozen=True)
class Expected:
    """Reference values for this run's figures.

    Attributes:
        weights: Lambda * w of each relational term.
        floor: LM loss of the evaluation replies, nats per token, under bigram counts of the same replies.
        reply_tokens: Mean length of the evaluation replies.
    """

    weights: Mapping[str, float]
    floor: float = 0.0
    reply_tokens: float = math.inf


@dataclass
class History:
    """Everything that rules look at.

    Attributes:
        expected: Reference values for this run's figures.
        total_steps: Optimizer steps of the run; while it is 0, rules about its second half do not apply.
        steps: The latest training steps, with terms and total.
        gradients: Steps at which gradients were measured.
        evaluations: Evaluations; the first is the base's.
        replies: Figures of the model's own replies; the first are the base's.
        moved: Terms that have been above zero at least once.
        logged: Step and phase (train, eval) of every row of loss_components.csv; known when training has ended.
    """

    expected: Expected
    total_steps: int = 0
    steps: list[tuple[int, Values]] = field(default_factory=list)
    gradients: list[tuple[int, Values]] = field(default_factory=list)
    evaluations: list[tuple[int, Values]] = field(default_factory=list)
    replies: list[tuple[int, RepliesSeen]] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)
    logged: Sequence[tuple[int, str]] = ()


def bigram_floor(replies: Sequence[Sequence[int]]) -> float:
    """Return the entropy of each token given the one before it, by the counts of these replies, in nats per token.

    A model that has not seen the replies is not expected to reach it: the counts include exactly the pairs that occur.

    Args:
        replies: Tokens; the first of each reply serves only as context of the second.
    """
    pairs = Counter((a, b) for reply in replies for a, b in zip(reply, reply[1:], strict=False))
    before = Counter(a for (a, _), count in pairs.items() for _ in range(count))
    total = sum(pairs.values())
    return -sum(count * math.log(count / before[a]) for (a, _), count in pairs.items()) / max(total, 1)


def mean(values: Sequence[float] | Sequence[bool] | Sequence[int]) -> float:
    """Return the mean of at least one number."""
    return sum(values) / len(values)
