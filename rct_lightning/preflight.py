"""Checks of a run before anything heavy is imported: its folders, its files, and their contents.

Importing torch takes seconds and loading a model minutes; a mistake in a file is reported before either. The checks are
repeated where they matter, for runs that are started from Python.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rct_lightning import checkpoint, identity, processes
from rct_lightning.config import Config, EvaluateConfig, load_run_config
from rct_lightning.dialogue import Example, content_hash, read_jsonl
from rct_lightning.errors import UserError
from rct_lightning.evaluation.probes import read_probes
from rct_lightning.evaluation.study.folder import read_study
from rct_lightning.markers import FEW_OR_MANY_MARKED, Lexicon
from rct_lightning.reading import read_object
from rct_lightning.runs import METRICS_FILE, STUDY_FILE, RunDir, check_is_free, find_run
from rct_lightning.template import FORGED_TURNS, DialogueTemplate, forged_turns
from rct_lightning.untrusted import check_adapter, check_model, check_tensors, has_tokenizer, load_template

HELD_OUT_PROBES = Path("data") / "probes.jsonl"
NAME_ON_THE_HUB = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)


@dataclass(frozen=True)
class ToResume:
    """A run that can be resumed: its directory, its configuration, and its record of data and choices."""

    run: RunDir
    config: Config
    noted: Mapping[str, Any]


def before_training(config: Config) -> None:
    """Check everything that ``train.py`` will read, and where it will write.

    Raises:
        UserError: Something would make the run fail, or its results misleading (the latter unless ``check=false``).
    """
    if config.resume is not None:
        found = run_to_resume(config.resume)
        _check_model_folder(found.config)
        return
    if processes.is_first(config.trainer.processes):
        _check_run_folder(config.run_dir)
    _check_can_be_written("data.token_cache", config.data.token_cache)
    _check_model_folder(config)
    _check_corpus(config)
    if config.objective == "endpoints":
        _check_development_probes(Path(config.development_probes))


def _check_development_probes(probes: Path) -> None:
    """Refuse the held-out probes: settings chosen by them could not be judged by them afterwards."""
    read_probes(probes)
    if HELD_OUT_PROBES.is_file() and content_hash(probes) == content_hash(HELD_OUT_PROBES):
        raise UserError(
            f"development_probes={probes}: these are the held-out probes, and a search would see them. Give others; "
            f"the bundled ones are data/probes_dev.jsonl."
        )


def before_evaluation(config: EvaluateConfig) -> None:
    """Check everything that ``evaluate.py`` will read, and where it will write.

    Raises:
        UserError: Something would make the evaluation fail.
    """
    if config.study is not None:
        runs = [found.run for found in read_study(config.study).finished]
    else:
        runs = [find_run(str(config.run))]
    read_probes(Path(config.probes_file))
    _check_report_folder(config, runs)
    read: dict[tuple[str, str | None], dict[str, str]] = {}
    for run in runs:
        trained_with = load_run_config(run.config)
        adapter = run.trained_adapter(config.adapter)
        check_adapter(adapter)
        load_template(adapter)
        _check_model_folder(trained_with)
        data = trained_with.data
        files = data.train_file, data.eval_file
        if files not in read:  # the runs of a study share their rows
            for file in files:
                if file is not None:
                    read_jsonl(Path(file))
            read[files] = data_hashes(trained_with)
        if (
            data.eval_file is None
            and _read_environment(run)["data"].get("data.train_file") != read[files]["data.train_file"]
        ):
            raise UserError(
                f"{data.train_file}: this file changed since {run.root} was trained, and its evaluation rows are split "
                f"off it: rows that were trained on can be among them now. Put the former file back, or train anew."
            )


def run_to_resume(name: str) -> ToResume:
    """Return an interrupted run, checked as far as possible without a model.

    Raises:
        UserError: There is no such run, it is finished or being trained, it has no intact checkpoint, or its data have
            changed.
    """
    run = find_run(name)
    if run.read_status().get("state") == "finished":
        raise UserError(f"{run.root}: this run is finished. Train another one, or evaluate it with evaluate.py.")
    stored = load_run_config(run.config)
    if processes.is_first(stored.trainer.processes):  # the others train it together with the first
        check_is_not_trained(run)
    noted = check_same_data(stored, run)
    if not can_go_on(run):
        raise no_checkpoint(run)
    return ToResume(run, stored, noted)


def check_is_not_trained(run: RunDir) -> None:
    """Check that a run's recorded process does not train it now: both would write its files.

    Raises:
        UserError: It does, or would if it were continued.
    """
    status = run.read_status()
    process = identity.presence(status) if status.get("state") == "running" else "gone"
    if process in ("there", "suspended"):
        what = "is training this run" if process == "there" else "trains this run, and is suspended"
        raise UserError(f"{run.root}: a process ({status['pid']}) {what}. Wait for its end, or end it; then resume.")


def can_go_on(run: RunDir) -> bool:
    """Return whether a run has an intact checkpoint."""
    return any(map(_is_whole, checkpoint.committed(run.checkpoints)))


def no_checkpoint(run: RunDir) -> UserError:
    """Return the error for a run that has no intact checkpoint."""
    return UserError(
        f"{run.root}: there is no whole checkpoint to go on from. Remove the folder and train anew; "
        f"callbacks.checkpointing.every_n_steps says how often one is written."
    )


def data_hashes(config: Config) -> dict[str, str]:
    """Return SHA-256 sums of the corpus files by the keys that name them.

    Raises:
        UserError: A file no longer exists.
    """
    files = {"data.train_file": config.data.train_file, "data.eval_file": config.data.eval_file}
    given = {key: Path(file) for key, file in files.items() if file}
    gone = [file for file in given.values() if not file.is_file()]
    if gone:
        seen = "" if all(file.is_absolute() for file in gone) else f" (as seen from {Path.cwd()})"
        raise UserError(
            f"{', '.join(map(str, gone))}: does not exist{seen}. Put it back, or type the command in the folder in "
            f"which the run was begun."
        )
    return {key: content_hash(file) for key, file in given.items()}


def _is_whole(folder: Path) -> bool:
    try:
        checkpoint.check(folder)
        check_tensors(folder / checkpoint.TENSORS)
    except (checkpoint.CheckpointError, UserError):
        return False
    return True


def _read_environment(run: RunDir) -> dict[str, Any]:
    """Return a run's record of its data and of the choices that the configuration left open."""
    try:
        noted = read_object(run.environment)
        once, again = noted["chosen"]["dequantize"], noted["chosen"]["gradient_checkpointing"]
        if once not in ("auto", "once", "never") or not isinstance(again, bool) or not isinstance(noted["data"], dict):
            raise ValueError("not as a run writes it")
    except (UserError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{run.environment}: cannot be read ({error}), so it is not known whether the data are as they were. Train "
            f"anew."
        ) from error
    chosen = {"dequantize": once, "gradient_checkpointing": again}  # other entries are for information only
    return noted | {"chosen": chosen}


