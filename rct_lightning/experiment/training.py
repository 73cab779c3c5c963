"""Training runs: start, resume, or only check."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning as L

from rct_lightning import backbone, checkpoint, guards, outcomes, processes, runs
from rct_lightning.callbacks import BaselineComparison, EvalSanity, Health
from rct_lightning.callbacks.common import write_event
from rct_lightning.config import Config, as_override, save_run_config
from rct_lightning.errors import UserError
from rct_lightning.evaluation.endpoints import Comparison
from rct_lightning.evaluation.evaluator import Evaluator
from rct_lightning.evaluation.objective import objective_of
from rct_lightning.evaluation.subject import Subject
from rct_lightning.experiment.parts import make_lexicon, make_trainer
from rct_lightning.experiment.preparing import Prepared, prepare, quiet_libraries
from rct_lightning.experiment.record import choices, environment
from rct_lightning.health import Alert
from rct_lightning.module import RelationalModule, eval_metric
from rct_lightning.preflight import no_checkpoint, run_to_resume
from rct_lightning.runs import RunDir


@dataclass(frozen=True)
class Trained:
    """Result of a training run.

    Attributes:
        run: Its directory.
        objective: The figure that a sweeper minimises.
        module: The trained module.
        comparison: Base against tuned, as Markdown tables; empty if that callback is off.
    """

    run: RunDir
    objective: float
    module: RelationalModule
    comparison: str


def train(config: Config) -> Trained:
    """Train adapters as configured and write a run directory.

    Raises:
        UserError: The configuration cannot be satisfied, and nothing has been written; or a health rule ended the run.
    """
    if config.resume is not None:
        return resume(config)
    quiet_libraries()
    run = RunDir(Path(config.run_dir))
    if processes.is_first(config.trainer.processes):
        runs.check_is_free(run.root)
    # before loading the model, so that settings refused by Lightning are reported early
    trainer = make_trainer(config, backbone.resolve_accelerator(config.trainer.accelerator), run)
    prepared = prepare(config)
    data, module = prepared.data, prepared.module
    if processes.is_first(config.trainer.processes):
        _begin(config, prepared, run)
    trainer.validate(module, data, verbose=False)  # adapters start at zero, so this evaluates the base
    _stop_before_training(trainer, run)
    trainer.fit(module, data)
    return _finish(config, trainer, module, run)


def _begin(config: Config, prepared: Prepared, run: RunDir) -> None:
    """Run the checks, and write the run's configuration, environment and findings."""
    print(f"run: {run.root}")
    _announce(config, prepared)
    findings = inspect(config, prepared) if config.check else []
    prepared.data.tokens.keep()
    save_run_config(config, run.config)
    run.write_json(run.environment, environment(config, prepared.device) | choices(prepared))
    run.write_json(run.checks, [asdict(finding) for finding in findings])


def _announce(config: Config, prepared: Prepared) -> None:
    base, data = prepared.base, prepared.data
    for side, report in data.truncation.items():
        print(report.line(side, config.data.max_seq_length))
    print(base.precision.line())
    print(prepared.step_memory.line())
    trainable = sum(p.numel() for p in backbone.adapter_state(base.model).values())
    everything = trainable + backbone.parameters_of_base(base.model)
    print(f"adapters: {trainable:,} trainable of {everything:,} parameters; loss: {config.loss.name}, "
          f"lambda {config.loss.lambda_:g}", flush=True)  # fmt: skip


def _stop_before_training(trainer: L.Trainer, run: RunDir) -> None:
    """End a run whose base already raises an alert: ``fit`` would reset the callback's request to stop."""
    alert = _alert_that_stopped(trainer)
    if alert is not None:
        if trainer.is_global_zero:
            run.write_json(run.status, {"state": "stopped", "step": 0})
        raise UserError(f"Nothing was trained, by health.on_alert=stop. {alert.line()} health.on_alert=warn goes on.")


