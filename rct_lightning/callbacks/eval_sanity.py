"""After each evaluation, checks the logged loss against the model's own on rows drawn through the validation loader."""

from __future__ import annotations

import json
import random
from typing import Any

import lightning as L
import torch

from rct_lightning.callbacks.common import run_of
from rct_lightning.data import IGNORE, Batch
from rct_lightning.generation import Reply, Sampling, generate
from rct_lightning.module import RelationalModule
from rct_lightning.sanitize import printable

TOLERANCE, COARSE_TOLERANCE = 1e-3, 0.05
"""Relative difference above which two computations of a loss count as disagreeing: in float32, and in fewer bits. Both
round differently in batches of other shapes; in bfloat16, replies of a few tokens differ by up to 0.007."""


class EvalSanity(L.Callback):
    """Draws rows THROUGH the validation loader and recomputes their loss with the model's own loss function.

    Writes to eval_sanity.jsonl the loss, input, target and the model's own reply of each row, and whether the mean over
    all rows of the evaluation agrees with the logged figure.

    Args:
        num_samples: Rows per evaluation.
        max_new_tokens: Maximum tokens of the model's own reply.
    """

    def __init__(self, num_samples: int = 3, max_new_tokens: int = 60) -> None:
        if num_samples < 1:
            raise ValueError("num_samples must be 1 or more")
        self.num_samples, self.max_new_tokens = num_samples, max_new_tokens
        self.disagreements: list[str] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the disagreements found so far."""
        return {"disagreements": self.disagreements}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore them."""
        self.disagreements = state_dict["disagreements"]

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Run the check and append its records to the file."""
        assert isinstance(pl_module, RelationalModule)
        if not trainer.is_global_zero or not pl_module.eval_rows:
            return
        chosen = random.Random(trainer.global_step).sample(
            sorted(pl_module.eval_rows), min(self.num_samples, len(pl_module.eval_rows))
        )
        drawn = _rows_through_loader(trainer, chosen)
        replies = self._own_replies(trainer, pl_module, [int(batch.index[at]) for batch, at in drawn])
        records = [
            self._row(trainer, pl_module, batch, at, reply) for (batch, at), reply in zip(drawn, replies, strict=True)
        ]
        records.append(self._mean(trainer, pl_module))
        path = run_of(trainer).eval_sanity
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)

    def _own_replies(self, trainer: L.Trainer, module: RelationalModule, rows: list[int]) -> list[Reply]:
        """Return the model's greedy replies to the prompts of some rows."""
        examples = [trainer.datamodule.eval_set.examples[index] for index in rows]  # type: ignore[attr-defined]
        return generate(
            module.model,
            module.tokenizer,
            module.template,
            [(example.context, example.input) for example in examples],
            Sampling(max_new_tokens=self.max_new_tokens),
            max_length=module.max_length,
        )

    def _row(
        self, trainer: L.Trainer, module: RelationalModule, batch: Batch, at: int, reply: Reply
    ) -> dict[str, object]:
        """Return the record of one row, scored alone by the model's own loss."""
        device = module.device
        length = int(batch.attention_mask[at].sum())
        ids, labels = (
            batch.input_ids[at : at + 1, :length].to(device),
            batch.labels[at : at + 1, :length].to(device),
        )
        training = module.model.training
        module.model.eval()
        with torch.no_grad():
            loss = float(module.model(input_ids=ids, labels=labels).loss)
        module.model.train(training)
        index = int(batch.index[at])
        nll, tokens = module.eval_rows[index]
        tolerance = TOLERANCE if _is_in_float32(trainer, module) else COARSE_TOLERANCE
        agrees = self._agree(f"row {index} at step {trainer.global_step}", nll / tokens, loss, tolerance)
        example = trainer.datamodule.eval_set.examples[index]  # type: ignore[attr-defined]
        target = module.tokenizer.decode(labels[labels != IGNORE].tolist(), skip_special_tokens=True)
        return {
            "step": trainer.global_step,
            "row": example.id,
            "loss": loss,
            "logged_loss": nll / tokens,
            "agrees": agrees,
            "input": printable(example.input),
            "target": printable(target.strip()),
            "own_reply": reply.text,
        }

    def _mean(self, trainer: L.Trainer, module: RelationalModule) -> dict[str, object]:
        """Compare the token-weighted mean over all rows with the logged figure."""
        nll = sum(row[0] for row in module.eval_rows.values())
        tokens = sum(row[1] for row in module.eval_rows.values())
        logged = module.eval_values["lm"]
        agrees = self._agree(
            f"mean of {len(module.eval_rows)} rows at step {trainer.global_step}", logged, nll / tokens
        )
        return {
            "step": trainer.global_step,
            "rows": len(module.eval_rows),
            "loss": nll / tokens,
            "logged_loss": logged,
            "agrees": agrees,
        }

    def _agree(self, what: str, logged: float, own: float, tolerance: float = TOLERANCE) -> bool:
        agrees = abs(logged - own) <= tolerance * max(1.0, abs(own))
        if not agrees:
            self.disagreements.append(f"{what}: logged LM loss {logged:.4f}, the model's own loss {own:.4f}")
        return agrees


def _is_in_float32(trainer: L.Trainer, module: RelationalModule) -> bool:
    return next(module.model.parameters()).dtype == torch.float32 and trainer.precision.startswith("32")


def _rows_through_loader(trainer: L.Trainer, wanted: list[int]) -> list[tuple[Batch, int]]:
    """Return the validation loader's batches that contain wanted rows, with the position of each row in its batch."""
    found = []
    for batch in trainer.datamodule.val_dataloader():  # type: ignore[attr-defined]
        for at, index in enumerate(batch.index.tolist()):
            if index in wanted:
                found.append((batch, at))
    return found
