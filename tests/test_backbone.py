import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import move_adapters
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE, WordLevel
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from torch import nn
from transformers import (
    FalconConfig,
    FalconForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    MambaConfig,
    MambaForCausalLM,
    PreTrainedTokenizerFast,
)

from rct_lightning.backbone import (
    AdapterCard,
    Lora,
    adapter_state,
    checkpoint_activations,
    devices,
    load_backbone,
    load_tokenizer,
    loading,
    nf4_problem,
    placement,
    quantization,
    resolve_accelerator,
    save_adapter,
)
from rct_lightning.errors import UserError
from rct_lightning.template import DialogueTemplate
from rct_lightning.untrusted import load_template

IDS = torch.tensor([[5, 99, 300, 42, 7, 1000, 12, 13], [8, 9, 10, 11, 12, 13, 14, 15]])
needs_nf4 = pytest.mark.skipif(nf4_problem("cpu") is not None, reason=f"NF4: {nf4_problem('cpu')}")


@torch.no_grad()
def logits(backbone: Any) -> torch.Tensor:
    return backbone.model.eval()(input_ids=IDS).logits


# --- placement ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accelerator", "rank", "device"),
    [
        ("cpu", 0, "cpu"),
        ("cpu", 3, "cpu"),
        ("mps", 0, "mps"),
        ("gpu", 0, "cuda:0"),
        ("gpu", 3, "cuda:3"),
        ("cuda", 1, "cuda:1"),
    ],
)
def test_placement_is_a_pure_function_of_accelerator_and_rank(
    accelerator: str, rank: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: Any) -> bool:
        raise AssertionError("placement looked at the machine")

    monkeypatch.setattr(torch.cuda, "is_available", asked)
    monkeypatch.setattr(torch.backends.mps, "is_available", asked)
    assert placement(accelerator, rank) == device


@pytest.mark.parametrize(("accelerator", "rank"), [("tpu", 0), ("auto", 0), ("mps", 1)])
def test_a_place_that_does_not_exist_is_an_error(accelerator: str, rank: int) -> None:
    with pytest.raises(ValueError, match="accelerator|rank"):
        placement(accelerator, rank)


@pytest.mark.parametrize(
    ("machine", "asked", "got"),
    [
        (["cpu"], "auto", "cpu"),
        (["mps", "cpu"], "auto", "mps"),
        (["gpu", "cpu"], "auto", "gpu"),
        (["gpu", "cpu"], "cuda", "gpu"),
        (["gpu", "cpu"], "cpu", "cpu"),
        (["cpu"], "gpu", None),
        (["gpu", "cpu"], "mps", None),
    ],
)
def test_an_accelerator_is_had_or_named_as_missing(
    machine: list[str], asked: str, got: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "available_accelerators", lambda: machine)
    if got is not None:
        assert resolve_accelerator(asked) == got
        return
    with pytest.raises(UserError, match=f"trainer.accelerator={asked}.*It has: {', '.join(machine)}"):
        resolve_accelerator(asked)


# --- quantization ---------------------------------------------------------------------------------------------------


@needs_nf4
def test_nf4_dequantized_once_computes_the_same_numbers(make_backbone: Any) -> None:
    never = make_backbone(quantization="nf4", dequantize="never")
    once = make_backbone(quantization="nf4", dequantize="once")
    full = make_backbone(quantization="none")
    assert torch.equal(logits(never), logits(once))
    assert (logits(once) - logits(full)).abs().max() > 1e-3, "nothing was quantised"
    kinds = [{type(module).__name__ for module in b.model.modules()} for b in (never, once)]
    assert "Linear4bit" in kinds[0] and "Linear4bit" not in kinds[1]
    assert never.precision.dtype == once.precision.dtype == torch.float32
    assert never.precision.weight_bytes < once.precision.weight_bytes == full.precision.weight_bytes


