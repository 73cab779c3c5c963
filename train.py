"""Train adapters by relationship: ``python train.py loss.lambda=0.3 trainer.accelerator=mps``."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from rct_lightning.config import refusing, run_command, validate
from rct_lightning.preflight import before_training


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
@refusing
def main(cfg: DictConfig) -> float | None:
    """Train as configured; returns the figure that a sweeper minimises."""
    config = validate(cfg)
    before_training(config)  # mistakes are named before anything heavy is imported
    from rct_lightning.experiment import check, train

    if config.check == "only":
        check(config)
        return None
    return train(config).objective


if __name__ == "__main__":
    run_command(main)
