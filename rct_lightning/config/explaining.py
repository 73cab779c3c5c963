"""Errors of Hydra, OmegaConf and YAML explained in one paragraph: the key, or the file and line, and the remedy."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from rct_lightning.config.keys import hint
from rct_lightning.config.schema import known_keys
from rct_lightning.config.trainer import RESERVED_TRAINER_ARGUMENTS
from rct_lightning.errors import UserError
from rct_lightning.reading import shown

GROUPS = ("model", "loss", "data", "trainer", "callbacks", "logger", "experiment", "arm", "hparams_search", "debug")
PARTS = ("base",)
"""Files of a group that other files include and that cannot be chosen themselves."""
DEEPEST = 20
QUOTES = "\"'\\"


def check_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Refuse options that Hydra does not have, combinations that make no sense, and the option that unpickles a file.

    Returns:
        The arguments as Hydra parses them.

    Raises:
        UserError: An option is refused; the message names it.
    """

    def refuse(message: str) -> None:
        raise UserError(
            f"{message}. Settings are written without dashes, key=value (seed=1); python {_program()} --help shows "
            f"them."
        )

    parser: argparse.ArgumentParser = get_args_parser()
    parser.error = refuse  # type: ignore[assignment, method-assign]
    found = parser.parse_args(list(arguments))
    if found.experimental_rerun is not None:
        raise UserError("--experimental-rerun unpickles a file, which can run code. Type the settings again instead.")
    _check_together(found)
    return found


def _check_together(found: argparse.Namespace) -> None:
    """Refuse combinations of Hydra's options that it answers with a traceback or ignores silently."""
    options = {"--run": found.run, "--multirun": found.multirun, "--cfg": found.cfg, "--info": found.info,
               "--shell-completion": found.shell_completion}  # fmt: skip
    given = [name for name, value in options.items() if value not in (None, False)]
    if len(given) > 1 and not found.help:
        raise UserError(f"{' and '.join(given)}: each asks for something else. Give one of them.")
    for name, value in (("--resolve", found.resolve), ("--package", found.package)):
        if value and not (found.cfg or found.help):
            raise UserError(f"{name} belongs to --cfg, which shows the settings and trains nothing: --cfg job {name}.")
    asked = {override.split("=")[0] for override in found.overrides}
    if found.shell_completion and len(asked & {"install", "uninstall", "query"}) != 1:
        raise UserError("--shell-completion: Hydra wants to know of which shell. Write install=bash (or zsh, or fish).")


def explain_composition_error(error: Exception, folder: Path = Path("conf")) -> UserError | None:
    """Explain in one paragraph why a command line or a file of ``conf/`` was refused.

    Args:
        error: Raised by Hydra, OmegaConf, YAML or the file system.
        folder: The folder of the configuration files.

    Returns:
        The explanation; None if the error is not a user's mistake.
    """
    if isinstance(error, yaml.YAMLError):
        return _of_yaml(error, folder)
    if isinstance(error, UnicodeDecodeError):
        return _of_encoding(folder)
    if isinstance(error, RecursionError):
        deep = next((argument for argument in sys.argv[1:] if max(map(argument.count, "[{(")) > DEEPEST), None)
        if deep is not None:
            return UserError(f"{shown(deep)}: nested too deeply. No key takes more than {DEEPEST} brackets.")
        return UserError(
            "conf/: the defaults lists lead in a circle: a file includes itself, directly or over another one. Look at "
            "the files that the command names."
        )
    if isinstance(error, OverrideParseException):
        return _of_syntax(str(error.override))
    if isinstance(error, HydraException | OmegaConfBaseException | ValueError | RuntimeError):
        return _of_words(error)
    return explain_unwritable(error) if isinstance(error, OSError) and error.filename else None


def _program() -> str:
    """Return the name of the script that was called, train.py if it is neither of the two."""
    name = Path(sys.argv[0]).name
    return name if name == "evaluate.py" else "train.py"


def explain_unwritable(error: OSError) -> UserError:
    """Explain that a run directory cannot be created or written."""
    several = {"-m", "--multirun"} & set(sys.argv[1:])
    elsewhere = "hydra.sweep.dir=DIR writes the runs" if several else "hydra.run.dir=DIR writes a run"
    if any(argument.startswith("resume=") for argument in sys.argv[1:]):
        elsewhere = "A run is resumed in its own folder: look at its permissions, or copy it"
    return UserError(f"{error.filename}: {error.strerror}. {elsewhere} elsewhere.")