@needs_nf4
def test_an_evaluation_in_between_does_not_change_what_nf4_learns(make_backbone: Any, gradient: Any) -> None:
    found = []  # on some CPUs bitsandbytes repacks its weights for inference, and no gradient flows after that
    for dequantize in ("once", "never"):
        backbone = make_backbone(quantization="nf4", dequantize=dequantize)
        logits(backbone)
        model = backbone.model.train()
        found.append(gradient(model(input_ids=IDS, labels=IDS).loss, model))
    assert found[0].norm() > 0.1
    torch.testing.assert_close(found[1], found[0], atol=1e-6, rtol=0)


@pytest.mark.skipif(not Path("/proc/meminfo").is_file(), reason="tells what a system without /proc does not")
def test_memory_that_caches_files_is_free() -> None:
    (available,) = re.findall(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"))
    assert devices.free_memory("cpu") == pytest.approx(int(available) * 1024, rel=0.1)


@needs_nf4
def test_auto_says_what_it_chose_and_why(make_backbone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = make_backbone(quantization="auto", dequantize="auto").precision.line()
    assert "asked auto, effective nf4, dequantized once" in fits
    assert "NF4 works on cpu" in fits and "full weights fit" in fits and "float32" in fits
    monkeypatch.setattr(quantization, "free_memory", lambda device: 1000)
    tight = make_backbone(quantization="auto", dequantize="auto").precision.line()
    assert "effective nf4," in tight and "full weights do not fit" in tight


def test_where_nf4_does_not_work_auto_goes_without_and_nf4_is_refused(
    make_backbone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantization, "nf4_problem", lambda device: "bitsandbytes says no.")
    line = make_backbone(quantization="auto").precision.line()
    assert "asked auto, effective none" in line and "bitsandbytes says no." in line
    with pytest.raises(
        UserError, match="quantization=nf4 cannot be had on cpu: bitsandbytes says no.*quantization=none"
    ):
        make_backbone(quantization="nf4")


@needs_nf4
def test_a_base_that_nf4_leaves_as_it_is_is_not_called_nf4(tokenizer: Any, tmp_path: Path) -> None:
    """Falcon's linear layers are of its own class, which bitsandbytes passes over without a word."""
    config = FalconConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    FalconForCausalLM(config).save_pretrained(tmp_path)

    def loaded(quantization: Any) -> Any:
        return load_backbone(str(tmp_path), tokenizer, device="cpu", quantization=quantization)

    precision = loaded("auto").precision
    assert (precision.asked, precision.effective) == ("auto", "none") and "changes nothing" in precision.why
    with pytest.raises(UserError, match=r"quantization=nf4: .* cannot be held in 4 bits.*quantization=none"):
        loaded("nf4")


def test_a_failing_nf4_kernel_is_a_reason_and_no_crash() -> None:
    assert "bitsandbytes says" in str(nf4_problem("cuda:77"))


# --- what trains ----------------------------------------------------------------------------------------------------


def test_adapters_train_and_the_base_is_frozen(make_backbone: Any, tokenizer: Any) -> None:
    model = make_backbone().model
    trainable = adapter_state(model)
    assert trainable and all("lora_" in name for name in trainable)
    assert all("lora_" in name or not parameter.requires_grad for name, parameter in model.named_parameters())
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.SGD(trainable.values(), lr=0.1)
    model.train()(input_ids=IDS, labels=IDS).loss.backward()
    optimizer.step()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) is (name not in trainable), name


def test_new_adapters_change_nothing(make_backbone: Any, tiny_base: Path) -> None:
    from transformers import GPTNeoXForCausalLM

    with torch.no_grad():
        base = GPTNeoXForCausalLM.from_pretrained(tiny_base).eval()(input_ids=IDS).logits
    assert torch.equal(logits(make_backbone(trained=False)), base)
    assert not torch.equal(logits(make_backbone(trained=True)), base)


def test_adapters_compute_in_the_type_of_the_base_and_learn_in_float32(
    make_backbone: Any, gradient: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """peft alone would keep a float32 copy of every layer's input, in addition to a base in bfloat16."""
    exact = make_backbone().model.train()
    monkeypatch.setattr(loading, "compute_dtype", lambda device: torch.bfloat16)
    model = make_backbone().model.train()
    assert {parameter.dtype for parameter in adapter_state(model).values()} == {torch.float32}
    kept: list[torch.Size] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.dtype == torch.float32 and tensor.numel() == IDS.numel() * 128:
            kept.append(tensor.shape)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = model(input_ids=IDS, labels=IDS, use_cache=False).loss
    assert not kept, "the input of the widest layer is held in float32"
    found, expected = gradient(loss, model), gradient(exact(input_ids=IDS, labels=IDS, use_cache=False).loss, exact)
    assert found.dtype == torch.float32
    assert torch.cosine_similarity(found, expected, dim=0) > 0.999


@pytest.mark.parametrize("quantization", ["none", pytest.param("nf4", marks=needs_nf4)])
def test_adapters_within_the_product_give_the_loss_and_the_gradient_of_pefts_own(
    quantization: Any, make_backbone: Any, gradient: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_backbone(quantization=quantization, dequantize="never").model.train()
    monkeypatch.setattr(loading, "quicken", lambda model: None)
    pefts = make_backbone(quantization=quantization, dequantize="never").model.train()
    passes = {"ours": 0, "peft's": 0}
    for name, each in (("ours", model), ("peft's", pefts)):
        for half in (module for path, module in each.named_modules() if path.endswith("lora_B.default")):
            half.register_forward_hook(lambda *_, name=name: passes.update({name: passes[name] + 1}))
    losses = [each(input_ids=IDS, labels=IDS, use_cache=False).loss for each in (model, pefts)]
    torch.testing.assert_close(losses[0], losses[1], atol=1e-5, rtol=0)
    torch.testing.assert_close(gradient(losses[0], model), gradient(losses[1], pefts), atol=1e-5, rtol=1e-5)
    assert passes == {"ours": 0, "peft's": 8}, "a pass of its own for the upper half of an adapter"
    with torch.no_grad(), model.disable_adapter(), pefts.disable_adapter():
        assert torch.equal(model(input_ids=IDS).logits, pefts(input_ids=IDS).logits)


def test_gradient_checkpointing_gives_the_same_gradient(make_backbone: Any, gradient: Any) -> None:
    found, calls = [], []
    for checkpointing in (False, True):
        model = make_backbone().model.train()
        if checkpointing:
            checkpoint_activations(model)
        layer = model.get_base_model().gpt_neox.layers[0].attention
        hook = layer.register_forward_hook(lambda *_: calls.append(checkpointing))  # noqa: B023
        found.append(gradient(model(input_ids=IDS, labels=IDS, use_cache=False).loss, model))
        hook.remove()
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=0)
    assert (calls.count(False), calls.count(True)) == (1, 2), "activations were not recomputed"


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=256,
    )
    folder = tmp_path_factory.mktemp("llama")
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_every_linear_layer_gets_an_adapter_whatever_the_architecture(
    llama: Path, tiny_base: Path, tokenizer: Any
) -> None:
    for folder, per_layer in ((llama, 7), (tiny_base, 4)):
        model = load_backbone(str(folder), tokenizer, device="cpu", quantization="none").model
        adapted = {name for name, module in model.named_modules() if hasattr(module, "lora_A")}
        causal_lm = model.get_base_model()
        inside = {
            name
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear) and "lora_" not in name and module is not causal_lm.get_output_embeddings()
        }
        assert {f"{name}.base_layer" for name in adapted} == inside
        assert len(adapted) == 2 * per_layer


