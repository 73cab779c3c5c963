"""Evaluation of finished runs against their own base: one run, or every run of a study and then its arms."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning as L

from rct_lightning import backbone, outcomes, runs
from rct_lightning.config import Config, EvaluateConfig
from rct_lightning.corpus.folder import CorpusDir
from rct_lightning.data import RelationalDataModule
from rct_lightning.dialogue import content_hash
from rct_lightning.evaluation.evaluator import Evaluator
from rct_lightning.evaluation.kept import KeptBase, hash_of_file
from rct_lightning.evaluation.limits import changes
from rct_lightning.evaluation.metrics import read_endpoints, read_evaluated_on
from rct_lightning.evaluation.report import Report, fingerprint, stands, write_report
from rct_lightning.evaluation.setting import Setting, hash_of_rows
from rct_lightning.evaluation.study.arms import StudyRun
from rct_lightning.evaluation.study.folder import read_study
from rct_lightning.evaluation.study.pages import NAME, write_study
from rct_lightning.evaluation.study.report import StudyReport
from rct_lightning.evaluation.study.scores import Study
from rct_lightning.evaluation.subject import Subject
from rct_lightning.evaluation.told import Told, kept
from rct_lightning.experiment.parts import make_data, make_lexicon
from rct_lightning.experiment.preparing import quiet_libraries
from rct_lightning.experiment.record import environment, package_versions
from rct_lightning.page import as_text
from rct_lightning.preflight import data_hashes
from rct_lightning.runs import METRICS_FILE, RunDir
from rct_lightning.sanitize import printable
from rct_lightning.trained import TrainedModel, load_trained


def evaluate(config: EvaluateConfig) -> None:
    """Evaluate one run, or every run of a study and then its arms against each other."""
    quiet_libraries()
    if config.study is None:
        assert config.run is not None  # the schema asks for one of the two
        evaluate_run(config, runs.find_run(config.run))
    else:
        evaluate_study(config, config.study)


def evaluate_study(config: EvaluateConfig, folder: str) -> StudyReport:
    """Evaluate every finished run of a study, then its arms against each other.

    A report that would come out the same is kept. Base and rows stay in memory from run to run, and the base is
    measured once; its results are stored in the study's directory.
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
        StudyRun(
            each.arm,
            each.config.seed,
            read_endpoints(each.run.metrics),
            each.config.loss.lambda_,
            read_evaluated_on(each.run.metrics),
        )
        for each in found.finished
    ]
    report = StudyReport.of(Study(runs_of_study, config.bootstrap_samples, config.seed), found.absent)
    target = Path(config.output or folder)
    page = write_study(report, target)
    print(f"\n{as_text(replace(page, sections=page.sections[:2]))}\nStudy: {target / NAME}.html")
    return report


@dataclass(frozen=True)
class Loaded:
    """What an evaluation leaves in memory for the next one to reuse."""

    trained: TrainedModel
    data: RelationalDataModule
    rows: dict[str, Any]


def evaluate_run(config: EvaluateConfig, run: RunDir, before: Loaded | None = None) -> Loaded:
    """Compare a run's adapter with its own base on held-out rows and probes, and write the report.

    Args:
        config: Configuration of the evaluation.
        run: The run to evaluate.
        before: What the previous evaluation left in memory; it must not be used afterwards.
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
    report = Report(evaluator.compare(kept_base))
    folder = run.report if config.adapter == "last" else run.report_of_best
    folder = Path(config.output) if config.output and config.study is None else folder
    setting = _setting(config, run, trained, data, evaluator)
    page = write_report(report, run, folder, setting)
    if config.output is None:
        outcomes.show_endpoints(settings, run, folder / METRICS_FILE, config.adapter)
    said = [*(sentence.text for sentence in report.verdict), *changes(setting, Told.of(run))]
    verdict = "\n".join(textwrap.fill(sentence, 110) for sentence in said)
    print(f"{report.table()}\n\n{verdict}\n\nReport: {page}")
    return Loaded(trained, data, rows)


def _made_from(config: EvaluateConfig, trained_with: Config, adapter: Path, run: RunDir) -> str:
    data = [Path(name) for name in (trained_with.data.train_file, trained_with.data.eval_file) if name]
    files = [run.config, *sorted(adapter.iterdir()), Path(config.probes_file), *data]
    missing = [path for path in files if not path.is_file()]
    return "" if missing else fingerprint(files)


def _rows_of(trained: TrainedModel) -> dict[str, Any]:
    """Return everything that determines the evaluation rows and their tokens."""
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
    """Return the study's store of base results, keyed by everything they depend on; None for a single run."""
    files = backbone.files_of_base(trained.base.name_or_path)
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
        package_versions(),
    )
    return KeptBase.of(Path(config.study), made_from)


def _setting(
    config: EvaluateConfig, run: RunDir, trained: TrainedModel, data: RelationalDataModule, evaluator: Evaluator
) -> Setting:
    """Describe what was evaluated, and on what."""
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
        misread=evaluator.misread,
        phrases=(len(lexicon.phrases("bond", "heldout")), len(lexicon.phrases("rupture", "heldout"))),
        cut=data.truncation,
        cleaning=kept(corpus.clean_report),
        data=data_hashes(settings) | hashes,
        evaluated_on={"rows": hash_of_rows(held), **hashes},
        environment=environment(settings, trained.device),
        made_from=_made_from(config, settings, trained.adapter, run),
    )
