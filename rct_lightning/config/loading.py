"""From a composed configuration, or a run's own, to the typed one: every problem is named at once, with its key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from rct_lightning.config.schema import Config, EvaluateConfig, hint, keys_of
from rct_lightning.config.targets import check_targets
from rct_lightning.errors import UserError

T = TypeVar("T", bound=BaseModel)

BESIDE_RESUME = frozenset({"resume", "trainer.max_time", "trainer.enable_progress_bar"})
"""What may be asked for when a run is resumed: nothing that changes what it learns."""


def validate(cfg: DictConfig) -> Config:
    """The typed configuration.

    Raises:
        UserError: Every problem, each with its key, what was found and what is possible.
    """
    config = _validate(cfg, Config)
    check_targets({"callbacks": config.callbacks, "logger": config.logger or {}})
    if config.resume is not None and HydraConfig.initialized():
        _check_alone(list(HydraConfig.get().overrides.task))
    return config


def _check_alone(overrides: list[str]) -> None:
    """A resumed run has its own configuration; what else is asked for would be ignored."""
    others = [given for given in overrides if given.lstrip("+~").split("=")[0] not in BESIDE_RESUME]
    if others:
        raise UserError(
            f"{', '.join(others)}: resume goes on with the configuration of that run. Leave this out, or train anew "
            f"with it. Beside resume there can be {', '.join(sorted(BESIDE_RESUME - {'resume'}))}."
        )


def validate_evaluation(cfg: DictConfig) -> EvaluateConfig:
    """The typed configuration of an evaluation; raises as :func:`validate`."""
    return _validate(cfg, EvaluateConfig)


def load_run_config(path: Path) -> Config:
    """The configuration a run was made with, from its config.yaml; nothing in it is ever instantiated.

    Raises:
        UserError: The file is damaged or from another version.
    """
    try:
        loaded = OmegaConf.load(path)
    except Exception as error:  # YAML has many ways to be broken
        raise UserError(f"{path}: not a readable configuration ({str(error).splitlines()[0]}).") from None
    if not isinstance(loaded, DictConfig):
        raise UserError(f"{path}: expected the configuration of a run, found a list.")
    return validate(loaded)


def save_run_config(config: Config, path: Path) -> None:
    """Write the resolved configuration."""
    path.parent.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.create(config.plain()), path)


def _validate(cfg: DictConfig, schema: type[T]) -> T:
    try:
        plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = error.full_key or "the configuration"
        if isinstance(error, MissingMandatoryValue):
            raise UserError(f"{key} has no value and needs one: add {key}=... to the command.") from None
        raise UserError(f"{key}: cannot be resolved ({str(error).splitlines()[0]}).") from None
    try:
        return schema.model_validate(plain)
    except ValidationError as error:
        problems = [_problem(dict(item), schema) for item in error.errors()]
        raise UserError(" ".join(dict.fromkeys(problems))) from None


def _problem(item: Mapping[str, Any], schema: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        return f"{key}: there is no such key.{hint(key, list(keys_of(schema)))}"
    if item["type"] == "missing" or item["input"] is None:
        return f"{key}: a value is missing."
    if item["type"] == "value_error":
        return message
    return f"{key}={item['input']!r}: {message[0].lower()}{message[1:]}."
