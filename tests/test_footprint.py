"""The memory of a training step is predicted before the first one, and decides whether activations are kept."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch.profiler import ProfilerActivity, profile

from rct_lightning import footprint
from rct_lightning.backbone import checkpoint_activations
from rct_lightning.config import validate
from rct_lightning.experiment import Prepared, prepare

ROOT = Path(__file__).parents[1]
PLENTY = 1 << 60


def prepared(loss: str) -> Prepared:
    """Prepare the default run with this loss and half of its batches, on the bundled corpus and base."""
    overrides = [f"loss={loss}", f"model.name_or_path={ROOT / 'data' / 'nano'}", "run_dir=unused", "data.batch_size=4"]
    files = [f"data.{side}_file={ROOT / 'data' / 'relational' / f'{side}.jsonl'}" for side in ("train", "eval")]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return prepare(validate(compose("train", [*overrides, *files])))


@pytest.fixture(scope="module")
def untouched() -> Prepared:
    return prepared("relational")


def choose(run: Prepared, asked: bool | str, batch: Any, free: int = PLENTY) -> footprint.Choice:
    return footprint.choose(asked, run.base.model, [batch], run.module.objective.phrase_tokens, free)


def allocated_at_peak(run: Prepared, batch: Any) -> int:
    """Return the bytes that torch allocates at most during a step, in addition to what it held before."""
    run.base.model.train()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        run.module.objective(run.base.model, batch, 0).total.backward()
    assert watched.profiler is not None
    events = [event for event in watched.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


@pytest.mark.parametrize("loss", ["lm", "relational"])
def test_the_estimate_is_what_a_step_takes(loss: str) -> None:
    run = prepared(loss)
    batch = next(run.data.widest_batches(1))
    kept, again = (choose(run, asked, batch).footprint for asked in (False, True))
    for expected in (kept, again):
        if expected.checkpointing:
            checkpoint_activations(run.base.model)
        peak = allocated_at_peak(run, batch)
        assert expected.total == pytest.approx(peak, rel=0.2), f"{expected}, measured {peak / 2**20:.0f} MiB"
    assert again.total < kept.total / 2


def test_activations_are_kept_while_they_fit(untouched: Prepared) -> None:
    batch = next(untouched.data.widest_batches(1))
    kept, again = (choose(untouched, asked, batch).footprint for asked in (False, True))
    for free, expected, warns in (
        (2 * kept.total, kept, False),
        (kept.total, again, False),  # not to the last byte
        (again.total // 2, again, True),
    ):
        found = choose(untouched, "auto", batch, free)
        assert found.footprint == expected
        assert ("data.batch_size" in found.line()) is warns


def test_looking_leaves_no_trace(untouched: Prepared) -> None:
    model = untouched.base.model.eval()
    before = torch.get_rng_state()
    footprint.measure_kept(model)
    assert torch.equal(torch.get_rng_state(), before) and not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
