"""The model under evaluation, queried as the base (adapters off) or as the tuned model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from rct_lightning.dialogue import Turn
from rct_lightning.evaluation.endpoints import Side
from rct_lightning.generation import GREEDY, Reply, generate
from rct_lightning.losses.presence import log_mean_exp
from rct_lightning.markers import Lexicon
from rct_lightning.scoring import base_model, score_continuations, score_phrases
from rct_lightning.template import DialogueTemplate

History = tuple[Turn, ...]
Asked = tuple[History, str]

REPLY_ROOM = 128
"""Tokens of max_length reserved for the reply."""


@dataclass(frozen=True)
class Subject:
    """A model with adapters and what is needed to query it."""

    model: Any
    tokenizer: Any
    template: DialogueTemplate
    device: str
    max_length: int
    batch_size: int = 16

    def on(self, side: Side) -> AbstractContextManager[None]:
        """Return a context in which the model is the base (adapters off) or the tuned one."""
        return base_model(self.model) if side == "base" else nullcontext()

    @property
    def prompt_room(self) -> int:
        """Tokens that a prompt can take when a reply of ordinary length is to follow."""
        return max(self.max_length - REPLY_ROOM, self.max_length // 2)

    def prompt_ids(self, asked: Asked, behind: int = 0) -> list[int]:
        """Encode a prompt, dropping its oldest turns so that a reply fits after it.

        Args:
            asked: History and text.
            behind: Tokens that are known to follow; at most half of max_length.
        """
        context, text = asked
        room = min(self.prompt_room, self.max_length - behind)
        return self.template.encode_prompt(text, self.tokenizer, room, context).ids

    def pairs(self, asked: Asked, replies: Sequence[list[int]]) -> list[tuple[list[int], list[int]]]:
        """Pair one prompt with each of several replies, in at most max_length tokens; a reply keeps half at most."""
        kept = [reply[: self.max_length - self.max_length // 2] for reply in replies]
        prompt = self.prompt_ids(asked, max(map(len, kept)))
        return [(prompt, reply) for reply in kept]

    def reply_ids(self, text: str, *, ends: bool = True) -> list[int]:
        """Encode a reply as it follows the prompt, with EOS if it ends."""
        ids = list(self.tokenizer(self.template.reply(text), add_special_tokens=False)["input_ids"])
        return [*ids, self.tokenizer.eos_token_id] if ends else ids

    def likelihood(self, pairs: Sequence[tuple[list[int], list[int]]]) -> np.ndarray:
        """Compute s(c|q) of (prompt, continuation) pairs, nats per token: [N]."""
        pad = self.tokenizer.pad_token_id
        return score_continuations(self.model, pairs, pad, self.device, self.batch_size).numpy()

    def separation(self, asked: Sequence[Asked], lexicon: Lexicon) -> np.ndarray:
        """Compute D = S_B - S_R on the held-out phrases, nats per token: [N]."""
        bond = [self.reply_ids(phrase, ends=False) for phrase in lexicon.phrases("bond", "heldout")]
        rupture = [self.reply_ids(phrase, ends=False) for phrase in lexicon.phrases("rupture", "heldout")]
        prompts = [self.prompt_ids(one) for one in asked]
        pad = self.tokenizer.pad_token_id
        scores = score_phrases(self.model, prompts, [*bond, *rupture], pad, self.device, self.batch_size)
        return (log_mean_exp(scores[:, : len(bond)]) - log_mean_exp(scores[:, len(bond) :])).numpy()

    def replies(self, asked: Sequence[Asked]) -> list[Reply]:
        """Generate greedy replies of at most 60 tokens."""
        return generate(self.model, self.tokenizer, self.template, asked, GREEDY, max_length=self.prompt_room)
