"""The composed configuration: types, ranges, nearest names, and the allowlist of ``_target_``.

Hydra's struct mode refuses an unknown key but accepts wrong types and ``+new.key``; the schema here refuses both, names
every problem at once, and says what was probably meant. Nothing here imports torch, so a mistake is answered at once.
"""

from rct_lightning.config.command import as_override, in_multirun, job_directory, refusing, run_command
from rct_lightning.config.explaining import explain_composition_error
from rct_lightning.config.loading import load_run_config, save_run_config, validate, validate_evaluation
from rct_lightning.config.schema import (
    RESERVED_TRAINER_ARGUMENTS,
    TRAINER_ARGUMENTS,
    Config,
    EvaluateConfig,
    known_keys,
)
from rct_lightning.config.targets import ALLOWED_TARGETS

__all__ = [
    "ALLOWED_TARGETS",
    "RESERVED_TRAINER_ARGUMENTS",
    "TRAINER_ARGUMENTS",
    "Config",
    "EvaluateConfig",
    "as_override",
    "explain_composition_error",
    "in_multirun",
    "job_directory",
    "known_keys",
    "load_run_config",
    "refusing",
    "run_command",
    "save_run_config",
    "validate",
    "validate_evaluation",
]
