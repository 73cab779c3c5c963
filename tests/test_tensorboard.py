"""What is written for TensorBoard, read back with TensorBoard's own readers; and ``rct board``."""

import html
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tensorboard import context
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups
from typer.testing import CliRunner

from rct_lightning.callbacks import BoardLogger
from rct_lightning.callbacks.tensorboard import as_trained, board_of, write_evaluation
from rct_lightning.cli import app
from rct_lightning.cli.board import _names
from rct_lightning.health import Alert
from rct_lightning.losses import TERMS
from rct_lightning.module import eval_metric
from rct_lightning.outcomes import COLUMNS
from rct_lightning.runs import RunDir
from rct_lightning.sanitize import printable


def logger_of(run: RunDir, **options: Any) -> BoardLogger:
    """Return a logger as the trainer of a run makes it."""
    return BoardLogger(
        save_dir=str(run.root), name=run.tensorboard.name, version="", default_hp_metric=False, **options
    )


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    board = EventAccumulator(str(folder)).Reload()
    return {name: {one.step: one.value for one in board.Scalars(name)} for name in board.Tags()["scalars"]}


def texts(folder: Path, name: str) -> dict[int, str]:
    board = EventAccumulator(str(folder), {"tensors": 0}).Reload()
    return {one.step: one.tensor_proto.string_val[0].decode() for one in board.Tensors(f"{name}/text_summary")}


# --- scalars --------------------------------------------------------------------------------------------------------


def test_training_and_evaluation_share_their_names(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    logger = logger_of(run)
    logger.log_metrics({"loss/lm": 5.0, "presence/D_marked": 1.0, "perf/lr": 0.1}, step=3)
    logger.log_metrics({eval_metric("lm"): 4.0, eval_metric("presence/D_marked"): 2.0, "eval/perplexity": 9.0}, step=3)
    logger.finalize("success")
    assert scalars(run.tensorboard) == {
        "loss/lm": {3: 5.0}, "presence/D_marked": {3: 1.0}, "perf/lr": {3: pytest.approx(0.1)}
    }  # fmt: skip
    assert scalars(run.tensorboard / "eval") == {
        "loss/lm": {3: 4.0}, "presence/D_marked": {3: 2.0}, "loss/perplexity": {3: 9.0}
    }  # fmt: skip
    assert not list(run.tensorboard.glob("*.yaml"))


def test_every_evaluation_figure_has_a_name_of_training() -> None:
    for name in ("lm", "total", "next_token", *TERMS):
        assert as_trained(eval_metric(name)) == f"loss/{name}"
    assert as_trained(eval_metric("continuity/recall_loss")) == "continuity/recall_loss"


def test_what_a_killed_run_said_of_later_steps_is_forgotten(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    killed = logger_of(run)
    for step in (5, 10):
        killed.log_metrics({"loss/lm": 1.0, "eval/lm_loss": 1.0}, step)
    killed.experiment.flush()
    killed.finalize("failed")
    resumed = logger_of(run, purge_step=8)
    resumed.log_metrics({"loss/lm": 2.0}, 9)
    resumed.log_metrics({"eval/lm_loss": 2.0}, 9)
    resumed.finalize("success")
    assert scalars(run.tensorboard) == {"loss/lm": {5: 1.0, 9: 2.0}}
    assert scalars(run.tensorboard / "eval") == {"loss/lm": {5: 1.0, 9: 2.0}}


def test_a_step_flushes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.utils.tensorboard import SummaryWriter

    logger, flushed = logger_of(RunDir(tmp_path)), []
    logger.log_metrics({"eval/lm_loss": 2.0}, 0)
    monkeypatch.setattr(SummaryWriter, "flush", lambda self: flushed.append(self))
    for step in range(100):
        logger.log_metrics({"loss/lm": 2.0, "eval/lm_loss": 2.0}, step)
    assert not flushed


# --- texts, layout, figures -----------------------------------------------------------------------------------------


def test_samples_are_a_table_in_which_a_reply_is_its_characters(tmp_path: Path) -> None:
    from tensorboard.plugin_util import markdown_to_safe_html

    run, reply = RunDir(tmp_path), "<img src=x> | a | **b** ~c~ `d` [e](f) _g_ \\* \x1b[2J"
    logger = logger_of(run)
    logger.show_samples(0, [("Hi", reply, "now")])
    logger.show_samples(7, [("Hi", reply, "later")])
    logger.show_alert(Alert("rule", 7, "**seen**", "means <i>", "remedy", False))
    logger.show_comparison(7, [("LM", "2.0", "1.0", "-1.0")], [("Hi", reply, "c")])
    logger.finalize("success")
    assert list(texts(run.tensorboard, "samples")) == [0, 7]
    for name in ("samples", "base_and_tuned/replies"):
        page = markdown_to_safe_html(texts(run.tensorboard, name)[7])
        cells = [html.unescape(cell) for cell in re.findall(r"<td>(.*?)</td>", page, re.S)]
        assert cells[:2] == ["Hi", " ".join(printable(reply).split())] and len(cells) == 3
    assert "<" not in texts(run.tensorboard, "health")[7] and "**" not in texts(run.tensorboard, "health")[7]


def test_the_layout_lays_lm_terms_and_total_over_each_other(tmp_path: Path) -> None:
    logger = logger_of(RunDir(tmp_path))
    logger.lay_out()
    logger.finalize("success")
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    (event,) = board.Tensors("custom_scalars__config__")
    layout = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])
    charts = {chart.title: list(chart.multiline.tag) for page in layout.category for chart in page.chart}
    for name in ("lm", *TERMS, "total"):
        assert any(re.match(tag, f"loss/{name}") for tag in charts["LM, terms and total"])
    assert not any(re.match(tag, "loss/next_token") for tag in charts["LM, terms and total"])


