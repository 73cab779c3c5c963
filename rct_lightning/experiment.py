"""An experiment from a configuration to what it made."""

from __future__ import annotations

import importlib
import logging
import math
import platform
import subprocess
import sys
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from rct_lightning import backbone, checkpoint, footprint, guards, memory, outcomes, processes, runs
from rct_lightning.callbacks import BaselineComparison, EvalSanity, Health, RunCheckpointIO
from rct_lightning.callbacks.common import write_event
from rct_lightning.config import Config, EvaluateConfig, as_override, save_run_config
from rct_lightning.corpus.folder import CorpusDir
from rct_lightning.data import Counterfactual, Recurrence, RelationalDataModule
from rct_lightning.dialogue import content_hash
from rct_lightning.errors import UserError
from rct_lightning.evaluation.endpoints import Comparison
from rct_lightning.evaluation.evaluator import Evaluator
from rct_lightning.evaluation.kept import KeptBase, hash_of_file
from rct_lightning.evaluation.metrics import read_endpoints
from rct_lightning.evaluation.objective import objective_of
from rct_lightning.evaluation.report import Report, fingerprint, stands, write_report
from rct_lightning.evaluation.setting import Setting, hash_of_rows
from rct_lightning.evaluation.study.arms import StudyRun
from rct_lightning.evaluation.study.folder import read_study
from rct_lightning.evaluation.study.pages import NAME, write_study
from rct_lightning.evaluation.study.report import StudyReport
from rct_lightning.evaluation.study.scores import Study
from rct_lightning.evaluation.subject import Subject
from rct_lightning.evaluation.told import kept
from rct_lightning.health import Alert
from rct_lightning.losses import LossSettings, PositivesLoss, RelationalLoss, SeedLoss, TokenWeightedLoss
from rct_lightning.losses.presence import PresenceSettings
from rct_lightning.losses.relational import PhraseBook
from rct_lightning.markers import Lexicon
from rct_lightning.module import Objective, OptimizerSettings, RelationalModule, eval_metric
from rct_lightning.page import as_text
from rct_lightning.preflight import data_hashes, no_checkpoint, run_to_resume
from rct_lightning.runs import METRICS_FILE, RunDir
from rct_lightning.sanitize import printable
from rct_lightning.template import DialogueTemplate
from rct_lightning.trained import TrainedModel, load_trained

PACKAGES = ("torch", "lightning", "hydra-core", "transformers", "peft", "bitsandbytes", "torchmetrics")


@dataclass(frozen=True)
class Trained:
    """What a training run made.

    Attributes:
        run: Its directory.
        objective: The figure a sweeper minimises.
        module: The trained module.
        comparison: Base against tuned, as Markdown tables; empty where that callback is off.
    """

    run: RunDir
    objective: float
    module: RelationalModule
    comparison: str


@dataclass(frozen=True)
class Prepared:
    """A run before its first step."""

    accelerator: str
    device: str
    data: RelationalDataModule
    base: backbone.Backbone
    step_memory: footprint.Choice
    module: RelationalModule


def train(config: Config) -> Trained:
    """Train adapters as configured and leave a run directory.

    Raises:
        UserError: The configuration asks for what cannot be had, and nothing has been written; or a health rule ended
            the run.
    """
    if config.resume is not None:
        return resume(config)
    _quiet_libraries()
    run = RunDir(Path(config.run_dir))
    if processes.is_first(config.trainer.processes):
        runs.check_is_free(run.root)
    # before the model is loaded: Lightning has settings of its own to refuse
    trainer = make_trainer(config, backbone.resolve_accelerator(config.trainer.accelerator), run)
    prepared = prepare(config)
    data, module = prepared.data, prepared.module
    if processes.is_first(config.trainer.processes):
        _begin(config, prepared, run)
    trainer.validate(module, data, verbose=False)  # the adapters start as zero: this is the base
    _stop_before_training(trainer, run)
    trainer.fit(module, data)
    return _finish(config, trainer, module, run)


def _begin(config: Config, prepared: Prepared, run: RunDir) -> None:
    """Check the run, and write down what it is."""
    print(f"run: {run.root}")
    _announce(config, prepared)
    findings = inspect(config, prepared) if config.check else []
    prepared.data.tokens.keep()
    save_run_config(config, run.config)
    run.write_json(run.environment, environment(config, prepared.device) | choices(prepared))
    run.write_json(run.checks, [asdict(finding) for finding in findings])


