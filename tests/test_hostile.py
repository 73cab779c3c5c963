"""A model's own code is never run: the cases that hostile.py cannot cover, since they need the libraries.

Whatever is refused before a library is loaded is in tests/hostile.py and run by test_bad_inputs.py.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile import MODULE, PICKLE

from rct_lightning import checkpoint
from rct_lightning.backbone import load_backbone, load_tokenizer
from rct_lightning.data.tokens import RememberedTokens
from rct_lightning.errors import UserError
from rct_lightning.untrusted import check_tensors

ROOT = Path(__file__).parents[1]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory where a payload would leave its canary."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def base(here: Path, tiny_base: Path) -> Path:
    """A copy of a model, with its own Python module."""
    folder = here / "base"
    shutil.copytree(tiny_base, folder)
    for name in ("modeling_own.py", "tokenization_own.py", "evil.py"):
        (folder / name).write_bytes(MODULE)
    (here / "evil.py").write_bytes(MODULE)
    return folder


def change(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def answer_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers asks on the console whether to run a model's code, unless configured."""
    monkeypatch.setattr("builtins.input", lambda *_: "y")


def test_what_cannot_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(UserError, match=r"model\.safetensors: it cannot be read \(Is a directory\)"):
        check_tensors(tmp_path / "model.safetensors")


AUTO_MAP = {
    "AutoConfig": "modeling_own.Config",
    "AutoModelForCausalLM": "modeling_own.Model",
    "AutoTokenizer": ["tokenization_own.Tokenizer", "tokenization_own.Tokenizer"],
}
OWN_CODE: dict[str, Callable[[Path], Any]] = {
    "beside a known kind": lambda folder: change(folder / "config.json", auto_map=AUTO_MAP),
    "of an unknown kind": lambda folder: change(folder / "config.json", auto_map=AUTO_MAP, model_type="own"),
    "a tokenizer": lambda folder: change(folder / "tokenizer_config.json", auto_map=AUTO_MAP, tokenizer_class="Own"),
    "trusted by itself": lambda folder: change(folder / "config.json", auto_map=AUTO_MAP, trust_remote_code=True),
    "a tokenizer trusted by itself": lambda folder: change(
        folder / "tokenizer_config.json", auto_map=AUTO_MAP, tokenizer_class="Own", trust_remote_code=True
    ),
    "ways to generate": lambda folder: change(folder / "generation_config.json", custom_generate="evil"),
    "a processor": lambda folder: change(folder / "config.json", processor_class="evil.Own"),
    "a dtype": lambda folder: change(folder / "config.json", dtype="evil.run"),
    "a function for activations": lambda folder: change(folder / "config.json", hidden_act="evil.run"),
    "a kind of quantisation": lambda folder: change(
        folder / "config.json", quantization_config={"quant_method": "evil"}
    ),
}


@pytest.mark.parametrize("name", OWN_CODE)
def test_a_models_own_code_is_never_run(
    name: str, base: Path, here: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_yes(monkeypatch)
    OWN_CODE[name](base)
    for load in (load_tokenizer, lambda folder: load_backbone(folder, tokenizer, device="cpu", quantization="none")):
        try:
            load(str(base))
        except UserError as error:
            assert "\n" not in str(error) and "trust_remote_code" not in str(error), "no advice to open the door"
    assert not (here / "canary").exists()


@pytest.mark.parametrize(
    "listed",
    [
        '{"weight_map": ["a"]}',
        '{"weight_map": "abc"}',
        '{"weight_map": {"a": ["b"]}}',
        '{"weight_map": {}, "a": ',
        "[1]",
        "{}",
    ],
)
def test_a_damaged_list_of_weight_files_is_refused(listed: str, base: Path, tokenizer: Any) -> None:
    (base / "model.safetensors.index.json").write_text(listed)
    with pytest.raises(UserError, match=r"cannot be loaded: .*model\.safetensors\.index\.json"):
        load_backbone(str(base), tokenizer, device="cpu", quantization="none")


def test_a_door_that_is_open_would_be_seen(base: Path, here: Path) -> None:
    from transformers import AutoConfig

    change(base / "config.json", auto_map=AUTO_MAP, model_type="own")
    with pytest.raises(AttributeError):  # the module creates its canary, and defines no class
        AutoConfig.from_pretrained(str(base), trust_remote_code=True)
    assert (here / "canary").exists()


def test_a_checkpoint_of_pickles_is_not_read(here: Path) -> None:
    checkpoint.write(here / "step-1", {"a": torch.zeros(1)})
    for name in (checkpoint.TENSORS, checkpoint.STATE):
        (here / "step-1" / name).write_bytes(PICKLE)
        manifest = here / "step-1" / checkpoint.MANIFEST
        sums = json.loads(manifest.read_text()) | {name: checkpoint._sum(here / "step-1" / name)}
        manifest.write_text(json.dumps(sums))
        (here / "step-1" / checkpoint.MARKER).write_text(checkpoint._sum(manifest))
        with pytest.raises(checkpoint.CheckpointError, match="step-1"):
            checkpoint.read(here / "step-1")
    assert not (here / "canary").exists()


class Payload:
    """What numpy would unpickle."""

    def __reduce__(self) -> Any:
        return exec, (MODULE.decode(),)


@pytest.mark.parametrize("kept", ["objects", "pickle", "not whole", "too large"])
def test_tokens_that_were_kept_by_somebody_else_are_as_good_as_none(kept: str, here: Path, tokenizer: Any) -> None:
    RememberedTokens(tokenizer, here).keep()
    tokens = RememberedTokens(tokenizer, here)
    tokens("x", add_special_tokens=False)
    tokens.keep()
    (file,) = here.glob("*.npz")
    keys, ends, ids = np.zeros((1, 16), dtype=np.uint8), np.array([3]), np.array([1, 2, 3])
    if kept == "objects":
        np.savez(file, keys=np.array([Payload()], dtype=object), ends=ends, ids=ids)
    elif kept == "pickle":
        file.write_bytes(PICKLE)
    elif kept == "not whole":
        np.savez(file, keys=keys, ends=np.array([3, 9]), ids=ids)
    else:
        np.savez(file, keys=keys, ends=ends, ids=np.array([10**9, -1, 3]))
    again = RememberedTokens(tokenizer, here)
    assert again("x", add_special_tokens=False) == tokens("x", add_special_tokens=False)
    assert again._known == {} and not (here / "canary").exists()
