"""Samples replies to the original's five prompts at step 0, at regular steps, and at the end."""

from __future__ import annotations

from typing import Any

import lightning as L

from rct_lightning.callbacks.common import StepCallback, run_of
from rct_lightning.callbacks.tensorboard import board_of
from rct_lightning.generation import GREEDY, SAMPLE_PROMPTS, SAMPLED, Sampling, generate
from rct_lightning.module import RelationalModule

SAMPLE_SEED = 7
"""Constant, so that samples of different steps differ only because of the weights."""


class GenerationSampling(StepCallback):
    """Writes greedy and sampled replies to generation_samples.txt, and base and current ones to TensorBoard.

    Args:
        every_n_steps: Optimizer steps between samples; 0 for step 0 and the end only.
        max_new_tokens: Maximum tokens of a reply.
    """

    def __init__(self, every_n_steps: int = 200, max_new_tokens: int = 60) -> None:
        super().__init__()
        if every_n_steps < 0 or max_new_tokens < 1:
            raise ValueError("every_n_steps must be 0 or more and max_new_tokens 1 or more")
        self.every_n_steps, self.max_new_tokens = every_n_steps, max_new_tokens
        self.last_sampled = -1
        self.base_replies: list[str] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the step of the last samples, and the base's replies."""
        return {"last_sampled": self.last_sampled, "base_replies": self.base_replies}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore them."""
        self.last_sampled, self.base_replies = state_dict["last_sampled"], state_dict["base_replies"]

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Sample from the base at step 0."""
        if self.last_sampled < 0:
            self.sample(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Sample every ``every_n_steps`` optimizer steps."""
        if self.step_ended(trainer) and self.every_n_steps and trainer.global_step % self.every_n_steps == 0:
            self.sample(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Sample at the end, unless this step was just sampled."""
        if self.last_sampled != trainer.global_step:
            self.sample(trainer, pl_module)

    def sample(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Sample now, and write the replies."""
        assert isinstance(module, RelationalModule)
        self.last_sampled = trainer.global_step
        if not trainer.is_global_zero:
            return
        greedy, sampled = (self._replies(module, sampling) for sampling in (GREEDY, SAMPLED))
        rows = list(zip(SAMPLE_PROMPTS, greedy, sampled, strict=True))
        lines = [f"=== step {trainer.global_step} ==="]
        for prompt, first, second in rows:
            lines += [f"Prompt: {prompt}", f"Greedy: {first}", f"Sampled: {second}", ""]
        path = run_of(trainer).generation_samples
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        self.base_replies = self.base_replies or greedy  # at step 0 the adapters change nothing
        board = board_of(trainer)
        if board is not None:
            board.show_samples(trainer.global_step, list(zip(SAMPLE_PROMPTS, self.base_replies, greedy, strict=True)))

    def _replies(self, module: RelationalModule, sampling: Sampling) -> list[str]:
        chosen = Sampling(**(vars(sampling) | {"max_new_tokens": self.max_new_tokens}))
        replies = generate(
            module.model,
            module.tokenizer,
            module.template,
            [((), prompt) for prompt in SAMPLE_PROMPTS],
            chosen,
            seed=SAMPLE_SEED,
            max_length=module.max_length,
        )
        return [" ".join(reply.text.split()) for reply in replies]
