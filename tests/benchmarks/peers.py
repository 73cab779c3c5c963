"""One training run per peer: ours, the original's script rebuilt, TRL. All on the same rows in the same order.

Each peer trains some steps in its own process, since memory is measured as the process's peak.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[2]
WARM_UP = 2
"""Steps before timing begins."""
ROWS = 8
"""Rows per step."""


@dataclass(frozen=True)
class Measured:
    """The measurements of a peer.

    Attributes:
        seconds: Total time of the timed steps.
        reply_tokens: Number of reply tokens learnt from in these steps.
        steps: Number of timed steps.
        first_loss: LM loss of the first step, before anything was learnt.
        peak_mib: Peak memory: resident memory of the process, or what torch held on the GPU in the timed steps.
        tokens: Number of tokens read in these steps, without padding.
        expected_mib: Peak that this project predicted before the first step, on a GPU.
    """

    seconds: float
    reply_tokens: int
    steps: int
    first_loss: float
    peak_mib: float
    tokens: int
    expected_mib: float | None = None

    @property
    def tokens_per_second(self) -> float:
        """Useful tokens per second: those with a label."""
        return self.reply_tokens / self.seconds


class Clock:
    """Records when the timed steps began and ended, and how many labels and tokens each step had."""

    def __init__(self, folder: Path) -> None:
        setting = setting_of(folder)
        self.on_gpu, self.steps = setting["accelerator"] == "gpu", setting["steps"]
        self.labels: list[Any] = []
        self.tokens: list[Any] = []
        self.begun = self.ended = 0.0

    def tick(self, labels: Any, tokens: Any) -> None:
        """Record the end of a step (on a GPU, of its launch); counts may be tensors, to avoid a synchronisation."""
        self.labels.append(labels)
        self.tokens.append(tokens)
        if len(self.labels) == WARM_UP:
            self.begun = self._now()
            if self.on_gpu:
                torch.cuda.reset_peak_memory_stats()
        if len(self.labels) == self.steps:  # a finished Trainer still has to move the model off the GPU
            self.ended = self._now()

    def _now(self) -> float:
        if self.on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter()

    def measured(self, first_loss: float) -> Measured:
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        peak = torch.cuda.max_memory_allocated() / 2**20 if self.on_gpu else resident
        labels, tokens = (sum(map(int, counts[WARM_UP:])) for counts in (self.labels, self.tokens))
        return Measured(self.ended - self.begun, labels, len(self.labels) - WARM_UP, first_loss, peak, tokens)


def setting_of(folder: Path) -> dict[str, Any]:
    """Read model, files, steps and accelerator, as training.py wrote them."""
    return json.loads((folder / "setting.json").read_text())


def configuration(folder: Path, *overrides: str) -> Any:
    """Compose our configuration for the benchmark's model and corpus."""
    from hydra import compose, initialize_config_dir

    from rct_lightning.config import validate

    setting = setting_of(folder)
    fixed = [
        "model=local", f"model.name_or_path={setting['model']}", "model.quantization=none", "model.lora.dropout=0",
        "data=jsonl", f"data.train_file={setting['train']}", f"data.eval_file={setting['eval']}", "check=false",
        "logger=none", f"trainer={setting['accelerator']}", f"trainer.max_steps={setting['steps']}",
        "trainer.enable_progress_bar=false", "trainer.check_val_every_n_epoch=10",
        "callbacks.generation_sampling.every_n_steps=0", "diagnostics_every_n_steps=0", f"run_dir={folder / 'run'}",
    ]  # fmt: skip
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return validate(compose("train", [*fixed, *overrides]))


def steps_of(folder: Path) -> Iterator[list[tuple[list[int], list[int]]]]:
    """Yield (ids, labels) of the rows of each step, without padding, in the order of our own loader."""
    from rct_lightning.experiment import prepare

    config = configuration(folder, "loss=lm")
    for step, batch in enumerate(prepare(config).data.train_dataloader()):
        if step == config.trainer.max_steps:
            return
        lengths = batch.attention_mask.sum(1).tolist()
        yield [
            (ids[:n].tolist(), labels[:n].tolist())
            for ids, labels, n in zip(batch.input_ids, batch.labels, lengths, strict=True)
        ]


