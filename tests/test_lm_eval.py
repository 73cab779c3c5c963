"""EleutherAI's evaluation harness on an exported model, offline.

Its command is looked up on the PATH, so that it may be in another environment:

    PATH=ENVIRONMENT/bin:$PATH pytest -m long -n 0 tests/test_lm_eval.py
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from short_runs import Corpus, configured

from rct_lightning.backbone import AdapterCard, save_adapter
from rct_lightning.config import save_run_config
from rct_lightning.evaluation.probes import read_probes
from rct_lightning.export.request import Request
from rct_lightning.export.writing import export
from rct_lightning.runs import RunDir
from rct_lightning.scoring import score_continuations
from rct_lightning.template import DialogueTemplate
from rct_lightning.trained import load_trained

PROBES = Path(__file__).parents[1] / "data" / "probes.jsonl"
TASKS = Path(__file__).parent / "lm_eval"
COMMAND = shutil.which("lm_eval")
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


@pytest.mark.long
@pytest.mark.skipif(
    COMMAND is None, reason="lm_eval is not installed; pip install lm_eval puts its command on the PATH"
)
@pytest.mark.parametrize("merge", [True, False])
def test_the_harness_gets_the_runs_likelihoods(
    corpus: Corpus, make_backbone: Any, tokenizer: Any, tmp_path: Path, merge: bool
) -> None:
    run, to = RunDir(tmp_path / "run"), tmp_path / "exported"
    save_run_config(configured(corpus, run.root, "model.quantization=none"), run.config)
    card = AdapterCard("local", "Trained.")
    save_adapter(make_backbone().model, tokenizer, DialogueTemplate(), run.adapter, card, "Measured.")
    export(Request(run, to, merge=merge), "cpu")
    probes = [probe for probe in read_probes(PROBES) if probe.kind == "recall"][:6]
    lines = PROBES.read_text(encoding="utf-8").splitlines()
    chosen = [line for line in lines if json.loads(line)["id"] in {probe.id for probe in probes}]
    (tmp_path / "recall.jsonl").write_text("\n".join(chosen) + "\n", encoding="utf-8")

    model = f"pretrained={to}" if merge else f"pretrained={corpus.base},peft={to},tokenizer={to}"
    said = _harness(tmp_path, model)

    trained = load_trained(run, accelerator="cpu")
    for probe, found in zip(probes, said, strict=True):
        assert probe.id == found["doc"]["id"]
        text = trained.template.prompt(probe.input, probe.context) + " " + probe.fields["prefix"]
        prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
        options = [tokenizer(f" {word}", add_special_tokens=False)["input_ids"] for word in probe.fields["candidates"]]
        pairs = [(prompt, option) for option in options]
        mean = score_continuations(trained.model.eval(), pairs, tokenizer.pad_token_id, "cpu", 4)
        expected = mean * torch.tensor([float(len(option)) for option in options])
        harness = torch.tensor([float(likelihood) for likelihood, _ in found["filtered_resps"]])
        torch.testing.assert_close(harness, expected.float(), rtol=0, atol=1e-3)


def _harness(folder: Path, model: str) -> list[dict[str, Any]]:
    """Run the command in a folder with recall.jsonl; return its result for each probe, in order."""
    arguments = ["--model", "hf", "--model_args", model, "--tasks", "rct_recall", "--include_path", str(TASKS)]
    arguments += ["--device", "cpu", "--log_samples", "--output_path", "found"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= OFFLINE | {"HF_HOME": str(folder / "hf")}
    done = subprocess.run([str(COMMAND), *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    (file,) = (folder / "found").glob("*/samples_rct_recall_*.jsonl")
    return sorted(map(json.loads, file.read_text().splitlines()), key=lambda one: int(one["doc_id"]))