def resume(config: Config) -> Trained:
    """Go on with a run from its newest whole checkpoint, with its own configuration.

    Raises:
        UserError: There is no such run, it is finished, it has no whole checkpoint, or its data are not what they were.
    """
    assert config.resume is not None
    found = run_to_resume(config.resume)
    run, stored, noted = found.run, found.config, found.noted
    given = config.trainer.model_dump()
    beside = {"max_time": given["max_time"]}  # the time that is left, not the time that was
    if given["enable_progress_bar"] is not None:
        beside["enable_progress_bar"] = given["enable_progress_bar"]
    stored = stored.model_copy(
        update={
            "trainer": stored.trainer.model_copy(update=beside),
            "model": stored.model.model_copy(update=noted["chosen"]),  # memory may be another now
            "run_dir": str(run.root),
        }
    )
    folder, state = _newest_checkpoint(run)
    prepared = prepare(stored)
    trainer = make_trainer(stored, prepared.accelerator, run, purge_step=state["global_step"] + 1)
    if processes.is_first(stored.trainer.processes):
        run.cut_back(state["sizes"])
        print(f"run: {run.root}\nresumed behind step {state['global_step']} ({folder})")
        _announce(stored, prepared)
    trainer.fit(prepared.module, prepared.data, ckpt_path=str(folder))
    if trainer.global_step == state["global_step"]:  # nothing was left to train, and Lightning says nothing of an end
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            callback.on_train_end(trainer, prepared.module)
    return _finish(stored, trainer, prepared.module, run)


def _newest_checkpoint(run: RunDir) -> tuple[Path, dict[str, Any]]:
    """The newest checkpoint that is whole; those that are not are named."""
    for folder in checkpoint.committed(run.checkpoints):
        try:
            return folder, _checked_state(folder)
        except checkpoint.CheckpointError as error:
            print(f"{error} The one before it is used.", file=sys.stderr)
    raise no_checkpoint(run)


def _checked_state(folder: Path) -> dict[str, Any]:
    """A checkpoint's state, with what is taken from it before Lightning takes the rest."""
    state = checkpoint.read(folder)
    step, sizes, callbacks = (state.get(name) for name in ("global_step", "sizes", "callbacks"))
    counts = isinstance(sizes, dict) and all(type(size) is int and size >= 0 for size in sizes.values())
    if type(step) is not int or step < 0 or not counts or not isinstance(callbacks, dict):
        raise checkpoint.CheckpointError(f"{folder}: this is no state of a run.")
    return state


def _finish(config: Config, trainer: L.Trainer, module: RelationalModule, run: RunDir) -> Trained:
    """What is left to do when training has ended."""
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    if module.evaluated_at != trainer.global_step:
        trainer.validate(module, data, verbose=False)

    with _failure_is_told(trainer, run):
        comparison = _compare(trainer, module)
        outcomes.log_outcome(config, trainer, module.eval_values)
        if trainer.is_global_zero:
            module.save_adapter(run.adapter)
        objective = _objective(config, trainer, module)
    stopped_by = _alert_that_stopped(trainer)
    if trainer.is_global_zero:
        next_command = f"python evaluate.py {as_override('run', str(run.root))}"
        print(f"\n{comparison}\n\nRun directory: {run.root}\nNext: {next_command}")
        state = "stopped" if stopped_by else "finished"
        noted = objective if math.isfinite(objective) else None  # JSON knows no infinity
        run.write_json(run.status, {"state": state, "step": trainer.global_step, "objective": noted})
    if stopped_by:
        early = trainer.global_step < trainer.estimated_stepping_batches
        ended = f"was ended at step {trainer.global_step}" if early else "had come to its end"
        raise UserError(
            f"Training {ended} when a rule of health.on_alert=stop spoke. {stopped_by.line()} The adapter as it is now "
            f"was kept; health.on_alert=warn goes on all the same."
        )
    return Trained(run, objective, module, comparison)


@contextmanager
def _failure_is_told(trainer: L.Trainer, run: RunDir) -> Iterator[None]:
    """Lightning tells its callbacks of what fails inside it; this is for what comes behind."""
    try:
        yield
    except Exception as error:
        write_event(trainer, "failed", error=f"{type(error).__name__}: {error}")
        if trainer.is_global_zero:
            run.write_json(run.status, {"state": "failed", "step": trainer.global_step})
        raise


def check(config: Config) -> list[guards.Finding]:
    """All guards on the run as configured, and no training.

    Raises:
        UserError: A guard stops the run.
    """
    prepared = prepare(config)
    _announce(config, prepared)
    findings = inspect(config, prepared)
    print("Nothing was trained: check=only.")
    return findings


