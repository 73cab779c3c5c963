"""A grid multirun that validates the settings of all jobs before the first job starts.

Import this only when Hydra is about to run: the import needs Hydra's plugins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.plugins import Plugins
from omegaconf import DictConfig, open_dict

from rct_lightning.config.loading import validate
from rct_lightning.config.search import OptunaSweeper
from rct_lightning.config.targets import HYDRAS_SWEEPER, SWEEPER
from rct_lightning.errors import UserError

_known: dict[str, Any] = Plugins.instance().class_name_to_class
_HydrasSweeper: Any = _known[HYDRAS_SWEEPER]
"""The class as Hydra found it: Hydra loads plugin modules a second time, so a normal import gives another class."""


class CheckingSweeper(_HydrasSweeper):
    """Refuse before the first job a value that a job would otherwise refuse after hours of other jobs.

    A search does not need this check: it draws from ranges, a few trials at a time.
    """

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose every job, as Hydra does, and validate its values.

        Raises:
            UserError: The settings of a job are not valid; the message lists each mistake once.
        """
        mistakes: list[str] = []
        for overrides in batch:
            job = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
            try:
                validate(_own_settings(job))
            except UserError as error:
                if not any(known in str(error) for known in mistakes):
                    mistakes.append(str(error))
        if mistakes:
            raise UserError(" ".join([*mistakes, "No job was begun."]))


def register_sweepers() -> None:
    """Register the sweepers with Hydra: the one of a search, and :class:`CheckingSweeper` in place of Hydra's own."""
    _known[SWEEPER] = OptunaSweeper
    _known[HYDRAS_SWEEPER] = CheckingSweeper


def _own_settings(job: DictConfig) -> DictConfig:
    """Return a composed job without Hydra's section and with a placeholder for ``run_dir``, unknown until it runs."""
    with open_dict(job):
        job.pop("hydra")
        job.run_dir = "job"
    return job
