"""What only a GPU can show: pytest -m gpu -n 0 tests/test_gpu.py."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from short_runs import ROOT, Corpus, arguments, cut, make_base

from rct_lightning import footprint
from rct_lightning.backbone import Lora, checkpoint_activations, load_backbone
from rct_lightning.config import validate
from rct_lightning.experiment import Prepared, prepare
from rct_lightning.generation import SAMPLED, generate
from rct_lightning.runs import RunDir
from rct_lightning.template import DialogueTemplate

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine"),
]
DEVICE = "cuda:0"
NEVER, ONCE = (("model.quantization=nf4", f"model.dequantize={how}") for how in ("never", "once"))
IDS = torch.tensor([[5, 99, 300, 42, 7, 1000, 12, 13], [8, 9, 10, 11, 12, 13, 14, 15]])


def prepared(*overrides: str) -> Prepared:
    """Prepare the default run with half of its batches, on the bundled corpus and base, on Lightning's device."""
    files = [f"data.{side}_file={ROOT / 'data' / 'relational' / f'{side}.jsonl'}" for side in ("train", "eval")]
    fixed = [f"model.name_or_path={ROOT / 'data' / 'nano'}", "run_dir=unused", "data.batch_size=4", *files]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        run = prepare(validate(compose("train", ["trainer=gpu", *fixed, *overrides])))
    run.base.model.to(run.device)
    return run


def test_a_base_on_a_gpu_computes_in_bfloat16_and_its_adapters_learn_in_float32(
    tiny_base: Path, tokenizer: Any
) -> None:
    loaded = load_backbone(str(tiny_base), tokenizer, device=DEVICE, quantization="none")
    types = {"lora_" in name: parameter.dtype for name, parameter in loaded.model.named_parameters()}
    assert types == {False: torch.bfloat16, True: torch.float32}
    assert {parameter.device for parameter in loaded.model.parameters()} == {torch.device(DEVICE)}


@torch.no_grad()
def test_nf4_dequantized_once_computes_the_same_numbers_but_for_rounding(tiny_base: Path, tokenizer: Any) -> None:
    """There, bitsandbytes multiplies 4-bit weights with its own kernel, which rounds differently from torch's."""
    found = []
    for dequantize in ("never", "once"):
        torch.manual_seed(1)
        loaded = load_backbone(
            str(tiny_base), tokenizer, device=DEVICE, quantization="nf4", dequantize=dequantize, lora=Lora(4, 8, 0.0)
        )
        found.append(loaded.model.eval()(input_ids=IDS.to(DEVICE)).logits.float())
    assert (found[0] - found[1]).norm() < 2**-6 * found[1].norm()  # bfloat16 has 8 bits


@pytest.mark.parametrize("kind", [("model.quantization=none",), NEVER, ONCE], ids=["bf16", "nf4", "dequantised"])
def test_the_loss_and_its_gradient_are_those_of_a_processor(kind: tuple[str, ...]) -> None:
    found = {}
    for place in ("cpu", "gpu"):
        run = prepared(*kind, f"trainer={place}", "model.lora.dropout=0")
        model, batch = run.base.model.train(), next(run.data.widest_batches(1)).to(run.device)
        torch.manual_seed(1)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    parameter.copy_(torch.randn(parameter.shape) * 0.02)
        outcome = run.module.objective(model, batch, 0)
        outcome.total.backward()
        gradient = torch.cat([p.grad.flatten().cpu() for p in model.parameters() if p.grad is not None])
        found[place] = ({name: float(term) for name, term in outcome.terms.items()}, gradient)
    (expected, slope), (terms, gradient) = found["cpu"], found["gpu"]
    assert terms == pytest.approx(expected, rel=0.03)
    assert torch.cosine_similarity(slope, gradient, dim=0) > 0.99


@pytest.fixture(scope="module")
def larger_base(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    """A base so wide that the kernels' own memory is negligible: 58 million random parameters."""
    return make_base(tmp_path_factory.mktemp("larger"), tokenizer, hidden_size=1024, num_layers=6, num_heads=16)


@pytest.mark.parametrize("loss", ["lm", "relational"])
def test_the_estimate_of_memory_is_what_a_step_takes(loss: str, larger_base: Path) -> None:
    run = prepared(f"loss={loss}", "model.quantization=none", f"model.name_or_path={larger_base}")
    batch = next(run.data.widest_batches(1))
    of = [
        footprint.choose(asked, run.base.model, [batch], run.module.objective.phrase_tokens, 1 << 60).footprint
        for asked in (False, True)
    ]
    batch = batch.to(run.device)
    for expected in of:
        if expected.checkpointing:
            checkpoint_activations(run.base.model)
        run.base.model.train()
        run.module.objective(run.base.model, batch, 0).total.backward()  # gradients exist from now on
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run.module.objective(run.base.model, batch, 0).total.backward()
        peak = torch.cuda.max_memory_allocated() - before + expected.optimizer // 3
        assert expected.total - expected.optimizer * 2 // 3 == pytest.approx(peak, rel=0.2), f"{expected}, {peak:,}"


def test_sampling_leaves_no_trace_on_the_gpu(tiny_base: Path, tokenizer: Any) -> None:
    model = load_backbone(str(tiny_base), tokenizer, device=DEVICE, quantization="none").model
    before = torch.cuda.get_rng_state()
    first, again = (
        generate(model, tokenizer, DialogueTemplate(), [((), "Are you there?")], SAMPLED, seed=5) for _ in range(2)
    )
    assert first == again
    assert torch.equal(torch.cuda.get_rng_state(), before)


def typed(folder: Path, *arguments: str) -> str:
    """Run ``python train.py``, check that it succeeds, and return its output."""
    command = [sys.executable, str(ROOT / "train.py"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("kind", [("model.quantization=none",), NEVER], ids=["bf16", "nf4"])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(
    kind: tuple[str, ...], corpus: Corpus, tmp_path: Path
) -> None:
    """On one GPU with deterministic kernels: the same adapter, bit for bit."""
    settings = [*arguments(corpus, *kind), "trainer=gpu", "trainer.deterministic=true", "data.batch_size=8"]
    typed(tmp_path, *settings, "hydra.run.dir=whole")
    again = cut(tmp_path / "whole", tmp_path / "again", 11)
    typed(tmp_path, f"resume={again}")
    expected, found = (RunDir(tmp_path / name).adapter / "adapter_model.safetensors" for name in ("whole", "again"))
    assert found.read_bytes() == expected.read_bytes()