def _of_yaml(error: yaml.YAMLError, folder: Path) -> UserError:
    mark = getattr(error, "problem_mark", None)
    if isinstance(error, yaml.reader.ReaderError):  # a character that YAML does not allow
        before = Path(error.name).read_text(encoding="utf-8")[: error.position]
        name, line = str(error.name), f", line {before.count(chr(10)) + 1}"
    else:
        name, line = (str(mark.name), f", line {mark.line + 1}") if mark else (str(folder), "")
    what = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "damaged")
    twice = re.search(r"found duplicate key (.*)", what)
    if twice:
        return UserError(
            f"{_near(Path(name), folder)}{line}: the key {twice.group(1)} stands twice. Remove one of them."
        )
    if "could not determine a constructor" in what:
        return UserError(
            f"{_near(Path(name), folder)}{line}: a tag of YAML, which names what to make of a value. Nothing is made "
            f"of values here; remove it."
        )
    return UserError(
        f"{_near(Path(name), folder)}{line}: not readable as YAML ({what}). Write key: value, indent with spaces "
        f"alone, and put a value with any of : # {{ }} [ ] in quotes."
    )


def _of_encoding(folder: Path) -> UserError:
    for file in sorted(folder.rglob("*.yaml")):
        content = file.read_bytes()
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            return UserError(f"{_near(file, folder)}, line {line}: not UTF-8. Save the file as UTF-8.")
    return UserError("conf/: a file is not UTF-8. Save it as UTF-8.")


def _near(file: Path, folder: Path) -> Path:
    """Return the path of a configuration file relative to the current directory or the project, if it is inside."""
    for above in (Path.cwd(), folder.parent):
        if file.is_relative_to(above):
            return file.relative_to(above)
    return file


def _of_syntax(override: str) -> UserError:
    place = f"{override if override.strip() else repr(override)}: not a readable setting."
    key, equals, value = override.partition("=")
    if not equals and _program() == "evaluate.py" and Path(override).is_dir():
        return UserError(f"{place} Write run={override}, or study={override} for the directory of a multirun.")
    if not equals and override == "latest" and _program() == "evaluate.py":
        return UserError(f"{place} Write run=latest.")
    if not equals and re.fullmatch(r"[\w./]+", key):
        return UserError(f"{place} Write {key}=VALUE.")
    if not equals and re.fullmatch(r"[\w.]+\s*:.*", key):
        return UserError(f"{place} Write an equals sign, without blanks: {key.replace(':', '=', 1).replace(' ', '')}.")
    if equals and key != key.strip():
        return UserError(f"{place} Write it without blanks around the equals sign: {key.strip()}={value.strip()}.")
    if value.startswith("~/"):
        return UserError(f'{place} Only a shell knows ~: write {key}="$HOME/{value[2:]}".')
    if value[:1] in "\u2212\u2013\u2014" and value:
        return UserError(f"{place} The dash before the number is no minus sign: {key}=-{value[1:]}.")
    quoted = f'{key.strip() or "key"}="{value if value and not set(value) & set(QUOTES) else "value"}"'
    return UserError(
        f"{place} Write key=value; a value with spaces or any of = , : {{ }} [ ] ( ) in it needs quotes of both kinds: "
        f"'{quoted}'."
    )


def _of_words(error: Exception) -> UserError | None:
    """Explain errors that can only be recognised by their message."""
    text = str(error).strip()
    lines = text.splitlines() or [type(error).__name__]
    for pattern, explain in (
        (r"Could not override '([^']+)'", _unknown_key),
        (r"Could not append to config\. An item is already at '([^']+)'", _known_key),
        (r"Could not delete from config\. '([^']+)' does not exist", _nothing_there),
        (r"Could not find '([^']+)'", lambda name: _unknown_file(name, lines[1:])),
        (r"Ambiguous value for argument '([^']+)'", _several_values),
        (r"Sweep parameters '([^']+)' requires", _several_values),
        (r"(Exceeds the limit)", lambda _: _endless_number(sys.argv[1:])),
        (r"Error merging override (.+?)\.?$", _misplaced_value),
        (r"Multiple values for ([\w/]+)\.", _chosen_twice),
        (r"Invalid defaults list in '([^']+)'", _no_list),
        (r"In '([^']+)': \w+ raised while composing", _no_mapping),
        (r"Cannot find primary config '([^']+)'", lambda name: _no_such("--config-name", name)),
        (r"Additional config directory '([^']+)'", lambda name: _no_such("--config-dir", Path(name).name)),
        (r"(Primary config directory) not found", lambda _: _no_such("--config-path", "conf/")),
        (r"Unknown plugin class : '([^']+)'", _no_plugin),
        (r"(Config group override must be)", lambda _: _no_name(sys.argv[1:])),
    ):
        found = re.search(pattern, lines[0])
        if found:
            return UserError(explain(found.group(1)))
    if isinstance(error, OmegaConfBaseException):
        taken = [argument for argument in sys.argv[1:] if argument.startswith("~")]
        remedy = f" Leave {' '.join(taken)} out: something else needs it." if taken else " See conf/."
        return UserError(f"{error.full_key or 'the configuration'}: {lines[0].rstrip('.')}.{remedy}")
    if isinstance(error, HydraException):
        return UserError(f"{lines[0].rstrip('.')}. See conf/ or python {_program()} --help.")
    return None


