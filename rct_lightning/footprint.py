"""How much memory a training step takes, told before the first one, and whether activations can be kept for it.

What autograd keeps of a pass grows with the tokens of the batch alone. So it is counted on two short passes of the very
model, whatever its architecture, adapters and precision, and carried over to the widest batches of the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import nn

from rct_lightning import memory
from rct_lightning.data import IGNORE, Batch
from rct_lightning.scoring import HEAD_LOGITS, hidden_states, trunk_and_head

PROBE_TOKENS = (16, 32)
USABLE = 0.9
"""Share of the free memory that a step may be expected to take."""
LOGITS_HELD = 3
"""Log-probabilities that the forward pass keeps, and two gradients of their size in the backward pass."""

LAYER_HELD = 1.75
"""A layer that is made again holds what autograd keeps of it, and about three quarters as much in gradients."""


@dataclass(frozen=True)
class Kept:
    """What autograd keeps of one token.

    Attributes:
        token: Bytes, over all layers.
        boundary: Bytes, where nothing but each layer's input is kept.
        layers: How many of them.
    """

    token: float
    boundary: float
    layers: int


@dataclass(frozen=True)
class Footprint:
    """Bytes that a training step holds at its peak, beside the weights.

    Attributes:
        tokens: Of the batch, with padding, twins and phrases.
        activations: Kept for the backward pass, and made again where they are not.
        masks: Of sequences with phrases behind them.
        logits: See :func:`rct_lightning.scoring.token_log_probs`.
        optimizer: Gradients and AdamW's two moments of the adapters.
        checkpointing: Whether activations are made again in the backward pass.
    """

    tokens: int
    activations: int
    masks: int
    logits: int
    optimizer: int
    checkpointing: bool = False

    @property
    def total(self) -> int:
        """All of it."""
        return self.activations + self.masks + self.logits + self.optimizer

    def line(self, free: int, why: str) -> str:
        """One line for the console and the run's environment."""
        how = "made again in the backward pass" if self.checkpointing else "kept"
        parts = (("activations", self.activations), ("masks", self.masks), ("logits", self.logits))
        shown = ", ".join(f"{name} {_mib(size)}" for name, size in (*parts, ("optimizer", self.optimizer)))
        return (
            f"memory: {_mib(self.total)} MiB beside the weights for a batch of {self.tokens:,} tokens ({shown}), "
            f"{_mib(free)} MiB free; activations are {how} ({why})"
        )


@dataclass(frozen=True)
class Choice:
    """What a run's largest step takes, and how that was settled."""

    footprint: Footprint
    free: int
    why: str

    def line(self) -> str:
        """One line for the console and the run's environment; two where memory will not do."""
        line = self.footprint.line(self.free, self.why)
        if self.footprint.total > self.free:
            line += (
                "\nmemory: this may not fit. Halve data.batch_size and double trainer.accumulate_grad_batches (the "
                "same steps but for rounding), or lower data.max_seq_length."
            )
        return line


def choose(asked: bool | str, model: nn.Module, batches: Iterable[Batch], phrase_tokens: int, free: int) -> Choice:
    """Whether to make activations again in the backward pass, which takes a third more time.

    Args:
        asked: True, False, or ``auto``: only where keeping them would not fit.
        model: With its adapters.
        batches: Among them the largest of the run.
        phrase_tokens: Of the phrases that a step asks after each prompt.
        free: Bytes that can still be allocated on its device.
    """
    kept = measure_kept(model)
    of = partial(estimate, model, kept, phrase_tokens=phrase_tokens)
    largest = max((of(batch) for batch in batches), key=lambda found: found.total)
    again = max((of(batch, checkpointing=True) for batch in batches), key=lambda found: found.total)
    if asked != "auto":
        return Choice(again if asked else largest, free, "as asked")
    if largest.total <= USABLE * free:
        return Choice(largest, free, "they fit")
    return Choice(again, free, f"kept they would take {_mib(largest.total)} MiB")


def measure_kept(model: nn.Module) -> Kept:
    """Count what two short passes keep; parameters, mode and random state are as before."""
    few, more = (_kept_bytes(model, tokens) for tokens in PROBE_TOKENS)
    trunk: Any = trunk_and_head(model)[0]
    layers: int = trunk.config.num_hidden_layers
    boundary = trunk.config.hidden_size * trunk.dtype.itemsize * layers
    return Kept((more - few) / (PROBE_TOKENS[1] - PROBE_TOKENS[0]), boundary, layers)


def estimate(
    model: nn.Module, kept: Kept, batch: Batch, *, phrase_tokens: int, checkpointing: bool = False
) -> Footprint:
    """The peak of one training step on a batch.

    Args:
        model: With its adapters.
        kept: As :func:`measure_kept` gives it.
        batch: Whose shapes count.
        phrase_tokens: L, of the phrases asked after each prompt.
        checkpointing: Whether activations are made again in the backward pass.
    """
    (rows, length), pairs, own = batch.input_ids.shape, len(batch.twin_of), batch.twin_ids.shape[1]
    phrases = phrase_tokens if pairs else 0
    joint = length + own + 2 * phrases
    passes = (pairs * joint, (rows - pairs) * length)
    tokens = sum(passes)
    adapters = sum(p.numel() * p.itemsize for p in model.parameters() if p.requires_grad)
    trunk, head = cast(tuple[Any, Any], trunk_and_head(model))
    asked = (int((batch.labels != IGNORE).sum()), len(batch.recurrent_row), pairs * phrases, pairs * phrases)
    logits = _logit_bytes(asked, len(head.weight))
    activations = kept.token * tokens
    if checkpointing:  # logits are gone when a layer is made again
        layer = LAYER_HELD * kept.token / kept.layers * max(passes)
        activations = kept.boundary * tokens + max(layer - logits, 0)
    return Footprint(
        tokens=tokens,
        activations=int(activations),
        masks=pairs * joint**2 * trunk.dtype.itemsize if phrases else 0,
        logits=logits,
        optimizer=3 * adapters,
        checkpointing=checkpointing,
    )


def _logit_bytes(asked: Iterable[int], vocabulary: int) -> int:
    """What is kept of each kind of positions, and what the largest takes beside that; larger ones come in portions."""
    sizes = [positions * vocabulary for positions in asked]
    held = sum(size for size in sizes if size <= HEAD_LOGITS)
    return 4 * (held + (LOGITS_HELD - 1) * min(max(sizes), HEAD_LOGITS) + (HEAD_LOGITS if held < sum(sizes) else 0))


def _kept_bytes(model: nn.Module, tokens: int) -> int:
    """Bytes of all that autograd keeps of one row but the parameters."""
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    modes = {module: module.training for module in model.modules()}
    device = next(model.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        model.train()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            states = hidden_states(model, torch.zeros(1, tokens, dtype=torch.int64, device=device))
        del states  # alive until here, or its graph would be gone and storages be counted twice
    for module, training in modes.items():
        module.training = training
    return sum(kept.values())


def free_for_training(device: str, free: int) -> int:
    """Of the free memory, what a step may take: on a processor, freed blocks of former batches are held as well."""
    return free if device != "cpu" else max(free - memory.HEADROOM, 0)


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f}"
