"""TensorBoard output: everything that this project writes for it is written here (docs/tensorboard.md).

A run has one event folder, ``tensorboard/``, and in it one for its evaluations, ``tensorboard/eval/``, with the same
scalar names: TensorBoard draws a chart per name and a line per folder, so training and evaluation share a chart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from rct_lightning.figures import draw_losses, draw_terms
from rct_lightning.health import Alert
from rct_lightning.losses import TERMS
from rct_lightning.page import Paragraph, Table, block_as_markdown
from rct_lightning.runs import RunDir

EVALUATION = "eval"
LAYOUT = {
    "Losses": {
        "LM, terms and total": ["^loss/(lm|presence|coherence|continuity|total)$"],
        "LM, training and evaluation": ["^loss/lm$"],
        "relational terms": [f"^loss/{term}$" for term in TERMS],
    },
    "Terms at work": {
        "presence: bond over rupture, addressed and not": ["^presence/D_(un)?marked$"],
        "share of rows that a term judges": [f"^{term}/activity$" for term in TERMS],
        "own and user's words recalled among candidates": ["^(coherence|continuity)/candidate_accuracy$"],
        "gradient norms": ["^grad/.*_norm$"],
        "cosines with the LM gradient": ["^grad/.*_cosine_lm$"],
    },
}
"""Charts of the page 'Custom scalars': each shows all scalars whose names match one of its regular expressions."""


class BoardLogger(TensorBoardLogger):
    """Lightning's logger, plus a separate folder for evaluation, and tables, texts and figures.

    A step flushes nothing: the writer's own thread does so every two minutes, and each stage at its end.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._evaluation: Any = None

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers of a step; ``eval/...`` go to the evaluation folder, under the names used in training."""
        of_evaluation = {name: value for name, value in metrics.items() if name.startswith("eval/")}
        super().log_metrics({name: value for name, value in metrics.items() if name not in of_evaluation}, step)
        if of_evaluation:
            self._log_evaluation(of_evaluation, step)

    @rank_zero_only
    def _log_evaluation(self, metrics: Mapping[str, float], step: int | None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        if self._evaluation is None:  # purge what a killed run wrote from this step on; it is written again
            self._evaluation = SummaryWriter(str(Path(self.log_dir) / EVALUATION), purge_step=step)
        for name, value in metrics.items():
            self._evaluation.add_scalar(as_trained(name), value, step)

    def save(self) -> None:
        """Flush only: settings are in the run's config.yaml, so no hparams.yaml is written."""
        self.experiment.flush()

    def finalize(self, status: str) -> None:
        """Close the writers at the end of a stage."""
        super().finalize(status)
        if self._evaluation is not None:
            self._evaluation.close()

    @rank_zero_only
    def lay_out(self) -> None:
        """Write the charts of the page 'Custom scalars'."""
        layout = {page: {name: ["Multiline", tags] for name, tags in charts.items()} for page, charts in LAYOUT.items()}
        self.experiment.add_custom_scalars(layout)

    @rank_zero_only
    def show_samples(self, step: int, rows: Sequence[tuple[str, str, str]]) -> None:
        """Show replies to the fixed prompts; each row holds prompt, base and current reply."""
        self._add_table("samples", Table("Greedy replies to the fixed prompts.", ("prompt", "base", "now"), rows), step)

    @rank_zero_only
    def show_comparison(
        self, step: int, figures: Sequence[tuple[str, ...]], replies: Sequence[tuple[str, str, str]]
    ) -> None:
        """Show base against tuned after training: figures with their change, and replies."""
        header = ("", "base", "tuned", "change")
        self._add_table("base_and_tuned/figures", Table("On the evaluation rows.", header, figures), step)
        told = Table("Greedy replies to the fixed prompts.", ("prompt", "base", "tuned"), replies)
        self._add_table("base_and_tuned/replies", told, step)

    @rank_zero_only
    def show_alert(self, alert: Alert) -> None:
        """Show a health alert."""
        self.experiment.add_text("health", block_as_markdown(Paragraph(alert.line())), global_step=alert.step)

    def _add_table(self, name: str, table: Table, step: int) -> None:
        self.experiment.add_text(name, block_as_markdown(table), global_step=step)

    @rank_zero_only
    def show_figures(self, step: int, rows: list[dict[str, Any]], weights: Mapping[str, float]) -> None:
        """Show the losses, and how much and how often each term contributes to the total."""
        self.experiment.add_figure("figures/losses", draw_losses(rows), global_step=step)
        self.experiment.add_figure("figures/terms", draw_terms(rows, weights), global_step=step)

    @rank_zero_only
    def show_outcome(self, settings: Mapping[str, Any], outcome: Mapping[str, float], columns: Sequence[str]) -> None:
        """Write a row of the page 'HParams'; see :func:`write_outcome`."""
        write_outcome(self.experiment, settings, outcome, columns)


def board_of(trainer: L.Trainer) -> BoardLogger | None:
    """Return the run's BoardLogger, if it has one."""
    return next((logger for logger in trainer.loggers if isinstance(logger, BoardLogger)), None)


def as_trained(name: str) -> str:
    """Return the training name of an evaluation figure: ``eval/lm_loss`` is ``loss/lm``."""
    name = name.removeprefix("eval/")
    return name if "/" in name else f"loss/{name.removesuffix('_loss')}"


def write_outcome(
    writer: Any, settings: Mapping[str, Any], outcome: Mapping[str, float], columns: Sequence[str], step: int = 0
) -> None:
    """Write a row of the page 'HParams', or more figures for an existing one.

    TensorBoard takes the columns of the whole table from the first run it reads, and for each run only the first set
    written. So every run names all columns from the beginning, and gets figures for some of them later or never.

    Args:
        writer: A SummaryWriter of the run.
        settings: Column -> text, number or boolean.
        outcome: Column -> figure.
        columns: Names of all figures that may ever be written.
        step: Step of the figures.
    """
    from torch.utils.tensorboard.summary import hparams

    for summary in hparams(dict(settings), dict.fromkeys(columns, 0.0)):
        writer._get_file_writer().add_summary(summary)
    for name, value in outcome.items():
        writer.add_scalar(name, value, step)


def write_evaluation(
    run: RunDir,
    step: int,
    endpoints: Mapping[str, tuple[float, float]],
    settings: Mapping[str, Any],
    columns: Sequence[str],
) -> None:
    """Write the figures of evaluate.py: base at step 0, tuned at ``step``; nothing without a TensorBoard folder."""
    from torch.utils.tensorboard import SummaryWriter

    if not run.tensorboard.is_dir():
        return
    with SummaryWriter(str(run.tensorboard)) as writer:
        for name, (base, _) in endpoints.items():
            writer.add_scalar(name, base, 0)
        write_outcome(writer, settings, {name: tuned for name, (_, tuned) in endpoints.items()}, columns, step)
