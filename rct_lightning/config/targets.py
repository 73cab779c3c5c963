"""The allowlist of ``_target_``: which callables a configuration may name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig, OmegaConf

from rct_lightning.config.keys import hint
from rct_lightning.errors import UserError
from rct_lightning.reading import shown

HYDRAS_OWN = ("hydra._internal.core_plugins.", "hydra._internal.BasicLauncher", "hydra._internal.BasicSweeper")
SWEEPER = "hydra_plugins.rct_lightning.OptunaSweeper"
"""Name of the search's sweeper: Hydra looks up plugins only by names in the package ``hydra_plugins``."""
HYDRAS_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
PLUGINS = frozenset(
    {
        SWEEPER,
        "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
        "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher",
        "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher",
    }
)
"""Exact names of plugins that may be used, which come with the extra ``sweep``."""

ALLOWED_LOGGERS = frozenset(
    {
        "lightning.pytorch.loggers.TensorBoardLogger",
        "lightning.pytorch.loggers.CSVLogger",
        "rct_lightning.callbacks.BoardLogger",
    }
)
ALLOWED_CALLBACKS = frozenset(
    {
        "lightning.pytorch.callbacks.LearningRateMonitor",
        "lightning.pytorch.callbacks.EarlyStopping",
        "lightning.pytorch.callbacks.RichProgressBar",
        "lightning.pytorch.callbacks.TQDMProgressBar",
        "rct_lightning.callbacks.BaselineComparison",
        "rct_lightning.callbacks.BestAdapter",
        "rct_lightning.callbacks.Checkpointing",
        "rct_lightning.callbacks.EvalSanity",
        "rct_lightning.callbacks.Events",
        "rct_lightning.callbacks.GenerationSampling",
        "rct_lightning.callbacks.Health",
        "rct_lightning.callbacks.LossComponents",
    }
)
"""The only callables that a configuration can name, under ``logger`` and under ``callbacks``.

The names are exact, so that no attribute path leads elsewhere.
"""


def check_targets(node: Any, allowed: frozenset[str], place: str) -> None:
    """Refuse every ``_target_`` that is not on the list for its section, at any depth.

    Raises:
        UserError: There is one; the message names its key.
    """
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name == "_target_" and not (isinstance(value, str) and value in allowed):
                nearest = hint(value if isinstance(value, str) else "", allowed)
                raise UserError(
                    f"{place}_target_={shown(value)} is not on the list of what may be called there.{nearest}"
                )
            check_targets(value, allowed, f"{place}{name}.")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            check_targets(value, allowed, f"{place}{index}.")


@contextmanager
def looked_at() -> Iterator[list[DictConfig]]:
    """Inside the block, refuse any configuration whose ``hydra`` section names a callable that is not Hydra's.

    Hydra instantiates ``hydra.callbacks``, the launcher, the sweeper and logging before any task runs; a file of
    ``conf/experiment`` from somebody else could name anything there.

    Yields:
        The configurations composed so far, each with its ``hydra`` section.
    """
    composed: list[DictConfig] = []
    load = ConfigLoaderImpl.load_configuration

    def checked(self: ConfigLoaderImpl, *arguments: Any, **options: Any) -> DictConfig:
        cfg: DictConfig = load(self, *arguments, **options)
        name = options.get("config_name")  # None when Hydra is asked for its own help
        if len(cfg) == 1 and name is not None:  # only the ``hydra`` section; Hydra would write files
            raise UserError(f"conf/{name}.yaml: this file is empty. Put it back as it was.")
        _check_hydras_own(OmegaConf.to_container(cfg.hydra, resolve=False), "hydra.")
        composed.append(cfg)
        return cfg

    ConfigLoaderImpl.load_configuration = checked  # type: ignore[method-assign]
    try:
        yield composed
    finally:
        ConfigLoaderImpl.load_configuration = load  # type: ignore[method-assign]


def _check_hydras_own(node: Any, place: str) -> None:
    if isinstance(node, list):
        node = dict(enumerate(node))
    if not isinstance(node, dict):
        return
    for name, value in node.items():
        text = value if isinstance(value, str) else ""
        known = text.startswith(HYDRAS_OWN) or text in PLUGINS
        called = (name == "_target_" and not known) or name == "()"
        logs = name == "class" and not text.startswith("logging.")
        outside = text.startswith(("ext://", "cfg://")) and text not in ("ext://sys.stdout", "ext://sys.stderr")
        if called or logs or outside:
            raise UserError(
                f"{place}{name}={shown(value)}: Hydra would call this, and it is not Hydra's. Remove it; see where "
                f"the file with this key comes from."
            )
        _check_hydras_own(value, f"{place}{name}.")
