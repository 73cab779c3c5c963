r"""Log-likelihood of continuations, used by both the losses and evaluation.

Logits are computed only at the positions that are scored. Short continuations ("phrases") are scored as *branches*:
they are appended to the row, attend only to the prompt and to themselves, and use the position ids they would have
directly after the prompt. A twin prompt shares the row's common prefix in the same way. The scores equal those of
separate passes (tested) at the cost of a few tokens.

Notation as in docs/losses.md: s(c|q) = (1/|c|) sum_j log p(c_j | q, c_<j), in nats per token.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torch.utils.checkpoint import checkpoint

HEAD_LOGITS = 1 << 25
"""Maximum number of logits held at a time: 128 MiB in float32. The bundled model stays below it, Pythia does not."""
PHRASE_PORTION = 8
"""Phrases that are scored after the prompts at a time."""


@dataclass(frozen=True)
class Branches:
    """Tokenised phrases, concatenated.

    Attributes:
        ids: int64 [L], tokens of all phrases.
        phrase: int64 [L], which phrase a token belongs to.
        offset: int64 [L], position within its phrase.
        lengths: int64 [C], tokens per phrase.
    """

    ids: Tensor
    phrase: Tensor
    offset: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, phrases: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> Branches:
        """Concatenate tokenised phrases, each of at least one token."""
        if any(len(phrase) == 0 for phrase in phrases):
            raise ValueError("every phrase needs at least one token")
        return cls(
            ids=torch.tensor([token for phrase in phrases for token in phrase], device=device),
            phrase=torch.tensor([c for c, phrase in enumerate(phrases) for _ in phrase], device=device),
            offset=torch.tensor([j for phrase in phrases for j in range(len(phrase))], device=device),
            lengths=torch.tensor([len(phrase) for phrase in phrases], device=device),
        )

    @property
    def own_beginning(self) -> Tensor:
        """Bool [L, L], which phrase tokens each token attends to: those of its own phrase, up to itself."""
        same_phrase = self.phrase[:, None] == self.phrase
        return same_phrase & (self.offset[:, None] >= self.offset)


@dataclass(frozen=True)
class Twins:
    """For each of Q rows, another prompt that shares a prefix with the row.

    Attributes:
        ids: int64 [Q, S], the tokens after the shared prefix, right-padded.
        start: int64 [Q], tokens shared with the row.
        length: int64 [Q], tokens after the shared prefix, at least one.
    """

    ids: Tensor
    start: Tensor
    length: Tensor


@dataclass(frozen=True)
class PairScores:
    """Results of one pass over rows and their twins.

    Attributes:
        hidden: [Q, T, H], last hidden states of the rows.
        rows: [Q, C], s(phrase | the row up to ``asked_at``).
        twins: [Q, C], s(phrase | twin).
    """

    hidden: Tensor
    rows: Tensor
    twins: Tensor


def trunk_and_head(model: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Return a (PEFT-wrapped) causal LM's transformer without its output layer, and the output layer."""
    causal_lm: Any = model
    if hasattr(model, "get_base_model"):
        causal_lm = causal_lm.get_base_model()
    return causal_lm.base_model, causal_lm.get_output_embeddings()


def branches_problem(model: nn.Module) -> str | None:
    """Return why a (PEFT) model's scores of branches are not those of separate passes; None if they are.

    Branches need a causal model that takes position ids and a mask for each row; a few tokens show it.
    """
    prompt, twin, phrases = [1, 2, 3], [1, 2, 4], [[5, 6], [7]]
    device = next(model.parameters()).device
    rows, ends = torch.tensor([[*prompt, 8]], device=device), torch.tensor([len(prompt)], device=device)
    other = Twins(*(torch.tensor(part, device=device) for part in ([twin[2:]], [2], [1])))
    try:
        with base_model(model):
            found = score_pairs(model, rows, ends, other, Branches.of(phrases, device))
            apart = score_continuations(
                model, [(asked, said) for asked in (prompt, twin) for said in phrases], 0, device
            )
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError) as error:
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    gap = float((torch.cat([found.rows, found.twins]).flatten().cpu() - apart).abs().max())
    exact = found.hidden.dtype == torch.float32
    if gap <= (1e-3 if exact else 0.2):
        return None
    return f"they differ from those of separate passes by {gap:.2g} nats per token"


def positions_of(model: nn.Module) -> int | None:
    """Return the number of tokens that a model was made to read; None if its configuration does not say."""
    positions = getattr(getattr(model, "config", None), "max_position_embeddings", None)
    return positions if isinstance(positions, int) and positions > 0 else None


