"""A multirun over every combination, whose settings are all looked at before its first job begins.

Imported when Hydra is about to run, no sooner: its plugins are found by then.
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
"""As Hydra found it: it loads its plugins' modules a second time, and a class that was imported before is another."""


class CheckingSweeper(_HydrasSweeper):
    """A value that a job would refuse after hours of other jobs is refused before the first one.

    A search does without: what it draws comes from ranges, a few trials at a time.
    """

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Compose every job, as Hydra does, and judge its values.

        Raises:
            UserError: What is wrong with any of them, each mistake once.
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
    """Make the sweepers known to Hydra: that of a search, and the one above in place of Hydra's."""
    _known[SWEEPER] = OptunaSweeper
    _known[HYDRAS_SWEEPER] = CheckingSweeper


def _own_settings(job: DictConfig) -> DictConfig:
    """A composed job without Hydra's section, and with some folder: which one, only a job that runs can know."""
    with open_dict(job):
        job.pop("hydra")
        job.run_dir = "job"
    return job