def test_figures_are_drawn_of_what_there_is(tmp_path: Path) -> None:
    logger = logger_of(RunDir(tmp_path))
    rows = [
        {"step": s, "phase": p, "lm_loss": 5.0, "presence_loss": 1.0, "presence_activity": 0.5}
        for s in (1, 2)
        for p in ("train", "eval")
    ]
    logger.show_figures(2, rows, {"presence": 0.3, "coherence": 0.0, "continuity": 0.3})
    logger.finalize("success")
    assert EventAccumulator(str(tmp_path / "tensorboard")).Reload().Tags()["images"] == [
        "figures/losses", "figures/terms"
    ]  # fmt: skip


def test_other_ranks_and_runs_without_a_logger_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert board_of(SimpleNamespace(loggers=[])) is None  # type: ignore[arg-type]
    write_evaluation(RunDir(tmp_path), 5, {"evaluation/x": (0.0, 1.0)}, {"seed": 1}, COLUMNS)
    from lightning.pytorch.utilities.rank_zero import rank_zero_only

    logger = logger_of(RunDir(tmp_path))
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger.log_metrics({"loss/lm": 1.0, "eval/lm_loss": 1.0}, 1)
    logger.show_outcome({"seed": 1}, {}, COLUMNS)
    logger.show_samples(1, [("a", "b", "c")])
    assert list(tmp_path.iterdir()) == []


# --- the table of many runs -----------------------------------------------------------------------------------------


def hparams_table(logs: Path) -> dict[str, tuple[dict[str, Any], dict[str, float]]]:
    """Return session -> settings and figures, as the page 'HParams' gets them."""
    events = EventMultiplexer().AddRunsFromDirectory(str(logs)).Reload()
    asked, backend = context.RequestContext(), backend_context.Context(
        TBContext(data_provider=MultiplexerDataProvider(events, str(logs)))
    )  # fmt: skip
    experiment = backend.experiment_from_metadata(
        asked, "", True, backend.hparams_metadata(asked, ""), backend.hparams_from_data_provider(asked, "", None)
    )
    request = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=99, allowed_statuses=[0, 1, 2, 3])
    for column in experiment.metric_infos:
        request.col_params.add(metric=column.name)
    groups = list_session_groups.Handler(asked, backend, "", request).run().session_groups
    return {
        group.sessions[0].name: (
            {name: value.string_value or value.number_value for name, value in group.hparams.items()},
            {figure.name.tag: figure.value for figure in group.sessions[0].metric_values},
        )
        for group in groups
    }


