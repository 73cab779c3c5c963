"""A hyperparameter search as a Hydra sweeper: optuna's TPE draws the trials, which run as the jobs of a multirun.

This replaces hydra-optuna-sweeper, which requires optuna below 3: the storage of that version does not work with
current SQLAlchemy, and without a storage a killed search starts over. Here it resumes: finished trials count, an
interrupted trial is launched again with the values drawn for it, and every draw is seeded by the number of its trial,
so that a resumed search draws what it would have drawn without the interruption.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from rct_lightning.config.loading import validated
from rct_lightning.config.schema import Section
from rct_lightning.config.values import Count, Rows, Seed
from rct_lightning.errors import UserError
from rct_lightning.replacing import replacing

BROKEN = 1000.0
"""Objectives of at least this value mean that guardrails were broken, and by how much."""
STUDY_NAME, DATABASE, RESULT, RECORD = "search", "search.db", "search.json", "multirun.yaml"


class SearchConfig(Section):
    """The section ``hydra.sweeper`` of a search.

    Attributes:
        n_trials: Total number of trials.
        n_jobs: Trials that are drawn and launched together.
        seed: Seed of the draws.
        params: Settings by key, in Hydra's sweep syntax; those of the command line take precedence.
    """

    n_trials: Count
    n_jobs: Rows
    seed: Seed
    params: dict[str, str | int | float | bool]


class OptunaSweeper(Sweeper):
    """Minimise what the task returns; the multirun's directory holds ``search.db`` and, at the end, ``search.json``.

    Hydra passes the fields of :class:`SearchConfig`, which :meth:`sweep` reads: an error raised here would be wrapped.
    """

    def __init__(self, **_: Any) -> None: ...

    search: SearchConfig
    hydra_context: HydraContext
    config: DictConfig
    launcher: Launcher

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store what Hydra passes and create the launcher; called by Hydra before :meth:`sweep`."""
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run the remaining trials, then write and print the result.

        Raises:
            UserError: The section ``hydra.sweeper`` is not valid, or the space is none that can be drawn from.
        """
        given: Any = OmegaConf.to_container(self.config.hydra.sweeper, resolve=True)
        given.pop("_target_")
        self.search = validated(given, SearchConfig, ("hydra", "sweeper"))
        space, fixed = self._search_space(arguments)
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / RECORD)
        study = self._study(folder, space, fixed)
        while True:
            trials = self._next(study, space)
            if not trials:
                break
            jobs = [[*fixed, *(f"{key}={value}" for key, value in trial.params.items())] for trial in trials]
            self.validate_batch_is_legal(jobs)
            returns = self.launcher.launch(jobs, initial_job_idx=trials[0].number)
            for trial, job in zip(trials, returns, strict=True):
                _tell(study, trial.number, job)
        _conclude(study, folder)

    def _search_space(self, arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
        """Return the distributions by key, and the settings that are the same in every trial."""
        from hydra.core.override_parser.overrides_parser import OverridesParser

        given = {key: f"{key}={value}" for key, value in self.search.params.items()}
        given |= {text.partition("=")[0]: text for text in arguments}
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        space, fixed = {}, []
        for override in parser.parse_overrides(list(given.values())):
            if override.is_sweep_override():
                space[override.get_key_element()] = _checked_distribution(override)
            else:
                fixed.append(f"{override.get_key_element()}={override.get_value_element_as_str()}")
        if not space:
            raise UserError("A search needs something to search: give a key several values, loss.lambda=0.1,0.3,1.")
        return space, fixed

    def _study(self, folder: Path, space: Mapping[str, Any], fixed: Sequence[str]) -> Any:
        """Create the study of a directory, or load it to resume it."""
        optuna = _optuna()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(
            storage=f"sqlite:///{folder.absolute() / DATABASE}", study_name=STUDY_NAME, load_if_exists=True
        )
        searched = {
            "space": {key: optuna.distributions.distribution_to_json(found) for key, found in space.items()},
            "fixed": list(fixed),
        }
        if study.user_attrs.get("searched", searched) != searched:
            raise UserError(
                f"{folder}: another search was begun here, over other values or with other settings. Give another "
                f"hydra.sweep.dir, or remove the folder."
            )
        study.set_user_attr("searched", searched)
        return study

    def _next(self, study: Any, space: Mapping[str, Any]) -> list[Any]:
        """Return the trials to launch: one that was interrupted, or new ones; none once there are enough."""
        optuna = _optuna()
        running = study.get_trials(states=(optuna.trial.TrialState.RUNNING,))
        if running:
            return running[:1]  # a launcher numbers the jobs of a call consecutively
        number = len(study.trials)
        study.sampler = optuna.samplers.TPESampler(seed=(self.search.seed * 1_000_003 + number) % 2**32)
        return [study.ask(dict(space)) for _ in range(min(self.search.n_jobs, self.search.n_trials - number))]


def _optuna() -> Any:
    """Import optuna, which comes with the extra ``sweep``."""
    try:
        return importlib.import_module("optuna")
    except ImportError:
        raise UserError('A search needs optuna, which is not installed: pip install -e ".[sweep]"') from None


def _checked_distribution(override: Any) -> Any:
    """Return the optuna distribution of a sweep.

    Raises:
        UserError: There is none, such as the logarithm of an interval that begins at 0.
    """
    try:
        return _distribution(override)
    except (ValueError, ArithmeticError) as error:
        raise UserError(
            f"{override.input_line}: no value can be drawn from this ({error}). Give choices a,b,c; interval(a, b) "
            f"with a below b, and above 0 under tag(log, ...); or range(a, b, step)."
        ) from None


def _distribution(override: Any) -> Any:
    """Return the optuna distribution of a sweep in Hydra's syntax."""
    from hydra.core.override_parser.types import IntervalSweep, RangeSweep

    kinds, value = _optuna().distributions, override.value()
    if isinstance(value, IntervalSweep) and value.start is not None and value.end is not None:
        if isinstance(value.start, int) and isinstance(value.end, int):
            return kinds.IntDistribution(value.start, value.end, log="log" in value.tags)
        low, high = float(value.start), float(value.end)
        if not math.isfinite(high - low):
            raise ValueError("its ends are not finite")
        return kinds.FloatDistribution(low, high, log="log" in value.tags)
    if isinstance(value, RangeSweep) and not value.shuffle:
        start, stop, step = value.start, value.stop, value.step
        if isinstance(start, int) and isinstance(stop, int) and isinstance(step, int):
            return kinds.IntDistribution(start, start + (stop - 1 - start) // step * step, step=step)
    return kinds.CategoricalDistribution(list(override.sweep_string_iterator()))


def _tell(study: Any, number: int, job: JobReturn) -> None:
    """Report a trial's result to optuna; a user error in the settings ends the search."""
    try:
        found = job.return_value
    except UserError:
        raise
    except Exception:  # it was reported when it happened
        found = None
    if isinstance(found, int | float) and not math.isnan(found):
        study.tell(number, float(found))
    else:
        study.tell(number, state=_optuna().trial.TrialState.FAIL)


def _conclude(study: Any, folder: Path) -> None:
    """Write ``search.json`` and print the best trial."""
    trials = [
        {
            "trial": trial.number,
            "objective": trial.value if trial.value is not None and math.isfinite(trial.value) else None,
            "state": trial.state.name.lower(),
            "settings": trial.params,
        }
        for trial in study.trials
    ]
    judged = sorted((each for each in trials if each["objective"] is not None), key=lambda each: each["objective"])
    with replacing(folder / RESULT) as part:
        part.write_text(json.dumps({"best": judged[:1], "trials": trials}, indent=1) + "\n", encoding="utf-8")
    if not judged:
        print(f"\nNone of {len(trials)} trials came to an objective.")
        return
    best = judged[0]
    settings = " ".join(f"{key}={value}" for key, value in best["settings"].items())
    kept = "" if best["objective"] < BROKEN else " (it broke guardrails, as all did)"
    print(f"\nThe best of {len(judged)} trials is {best['trial']}, objective {best['objective']:.4f}{kept}: {settings}")
    print(f"All of them: {folder / RESULT}")
