"""Turn a composed or stored configuration into the typed one; all problems are reported together, with their keys."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import BaseModel, ValidationError, create_model

from rct_lightning import processes
from rct_lightning.config.keys import description, hint, keys_of
from rct_lightning.config.schema import CALLBACK_ARGUMENTS, LOGGER_ARGUMENTS, Config, EvaluateConfig, Section
from rct_lightning.config.targets import ALLOWED_CALLBACKS, ALLOWED_LOGGERS, check_targets
from rct_lightning.errors import UserError
from rct_lightning.reading import shown
from rct_lightning.replacing import replacing

T = TypeVar("T", bound=BaseModel)
MOST_BYTES = 2**20
DEEPEST = 20
"""Maximum size in bytes and nesting depth of a run's configuration."""

BESIDE_RESUME = frozenset({"resume", "trainer.max_time", "trainer.enable_progress_bar"})
"""Keys that may be given together with ``resume``: none of them changes what the run learns."""


def validate(cfg: DictConfig) -> Config:
    """Return the typed configuration.

    Raises:
        UserError: The configuration is not valid; the message lists the problems with key, value and possible values.
    """
    _check_stays_here()
    config = _validate(cfg, Config)
    loggers = config.logger or {}
    check_targets(config.callbacks, ALLOWED_CALLBACKS, "callbacks.")
    check_targets(loggers, ALLOWED_LOGGERS, "logger.")
    _check_callbacks(config.callbacks, bool(loggers))
    for name, given in loggers.items():
        _check_called("logger", name, given, LOGGER_ARGUMENTS)
    if HydraConfig.initialized():
        check_typed(config, HydraConfig.get())
    if config.trainer.processes > 1:
        _check_several(config)
    return config


def check_typed(config: Config, hydra: HydraConf | DictConfig) -> None:
    """Refuse settings of the command line that would be ignored.

    Args:
        config: The typed configuration.
        hydra: Hydra's section, with the settings as they were typed.

    Raises:
        UserError: There is one.
    """
    placed = [given for given in hydra.overrides.hydra if given.startswith("hydra.run.dir=")]
    settings = {given.lstrip("+~").split("=")[0]: given for given in hydra.overrides.task}
    if placed and hydra.mode == RunMode.MULTIRUN:
        raise UserError(
            f"{placed[0]}: a multirun has a folder for each job. Give hydra.sweep.dir=DIR, which holds them."
        )
    if config.resume is not None:
        own = [] if processes.number() else placed  # Lightning names the folder to processes that it starts
        _check_alone([*settings.values(), *own])
    for key in ("data.eval_size", "data.split_seed"):
        if key in settings and config.data.eval_file is not None:
            raise UserError(
                f"{settings[key]}: nothing is split off, since the evaluation rows are data.eval_file="
                f"{config.data.eval_file}. Leave this out, or add data.eval_file=null."
            )


def _check_several(config: Config) -> None:
    """Refuse settings that do not work with several processes."""
    if config.data.batch_tokens is not None:
        raise UserError(
            "data.batch_tokens: micro-batches by a number of tokens cannot be shared out evenly. Use data.batch_size "
            "with several devices."
        )
    if not HydraConfig.initialized():
        return
    hydra = HydraConfig.get()
    if hydra.mode == RunMode.MULTIRUN:
        raise UserError(
            "trainer=ddp: Lightning starts the processes of one run, not of one after another. Train each job of the "
            "multirun with a command of its own, or with trainer.devices=1."
        )
    if any(given.lstrip("+~").startswith("resume=") for given in hydra.overrides.task):
        return  # all processes go on in the folder of that run
    if "RANK" in os.environ and not any(given.startswith("hydra.run.dir=") for given in hydra.overrides.hydra):
        raise UserError(
            "hydra.run.dir: processes that were started one by one (torchrun) would each name the run directory by its "
            "own clock. Give the same hydra.run.dir=DIR to all."
        )