@contextmanager
def base_model(model: nn.Module) -> Iterator[None]:
    """Run the frozen base: adapters off, no gradient, no dropout; everything is restored afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad(), model.disable_adapter():  # type: ignore[operator]
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def logits_at(model: nn.Module, hidden: Tensor) -> Tensor:
    """Return float32 logits for gathered hidden states: [N, H] -> [N, V]."""
    return trunk_and_head(model)[1](hidden).float()


def token_log_probs(model: nn.Module, hidden: Tensor, targets: Tensor) -> Tensor:
    """Return log p(target) at each gathered position: hidden [N, H], targets int64 [N] -> float32 [N].

    More than :data:`HEAD_LOGITS` logits are computed in portions, and recomputed in the backward pass instead of being
    kept.
    """

    def of(part: Tensor, target: Tensor) -> Tensor:
        return -F.cross_entropy(logits_at(model, part), target, reduction="none")

    if not len(targets):
        return hidden.new_zeros(0, dtype=torch.float32)
    head: Any = trunk_and_head(model)[1]
    portion = max(1, HEAD_LOGITS // len(head.weight))
    if len(targets) <= portion:
        return of(hidden, targets)
    portions = zip(hidden.split(portion), targets.split(portion), strict=True)
    return torch.cat([checkpoint(of, *each, use_reentrant=False) for each in portions])


def reply_log_probs(model: nn.Module, hidden: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-probabilities of the labelled tokens, each predicted from the position before it.

    Args:
        model: The causal LM.
        hidden: [B, T, H].
        labels: int64 [B, T], -100 where there is no label.

    Returns:
        float32 [N] log-probabilities and int64 [N] the row each belongs to; N is the number of labels that
        are not -100 (a label at position 0 cannot be predicted and is not counted).
    """
    row, position = torch.nonzero(labels[:, 1:] != -100, as_tuple=True)
    return token_log_probs(model, hidden[row, position], labels[row, position + 1]), row


def hidden_states(model: nn.Module, input_ids: Tensor) -> Tensor:
    """Return the last hidden states of right-padded rows: int64 [B, T] -> [B, T, H].

    Padding is on the right, so causal attention alone hides it from every token and no mask is needed.
    """
    return trunk_and_head(model)[0](input_ids=input_ids, use_cache=False).last_hidden_state


def score_pairs(model: nn.Module, input_ids: Tensor, asked_at: Tensor, twins: Twins, branches: Branches) -> PairScores:
    """Score the same phrases after rows and after their twins, in one pass.

    A sequence holds the row, the part of its twin after the shared prefix, and the phrases twice: T + S + 2L tokens.

    Args:
        model: The causal LM.
        input_ids: int64 [Q, T], right-padded rows.
        asked_at: int64 [Q], number of tokens of the row after which the phrases are scored.
        twins: The other prompt of each row; phrases are scored at its end.
        branches: C phrases of L tokens.
    """
    trunk, _ = trunk_and_head(model)
    (rows, length), own = input_ids.shape, twins.ids.shape[1]
    phrases, extra = branches.ids.expand(rows, -1), len(branches.ids)
    along = torch.arange(max(length, own), device=input_ids.device)
    positions = (
        along[:length].expand(rows, -1),
        twins.start[:, None] + torch.minimum(along[:own], twins.length[:, None] - 1),  # padding needs no positions
        asked_at[:, None] + branches.offset,
        (twins.start + twins.length)[:, None] + branches.offset,
    )
    states = trunk(
        input_ids=torch.cat([input_ids, twins.ids, phrases, phrases], dim=1),
        attention_mask=_additive(_seen_in_pairs(length, asked_at, twins, branches), trunk.dtype),  # type: ignore[arg-type]
        position_ids=torch.cat(positions, dim=1),
        use_cache=False,
    ).last_hidden_state
    hidden, of_twin, after_row, after_twin = states.split([length, own, extra, extra], dim=1)
    each = torch.arange(rows, device=input_ids.device)
    return PairScores(
        hidden,
        _phrase_scores(model, hidden[each, asked_at - 1], after_row, branches),
        _phrase_scores(model, of_twin[each, twins.length - 1], after_twin, branches),
    )


def _seen_in_pairs(length: int, asked_at: Tensor, twins: Twins, branches: Branches) -> Tensor:
    """Return the attention mask, bool [Q, N, N] over N = T + S + 2L tokens.

    Rows and twins are causal; phrases attend to their own prompt and to themselves.
    """
    rows, own = twins.ids.shape
    extra = len(branches.ids)
    along = torch.arange(max(length, own), device=asked_at.device)
    of_row, of_twin = along[:length], along[:own]
    shared = of_row < twins.start[:, None]
    said = torch.cat([of_row < asked_at[:, None], torch.zeros_like(twins.ids, dtype=torch.bool)], dim=1)
    other = torch.cat([shared, of_twin < twins.length[:, None]], dim=1)

    seen = torch.zeros(rows, *[length + own + 2 * extra] * 2, dtype=torch.bool, device=asked_at.device)
    row, twin, prompt = slice(0, length), slice(length, length + own), slice(0, length + own)
    seen[:, row, row] = of_row[:, None] >= of_row
    seen[:, twin, row] = shared[:, None]
    seen[:, twin, twin] = of_twin[:, None] >= of_twin
    for start, asked_after in ((length + own, said), (length + own + extra, other)):
        phrases = slice(start, start + extra)
        seen[:, phrases, prompt] = asked_after[:, None]
        seen[:, phrases, phrases] = branches.own_beginning
    return seen


