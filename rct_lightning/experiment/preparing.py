"""Preparation of a run: load corpus and model, plan memory, write nothing."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import Any

import lightning as L
import torch

from rct_lightning import backbone, footprint, memory, processes
from rct_lightning.config import Config
from rct_lightning.data import RelationalDataModule
from rct_lightning.errors import UserError
from rct_lightning.experiment.parts import make_data, make_module
from rct_lightning.module import RelationalModule
from rct_lightning.scoring import branches_problem, positions_of


@dataclass(frozen=True)
class Prepared:
    """Everything a run needs before its first step."""

    accelerator: str
    device: str
    data: RelationalDataModule
    base: backbone.Backbone
    step_memory: footprint.Choice
    module: RelationalModule


def prepare(config: Config) -> Prepared:
    """Load the corpus and the model and build the module; nothing is printed or written."""
    quiet_libraries()
    accelerator = backbone.resolve_accelerator(config.trainer.accelerator)
    device = backbone.placement(accelerator, processes.place_on_machine())
    if device == "cpu" and str(config.trainer.model_dump()["precision"] or "32").startswith("32"):
        memory.keep_heap_whole()
    L.seed_everything(config.seed, workers=True, verbose=False)
    tokenizer = backbone.load_tokenizer(config.model.name_or_path)
    data = make_data(config, tokenizer, accelerator)
    _check_batches(config, data)
    base = backbone.load_backbone(
        config.model.name_or_path,
        tokenizer,
        device=device,
        quantization=config.model.quantization,
        dequantize=config.model.dequantize,
        lora=backbone.Lora(**config.model.lora.model_dump()),
    )
    module = make_module(config, base, data)
    _check_architecture(config, module)
    _check_positions(config, module)
    step_memory = footprint.choose(
        config.model.gradient_checkpointing,
        base.model,
        list(data.widest_batches()),
        module.objective.phrase_tokens,
        footprint.free_for_training(device, backbone.free_memory(device))
        // (1 if device != "cpu" else config.trainer.devices),
    )
    module.step_bytes = step_memory.footprint.total
    if step_memory.footprint.checkpointing:
        backbone.checkpoint_activations(base.model)
    if not processes.is_first(config.trainer.processes):  # dropout must differ between them
        torch.manual_seed(config.seed + processes.number(config.trainer.devices))
    return Prepared(accelerator, device, data, base, step_memory, module)


def _check_batches(config: Config, data: RelationalDataModule) -> None:
    """Refuse limits that Lightning would refuse only after counting batches, when the run directory already exists."""
    given = config.trainer.model_dump()
    sizes = {"limit_train_batches": len(data.train_dataloader()), "limit_val_batches": len(data.val_dataloader())}
    for name, size in sizes.items():
        limit = given.get(name)
        if isinstance(limit, float) and limit * size < 1:
            raise UserError(f"trainer.{name}={limit}: that is none of {size} batches. Use at least {1 / size:.2g}.")
    interval, size = given.get("val_check_interval"), sizes["limit_train_batches"]
    if isinstance(interval, int) and interval > size and given.get("check_val_every_n_epoch") is not None:
        raise UserError(
            f"trainer.val_check_interval={interval}: an epoch has {size} batches. Use fewer, or count over the epochs "
            f"with trainer.check_val_every_n_epoch=null."
        )


def _check_architecture(config: Config, module: RelationalModule) -> None:
    """Refuse a model in which phrases cannot be scored as branches, if the objective scores phrases."""
    if not module.objective.longest_phrase:
        return
    problem = branches_problem(module.model)
    if problem is not None:
        raise UserError(
            f"model.name_or_path={config.model.name_or_path}: the scores of phrases, which are read side by side "
            f"behind one prompt, would be wrong in this architecture ({problem}). It takes a causal LM with position "
            f"ids and a mask for each row, as GPT-2, GPT-NeoX, Llama and Qwen have."
        )


def _check_positions(config: Config, module: RelationalModule) -> None:
    """Refuse rows, or phrases scored after them, that exceed the positions of the model.

    Rotary positions extend by a phrase beyond their trained length; a table of learnt positions does not.
    """
    model: Any = module.model
    positions, length = positions_of(model), config.data.max_seq_length
    window, longest = getattr(model.config, "sliding_window", None), length + module.objective.longest_phrase
    if isinstance(window, int) and 0 < window < longest:
        raise UserError(
            f"data.max_seq_length={length}: {config.model.name_or_path} looks back {window} tokens only, and the "
            f"losses need whole rows, with phrases of up to {longest - length} behind them. Give at most "
            f"{window - longest + length}."
        )
    if positions is None:
        return
    words = model.get_input_embeddings()
    tables = [each for each in model.modules() if isinstance(each, torch.nn.Embedding) and each is not words]
    phrase = module.objective.longest_phrase if any(each.num_embeddings >= positions for each in tables) else 0
    if length + phrase > positions:
        behind = f", and phrases of up to {phrase} are asked behind a row" if phrase else ""
        raise UserError(
            f"data.max_seq_length={length}: {config.model.name_or_path} reads {positions} tokens{behind}. Give at most "
            f"{positions - phrase}."
        )


def quiet_libraries() -> None:
    """Silence library messages and warnings that would clutter the console."""
    backbone.quiet_libraries()
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")  # the sampler is resumable
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # every process evaluates every row
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