def prepare(config: Config) -> Prepared:
    """Load the corpus and the model and make the module; nothing is printed or written yet."""
    _quiet_libraries()
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
    if not processes.is_first(config.trainer.processes):  # it keeps a single one's state; another's dropout is another
        torch.manual_seed(config.seed + processes.number())
    return Prepared(accelerator, device, data, base, step_memory, module)


def _check_batches(config: Config, data: RelationalDataModule) -> None:
    """Refuse what Lightning would refuse when it has counted the batches, after the run has begun to be written."""
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


def inspect(config: Config, prepared: Prepared) -> list[guards.Finding]:
    """Print what the guards find.

    Raises:
        UserError: One of them stops the run.
    """
    findings = guards.inspect(
        guards.Run(
            prepared.module,
            prepared.data,
            make_lexicon(config),
            samples_baseline="baseline_comparison" in config.callbacks,
        )
    )
    print(f"checks before step 0:\n{guards.checklist(findings)}", flush=True)
    stops = [finding for finding in findings if finding.status == "stop"]
    if stops and config.loss.is_an_originals:
        print(f"loss={config.loss.name} goes on all the same: it is there to show what these faults do.", flush=True)
    elif stops:
        raise UserError(
            f"{' '.join(f'{found.guard}: {found.seen}. {found.remedy}' for found in stops)} Nothing was trained; "
            f"check=false trains all the same."
        )
    return findings


def evaluate(config: EvaluateConfig) -> None:
    """Evaluate one run, or every run of a study and then its arms against each other."""
    _quiet_libraries()
    if config.study is None:
        assert config.run is not None  # the schema asks for one of the two
        evaluate_run(config, runs.find_run(config.run))
    else:
        evaluate_study(config, config.study)


def evaluate_study(config: EvaluateConfig, folder: str) -> StudyReport:
    """Evaluate every finished run of a study, then its arms against each other.

    A report that would come out the same stands. Base and rows stay in memory from run to run, and what the base says
    is measured once and kept in the study's directory.
    """
    found = read_study(folder)
    for absent in found.absent:
        print(printable(f"left out: {absent.name}: {absent.why}"))
    loaded: Loaded | None = None
    for number, each in enumerate(found.finished, 1):
        print(f"\n{each.run.root} ({number} of {len(found.finished)}, arm {printable(each.arm.name)})", flush=True)
        if stands(each.run.report, _made_from(config, each.config, each.run.adapter, each.run)):
            print(f"Report: {each.run.report}, made of the same adapter, data, probes and code")
        else:
            loaded = evaluate_run(config, each.run, loaded)
    runs_of_study = [
        StudyRun(each.arm, each.config.seed, read_endpoints(each.run.metrics), each.config.loss.lambda_)
        for each in found.finished
    ]
    report = StudyReport.of(Study(runs_of_study, config.bootstrap_samples, config.seed), found.absent)
    target = Path(config.output or folder)
    page = write_study(report, target)
    print(f"\n{as_text(replace(page, sections=page.sections[:2]))}\nStudy: {target / NAME}.html")
    return report


@dataclass(frozen=True)
class Loaded:
    """What an evaluation leaves in memory, for the next one to take."""

    trained: TrainedModel
    data: RelationalDataModule
    rows: dict[str, Any]


def _made_from(config: EvaluateConfig, trained_with: Config, adapter: Path, run: RunDir) -> str:
    data = [Path(name) for name in (trained_with.data.train_file, trained_with.data.eval_file) if name]
    files = [run.config, *sorted(adapter.iterdir()), Path(config.probes_file), *data]
    missing = [path for path in files if not path.is_file()]
    return "" if missing else fingerprint(files, config.bootstrap_samples, config.seed)