def ours(*overrides: str) -> Callable[[Path], Measured]:
    """This project, through Lightning's loop, with the callbacks that run at every step."""

    def train(folder: Path) -> Measured:
        import lightning as L

        from rct_lightning import experiment
        from rct_lightning.experiment.parts import make_trainer
        from rct_lightning.runs import RunDir

        config = configuration(folder, *overrides)
        clock, losses = Clock(folder), []

        class Timer(L.Callback):
            def on_train_batch_end(
                self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
            ) -> None:
                clock.tick(batch.own.reply_tokens, batch.attention_mask.sum())
                if not losses:
                    losses.append(pl_module.record.values(pl_module.objective.settings)["lm"])

        prepared = experiment.prepare(config)
        trainer = make_trainer(config, prepared.accelerator, RunDir(folder / "run"))
        kept = ("LossComponents", "Events")
        trainer.callbacks = [c for c in trainer.callbacks if type(c).__name__ in kept] + [Timer()]
        trainer.fit(prepared.module, prepared.data)
        adapters = sum(p.numel() * p.itemsize for p in prepared.module.parameters() if p.requires_grad)
        expected = prepared.base.precision.weight_bytes + adapters + prepared.step_memory.footprint.total
        return replace(clock.measured(losses[0]), expected_mib=expected / 2**20)

    return train


def bare_loop(folder: Path) -> Measured:
    """The same module and loader without a Trainer."""
    from rct_lightning import experiment

    config = configuration(folder, "loss=lm")
    clock, prepared = Clock(folder), experiment.prepare(config)
    model, objective = prepared.module.model.to(prepared.device), prepared.module.objective
    model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=config.optimizer.lr, weight_decay=config.optimizer.weight_decay)
    first = float("nan")
    for step, batch in enumerate(prepared.data.train_dataloader()):
        if step == config.trainer.max_steps:
            break
        batch = batch.to(prepared.device)
        outcome = objective(model, batch, step)
        optimizer.zero_grad()
        outcome.total.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        clock.tick(batch.own.reply_tokens, batch.attention_mask.sum())
        first = float(outcome.terms["lm"].detach()) if step == 0 else first
    return clock.measured(first)


def _peft_model(folder: Path, *, nf4: bool = False) -> tuple[Any, Any]:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    setting = setting_of(folder)
    targets = ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]
    lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules=targets, task_type="CAUSAL_LM")
    options: dict[str, Any] = {"dtype": torch.float32}
    if setting["accelerator"] == "gpu":
        options = {"dtype": torch.bfloat16, "device_map": {"": "cuda:0"}}
        if nf4:
            options["quantization_config"] = BitsAndBytesConfig(
                load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
            )
    model = AutoModelForCausalLM.from_pretrained(setting["model"], **options)
    return get_peft_model(model, lora), AutoTokenizer.from_pretrained(setting["model"])


def _rows(folder: Path) -> list[dict[str, list[int]]]:
    return json.loads((folder / "rows.json").read_text())


def _timed(trainer_class: Any, pad_token_id: int) -> Any:
    """Return a Trainer that takes rows in their order and counts the labels and tokens of every step."""
    from torch.utils.data import SequentialSampler

    class Timed(trainer_class):
        padding = pad_token_id

        def _get_train_sampler(self, dataset: Any = None) -> Any:
            return SequentialSampler(dataset if dataset is not None else self.train_dataset)

        def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            self.labels = (inputs["labels"] != -100).sum()
            self.tokens = (inputs["input_ids"] != self.padding).sum()
            return super().training_step(model, inputs, *args, **kwargs)

    return Timed


