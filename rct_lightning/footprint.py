"""Estimate of a training step's memory before the first step, and of whether activations fit into it.

What autograd keeps of a pass grows linearly with the tokens of the batch. So it is measured on two short passes of the
actual model, whatever its architecture, adapters and precision, and extrapolated to the widest batches of the run.
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
"""Share of the free memory that the estimate of a step may reach."""
LOGITS_HELD = 3
"""Copies of the logits' size: log-probabilities kept by the forward pass, and two gradients in the backward pass."""

LAYER_HELD = 1.75
"""A recomputed layer holds what autograd keeps of it, and about three quarters as much in gradients."""


@dataclass(frozen=True)
class Kept:
    """Memory that autograd keeps per token.

    Attributes:
        token: Bytes, over all layers.
        boundary: Bytes, if only each layer's input is kept.
        layers: Number of layers.
    """

    token: float
    boundary: float
    layers: int


@dataclass(frozen=True)
class Footprint:
    """Bytes that a training step holds at its peak, in addition to the weights.

    Attributes:
        tokens: Number of tokens of the batch, with padding, twins and phrases.
        activations: Activations kept for the backward pass, or recomputed in it.
        masks: Attention masks of sequences with phrases.
        logits: Logits; see :func:`rct_lightning.scoring.token_log_probs`.
        optimizer: Gradients of the adapters, and AdamW's two moments.
        checkpointing: Whether activations are recomputed in the backward pass.
    """

    tokens: int
    activations: int
    masks: int
    logits: int
    optimizer: int
    checkpointing: bool = False

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return self.activations + self.masks + self.logits + self.optimizer

    def line(self, free: int, why: str) -> str:
        """Return one line for the console and the run's environment file."""
        how = "made again in the backward pass" if self.checkpointing else "kept"
        parts = (("activations", self.activations), ("masks", self.masks), ("logits", self.logits))
        shown = ", ".join(f"{name} {_mib(size)}" for name, size in (*parts, ("optimizer", self.optimizer)))
        return (
            f"memory: {_mib(self.total)} MiB beside the weights for a batch of {self.tokens:,} tokens ({shown}), "
            f"{_mib(free)} MiB free; activations are {how} ({why})"
        )


@dataclass(frozen=True)
class Choice:
    """The estimate for a run's largest step, and the reason for keeping or recomputing activations."""

    footprint: Footprint
    free: int
    why: str

    def line(self) -> str:
        """Return one line for the console and the run's environment file; two if memory may not suffice."""
        line = self.footprint.line(self.free, self.why)
        if self.footprint.total > self.free:
            line += (
                "\nmemory: this may not fit. Halve data.batch_size and double trainer.accumulate_grad_batches (the "
                "same steps but for rounding), or lower data.max_seq_length."
            )
        return line


def choose(asked: bool | str, model: nn.Module, batches: Iterable[Batch], phrase_tokens: int, free: int) -> Choice:
    """Decide whether to recompute activations in the backward pass, which takes a third more time.

    Args:
        asked: True, False, or ``auto``: only if keeping them would not fit.
        model: The model with its adapters.
        batches: Batches that include the largest of the run.
        phrase_tokens: Tokens of the phrases that a step scores after each prompt.
        free: Bytes that can still be allocated on the model's device.
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
    """Measure what two short passes keep; parameters, mode and random state are left unchanged."""
    few, more = (_kept_bytes(model, tokens) for tokens in PROBE_TOKENS)
    trunk: Any = trunk_and_head(model)[0]
    layers: int = trunk.config.num_hidden_layers
    boundary = trunk.config.hidden_size * trunk.dtype.itemsize * layers
    return Kept((more - few) / (PROBE_TOKENS[1] - PROBE_TOKENS[0]), boundary, layers)


def estimate(
    model: nn.Module, kept: Kept, batch: Batch, *, phrase_tokens: int, checkpointing: bool = False
) -> Footprint:
    """Estimate the peak memory of one training step on a batch.

    Args:
        model: The model with its adapters.
        kept: Result of :func:`measure_kept`.
        batch: The batch; only its shapes matter.
        phrase_tokens: L, tokens of the phrases scored after each prompt.
        checkpointing: Whether activations are recomputed in the backward pass.
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
    if checkpointing:  # logits are freed before layers are recomputed
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
    """Return bytes of the logits kept for each kind of position, plus gradients of the largest kind.

    Above :data:`HEAD_LOGITS`, logits are computed in portions.
    """
    sizes = [positions * vocabulary for positions in asked]
    held = sum(size for size in sizes if size <= HEAD_LOGITS)
    return 4 * (held + (LOGITS_HELD - 1) * min(max(sizes), HEAD_LOGITS) + (HEAD_LOGITS if held < sum(sizes) else 0))


def _kept_bytes(model: nn.Module, tokens: int) -> int:
    """Return the bytes that autograd keeps for one row, without the parameters."""
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
        del states  # kept until here: otherwise its graph would be freed and storages miscounted
    for module, training in modes.items():
        module.training = training
    return sum(kept.values())


def free_for_training(device: str, free: int) -> int:
    """Return the free memory available to a step: on a CPU, freed blocks of earlier batches are held as well."""
    return free if device != "cpu" else max(free - memory.HEADROOM, 0)


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f}"