def evaluate_run(config: EvaluateConfig, run: RunDir, before: Loaded | None = None) -> Loaded:
    """Compare a run's adapter with its own base on held-out rows and probes, and write the report.

    Args:
        config: Of the evaluation.
        run: Which.
        before: What the evaluation before this one left in memory; it is used up.
    """
    L.seed_everything(config.seed, workers=True, verbose=False)
    in_memory = before.trained if before is not None else None
    trained = load_trained(run, which=config.adapter, accelerator=config.accelerator, instead_of=in_memory)
    settings, rows = trained.config, _rows_of(trained)
    if before is not None and before.rows == rows:
        data = before.data
    else:
        data = make_data(settings, trained.tokenizer, trained.accelerator, trained.template)
    subject = Subject(
        trained.model,
        trained.tokenizer,
        trained.template,
        trained.device,
        settings.data.max_seq_length,
        config.batch_size,
    )
    evaluator = Evaluator(subject, data.eval_set.examples, Path(config.probes_file), make_lexicon(settings))
    kept_base = _kept_base(config, trained, data)
    report = Report(evaluator.compare(config.bootstrap_samples, config.seed, kept_base))
    folder = run.report if config.adapter == "last" else run.report_of_best
    folder = Path(config.output) if config.output and config.study is None else folder
    page = write_report(report, run, folder, _setting(config, run, trained, data, evaluator))
    if config.output is None:
        outcomes.show_endpoints(settings, run, folder / METRICS_FILE, config.adapter)
    verdict = "\n".join(textwrap.fill(sentence.text, 110) for sentence in report.verdict)
    print(f"{report.table()}\n\n{verdict}\n\nReport: {page}")
    return Loaded(trained, data, rows)


def _rows_of(trained: TrainedModel) -> dict[str, Any]:
    """Everything that the evaluation rows and their tokens come from."""
    settings = trained.config
    return {
        "data": settings.data.model_dump(
            exclude={"batch_size", "batch_tokens", "num_workers", "token_cache", "placebo"}
        ),
        "lexicon": (settings.loss.markers.model_dump(), settings.loss.human_name),
        "template": trained.template.to_json(),
        "tokenizer": settings.model.name_or_path,
    }


def _kept_base(config: EvaluateConfig, trained: TrainedModel, data: RelationalDataModule) -> KeptBase | None:
    """Where a study keeps the base's side, by everything that it depends on; None for a run by itself."""
    files = backbone.files_of_base(trained.config.model.name_or_path)
    if config.study is None or not files:
        return None
    probes = Path(config.probes_file)
    made_from = fingerprint(
        [],
        {path.name: hash_of_file(path) for path in files},
        hash_of_file(probes),
        hash_of_rows(data.eval_set.examples),
        [row.extra.get("pair") for row in data.eval_set.examples],
        _rows_of(trained),
        (trained.backbone.precision.effective, str(trained.backbone.precision.dtype)),
        trained.device,
        config.batch_size,
        [_version(name) for name in PACKAGES],
    )
    return KeptBase.of(Path(config.study), made_from)


def _setting(
    config: EvaluateConfig, run: RunDir, trained: TrainedModel, data: RelationalDataModule, evaluator: Evaluator
) -> Setting:
    """What was evaluated, and on what."""
    settings, held, lexicon = trained.config, data.eval_set.examples, evaluator.lexicon
    probes_file, corpus = Path(config.probes_file), CorpusDir(Path(settings.data.train_file).parent)
    hashes = {"probes_file": content_hash(probes_file)}
    return Setting(
        config=settings.plain(),
        adapter=(config.adapter, str(trained.adapter.relative_to(run.root))),
        parameters=backbone.parameters_of_base(trained.model),
        rows={"train": len(data.train_set), "eval": len(data.eval_set)},
        conversations=len({row.conversation for row in held}),
        probes=Counter(probe.kind for probe in evaluator.probes),
        phrases=(len(lexicon.phrases("bond", "heldout")), len(lexicon.phrases("rupture", "heldout"))),
        cut=data.truncation,
        cleaning=kept(corpus.clean_report),
        data=data_hashes(settings) | hashes,
        evaluated_on={"rows": hash_of_rows(held), **hashes},
        environment=environment(settings, trained.device),
        made_from=_made_from(config, settings, trained.adapter, run),
    )


def make_lexicon(config: Config) -> Lexicon:
    """Presence markers and phrase banks."""
    return Lexicon.build(config.loss.markers.presence, config.loss.human_name)


def make_data(
    config: Config, tokenizer: Any, accelerator: str, template: DialogueTemplate | None = None
) -> RelationalDataModule:
    """The corpus, tokenised."""
    return RelationalDataModule(
        Path(config.data.train_file),
        Path(config.data.eval_file) if config.data.eval_file else None,
        tokenizer=tokenizer,
        template=template or DialogueTemplate(**config.data.roles.model_dump()),
        lexicon=make_lexicon(config),
        eval_size=config.data.eval_size,
        split_seed=config.data.split_seed,
        max_seq_length=config.data.max_seq_length,
        batch_size=config.data.batch_size,
        batch_tokens=config.data.batch_tokens,
        accumulate=config.trainer.accumulate_grad_batches,
        recurrence=Recurrence(
            config.loss.recurrence.max_document_frequency, config.loss.recurrence.num_candidates, config.seed
        ),
        counterfactual=make_counterfactual(config),
        placebo=config.data.placebo,
        rebuild_context=config.data.rebuild_context,
        seed=config.seed,
        num_workers=config.data.num_workers,
        processes=config.trainer.processes,
        pin_memory=accelerator == "gpu",
        token_cache=Path(config.data.token_cache) if config.data.token_cache else None,
    )