def _unknown_key(key: str) -> str:
    head, _, argument = key.partition(".")
    if head == "trainer" and argument in RESERVED_TRAINER_ARGUMENTS:
        return f"{key} cannot be set: {RESERVED_TRAINER_ARGUMENTS[argument]}."
    if "@" in key or "/" in key:
        return (
            f"{key}: a defaults list names a group that is not there. In a file of conf/experiment a group begins with "
            f"a slash: - override /model: pythia."
        )
    if key == "model.size":
        return f"{key} is a key of model=pythia alone: model=pythia model.size=2.8b."
    if _program() == "evaluate.py" and key in known_keys():
        return (
            f"{key}: this is a key of train.py; a run is evaluated with the settings it was trained with. Leave it out."
        )
    if key in known_keys():
        return f"{key}: the chosen files of conf/ do not have this key. +{key}=VALUE adds it."
    return (
        f"{key}: there is no such key.{_same_end(key) or hint(key, known_keys())} See conf/ or python {_program()} "
        f"--help."
    )


def _same_end(key: str) -> str:
    """Suggest the one known key that ends in the given name; empty if there is none or more than one."""
    found = [known for known in known_keys() if known.endswith(f".{key}")]
    return f" Did you mean {found[0]}?" if len(found) == 1 else ""


def _known_key(key: str) -> str:
    return f"+{key}: the key exists already; give it without the plus sign."


def _nothing_there(key: str) -> str:
    return f"~{key}: there is no such key to take out.{hint(key, known_keys())} See conf/."


def _unknown_file(name: str, lines: Iterable[str]) -> str:
    """Explain that a group has no such file: list the available names and what is often meant."""
    first, _, rest = name.partition("/")
    group, choice = (first, rest) if first in GROUPS else tuple(name.rsplit("/", 1))
    options = {line.strip() for line in lines if re.fullmatch(r"\t\S+|\s{2,}\S+", line)} - set(PARTS)
    remedy = hint(Path(choice).stem if "/" in choice else choice, options)
    pythia = re.search(r"pythia-([\w.]+)", choice)
    if group == "model" and pythia:
        remedy = f" Did you mean model=pythia model.size={pythia.group(1)}?"
    elif group == "data" and "." in choice:
        remedy = f" Did you mean data=jsonl data.train_file={choice}?"
    elif group == "model" and "/" in choice:
        remedy = f" Did you mean model=local model.name_or_path={choice}?"
    return f"{group}={choice}: there is no file {name}.yaml in conf/.{remedy} Available: {', '.join(sorted(options))}."


def _several_values(override: str) -> str:
    key, _, value = override.partition("=")
    if re.fullmatch(r"-?\d+,\d+", value):
        return (
            f"{override}: a comma lists several values. Write a decimal point, {key}={value.replace(',', '.')}, or "
            f"give -m to train with each."
        )
    several = "this lists" if "(" in value else "a comma lists"
    return f"{override}: {several} several values. Give -m to train with each, or '{key}=\"{value}\"' for one text."


def _endless_number(arguments: Iterable[str]) -> str:
    place = next((argument for argument in arguments if re.search(r"\d{4000}", argument)), "conf/")
    return f"{shown(place)}: a number has too many digits. Write one that its key can take, see conf/."


def _misplaced_value(override: str) -> str:
    key = override.partition("=")[0]
    if key.startswith("hydra."):
        return f"{override}: Hydra takes another kind of value there. Leave it out, see conf/hydra/."
    return f"{override}: this is a section, not a value; set its keys ({key}.NAME=...), see conf/."


def _chosen_twice(group: str) -> str:
    return (
        f"{group}: two files of this group are asked for. In the defaults list of the second write - override "
        f"/{group}: NAME, on the command line {group}=NAME."
    )


def _no_list(name: str) -> str:
    return f"conf/{name}.yaml: its 'defaults' is no list. Write a line for each: - override /model: pythia."


def _no_mapping(name: str) -> str:
    return f"conf/{name}.yaml: does not fit into the configuration. A file holds keys and values: key: value."


def _no_such(option: str, name: str) -> str:
    return f"{option}: {name} is not there. Leave {option} out; the files of this program are in conf/."


def _no_plugin(name: str) -> str:
    return f'{name} is not installed: it belongs to the extra sweep. Type: pip install -e ".[sweep]"'


def _no_name(arguments: Iterable[str]) -> str:
    """Explain that a group was given a number, a boolean or null instead of a file's name."""
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key in GROUPS and re.fullmatch(r"[\d.e+-]+|true|false|null", value, re.IGNORECASE):
            none = f" ~{key} takes it out." if value == "null" else ""
            return f"{argument}: {key} is a group of files; give the name of one in conf/{key}/.{none}"
    return f"{shown(' '.join(arguments))}: a group of conf/ was given no name of a file. See conf/."