def _check_stays_here() -> None:
    """Refuse ``hydra.job.chdir``: paths are relative to the folder where the command is typed."""
    if HydraConfig.initialized() and HydraConfig.get().job.chdir:
        raise UserError("hydra.job.chdir=true: paths are those of the folder where the command is typed. Leave it out.")


def _check_callbacks(callbacks: Mapping[str, Mapping[str, Any]], logs: bool) -> None:
    """Check the arguments of this project's callbacks, and that no two callbacks are the same."""
    first: dict[str, str] = {}
    for name, given in callbacks.items():
        target = _check_called("callbacks", name, given, CALLBACK_ARGUMENTS)
        if target in first:
            raise UserError(f"callbacks.{name} and callbacks.{first[target]} are both {target}. Leave one out.")
        first[target] = name
        if target.endswith(".LearningRateMonitor") and not logs:
            raise UserError(
                f"callbacks.{name}: {target} writes to a logger, and there is none. Give logger=tensorboard."
            )


def _check_called(section: str, name: str, given: Mapping[str, Any], arguments: Mapping[str, Mapping[str, Any]]) -> str:
    """Check that an entry has a target, and the arguments listed for it; return the target."""
    if "_target_" not in given:
        raise UserError(f"{section}.{name}: nothing says what it is. Give {section}.{name}._target_, see conf/.")
    target = str(given["_target_"])
    listed = arguments.get(target.rpartition(".")[2])
    if listed is not None:  # otherwise a callback of Lightning, which checks its own arguments
        fields: dict[str, Any] = {argument: (kind, None) for argument, kind in listed.items()}
        schema = create_model(name, __base__=Section, **fields)
        validated({key: value for key, value in given.items() if key != "_target_"}, schema, (section, name))
    return target


def _check_alone(overrides: list[str]) -> None:
    """Refuse other settings beside ``resume``: a resumed run uses its stored configuration and would ignore them."""
    others = [given for given in overrides if given.lstrip("+~").split("=")[0] not in BESIDE_RESUME]
    if others:
        raise UserError(
            f"{', '.join(others)}: resume goes on with the configuration of that run. Leave this out, or train anew "
            f"with it. Beside resume there can be {', '.join(sorted(BESIDE_RESUME - {'resume'}))}."
        )


def validate_evaluation(cfg: DictConfig) -> EvaluateConfig:
    """Return the typed configuration of an evaluation; raises as :func:`validate` does."""
    _check_stays_here()
    return _validate(cfg, EvaluateConfig)


def load_run_config(path: Path) -> Config:
    """Return the configuration of a run from its config.yaml; nothing in it is ever instantiated or interpolated.

    Raises:
        UserError: The file is damaged, does not match the schema, or holds aliases or references.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path}: {path.stat().st_size:,} bytes are more than a run's configuration has.")
        text = path.read_text(encoding="utf-8")
        _check_is_plain(text, path)
        plain = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}). Give another run.") from None
    except Exception as error:  # YAML has many ways to be broken
        what = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: not a readable configuration ({what}). Give another run.") from None
    if not isinstance(plain, dict):
        raise UserError(f"{path}: expected the configuration of a run, found a {type(plain).__name__}.")
    if not plain:
        raise UserError(f"{path}: it is empty, so what the run was is not known. Give another run.")
    for key, value in _texts(plain):
        if "${" in value:  # it would be resolved, for instance from this machine's environment
            raise UserError(f"{path}: {key}={shown(value)} is a reference. A run's configuration is resolved.")
    try:
        return validate(OmegaConf.create(plain))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _check_is_plain(text: str, path: Path) -> None:
    """Refuse what makes a small file large: aliases, a few of which can expand to gigabytes, and unbounded nesting."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        place = f"{path}, line {event.start_mark.line + 1}" if event.start_mark else str(path)
        if isinstance(event, yaml.AliasEvent):
            raise UserError(f"{place}: an alias. A run's configuration has every value in its place; write it out.")
        if depth > DEEPEST:
            raise UserError(
                f"{place}: nested more than {DEEPEST} times, as no run's configuration is. Give another run."
            )