def make_counterfactual(config: Config) -> Counterfactual:
    """How training rows are read; always as they stand where no term that asks otherwise has weight.

    ``loss=positives`` reads them as the loss does that it is set against.
    """
    loss, share = config.loss, config.loss.counterfactual
    if loss.name == "positives" and loss.lambda_ * loss.weights.presence > 0:
        return Counterfactual(share.rename_share, share.readdress_share, config.seed)
    scale = 0.0 if loss.is_an_originals else loss.lambda_
    trains_history = scale * (loss.weights.coherence + loss.weights.continuity) > 0
    trains_phrases = scale * (loss.weights.presence + loss.weights.continuity) > 0
    return Counterfactual(
        share.rename_share if trains_history else 0.0, share.readdress_share if trains_phrases else 0.0, config.seed
    )


def make_module(config: Config, base: backbone.Backbone, data: RelationalDataModule) -> RelationalModule:
    """Model, objective and optimizer."""
    return RelationalModule(
        base,
        make_objective(config, base, data),
        OptimizerSettings(**config.optimizer.model_dump()),
        data.template,
        max_length=config.data.max_seq_length,
        diagnostics_every_n_steps=config.diagnostics_every_n_steps,
        observe_every_n_steps=config.trainer.log_every_n_steps,
        card=make_card(config),
    )


def make_objective(config: Config, base: backbone.Backbone, data: RelationalDataModule) -> Objective:
    """The loss that the configuration names."""
    settings = LossSettings(
        lambda_=config.loss.lambda_,
        weights=config.loss.weights.model_dump(),
        presence=PresenceSettings(**config.loss.presence.model_dump()),
        recall_among=config.loss.recurrence.among,
        label_smoothing=config.loss.recurrence.label_smoothing,
        phrases_per_step=config.loss.phrases_per_step,
        seed=config.seed,
    )

    def tokenize(text: str) -> list[int]:
        return list(base.tokenizer(text, add_special_tokens=False)["input_ids"])

    if config.loss.name in ("seed", "original_v1"):
        decode = partial(base.tokenizer.decode, skip_special_tokens=True)
        return SeedLoss(settings, decode, repaired=config.loss.name == "original_v1")
    if config.loss.name == "original_v2":
        return TokenWeightedLoss(settings, tokenize)
    phrases = PhraseBook(make_lexicon(config), lambda text: tokenize(data.template.reply(text)))
    return PositivesLoss(settings, phrases) if config.loss.name == "positives" else RelationalLoss(settings, phrases)


def make_trainer(config: Config, accelerator: str, run: RunDir, *, purge_step: int | None = None) -> L.Trainer:
    """Lightning's Trainer with the configured callbacks and loggers.

    Args:
        config: Of the run.
        accelerator: As it was resolved.
        run: Where everything goes.
        purge_step: TensorBoard forgets what it was told from this step on.
    """
    given = {name: value for name, value in config.trainer.model_dump().items() if value is not None}
    given["accelerator"] = accelerator
    given.setdefault("enable_model_summary", False)
    callbacks = [_instantiate(spec) for spec in config.callbacks.values()]
    placed = {"save_dir": str(run.root), "name": run.tensorboard.name, "version": ""}
    again = {"purge_step": purge_step} if purge_step is not None else {}
    loggers = [
        _instantiate(placed | spec | (again if str(spec["_target_"]).endswith("BoardLogger") else {}))
        for spec in (config.logger or {}).values()
    ]
    try:
        return L.Trainer(
            **given,
            callbacks=callbacks,
            plugins=[RunCheckpointIO()],
            logger=loggers or False,
            default_root_dir=str(run.root),
            enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),  # no other's
            use_distributed_sampler=False,
        )
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise UserError(f"trainer: Lightning refuses this setting: {error} See conf/trainer/default.yaml.") from error


def environment(config: Config, device: str) -> dict[str, Any]:
    """Versions, hardware, seed, commit and data hashes."""
    gpu = torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "device": device,
        "gpu": gpu,
        "threads": torch.get_num_threads(),
        "seed": config.seed,
        "commit": _commit(),
        "data": data_hashes(config),
    }


