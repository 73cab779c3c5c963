"""Compare a trained adapter with its own base: ``python evaluate.py run=DIR`` (or ``run=latest``)."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from rct_lightning.config import refusing, run_command, validate_evaluation
from rct_lightning.preflight import before_evaluation


@hydra.main(version_base="1.3", config_path="conf", config_name="evaluate")
@refusing
def main(cfg: DictConfig) -> None:
    """Evaluate a run and write its report."""
    config = validate_evaluation(cfg)
    before_evaluation(config)  # mistakes are named before anything heavy is imported
    from rct_lightning.experiment import evaluate

    evaluate(config)


if __name__ == "__main__":
    run_command(main)