def check_same_data(config: Config, run: RunDir) -> Mapping[str, Any]:
    """Check that the corpus is unchanged since a run began; return what the run recorded then.

    Raises:
        UserError: It has changed, or the record cannot be read.
    """
    noted = _read_environment(run)
    changed = [name for name, found in data_hashes(config).items() if noted["data"].get(name) != found]
    if changed:
        raise UserError(
            f"{run.root}: what {', '.join(changed)} names changed since this run began, and it would not go on as it "
            f"was. Put the former file back, or train anew."
        )
    return noted


def _check_run_folder(run_dir: str) -> None:
    root, here = Path(run_dir), Path.cwd()
    if not run_dir.strip() or root.resolve() in (here, *here.parents):
        raise UserError(
            f"hydra.run.dir={run_dir or repr(run_dir)}: a run needs a folder of its own, and here are others. Give "
            f"a new one, or leave it out."
        )
    check_is_free(root)


def _check_report_folder(config: EvaluateConfig, runs: Sequence[RunDir]) -> None:
    """Check that reports can be written, and that they get among no other files."""
    _check_can_be_written("output", config.output)
    output = Path(config.output) if config.output else None
    reports = (METRICS_FILE, STUDY_FILE)
    if output is not None and output.is_dir() and any(output.iterdir()):
        if not any((output / name).is_file() for name in reports):
            raise UserError(f"output={output}: this folder holds files, and none of them is a report. Give a new one.")
    if config.study is None:
        written = [] if output is not None else [run.root for run in runs]
    else:
        written = [run.root for run in runs if not run.metrics.is_file()]
        written += [] if output is not None else [Path(config.study)]
    for folder in written:
        if problem := _unwritable(folder):
            raise UserError(f"{problem}, where the report belongs. output=DIR writes that of a run elsewhere.")


