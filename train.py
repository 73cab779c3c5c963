"""Train adapters by relationship: ``python train.py loss.lambda=0.3 trainer.accelerator=mps``."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from rct_lightning.config import refusing, run_command, validate
from rct_lightning.jobs import recorded, taken_up, tell_of_jobs
from rct_lightning.preflight import before_training


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
@refusing
@recorded
def main(cfg: DictConfig) -> float | None:
    """Train as configured; returns the figure that a sweeper minimises."""
    with taken_up(validate(cfg)) as job:
        if job.config is None:
            return job.objective
        before_training(job.config)  # mistakes are named before anything heavy is imported
        from rct_lightning.experiment import check, train

        if job.config.check == "only":
            check(job.config)
            return None
        return train(job.config).objective


if __name__ == "__main__":
    run_command(main, tell_of_jobs)