def test_an_architecture_without_adapters_is_refused(tokenizer: Any, tmp_path: Path) -> None:
    MambaForCausalLM(
        MambaConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, state_size=4)
    ).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=f"{tmp_path}: peft cannot put adapters .* mamba .*Give a transformer"):
        load_backbone(str(tmp_path), tokenizer, device="cpu", quantization="none")


# --- loading --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", ["tokenizer", "model"])
def test_an_unknown_name_is_one_paragraph_offline(load: str, tokenizer: Any) -> None:
    with pytest.raises(UserError) as error:
        if load == "tokenizer":
            load_tokenizer("nobody/no-such-model")
        else:
            load_backbone("nobody/no-such-model", tokenizer, device="cpu", quantization="none")
    said = str(error.value)
    assert said.startswith("model.name_or_path=nobody/no-such-model: the ")
    assert "is neither a local folder nor in the local cache" in said
    assert "model=nano" in said and "\n" not in said and len(said) < 600


def test_a_folder_without_a_model_says_what_it_needs(tmp_path: Path, tokenizer: Any) -> None:
    for load in (lambda f: load_tokenizer(f), lambda f: load_backbone(f, tokenizer, device="cpu", quantization="none")):
        with pytest.raises(UserError, match="in this folder cannot be loaded.*safetensors"):
            load(str(tmp_path))


