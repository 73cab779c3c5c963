"""What a run has reported, and what its figures are judged against."""

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
            repetition=mean(repetition),
            ended=mean(ended),
            words=mean([len(text.split()) for text in texts]),
            bond_rate=mean(bond),
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


@dataclass
class History:
    """Everything that rules look at.

    Attributes:
        expected: What this run's figures are judged against.
        total_steps: Optimizer steps of the run; rules that wait for its second half are silent while it is 0.
        steps: The newest training steps, with terms and total.
        gradients: Those at which gradients were measured.
        evaluations: The first is the base's.
        replies: Figures of the model's own replies; the first are the base's.
        moved: Terms that were above zero once.
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


def mean(values: Sequence[float] | Sequence[bool] | Sequence[int]) -> float:
    """Of at least one number."""
    return sum(values) / len(values)
