"""Saving an adapter as a self-describing folder."""

from __future__ import annotations

import errno
import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from rct_lightning.replacing import replacing
from rct_lightning.template import DialogueTemplate
from rct_lightning.untrusted import TEMPLATE_FILE


def open_weights(folder: Path) -> None:
    """Give the weights in a folder the mode of the files beside them: safetensors lets only their owner read them."""
    beside = next(folder.glob("*config.json"))
    for weights in folder.glob("*.safetensors"):
        with suppress(OSError):  # a file system without modes
            shutil.copymode(beside, weights)


@dataclass(frozen=True)
class AdapterCard:
    """The provenance of an adapter, for its model card.

    Attributes:
        base: The base's hub name or a bundled model's name, never a local path.
        trained: One sentence on how the adapter was trained.
    """

    base: str = "an unnamed base"
    trained: str = ""

    def text(self, measured: str) -> str:
        """Return the text of README.md; ``measured`` is one sentence on what was measured."""
        template = f"The dialogue template is in {TEMPLATE_FILE}."
        return f"# LoRA adapter for {self.base}\n\n{self.trained} {measured} {template}\n"


def save_adapter(
    model: nn.Module, tokenizer: Any, template: DialogueTemplate, folder: Path, card: AdapterCard, measured: str
) -> None:
    """Write a PEFT folder: safetensors, tokenizer, template, model card.

    Args:
        model: The PEFT model.
        tokenizer: Saved beside the weights.
        template: Role names; every later use of the adapter reads them from here.
        folder: The destination; an existing folder is replaced.
        card: The adapter's provenance.
        measured: One sentence for the card on what was measured.

    Raises:
        OSError: Writing failed; nothing half-written is left, and an earlier adapter in ``folder`` is kept.
    """
    from safetensors import SafetensorError

    try:
        with replacing(folder) as part:
            model.save_pretrained(str(part), safe_serialization=True, save_embedding_layers=False)  # type: ignore[operator]
            config_file = part / "adapter_config.json"
            config = json.loads(config_file.read_text(encoding="utf-8")) | {"base_model_name_or_path": card.base}
            config_file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            tokenizer.save_pretrained(str(part))
            (part / TEMPLATE_FILE).write_text(json.dumps(template.to_json(), indent=2) + "\n", encoding="utf-8")
            (part / "README.md").write_text(card.text(measured), encoding="utf-8")
            open_weights(part)
    except SafetensorError as error:  # how safetensors reports a full disk
        raise OSError(errno.EIO, str(error), str(folder)) from error