def choices(prepared: Prepared) -> dict[str, Any]:
    """What was chosen where the configuration left it open, and why."""
    precision, memory = prepared.base.precision, prepared.step_memory
    dequantize = {"nf4": "never", "nf4, dequantized once": "once"}.get(precision.effective, "auto")
    return {
        "precision": precision.line(),
        "memory": memory.line(),
        "chosen": {"dequantize": dequantize, "gradient_checkpointing": memory.footprint.checkpointing},
    }


def _instantiate(spec: Mapping[str, Any]) -> Any:
    """Call an allowed ``_target_`` (config.validate has checked it) with the other keys."""
    module, _, name = str(spec["_target_"]).rpartition(".")
    arguments = {key: value for key, value in spec.items() if key != "_target_"}
    try:
        return getattr(importlib.import_module(module), name)(**arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"{spec['_target_']}: {error}. See conf/callbacks and conf/logger for its keys.") from error


def _announce(config: Config, prepared: Prepared) -> None:
    base, data = prepared.base, prepared.data
    for side, report in data.truncation.items():
        print(report.line(side, config.data.max_seq_length))
    print(base.precision.line())
    print(prepared.step_memory.line())
    trainable = sum(p.numel() for p in backbone.adapter_state(base.model).values())
    everything = sum(p.numel() for p in base.model.parameters())
    print(f"adapters: {trainable:,} trainable of {everything:,} parameters; loss: {config.loss.name}, "
          f"lambda {config.loss.lambda_:g}", flush=True)  # fmt: skip


def _compare(trainer: L.Trainer, module: RelationalModule) -> str:
    parts = []
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, BaselineComparison):
            callback.compare(trainer, module)
            parts += [callback.table, callback.replies]
        if isinstance(callback, EvalSanity) and callback.disagreements:
            parts.append("Evaluation disagrees with the model's own loss: " + "; ".join(callback.disagreements[:3]))
    return "\n\n".join(parts)


def _stop_before_training(trainer: L.Trainer, run: RunDir) -> None:
    """End a run whose base already makes a rule speak: fitting anew forgets that a callback asked to stop."""
    alert = _alert_that_stopped(trainer)
    if alert is not None:
        if trainer.is_global_zero:
            run.write_json(run.status, {"state": "stopped", "step": 0})
        raise UserError(f"Nothing was trained, by health.on_alert=stop. {alert.line()} health.on_alert=warn goes on.")


def _alert_that_stopped(trainer: L.Trainer) -> Alert | None:
    """The first alert of a run that ends at alerts."""
    watching = [callback for callback in trainer.callbacks if isinstance(callback, Health)]  # type: ignore[attr-defined]
    return next((alert for callback in watching if callback.on_alert == "stop" for alert in callback.alerts), None)


def make_card(config: Config) -> backbone.AdapterCard:
    """What the adapter's folder will say of it."""
    name = config.model.hub_name or config.model.name
    how = f"loss={config.loss.name}, lambda={config.loss.lambda_:g}, seed={config.seed}"
    return backbone.AdapterCard(name, f"Trained by rct_lightning with {how}.")


def _objective(config: Config, trainer: L.Trainer, module: RelationalModule) -> float:
    """The figure for a sweeper; infinite where evaluation had nothing to judge by it."""
    if config.objective == "endpoints":
        return objective_of(_on_development_data(config, trainer, module))
    found = {eval_metric(name): value for name, value in module.eval_values.items()}
    return found.get(config.objective_metric, float("inf"))


def _on_development_data(config: Config, trainer: L.Trainer, module: RelationalModule) -> Comparison:
    """Base against tuned on rows that were split off the training file, and on development probes."""
    device = trainer.strategy.root_device
    module.model.to(device)  # Lightning takes it away when training has ended
    length, data = config.data.max_seq_length, trainer.datamodule  # type: ignore[attr-defined]
    subject = Subject(module.model, module.tokenizer, module.template, str(device), length)
    probes = Path(config.development_probes)
    return Evaluator(subject, data.eval_set.examples, probes, make_lexicon(config)).compare()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
            cwd=Path(__file__).parent,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def _quiet_libraries() -> None:
    """Keep the libraries' chatter out of the way of this project's own lines."""
    backbone.quiet_libraries()
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*your dataloader is not resumable.*")  # its sampler is
    warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # every process evaluates every row
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
