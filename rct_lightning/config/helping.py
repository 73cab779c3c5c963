"""``--help``: which settings a command takes, and their values as typed.

Hydra's own page takes half a second longer: to list the groups, it copies everything it knows about them a hundred
times.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict

from rct_lightning.config.explaining import PARTS


def help_page(script: Path, doc: str, overrides: Sequence[str]) -> str:
    """Return the help page of a command whose primary configuration has the script's name.

    Args:
        script: The script; its ``conf`` folder is beside it.
        doc: The script's docstring.
        overrides: The overrides typed together with ``--help``.

    Raises:
        HydraException: The overrides cannot be composed.
    """
    folder = script.parent / "conf"
    with initialize_config_dir(str(folder.resolve()), version_base="1.3"):
        cfg = compose(script.stem, list(overrides), return_hydra_config=True)
    chosen = {group: choice for group, choice in cfg.hydra.runtime.choices.items() if group.split("/")[0] != "hydra"}
    with open_dict(cfg):
        del cfg["hydra"]
    parts = [inspect.cleandoc(doc).replace("``", "")]
    if chosen:
        lines = [_of_group(folder / group, group, choice) for group, choice in sorted(chosen.items())]
        parts.append("== GROUP=NAME chooses a file of conf/GROUP/ ==\n" + "\n".join(lines))
    parts.append("== key=value sets one of these; as typed they are ==\n" + OmegaConf.to_yaml(cfg).rstrip())
    parts.append(f"What they mean stands beside them in conf/. Options of Hydra: python {script.name} --hydra-help")
    return "\n\n".join(parts)


def _of_group(folder: Path, group: str, choice: str | None) -> str:
    names = sorted(file.stem for file in folder.glob("*.yaml") if file.stem not in PARTS)
    return f"{group}={'null' if choice is None else choice} (or {', '.join(name for name in names if name != choice)})"
