"""Comparison of the base's replies and losses, captured before training, with the tuned model's at the end."""

from __future__ import annotations

from typing import Any

import lightning as L

from rct_lightning.callbacks.common import as_markdown_table, run_of
from rct_lightning.callbacks.tensorboard import board_of
from rct_lightning.generation import GREEDY, SAMPLE_PROMPTS, Sampling, generate
from rct_lightning.module import RelationalModule
from rct_lightning.replacing import replacing
from rct_lightning.scoring import base_model

SHOWN = {
    "lm": "LM loss, nats per reply token",
    "perplexity": "perplexity of the replies",
    "presence/D_marked": "bond over rupture, addressed (nats per token)",
    "presence/D_unmarked": "bond over rupture, not addressed",
    "coherence/candidate_accuracy": "own words recalled among candidates",
    "continuity/candidate_accuracy": "user's words recalled among candidates",
}


class BaselineComparison(L.Callback):
    """Writes baseline_generation.txt before step 0 and makes a before/after table at the end.

    Args:
        max_new_tokens: Maximum tokens of a reply.
    """

    def __init__(self, max_new_tokens: int = 60) -> None:
        if max_new_tokens < 1:
            raise ValueError("max_new_tokens must be 1 or more")
        self.sampling = Sampling(**(vars(GREEDY) | {"max_new_tokens": max_new_tokens}))
        self.base_replies: list[str] = []
        self.base_values: dict[str, float] = {}
        self.table = ""
        self.replies = ""

    def state_dict(self) -> dict[str, Any]:
        """Return the base's replies and evaluation figures."""
        return {"replies": self.base_replies, "values": self.base_values}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore them, so that the base is not sampled twice."""
        self.base_replies, self.base_values = state_dict["replies"], state_dict["values"]

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Sample from the base, with adapters off."""
        assert isinstance(pl_module, RelationalModule)
        if self.base_replies:
            return
        self.base_values = dict(pl_module.eval_values)
        with base_model(pl_module.model):
            self.base_replies = self._replies(pl_module)
        if trainer.is_global_zero:
            pairs = zip(SAMPLE_PROMPTS, self.base_replies, strict=True)
            with replacing(run_of(trainer).baseline_generation) as part:
                part.write_text("\n".join(f"Prompt: {p}\nResponse: {r}\n" for p, r in pairs), encoding="utf-8")

    def compare(self, trainer: L.Trainer, module: RelationalModule) -> None:
        """Make the tables from the module's latest evaluation; call this after evaluating the trained model."""
        tuned = module.eval_values
        rows = []
        for name, meaning in SHOWN.items():
            if name in self.base_values and name in tuned:
                base, now = self.base_values[name], tuned[name]
                rows.append((meaning, f"{base:.3f}", f"{now:.3f}", f"{now - base:+.3f}"))
        self.table = as_markdown_table(("on the evaluation rows", "base", "tuned", "change"), rows)
        replies = list(zip(SAMPLE_PROMPTS, self.base_replies, self._replies(module), strict=True))
        self.replies = as_markdown_table(("prompt", "base", "tuned"), replies)
        board = board_of(trainer)
        if board is not None:
            board.show_comparison(trainer.global_step, rows, replies)

    def _replies(self, module: RelationalModule) -> list[str]:
        prompts = [((), prompt) for prompt in SAMPLE_PROMPTS]
        replies = generate(
            module.model,
            module.tokenizer,
            module.template,
            prompts,
            self.sampling,
            max_length=module.max_length,
        )
        return [" ".join(reply.text.split()) for reply in replies]