def test_a_multirun_is_one_table_that_evaluation_fills(tmp_path: Path) -> None:
    """The first run is never evaluated, and the columns of the others exist all the same."""
    for seed in (1, 2, 3):
        logger = logger_of(RunDir(tmp_path / f"seed={seed},x"))
        logger.show_outcome({"seed": seed, "loss": "relational"}, {"end/lm": seed / 2}, COLUMNS)
        logger.finalize("success")
    for seed, recall in ((2, 0.25), (3, 0.5), (3, 0.75)):  # the last one twice
        run = RunDir(tmp_path / f"seed={seed},x")
        endpoints = {"evaluation/continuity/recall": (0.125, recall)}
        write_evaluation(run, 20, endpoints, {"seed": seed, "loss": "relational"}, COLUMNS)
    table = hparams_table(tmp_path)
    assert {name: settings for name, (settings, _) in table.items()} == {
        f"seed={seed},x/tensorboard": {"seed": seed, "loss": "relational"} for seed in (1, 2, 3)
    }
    figures = {name[5]: found for name, (_, found) in table.items()}
    assert figures["1"] == {"end/lm": 0.5}
    assert figures["2"] == {"end/lm": 1.0, "evaluation/continuity/recall": 0.25}
    assert figures["3"] == {"end/lm": 1.5, "evaluation/continuity/recall": 0.75}
    assert scalars(tmp_path / "seed=2,x" / "tensorboard")["evaluation/continuity/recall"] == {0: 0.125, 20: 0.25}


# --- rct board ------------------------------------------------------------------------------------------------------


@pytest.fixture
def runs(tmp_path: Path) -> list[RunDir]:
    """Two runs of the same name, as in multiruns of different days."""
    found = [RunDir(tmp_path / day / "loss.lambda=0.3,seed=1") for day in ("today", "yesterday")]
    for run in found:
        logger = logger_of(run)
        logger.log_metrics({"loss/lm": 1.0, "eval/lm_loss": 2.0}, 1)
        logger.finalize("success")
        run.config.write_text("seed: 1\n")
    return found


def test_it_serves_the_runs_that_were_named_until_it_is_ended(runs: list[RunDir], tmp_path: Path) -> None:
    asked = ["board", *(str(run.root) for run in runs), "--port", "0"]
    code = f"from rct_lightning.cli import app; app({asked!r})"
    made = {"TMPDIR": str(tmp_path / "made")}
    (tmp_path / "made").mkdir()
    server = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **made},
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().rsplit(" ", 1)[1].strip()
        assert re.fullmatch(r"http://localhost:\d+/", address)
        found = _get_when_there(f"{address}data/runs", 4)
        assert found == [
            f"{day}_loss.lambda=0.3,seed=1{end}" for day in ("today", "yesterday") for end in ("", "/eval")
        ]
    finally:
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=60)
    assert server.returncode == 0 and "ended" in out and "Traceback" not in err
    assert list((tmp_path / "made").iterdir()) == [], "the links are gone"


def _get_when_there(address: str, count: int) -> list[str]:
    """Return what is served, once that much has been read."""
    for _ in range(600):
        with urllib.request.urlopen(address) as answer:
            found = json.load(answer)
        if len(found) >= count:
            break
        time.sleep(0.1)
    return sorted(found)


def said(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["board", *map(str, arguments)])
    assert done.exit_code == 2 and "Traceback" not in done.output
    return " ".join(done.output.split())


def test_what_it_cannot_show_is_refused(runs: list[RunDir], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "logs/train: there is no such folder" in said()
    assert "nowhere: there is no such folder" in said("nowhere")
    (tmp_path / "logs" / "train").mkdir(parents=True)
    assert "logs/train: no event files in it" in said()
    (tmp_path / "quiet").mkdir()
    (tmp_path / "quiet" / "config.yaml").write_text("seed: 1\n")
    assert "quiet/tensorboard: no event files in it" in said("quiet")
    assert "There is no run under" in said("latest")


def test_a_port_that_is_taken_is_told(runs: list[RunDir]) -> None:
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"--port {port}: TensorBoard cannot listen there" in said(runs[0].root, "--port", port)


def test_names_are_as_long_as_it_takes() -> None:
    assert _names([Path("/a/x"), Path("/a/y")]) == ["x", "y"]
    assert _names([Path("/a/x"), Path("/b/x")]) == ["a_x", "b_x"]
    assert len(set(_names([Path("/a/x"), Path("/a/x")]))) == 2