def _texts(node: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield every string of a configuration, keys included, each after its place."""
    if isinstance(node, dict):
        for key, value in node.items():
            name = _named(key)
            yield place, key if isinstance(key, str) else name
            yield from _texts(value, f"{place}.{name}" if place else name)
    elif isinstance(node, list):
        for each in node:
            yield from _texts(each, place)
    elif isinstance(node, str):
        yield place, node


def _named(key: Any) -> str:
    """Return a key as it is written in a message; one that would break its line in quotes."""
    return key if isinstance(key, str) and key.isprintable() else shown(key)


def save_run_config(config: Config, path: Path) -> None:
    """Write the resolved configuration atomically."""
    with replacing(path) as part:
        OmegaConf.save(OmegaConf.create(config.plain()), part)


def _validate(cfg: DictConfig, schema: type[T]) -> T:
    try:
        plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = error.full_key or "the configuration"
        if isinstance(error, MissingMandatoryValue):
            raise UserError(f"{key} has no value and needs one: add {key}=... to the command.") from None
        raise UserError(f"{key}: cannot be resolved ({str(error).splitlines()[0]}). Write the value itself.") from None
    _check_keys(plain)
    return validated(plain, schema)


def _check_keys(node: Any, place: str = "") -> None:
    """Refuse keys that are not strings: YAML reads some as numbers or booleans."""
    if isinstance(node, dict):
        for key, value in node.items():
            if not isinstance(key, str):
                raise UserError(
                    f"{place}{shown(key)}: keys are words, and this one is read as {type(key).__name__}. Correct the "
                    f"line of the file in conf/ that it comes from."
                )
            _check_keys(value, f"{place}{_named(key)}.")
    elif isinstance(node, list):
        for index, each in enumerate(node):
            _check_keys(each, f"{place}{index}.")


def validated(plain: Any, schema: type[T], above: tuple[str, ...] = ()) -> T:
    """Return a section as its schema; ``above`` is the path of its keys.

    Raises:
        UserError: It is not valid; the message lists the problems.
    """
    try:
        return schema.model_validate(plain)
    except ValidationError as error:
        problems = [_problem(dict(item), schema, above) for item in error.errors()]
        raise UserError(" ".join(dict.fromkeys(problems))) from None


def _problem(item: Mapping[str, Any], schema: type[BaseModel], above: tuple[str, ...]) -> str:
    """Describe one validation error of pydantic; ``above`` is the path of the section."""
    place, found, kind = item["loc"], item["input"], item["type"]
    key = ".".join(_named(part) for part in (*above, *place))
    message = str(item["msg"]).removeprefix("Value error, ")
    if kind == "extra_forbidden" and key in ("experiment", "debug"):
        return (
            f"{key}: the chosen file of conf/{key}/ is empty, or its first line is not '# @package _global_', with "
            f"which it sets keys of other sections."
        )
    if kind == "extra_forbidden":
        prefix = "".join(f"{part}." for part in above)
        return f"{key}: there is no such key.{hint(key, list(keys_of(schema, prefix))) or ' Leave it out; see conf/.'}"
    if kind == "value_error" and isinstance(found, Mapping):  # raised for a whole section; its message names the keys
        return message
    if found is None and (*above, *place)[0] in ("callbacks", "logger"):
        return f"{key}: a value is missing. ~{key} takes it out."
    if kind == "missing" or found is None:
        return f"{key}: a value is missing. Give one, or leave out what takes it away (~{key}, {key}=null)."
    if kind in ("model_type", "dict_type"):
        return f"{key}={shown(found)}: this is a section, not a value; set its keys ({key}.NAME=...), see conf/."
    said = f"{key}={shown(found)}: {message[0].lower()}{message[1:]}."
    more = description(schema, place)
    return f"{said} {more}" if more else said
