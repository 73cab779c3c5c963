"""Export a request to a folder: written next to its destination, reloaded and compared, and only then moved there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from rct_lightning import backbone
from rct_lightning.errors import UserError
from rct_lightning.export import checking
from rct_lightning.export.card import card
from rct_lightning.export.provenance import Provenance
from rct_lightning.export.request import Request, check_place
from rct_lightning.reading import read_object
from rct_lightning.replacing import replacing
from rct_lightning.template import beginning
from rct_lightning.trained import TrainedModel, load_trained, trained_on
from rct_lightning.untrusted import ADAPTER_CONFIG, ADAPTER_FILE, TEMPLATE_FILE

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
BESIDE_WEIGHTS = 64 * 2**20
"""Bytes allowed for everything else: a tokenizer, a configuration, a card."""
LARGEST_FILE = "5GB"


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Attributes:
        folder: Where it is.
        size: Total size of its files in bytes.
        findings: What the comparison with the run found, in sentences.
    """

    folder: Path
    size: int
    findings: list[str]


def export(request: Request, accelerator: str = "auto") -> Exported:
    """Write the requested folder.

    Raises:
        UserError: The run cannot be loaded, the disk is full, or the exported model does not answer as the run does.
            Nothing is left behind.
    """
    backbone.quiet_libraries()
    trained = load_trained(request.run, which=request.which, accelerator=accelerator)
    _check_base(request, trained)
    reference = checking.refer(trained)
    with _beside(request.to) as part:
        write = _write_merged if request.merge else _write_adapter
        findings = write(request, trained, reference, part)
        backbone.open_weights(part)
        others = checking.check_template(part, trained, reference.asked)
        if others:
            findings.append(
                f"{others} of {len(reference.asked)} dialogues come to other tokens when they are tokenised as one "
                f"text, as plain programs do; the run tokenises turn by turn"
            )
        check_place(request.to)  # minutes have passed since the first check
    return Exported(request.to, _size(request.to), findings)


def _write_adapter(request: Request, trained: TrainedModel, reference: checking.Reference, part: Path) -> list[str]:
    """Write the run's own adapter files with tokenizer and card, checked on the same base with plain peft."""
    _check_space(request.to, _size(request.adapter))
    shutil.copyfile(request.adapter / ADAPTER_FILE, part / ADAPTER_FILE)
    source = _source(request, trained)
    config = read_object(request.adapter / ADAPTER_CONFIG) | {"base_model_name_or_path": source.base}
    (part / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    _write_beside(trained, source, part)
    again = backbone.reload_adapter(trained.backbone, part)
    agreement = checking.compare(reference.logits, checking.logits_of(again, reference.ids))
    checking.check_adapter_logits(agreement)
    return [f"loaded again with plain peft: {agreement}"]


def _write_merged(request: Request, trained: TrainedModel, reference: checking.Reference, part: Path) -> list[str]:
    """Write base and adapter as one merged model, checked with plain transformers."""
    from transformers import AutoModelForCausalLM

    dtype, computed_in = DTYPES[request.dtype], trained.backbone.precision.dtype
    _check_space(request.to, backbone.parameters_of_base(trained.model) * dtype.itemsize)
    model = backbone.merge(trained.backbone, request.adapter).to(dtype)
    model.generation_config.update(
        eos_token_id=trained.tokenizer.eos_token_id, pad_token_id=trained.tokenizer.pad_token_id
    )
    model.save_pretrained(str(part), safe_serialization=True, max_shard_size=LARGEST_FILE)
    model.to("meta")  # free its memory, whoever holds a reference: there may be no room for two models
    source = _source(request, trained)
    _write_beside(trained, source, part)
    again = AutoModelForCausalLM.from_pretrained(
        str(part), dtype="auto", device_map={"": trained.device}, use_safetensors=True, trust_remote_code=False
    ).eval()
    agreement = checking.compare(reference.logits, checking.logits_of(again, reference.ids))
    checking.check_merged_logits(agreement, dtype, computed_in)
    return [f"{source.merged}; loaded again with plain transformers in {request.dtype}: {agreement}"]


def _write_beside(trained: TrainedModel, source: Provenance, part: Path) -> None:
    """Write the tokenizer with its chat template, the role names, and the card."""
    tokenizer = trained.tokenizer
    begins = bool(beginning(tokenizer))
    tokenizer.chat_template = trained.template.chat_template(begins=begins)
    if begins:  # otherwise the BOS in the chat template would be tokenised as plain characters
        tokenizer.split_special_tokens = False
    tokenizer.save_pretrained(str(part))
    shutil.copyfile(trained.adapter / TEMPLATE_FILE, part / TEMPLATE_FILE)
    (part / "README.md").write_text(card(source), encoding="utf-8")


def _source(request: Request, trained: TrainedModel) -> Provenance:
    is_nf4 = trained.backbone.precision.effective.startswith("nf4")
    beside = (
        "the weights that NF4 stands for, which it was trained beside" if is_nf4 else "the full weights of its base"
    )
    merged = f"The adapter was added to {beside}" if request.merge else ""
    return Provenance(request, trained.config, trained.template, is_nf4, merged, trained.base.name_or_path)


def _check_base(request: Request, trained: TrainedModel) -> None:
    """Check that the base is quantised here as it was in training.

    Raises:
        UserError: It is not.
    """
    effective = "nf4" if trained.backbone.precision.effective.startswith("nf4") else "full"
    noted = trained_on(request.run) or effective
    if noted != effective:
        raise UserError(
            f"{request.run.root}: this adapter was trained beside a base in NF4, which does not work on this machine, "
            f"and beside full weights it says something else. Export it where 'rct doctor' finds nf4 well."
        )


@contextmanager
def _beside(to: Path) -> Iterator[Path]:
    """Yield a folder next to a destination, moved there on success; on failure nothing of it is left.

    Raises:
        UserError: The disk cannot hold it.
    """
    from safetensors import SafetensorError

    try:
        with replacing(to) as part:
            part.mkdir()
            yield part
            if to.is_dir():
                to.rmdir()  # empty, as checked before
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UserError(
            f"--to {to}: this folder could not be written ({reason}). Nothing of it is left. Free some space, or "
            f"write elsewhere."
        ) from error


def _check_space(to: Path, weights: int) -> None:
    """Check that the disk has enough space.

    Raises:
        UserError: It does not.
    """
    there = next(folder for folder in to.absolute().parents if folder.is_dir())
    needed, free = weights + BESIDE_WEIGHTS, shutil.disk_usage(there).free
    if free < needed:
        raise UserError(
            f"--to {to}: {needed / 2**20:,.0f} MiB are needed, and {free / 2**20:,.0f} MiB are free. Free some space, "
            f"write elsewhere, or merge with --dtype bf16."
        )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