def test_pickled_weights_are_not_loaded(tiny_base: Path, tokenizer: Any, tmp_path: Path) -> None:
    for file in tiny_base.iterdir():
        if file.suffix == ".json":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    torch.save({"x": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="cannot be loaded"):
        load_backbone(str(tmp_path), tokenizer, device="cpu", quantization="none")


def test_a_base_that_lacks_weights_is_refused(llama: Path, tokenizer: Any, tmp_path: Path) -> None:
    """A reward model has no output layer; transformers would draw one at random."""
    LlamaForSequenceClassification.from_pretrained(llama).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=rf"{tmp_path}: its files lack weights of the model, lm_head\.weight, which"):
        load_backbone(str(tmp_path), tokenizer, device="cpu", quantization="none")


def test_tied_weights_are_not_missing(llama: Path, tokenizer: Any, tmp_path: Path) -> None:
    config = LlamaConfig.from_pretrained(llama, tie_word_embeddings=True)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    load_backbone(str(tmp_path), tokenizer, device="cpu", quantization="none")


def test_padding_differs_from_eos_or_the_tokenizer_is_refused(tokenizer: Any, tmp_path: Path) -> None:
    def loaded(**changes: str | None) -> Any:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        tokenizer.save_pretrained(folder)
        file = folder / "tokenizer_config.json"
        config = json.loads(file.read_text(encoding="utf-8")) | changes
        file.write_text(json.dumps({k: v for k, v in config.items() if v is not None}), encoding="utf-8")
        return load_tokenizer(str(folder))

    for pad in (None, tokenizer.eos_token):  # Pythia's configuration names none
        assert loaded(pad_token=pad).pad_token == "<|padding|>"
    assert loaded().padding_side == "right"
    with pytest.raises(UserError, match="no end-of-sequence token"):
        loaded(eos_token=None)


@pytest.fixture
def gpt2(tmp_path: Path) -> Path:
    """A GPT-2 with a tokenizer like its own: bytes, merges, and one special token."""
    trained = Tokenizer(BPE())
    trained.pre_tokenizer, trained.decoder = ByteLevel(add_prefix_space=False), ByteLevelDecoder()
    trainer = BpeTrainer(vocab_size=300, special_tokens=["<|endoftext|>"], initial_alphabet=ByteLevel.alphabet())
    trained.train_from_iterator(["the rain on the roof of the house, and the lantern at the window"], trainer)
    only = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=trained, **only)
    tokenizer.save_pretrained(tmp_path)
    GPT2LMHeadModel(
        GPT2Config(vocab_size=len(tokenizer), n_positions=256, n_embd=32, n_layer=2, n_head=2)
    ).save_pretrained(tmp_path)
    return tmp_path


