"""A grid multirun that validates the settings of all jobs before the first job starts.

Import this only when Hydra is about to run: the import needs Hydra's plugins.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from hydra.core.plugins import Plugins
from omegaconf import DictConfig, open_dict
from omegaconf.errors import OmegaConfBaseException

from rct_lightning.config.command import job_directory
from rct_lightning.config.loading import check_typed, validate
from rct_lightning.config.search import OptunaSweeper
from rct_lightning.config.targets import HYDRAS_SWEEPER, SWEEPER
from rct_lightning.errors import UserError

_known: dict[str, Any] = Plugins.instance().class_name_to_class
_HydrasSweeper: Any = _known[HYDRAS_SWEEPER]
"""The class as Hydra found it: Hydra loads plugin modules a second time, so a normal import gives another class."""


class CheckingSweeper(_HydrasSweeper):
    """Refuse before the first job a value that a job would otherwise refuse after hours of other jobs.

    Jobs that would share a folder get one of their own.

    A search does not need this check: it draws from ranges, a few trials at a time.
    """

    def split_arguments(self, overrides: Sequence[Any], max_batch_size: int | None) -> list[list[list[str]]]:
        """Split a sweep into batches of jobs, as Hydra does; validate every job and keep its folder apart.

        Raises:
            UserError: The settings of a job are not valid; the message lists each mistake once.
        """
        batches: list[list[list[str]]] = super().split_arguments(overrides, max_batch_size)
        compose = self.hydra_context.config_loader.load_sweep_config
        jobs = [(settings, compose(self.config, list(settings))) for settings in itertools.chain(*batches)]
        _refuse_mistakes([job for _, job in jobs])
        _keep_apart(jobs)
        return batches

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Do nothing: Hydra would compose every job of the batch, as :meth:`split_arguments` has done."""


def _refuse_mistakes(jobs: Sequence[DictConfig]) -> None:
    mistakes: list[str] = []
    for job in jobs:
        try:
            check_typed(validate(_own_settings(job)), job.hydra)
        except UserError as error:
            if not any(known in str(error) for known in mistakes):
                mistakes.append(str(error))
    if mistakes:
        raise UserError(" ".join([*mistakes, "No job was begun."]))


def _own_settings(job: DictConfig) -> DictConfig:
    """Return a composed job without Hydra's section and with a placeholder for ``run_dir``, unknown until it runs."""
    own = job.copy()
    with open_dict(own):
        own.pop("hydra")
        own.run_dir = "job"
    return own


def _keep_apart(jobs: Sequence[tuple[list[str], DictConfig]]) -> None:
    """Append to the folder of jobs that would share it the settings in which they differ.

    A folder that is named by some of the keys, as those of a study, knows no others that are varied.

    Args:
        jobs: The settings of each job, to which a folder may be appended, and what is composed of them.
    """
    in_folder: dict[str, list[list[str]]] = defaultdict(list)
    for settings, job in jobs:
        with suppress(OmegaConfBaseException):  # named by the job's number, say, which is not known yet
            in_folder[job.hydra.sweep.subdir].append(settings)
    for folder, sharing in in_folder.items():
        differing = [[given for given in own if any(given not in other for other in sharing)] for own in sharing]
        for settings, own in zip(sharing, differing, strict=True):
            if own:
                settings.append(f"hydra.sweep.subdir='{folder}_{job_directory(','.join(own))}'")


def register_sweepers() -> None:
    """Register the sweepers with Hydra: the one of a search, and :class:`CheckingSweeper` in place of Hydra's own."""
    _known[SWEEPER] = OptunaSweeper
    _known[HYDRAS_SWEEPER] = CheckingSweeper
