"""The composed configuration: types, ranges, nearest names, and the allowlist of ``_target_``.

Hydra's struct mode refuses an unknown key but accepts wrong types and ``+new.key``; the schema here refuses both,
reports every problem in one message, and suggests what was probably meant. Nothing here imports torch, so a mistake is
reported immediately.
"""

from rct_lightning.config.command import as_override, in_multirun, refusing, run_command
from rct_lightning.config.loading import load_run_config, save_run_config, validate, validate_evaluation
from rct_lightning.config.schema import Config, EvaluateConfig

__all__ = [
    "Config",
    "EvaluateConfig",
    "as_override",
    "in_multirun",
    "load_run_config",
    "refusing",
    "run_command",
    "save_run_config",
    "validate",
    "validate_evaluation",
]