def test_a_tokenizer_without_padding_pads_with_a_token_that_no_text_has(gpt2: Path) -> None:
    tokenizer = load_tokenizer(str(gpt2))
    assert tokenizer.eos_token_id != tokenizer.pad_token_id < len(tokenizer)
    text = "the \u00ff of 100 windows <|endoftext|>"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert not {tokenizer.eos_token_id, tokenizer.pad_token_id} & set(ids)
    load_backbone(str(gpt2), tokenizer, device="cpu", quantization="none")


def test_a_tokenizer_without_bytes_pads_with_its_last_token(tmp_path: Path) -> None:
    words = {"rain": 0, "</s>": 1, "lantern": 2, "roof": 3}
    backend = Tokenizer(WordLevel(words, unk_token="rain"))
    PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>").save_pretrained(tmp_path)
    tokenizer = load_tokenizer(str(tmp_path))
    assert (tokenizer.pad_token, tokenizer.pad_token_id) == ("roof", 3)


def test_a_token_without_an_embedding_is_refused(gpt2: Path) -> None:
    tokenizer = load_tokenizer(str(gpt2))
    rows = len(tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|never said|>"]})
    load_backbone(str(gpt2), tokenizer, device="cpu", quantization="none")
    tokenizer.add_special_tokens({"pad_token": "<pad>"})
    said = (
        f"{gpt2}: the tokenizer's token '<pad>' is number {rows + 1}, and the model has embeddings for 0 to {rows - 1}"
    )
    with pytest.raises(UserError, match=re.escape(said)):
        load_backbone(str(gpt2), tokenizer, device="cpu", quantization="none")


# --- saving ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(make_backbone: Any, tokenizer: Any, tmp_path: Path) -> tuple[Any, Path]:
    trained = make_backbone()
    folder = tmp_path / "adapter"
    template = DialogueTemplate("Mensch", "Aelara")
    save_adapter(trained.model, tokenizer, template, folder, AdapterCard("nano", "Trained."), "Measured.")
    return trained, folder


def test_a_saved_adapter_is_safetensors_with_tokenizer_template_and_card(saved: Any, tiny_base: Path) -> None:
    _, folder = saved
    names = {file.name for file in folder.iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "README.md"} <= names
    assert not [name for name in names if Path(name).suffix in (".bin", ".pt", ".pkl", ".ckpt")]
    assert load_template(folder) == DialogueTemplate("Mensch", "Aelara")
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("# LoRA adapter for nano\n") and "Trained. Measured." in card


def test_no_saved_file_tells_a_local_path(saved: Any, tiny_base: Path) -> None:
    _, folder = saved
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == "nano"
    for file in folder.iterdir():
        content = file.read_bytes()
        assert str(tiny_base).encode() not in content, file.name
        assert str(folder.parent).encode() not in content, file.name
        assert str(Path(__file__).parents[1]).encode() not in content, file.name


def test_a_saved_adapter_loads_again_with_equal_logits(saved: Any, make_backbone: Any) -> None:
    trained, folder = saved
    again = make_backbone(trained=False, lora=None, adapter=folder)
    assert torch.equal(logits(again), logits(trained))
    assert not torch.equal(logits(again), logits(make_backbone(trained=False)))
    assert list(adapter_state(again.model)) == list(adapter_state(trained.model)), "a loaded adapter can train on"


def test_an_adapter_that_is_not_there_or_does_not_fit_is_refused(
    saved: Any, make_backbone: Any, llama: Path, tokenizer: Any, tmp_path: Path
) -> None:
    _, folder = saved
    with pytest.raises(UserError, match="no adapter_model.safetensors"):
        make_backbone(trained=False, adapter=tmp_path)
    (tmp_path / "adapter_model.bin").write_bytes(b"x")
    with pytest.raises(UserError, match="no adapter_model.safetensors"):
        make_backbone(trained=False, adapter=tmp_path)
    with pytest.raises(UserError, match="does not fit its base model"):
        load_backbone(str(llama), tokenizer, device="cpu", quantization="none", adapter=folder)


@pytest.mark.parametrize("damage", ["truncated", "empty", "garbage"])
def test_a_damaged_adapter_is_refused(saved: Any, make_backbone: Any, damage: str) -> None:
    file = saved[1] / "adapter_model.safetensors"
    content = file.read_bytes()
    file.write_bytes({"truncated": content[: len(content) // 2], "empty": b"", "garbage": b"x" * 99}[damage])
    with pytest.raises(UserError, match=r"adapter_model\.safetensors is damaged"):
        make_backbone(trained=False, adapter=saved[1])


@pytest.mark.parametrize("content", ["", "[1]", '{"human": "H"}'])
def test_a_damaged_template_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "dialogue_template.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match="dialogue_template.json: cannot be read"):
        load_template(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        load_template(tmp_path / "absent")


def test_rank_scale_and_dropout_reach_the_adapters(tiny_base: Path, tokenizer: Any) -> None:
    model = load_backbone(str(tiny_base), tokenizer, device="cpu", quantization="none", lora=Lora(3, 12, 0.25)).model
    layer = next(module for module in model.modules() if hasattr(module, "lora_A"))
    assert layer.r["default"] == 3 and layer.scaling["default"] == 4.0
    assert layer.lora_dropout["default"].p == 0.25


def test_moving_the_adapters_moves_b_alone(make_backbone: Any) -> None:
    model = make_backbone(trained=False).model
    assert all(tensor.abs().max() == 0 for name, tensor in adapter_state(model).items() if "lora_B" in name)
    move_adapters(model)
    assert all(tensor.abs().max() > 0 for tensor in adapter_state(model).values())


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("adapter_model.bin", r"adapter_model\.bin could run code"),
        ("modeling_evil.py", r"modeling_evil\.py could run code"),
        ({"peft_type": "PREFIX_TUNING"}, "peft_type is 'PREFIX_TUNING'"),
        ({"r": 10**9}, "r is 1000000000"),
        ({"r": True}, "r is True"),
        ({"target_modules": [{"a": 1}]}, "target_modules names no modules"),
        ({"target_modules": []}, "target_modules names no modules"),
        ({"target_modules": "(a+)+$"}, "target_modules names no modules"),
        ({"megatron_config": {"x": 1}, "megatron_core": "os.path"}, "'megatron_config' ask for more"),
        ({"layer_replication": [[0, 10**6]]}, "'layer_replication' ask for more"),
        ({"lora_alpha": 1e300}, "lora_alpha is 1e"),
        ({"auto_mapping": {"base_model_class": "os", "parent_library": "os"}}, "auto_mapping names classes"),
        ("[1, 2]", "not a readable adapter configuration"),
        ("{", "not a readable adapter configuration"),
    ],
)
def test_a_hostile_adapter_is_refused_before_it_is_loaded(
    harm: Any, said: str, saved: Any, make_backbone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = saved
    monkeypatch.setattr("peft.PeftModel.from_pretrained", lambda *_, **__: pytest.fail("it was loaded"))
    file = folder / "adapter_config.json"
    if isinstance(harm, dict):
        file.write_text(json.dumps(json.loads(file.read_text()) | harm))
    elif harm[0] in "[{":
        file.write_text(harm)
    else:
        (folder / harm).write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(UserError, match=said):
        make_backbone(trained=False, lora=None, adapter=folder)


def test_special_tokens_in_a_text_are_its_characters(tokenizer: Any) -> None:
    """Otherwise a user's text could end a reply, or be padding."""
    special = {tokenizer.eos_token_id, tokenizer.pad_token_id}
    text = f"a{tokenizer.eos_token}b{tokenizer.pad_token}c"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert not special & set(ids) and tokenizer.decode(ids) == text