def _ticking(clock: Clock, trainer: Any) -> Any:
    from transformers import TrainerCallback

    class Ticking(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            clock.tick(trainer.labels, trainer.tokens)

    return Ticking()


def _arguments(folder: Path) -> dict[str, Any]:
    setting = setting_of(folder)
    on_gpu = setting["accelerator"] == "gpu"
    return {
        "output_dir": str(folder / "peer"), "per_device_train_batch_size": ROWS, "max_steps": setting["steps"],
        "learning_rate": 2e-4, "weight_decay": 0.01, "max_grad_norm": 1.0, "logging_steps": 10,
        "logging_first_step": True, "save_strategy": "no", "report_to": "none", "use_cpu": not on_gpu, "bf16": on_gpu,
        "gradient_checkpointing": False, "disable_tqdm": True,
    }  # fmt: skip


def original(folder: Path) -> Measured:
    """The original program's recipe: rows padded to 512, every logit computed, labels not shifted; 4 bits on a GPU."""
    from transformers import Trainer, TrainingArguments

    clock = Clock(folder)
    model, tokenizer = _peft_model(folder, nf4=True)

    class Original(_timed(Trainer, tokenizer.pad_token_id)):  # type: ignore[misc]
        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
            outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
            loss = torch.nn.functional.cross_entropy(outputs.logits.flatten(0, 1), inputs["labels"].flatten())
            return (loss, outputs) if return_outputs else loss

    def collate(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        def padded(name: str, fill: int) -> torch.Tensor:
            return torch.tensor([row[name] + [fill] * (512 - len(row[name])) for row in rows])

        ids = padded("input_ids", tokenizer.pad_token_id)
        mask = torch.tensor([[1] * len(r["input_ids"]) + [0] * (512 - len(r["input_ids"])) for r in rows])
        return {"input_ids": ids, "attention_mask": mask, "labels": padded("labels", -100)}

    trainer = Original(
        model=model,
        args=TrainingArguments(**_arguments(folder), remove_unused_columns=False),
        train_dataset=_rows(folder),
        data_collator=collate,
    )
    trainer.add_callback(_ticking(clock, trainer))
    trainer.train()
    return clock.measured(trainer.state.log_history[0]["loss"])


def trl(packing: bool, cudnn: bool = True) -> Callable[[Path], Measured]:
    """TRL's SFTTrainer on tokenised rows, learning replies only; on a GPU optionally without cuDNN's attention."""

    def train(folder: Path) -> Measured:
        from datasets import Dataset
        from trl import SFTConfig, SFTTrainer

        torch.backends.cuda.enable_cudnn_sdp(cudnn)
        clock = Clock(folder)
        model, tokenizer = _peft_model(folder)
        trainer = _timed(SFTTrainer, tokenizer.pad_token_id)(
            model=model,
            args=SFTConfig(**_arguments(folder), max_length=512, packing=packing, dataset_num_proc=1),
            train_dataset=Dataset.from_list(_rows(folder)),
            processing_class=tokenizer,
        )
        trainer.add_callback(_ticking(clock, trainer))
        trainer.train()
        return clock.measured(trainer.state.log_history[0]["loss"])

    return train


PEERS: dict[str, Callable[[Path], Measured]] = {
    "rct_lightning, LM loss": ours("loss=lm"),
    "rct_lightning, relational loss": ours("loss=relational"),
    "rct_lightning, LM loss, NF4": ours("loss=lm", "model.quantization=nf4", "model.dequantize=never"),
    "rct_lightning, LM loss, NF4 dequantised once": ours("loss=lm", "model.quantization=nf4", "model.dequantize=once"),
    "the same LM loss in a bare loop": bare_loop,
    "the original's script": original,
    "TRL, replies only": trl(packing=False),
    "TRL, replies only, without cuDNN's attention": trl(packing=False, cudnn=False),
    "TRL, replies only, packed": trl(packing=True),
}


def matmul_rate(size: int = 8192, trials: int = 10) -> float:
    """Measure FLOP per second of a large bfloat16 product on the GPU, an upper bound for :data:`PEERS`."""
    a, b = (torch.randn(size, size, dtype=torch.bfloat16, device="cuda") for _ in range(2))
    for _ in range(3):
        a @ b
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(trials):
        a @ b
    torch.cuda.synchronize()
    return trials * 2 * size**3 / (time.perf_counter() - start)


def train(name: str, folder: str) -> dict[str, Any]:
    """Return the measurements of one peer."""
    return asdict(PEERS[name](Path(folder)))