def resume(config: Config) -> Trained:
    """Resume a run from its newest intact checkpoint, with its own configuration.

    Raises:
        UserError: There is no such run, it is finished, it has no intact checkpoint, or its data have changed.
    """
    assert config.resume is not None
    found = run_to_resume(config.resume)
    run, stored, noted = found.run, found.config, found.noted
    given = config.trainer.model_dump()
    beside = {"max_time": given["max_time"]}  # the new time limit replaces the stored one
    if given["enable_progress_bar"] is not None:
        beside["enable_progress_bar"] = given["enable_progress_bar"]
    stored = stored.model_copy(
        update={
            "trainer": stored.trainer.model_copy(update=beside),
            "model": stored.model.model_copy(update=noted["chosen"]),  # free memory may differ now
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
    if trainer.global_step == state["global_step"]:  # nothing left to train: Lightning does not call on_train_end
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            callback.on_train_end(trainer, prepared.module)
    return _finish(stored, trainer, prepared.module, run)


def _newest_checkpoint(run: RunDir) -> tuple[Path, dict[str, Any]]:
    """Return the newest intact checkpoint and its state; damaged ones are reported."""
    for folder in checkpoint.committed(run.checkpoints):
        try:
            return folder, _checked_state(folder)
        except checkpoint.CheckpointError as error:
            print(f"{error} The one before it is used.", file=sys.stderr)
    raise no_checkpoint(run)


def _checked_state(folder: Path) -> dict[str, Any]:
    """Read a checkpoint's state, and validate the entries that are used before Lightning restores the rest."""
    state = checkpoint.read(folder)
    step, sizes, callbacks = (state.get(name) for name in ("global_step", "sizes", "callbacks"))
    counts = isinstance(sizes, dict) and all(type(size) is int and size >= 0 for size in sizes.values())
    if type(step) is not int or step < 0 or not counts or not isinstance(callbacks, dict):
        raise checkpoint.CheckpointError(f"{folder}: this is no state of a run.")
    return state


def check(config: Config) -> list[guards.Finding]:
    """Run all guards on the run as configured, without training.

    Raises:
        UserError: A guard stops the run.
    """
    prepared = prepare(config)
    _announce(config, prepared)
    findings = inspect(config, prepared)
    print("Nothing was trained: check=only.")
    return findings


def inspect(config: Config, prepared: Prepared) -> list[guards.Finding]:
    """Run the guards and print their findings.

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
    if stops and config.loss.is_original:
        print(f"loss={config.loss.name} goes on all the same: it is there to show what these faults do.", flush=True)
    elif stops:
        raise UserError(
            f"{' '.join(f'{found.guard}: {found.seen}. {found.remedy}' for found in stops)} Nothing was trained; "
            f"check=false trains all the same."
        )
    return findings


def _finish(config: Config, trainer: L.Trainer, module: RelationalModule, run: RunDir) -> Trained:
    """Evaluate, compare, save the adapter and set the final status after training."""
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
        noted = objective if math.isfinite(objective) else None  # JSON has no infinity
        run.write_json(run.status, {"state": state, "step": trainer.global_step, "objective": noted})
    if stopped_by:
        early = trainer.global_step < trainer.estimated_stepping_batches
        ended = f"was ended at step {trainer.global_step}" if early else "had come to its end"
        raise UserError(
            f"Training {ended} when a rule of health.on_alert=stop spoke. {stopped_by.line()} The adapter as it is now "
            f"was kept; health.on_alert=warn goes on all the same."
        )
    return Trained(run, objective, module, comparison)


def _alert_that_stopped(trainer: L.Trainer) -> Alert | None:
    """Return the first alert of a callback with ``on_alert=stop``, if any."""
    watching = [callback for callback in trainer.callbacks if isinstance(callback, Health)]  # type: ignore[attr-defined]
    return next((alert for callback in watching if callback.on_alert == "stop" for alert in callback.alerts), None)


@contextmanager
def _failure_is_told(trainer: L.Trainer, run: RunDir) -> Iterator[None]:
    """Report a failure after training; failures during training reach the callbacks through Lightning."""
    try:
        yield
    except Exception as error:
        write_event(trainer, "failed", error=f"{type(error).__name__}: {error}")
        if trainer.is_global_zero:
            run.write_json(run.status, {"state": "failed", "step": trainer.global_step})
        raise


def _compare(trainer: L.Trainer, module: RelationalModule) -> str:
    parts = []
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, BaselineComparison):
            callback.compare(trainer, module)
            parts += [callback.table, callback.replies]
        if isinstance(callback, EvalSanity) and callback.disagreements:
            parts.append("Evaluation disagrees with the model's own loss: " + "; ".join(callback.disagreements[:3]))
    return "\n\n".join(parts)


def _objective(config: Config, trainer: L.Trainer, module: RelationalModule) -> float:
    """Return the figure for a sweeper; infinite if the evaluation does not have it."""
    if config.objective == "endpoints":
        return objective_of(_on_development_data(config, trainer, module))
    found = {eval_metric(name): value for name, value in module.eval_values.items()}
    return found.get(config.objective_metric, float("inf"))


def _on_development_data(config: Config, trainer: L.Trainer, module: RelationalModule) -> Comparison:
    """Compare base and tuned on rows that were split off the training file, and on development probes."""
    device = trainer.strategy.root_device
    module.model.to(device)  # Lightning moves it to the CPU when training has ended
    length, data = config.data.max_seq_length, trainer.datamodule  # type: ignore[attr-defined]
    subject = Subject(module.model, module.tokenizer, module.template, str(device), length)
    probes = Path(config.development_probes)
    return Evaluator(subject, data.eval_set.examples, probes, make_lexicon(config)).compare()