def _seen_by_branches(prompt: Tensor, branches: Branches) -> Tensor:
    """Return what phrases after right-padded prompts attend to: bool [B, T] -> bool [B, L, T+L]."""
    size = (len(prompt), len(branches.ids), -1)
    return torch.cat([prompt[:, None].expand(size), branches.own_beginning.expand(size)], dim=2)


def _additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the mask to add to attention scores: bool [B, Q, K] -> [B, 1, Q, K]."""
    mask = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
    return mask.masked_fill_(~allowed, torch.finfo(dtype).min)[:, None]


def _phrase_scores(model: nn.Module, at_prompt_end: Tensor, at_branches: Tensor, branches: Branches) -> Tensor:
    """Return the mean log-probability of each phrase; its first token is predicted at the prompt's last position.

    Args:
        model: The causal LM.
        at_prompt_end: [B, H], hidden states at the last position of the prompts.
        at_branches: [B, L, H], hidden states of the branches' tokens.
        branches: C phrases of L tokens.

    Returns:
        [B, C], nats per token.
    """
    rows, extra = at_branches.shape[:2]
    before = torch.cat([at_prompt_end[:, None], at_branches[:, :-1]], dim=1)
    states = torch.where((branches.offset == 0)[:, None], at_prompt_end[:, None], before)
    log_probs = token_log_probs(model, states.flatten(0, 1), branches.ids.repeat(rows)).view(rows, extra)
    sums = log_probs.new_zeros(rows, len(branches.lengths))
    return sums.index_add(1, branches.phrase, log_probs) / branches.lengths


@torch.no_grad()
def score_many_phrases(
    model: nn.Module, input_ids: Tensor, prompt_length: Tensor, phrases: Sequence[Sequence[int]]
) -> Tensor:
    """Return s(phrase | prompt) of many phrases without gradient: prompts are read once, phrases in portions.

    Args:
        model: The causal LM; the caller sets adapters and mode.
        input_ids: int64 [B, T], right-padded prompts.
        prompt_length: int64 [B].
        phrases: C phrases, the same for every row.

    Returns:
        float32 [B, C].
    """
    from transformers import DynamicCache

    trunk, _ = trunk_and_head(model)
    rows, length = input_ids.shape
    inside = torch.arange(length, device=input_ids.device) < prompt_length[:, None]
    cache, scores = DynamicCache(), []
    cached = {"use_cache": True, cache_argument(trunk): cache}
    prompts = trunk(input_ids=input_ids, attention_mask=inside.long(), **cached)
    at_prompt_end = prompts.last_hidden_state[torch.arange(rows, device=input_ids.device), prompt_length - 1]
    for start in range(0, len(phrases), PHRASE_PORTION):
        branches = Branches.of(phrases[start : start + PHRASE_PORTION], input_ids.device)
        at_branches = trunk(
            input_ids=branches.ids.expand(rows, -1),
            attention_mask=_additive(_seen_by_branches(inside, branches), trunk.dtype),  # type: ignore[arg-type]
            position_ids=prompt_length[:, None] + branches.offset,
            **cached,
        ).last_hidden_state
        cache.crop(-len(branches.ids))  # back to the prompts
        scores.append(_phrase_scores(model, at_prompt_end, at_branches, branches))
    return torch.cat(scores, dim=1)


def cache_argument(trunk: nn.Module) -> str:
    """Return the name of a model's key-value cache argument; transformers is renaming it, model by model."""
    return "cache" if "cache" in inspect.signature(trunk.forward).parameters else "past_key_values"


@torch.no_grad()
def score_continuations(
    model: nn.Module,
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
    pad_id: int,
    device: torch.device | str,
    batch_size: int = 16,
) -> Tensor:
    """Return s(c|q) for pairs of (prompt ids q, continuation ids c): float32 [N] on the CPU, in the order given."""
    order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]) + len(pairs[i][1]))
    scores = torch.zeros(len(pairs))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        rows = [torch.tensor([*pairs[i][0], *pairs[i][1]]) for i in chosen]
        labels = [torch.tensor([-100] * len(pairs[i][0]) + list(pairs[i][1])) for i in chosen]
        ids = pad_sequence(rows, batch_first=True, padding_value=pad_id).to(device)
        target = pad_sequence(labels, batch_first=True, padding_value=-100).to(device)
        log_probs, row = reply_log_probs(model, hidden_states(model, ids), target)
        sums = torch.zeros(len(chosen), device=device).index_add(0, row, log_probs)
        scores[chosen] = (sums / (target[:, 1:] != -100).sum(1)).cpu()
    return scores


@torch.no_grad()
def score_phrases(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    phrases: Sequence[Sequence[int]],
    pad_id: int,
    device: torch.device | str,
    batch_size: int = 16,
) -> Tensor:
    """Return s(phrase | prompt) for every prompt and phrase: float32 [N, C] on the CPU."""
    scores = torch.zeros(len(prompts), len(phrases))
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        rows = [torch.tensor(list(prompts[i])) for i in chosen]
        ids = pad_sequence(rows, batch_first=True, padding_value=pad_id).to(device)
        lengths = torch.tensor([len(row) for row in rows], device=device)
        scores[chosen] = score_many_phrases(model, ids, lengths, phrases).cpu()
    return scores