def _unwritable(folder: Path) -> str:
    """Return why nothing can be written into a folder; empty if it can."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return f"nothing can be written into {folder} ({error.strerror})"
    return ""


def _check_can_be_written(key: str, folder: str | None) -> None:
    if folder is None:
        return
    path = Path(folder)
    stands = next((each for each in (path, *path.parents) if os.path.lexists(each)), Path())
    if not stands.is_dir():
        raise UserError(f"{key}={folder}: {stands} is no folder. Give another one.")
    if problem := _unwritable(stands):
        raise UserError(f"{key}={folder}: {problem}. Give another one.")


def _check_model_folder(config: Config) -> None:
    """Check a base in a local folder; one from the hub is checked later, when its library is loaded."""
    name, path = config.model.name_or_path, Path(config.model.name_or_path)
    if path.is_dir():
        check_model(path)
        if not has_tokenizer(path):
            raise UserError(
                f"model.name_or_path={name}: the tokenizer in this folder cannot be loaded: there is none. Copy "
                f"tokenizer.json and tokenizer_config.json from where the model comes from."
            )
    elif os.path.lexists(path):
        raise UserError(f"model.name_or_path={name}: this is a file. Give the folder that it is in.")
    elif config.model.name == "nano" or not NAME_ON_THE_HUB.fullmatch(name):
        of_hub = NAME_ON_THE_HUB.fullmatch(name) and "/" in name
        hub = f" If it is a model of the hub: model=local model.name_or_path={name}." if of_hub else ""
        raise UserError(
            f"model.name_or_path={name}: there is no such folder (as seen from {Path.cwd()}). Type the command where "
            f"train.py is, or give the whole path.{hub}"
        )


def _check_corpus(config: Config) -> None:
    data = config.data
    train = read_jsonl(Path(data.train_file), rebuild_context=data.rebuild_context)
    held: list[Example] = []
    if data.eval_file is None:
        _check_can_be_split(train, data.eval_size)
    else:
        held = read_jsonl(Path(data.eval_file), rebuild_context=data.rebuild_context)
    if config.check is False or config.loss.is_original:  # they are there to show what faults do
        return
    for problem in (_forged(config, train, held), _unmarked(config, train), _leaking(config, train, held)):
        if problem:
            raise UserError(f"{problem} Nothing was trained; check=false trains all the same.")


def _check_can_be_split(examples: Sequence[Example], eval_size: int) -> None:
    """Check that conversations can be held out so that both sides have rows.

    Raises:
        UserError: No conversation is small enough, or no training rows would be left.
    """
    rows = Counter(example.conversation for example in examples)
    if min(rows.values()) > eval_size or len(examples) <= eval_size:
        raise UserError(
            f"data.eval_size={eval_size}: {len(examples)} rows in {len(rows)} conversation(s) cannot be split so that "
            f"both sides have rows and no conversation is on both. Give data.eval_file, or another data.eval_size."
        )


def _forged(config: Config, train: Sequence[Example], held: Sequence[Example]) -> str:
    template = DialogueTemplate(**config.data.roles.model_dump())
    for file, rows in ((config.data.train_file, train), (config.data.eval_file, held)):
        found = forged_turns(rows, template)
        if found:
            return f"{file}: {found} {FORGED_TURNS}"
    return ""


def _unmarked(config: Config, train: Sequence[Example]) -> str:
    """Report if no or every row addresses the assistant; shares in between are judged by the guard, on the split."""
    if config.loss.lambda_ * config.loss.weights.presence == 0:
        return ""
    lexicon = Lexicon.build(config.loss.markers.presence, config.loss.human_name)
    marked = sum(lexicon.strength(row.input) > 0 for row in train)
    if 0 < marked < len(train):
        return ""
    return (
        f"{config.data.train_file}: {marked / len(train):.0%} of the rows address the assistant. {FEW_OR_MANY_MARKED}"
    )


def _leaking(config: Config, train: Sequence[Example], held: Sequence[Example]) -> str:
    from rct_lightning.corpus.leakage import REMEDY, on_both_sides  # numpy, for which --help need not wait

    problems = on_both_sides(train, held)
    return f"{config.data.eval_file}: {'; '.join(problems)}. {REMEDY}" if problems else ""
