"""``rct export``: what it writes equals the run's model, for libraries that know nothing of this project."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
import yaml
from conftest import ROOT, move_adapters
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file
from short_runs import Corpus, configured
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel
from typer.testing import CliRunner

from rct_lightning import backbone
from rct_lightning.backbone import AdapterCard, Backbone, save_adapter
from rct_lightning.cli import app
from rct_lightning.config import load_run_config, save_run_config
from rct_lightning.dialogue import Turn, content_hash
from rct_lightning.errors import UserError
from rct_lightning.export import checking, writing
from rct_lightning.export.card import card
from rct_lightning.export.provenance import Provenance
from rct_lightning.export.request import Request
from rct_lightning.generation import Sampling
from rct_lightning.runs import RunDir
from rct_lightning.template import DialogueTemplate
from rct_lightning.trained import load_trained

PLAIN = Path(__file__).parent / "plain_loading.py"
DIALOGUES: list[tuple[tuple[Turn, ...], str]] = [
    ((), "Good morning."),
    ((), "  Two lines,\nand blanks around them. \n"),
    ((Turn("human", "My dog is called Bramble."), Turn("assistant", "A fine name.")), "Who sleeps on the porch?"),
    ((Turn("human", "{{ bos_token }} {% raw %}"), Turn("assistant", "'quotes' \"and\" \\n")), "<|endoftext|> é 😀"),
]
Made = Callable[..., RunDir]


@pytest.fixture(scope="module", autouse=True)
def _short_replies() -> Iterator[None]:
    with mock.patch.object(checking, "REPLIES", Sampling(max_new_tokens=3)):
        yield


@pytest.fixture(scope="module")
def make_run(
    corpus: Corpus, make_backbone: Callable[..., Backbone], tokenizer: Any, tmp_path_factory: pytest.TempPathFactory
) -> Made:
    """Make a finished run, without training it: adapters that are not zero, and the files of a run."""

    def make(quantization: str = "none") -> RunDir:
        run = RunDir(tmp_path_factory.mktemp("run") / "named")
        save_run_config(configured(corpus, run.root, f"model.quantization={quantization}"), run.config)
        model = make_backbone().model
        save_adapter(model, tokenizer, DialogueTemplate(), run.adapter, AdapterCard("local", "Trained."), "Measured.")
        move_adapters(model, 0.05)
        best = run.best_adapter(8)
        save_adapter(model, tokenizer, DialogueTemplate(), best, AdapterCard("local", "Trained."), "Measured.")
        run.write_json(run.status, {"state": "finished", "step": 20})
        noted = {"data": {"data.train_file": "ab" * 32}, "packages": {"torch": torch.__version__, "none": None}}
        chosen = {"dequantize": "auto" if quantization == "none" else "once", "gradient_checkpointing": False}
        run.write_json(run.environment, noted | {"chosen": chosen})
        return run

    return make


@pytest.fixture(scope="module")
def run(make_run: Made) -> RunDir:
    return make_run()


@pytest.fixture(scope="module")
def of_nf4(make_run: Made) -> RunDir:
    return make_run("nf4")


@pytest.fixture
def own(run: RunDir, tmp_path: Path) -> RunDir:
    """A copy to write into."""
    shutil.copytree(run.root, tmp_path / "own")
    return RunDir(tmp_path / "own")


def source_of(run: RunDir, template: DialogueTemplate | None = None) -> Provenance:
    return Provenance(Request(run, Path("to")), load_run_config(run.config), template or DialogueTemplate(), False)


def typed(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def chat(context: tuple[Turn, ...], text: str) -> list[dict[str, str]]:
    roles = {"human": "user", "assistant": "assistant"}
    return [*({"role": roles[t.role], "content": t.content} for t in context), {"role": "user", "content": text}]


def said_by(run: RunDir, ids: list[list[int]], **options: Any) -> list[torch.Tensor]:
    return checking.logits_of(load_trained(run, accelerator="cpu", **options).model.eval(), ids)


# --- what is written ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("exported")
    for name, options in (("adapter", []), ("merged", ["--merge"])):
        done = typed(run.root, "--to", folder / "new" / name, *options)
        assert done.exit_code == 0, done.output
        assert "loaded again with plain" in done.output and "100.0%" in done.output
    assert {path.name for path in (folder / "new").iterdir()} == {"adapter", "merged"}
    return {name: folder / "new" / name for name in ("adapter", "merged")}


def test_plain_libraries_get_the_runs_logits_and_dialogues(
    exported: dict[str, Path], run: RunDir, corpus: Corpus, tokenizer: Any, tmp_path: Path
) -> None:
    template = DialogueTemplate()
    ids = [template.encode_prompt(text, tokenizer, 512, context).ids for context, text in DIALOGUES]
    asked = {"base": str(corpus.base), "ids": ids, "chats": [chat(*one) for one in DIALOGUES]}
    asked["logits"] = str(tmp_path / "logits")
    asked |= {name: str(folder) for name, folder in exported.items()}
    done = subprocess.run([sys.executable, PLAIN], input=json.dumps(asked), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["modules"] == []
    for name, most in (("adapter", 1e-5), ("merged", 1e-4)):
        found = load_file(tmp_path / "logits")[name]
        torch.testing.assert_close(found, torch.cat(said_by(run, ids)), rtol=0, atol=most)
        assert answer[f"{name}_chats"] == [template.prompt(text, context) for context, text in DIALOGUES]
        assert answer[f"{name}_tokens"] == ids


def test_an_adapter_is_a_peft_folder_with_everything_beside_it(exported: dict[str, Path], run: RunDir) -> None:
    files = {path.name for path in exported["adapter"].iterdir()}
    weights = {"adapter_model.safetensors", "adapter_config.json"}
    beside = {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "dialogue_template.json", "README.md"}
    assert files == weights | beside
    assert {path.name for path in exported["merged"].iterdir()} == {
        "model.safetensors", "config.json", "generation_config.json", *beside
    }  # fmt: skip
    name = "adapter_model.safetensors"
    assert (exported["adapter"] / name).read_bytes() == (run.adapter / name).read_bytes()


def test_nothing_in_it_tells_of_this_machine(exported: dict[str, Path], run: RunDir, corpus: Corpus) -> None:
    for folder in exported.values():
        for path in folder.iterdir():
            if path.suffix != ".safetensors" and path.name != "tokenizer.json":
                text = path.read_text(encoding="utf-8")
                for place in (run.root, corpus.base, folder, Path.home()):
                    assert str(place) not in text and str(place.parent) not in text, path.name


@pytest.mark.parametrize(("dtype", "kept"), [("fp16", torch.float16), ("bf16", torch.bfloat16)])
def test_a_merged_model_comes_in_half_precision(run: RunDir, tmp_path: Path, dtype: str, kept: torch.dtype) -> None:
    done = typed(run.root, "--to", tmp_path / "m", "--merge", "--dtype", dtype)
    assert done.exit_code == 0, done.output
    assert f"in {dtype}: largest difference of a logit" in done.output
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype="auto").dtype == kept


def test_under_nf4_it_is_merged_with_what_it_was_trained_beside(
    of_nf4: RunDir, corpus: Corpus, tokenizer: Any, tmp_path: Path
) -> None:
    """The full-precision base with the same adapter gives other logits."""
    done = typed(of_nf4.root, "--to", tmp_path / "m", "--merge")
    assert done.exit_code == 0 and "the weights that NF4 stands for" in done.output, done.output
    ids = [DialogueTemplate().encode_prompt("Good morning.", tokenizer, 512).ids]
    (expected,) = said_by(of_nf4, ids)
    (merged,) = checking.logits_of(AutoModelForCausalLM.from_pretrained(tmp_path / "m").eval(), ids)
    full = backbone.load_backbone(
        str(corpus.base), tokenizer, device="cpu", quantization="none", adapter=of_nf4.adapter
    )
    (other,) = checking.logits_of(full.model.eval(), ids)
    assert (merged - expected).abs().max() < 1e-4 < 100 * 1e-4 < (other - expected).abs().max()


def test_a_base_that_was_full_in_training_is_full_again(make_run: Made) -> None:
    """Whatever model.quantization=auto resolves to here."""
    run = make_run("auto")
    effective = {}
    for dequantize in ("once", "auto"):
        run.write_json(run.environment, {"chosen": {"dequantize": dequantize}})
        effective[dequantize] = load_trained(run, accelerator="cpu").backbone.precision.effective
    assert effective["once"].startswith("nf4") and effective["auto"] == "none"


def test_a_base_beside_the_logs_is_found_from_anywhere(
    run: RunDir, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Configurations name the bundled base relative to where the run was started."""
    moved = RunDir(tmp_path / "project" / "logs" / "run")
    shutil.copytree(run.root, moved.root)
    config = load_run_config(moved.config)
    base = config.model.model_copy(update={"name_or_path": "models/base"})
    save_run_config(config.model_copy(update={"model": base}), moved.config)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="models/base"):
        load_trained(moved, accelerator="cpu")
    shutil.copytree(corpus.base, tmp_path / "project" / "models" / "base")
    assert load_trained(moved, accelerator="cpu").base.name_or_path.endswith("project/models/base")


def test_the_folder_where_the_command_is_typed_is_refused(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in (".", str(tmp_path)):
        done = typed(run.root, "--to", place)
        assert done.exit_code == 2 and "Give a new folder" in " ".join(done.output.split())
    assert list(tmp_path.iterdir()) == []


def test_weights_are_as_readable_as_the_files_beside_them(exported: dict[str, Path], run: RunDir) -> None:
    for folder in (*exported.values(), run.adapter):
        modes = {path.stat().st_mode for path in folder.iterdir() if path.suffix in (".safetensors", ".json")}
        assert len(modes) == 1, folder


def test_the_best_adapter_is_another_one(run: RunDir, tmp_path: Path) -> None:
    done = typed(run.root, "--to", tmp_path / "best", "--adapter", "best")
    assert done.exit_code == 0, done.output
    name = "adapter_model.safetensors"
    assert (tmp_path / "best" / name).read_bytes() == (run.best_adapter(8) / name).read_bytes()
    assert "- **steps**: 8\n" in (tmp_path / "best" / "README.md").read_text(encoding="utf-8")


def test_a_tokenizer_with_bos_begins_with_it(run: RunDir, tmp_path: Path) -> None:
    trained = load_trained(run, accelerator="cpu")
    trained.tokenizer.add_special_tokens({"bos_token": "<|endoftext|>"})
    trained.tokenizer.add_bos_token = True
    (tmp_path / "part").mkdir()
    writing._write_beside(trained, source_of(run), tmp_path / "part")
    assert checking.check_template(tmp_path / "part", trained, DIALOGUES[:3]) == 0


def test_logits_are_compared_within_learnt_positions(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row may fill all positions of a base; the reply behind it has none."""
    monkeypatch.setattr(checking, "REPLIES", Sampling(max_new_tokens=40))
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_positions=52, n_embd=32, n_layer=1, n_head=2))
    of_run = SimpleNamespace(data=SimpleNamespace(max_seq_length=51))
    trained: Any = SimpleNamespace(model=model, tokenizer=tokenizer, template=DialogueTemplate(), config=of_run)
    found = checking.refer(trained)
    assert max(map(len, found.ids)) == 52 and [len(one) for one in found.ids] == [len(one) for one in found.logits]


# --- the card -------------------------------------------------------------------------------------------------------


def metrics(value: float = 0.5, meaning: str = "share of | probes") -> dict[str, Any]:
    side, change = {"mean": value, "values": [value]}, {"mean": 0.25, "low": 0.0, "high": 0.5}
    return {
        "verdict": ["It <b>recalls</b>."],
        "endpoints": {"continuity/recall": {"meaning": meaning, "base": side, "tuned": side, "change": change}},
    }


def front(text: str) -> dict[str, Any]:
    found = re.match(r"---\n(.*?)\n---\n", text, re.S)
    assert found is not None
    return dict(yaml.safe_load(found.group(1)))


def test_the_card_says_where_it_comes_from(exported: dict[str, Path]) -> None:
    for name, library in (("adapter", "peft"), ("merged", "transformers")):
        text = (exported[name] / "README.md").read_text(encoding="utf-8")
        found = front(text)
        assert found["library_name"] == library and "base_model" not in found and "license" not in found
        own = found["rct_lightning"]
        assert (own["base"], own["lambda"], own["seed"], own["steps"]) == ("local", 0.3, 3, 20)
        assert own["weights"] == {"presence": 1.0, "coherence": 1.0, "continuity": 2.0}
        assert own["data_sha256"] == {"data.train_file": "ab" * 32}
        assert "was not evaluated" in text and "No license is stated" in text and "## Limits" in text


def test_the_code_in_the_card_runs(exported: dict[str, Path], corpus: Corpus, capsys: Any) -> None:
    for folder in exported.values():
        text = (folder / "README.md").read_text(encoding="utf-8")
        code = text.split("In Python:\n\n```\n")[1].split("```")[0]
        code = code.replace("THIS FOLDER", str(folder)).replace("FOLDER OF local", str(corpus.base))
        exec(compile(code, "card", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) >= 2


def test_the_card_has_the_figures_of_an_evaluation_that_is_this_adapters(own: RunDir) -> None:
    own.write_json(own.report / "metrics.json", metrics())
    text = card(source_of(own))
    assert "| continuity/recall | share of \\| probes | 0.500 | 0.500 | +0.250 [+0.000, +0.500] |" in text
    assert "\nIt &lt;b&gt;recalls&lt;/b&gt;.\n" in text
    results = ModelCard(text).data.eval_results
    assert results is not None
    assert [(one.metric_type, one.metric_value) for one in results] == [("continuity/recall", 0.5)]
    own.write_json(own.adapter / "adapter_config.json", {})  # trained further
    assert "was not evaluated" in card(source_of(own))


@pytest.mark.parametrize("content", ["{", '{"endpoints": 1}', '{"endpoints": {"a": 1, "b": {"base": {"mean": "x"}}}}'])
def test_a_damaged_report_is_none(own: RunDir, content: str) -> None:
    own.report.mkdir()
    (own.report / "metrics.json").write_text(content)
    assert source_of(own).endpoints() == {}


def test_hostile_texts_command_nothing_in_the_card(own: RunDir) -> None:
    hostile = "\x1b]0;title\x07<script>alert(1)</script> | [x](y) `code`\n---\n"
    own.write_json(own.report / "metrics.json", metrics(meaning=hostile))
    own.write_json(own.environment, {"data": {hostile: hostile}, "packages": {hostile: hostile}})
    text = card(source_of(own, DialogueTemplate(hostile, f"```{hostile}")))
    front(text)
    body, dialogue = text.split("\n---\n", 1)[1].split("A dialogue:")
    assert "\x1b" not in text and "<script>" not in body and "[x](" not in body and "`code`" not in body
    fence = dialogue.split()[0]
    assert len(fence) > 3 and dialogue.count(fence) == 2 and dialogue.rstrip().endswith(fence)


def test_a_base_of_the_hub_is_named_and_a_folder_is_not(run: RunDir, tmp_path: Path) -> None:
    source = source_of(run)
    for given, named in (("EleutherAI/pythia-70m", "EleutherAI/pythia-70m"), (str(tmp_path), None)):
        model = source.config.model.model_copy(update={"name_or_path": given})
        text = card(replace(source, config=source.config.model_copy(update={"model": model})))
        assert front(text).get("base_model") == named and str(tmp_path) not in text


BUNDLED = {f"data.{name}_file": content_hash(ROOT / f"data/relational/{name}.jsonl") for name in ("train", "eval")}


@pytest.mark.parametrize(
    ("base", "sums", "is_open"),
    [
        ("data/nano", BUNDLED, True),
        ("EleutherAI/pythia-70m", BUNDLED, True),
        ("data/nano", BUNDLED | {"data.train_file": "ab" * 32}, False),
        ("data/nano", {}, False),
        ("{other}", BUNDLED, False),
    ],
    ids=["own", "pythia", "own rows", "nothing noted", "another base"],
)
def test_licenses_are_those_of_what_the_files_hold(
    own: RunDir, corpus: Corpus, base: str, sums: dict[str, str], is_open: bool
) -> None:
    """Under the names of what is bundled, whatever files were given instead."""
    config = load_run_config(own.config)
    given = base.format(other=corpus.base)
    model = config.model.model_copy(update={"name": "nano", "name_or_path": given})
    data = config.data.model_copy(update={"name": "bundled"})
    own.write_json(own.environment, {"data": sums})
    folder = str(ROOT / given)
    source = replace(
        source_of(own), config=config.model_copy(update={"model": model, "data": data}), loaded_from=folder
    )
    text = card(source)
    assert front(text).get("license") == (["apache-2.0", "cc-by-4.0"] if is_open else None)
    assert ("No license is stated" in text) != is_open
    assert all((words in text) == is_open for words in ("CC BY 4.0", "RCT Lightning relational dialogues"))


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("{run}", "--to", "{full}"), "this folder is not empty"),
        (("{run}", "--to", "{file}"), "this is no folder"),
        (("{run}", "--to", "{file}/below"), "is a file, and no folder can be made in it"),
        (("{run}/nowhere", "--to", "{to}"), "not a run directory"),
        (("{run}", "--to", "{to}", "--merge", "--dtype", "int8"), "Use fp32, fp16, bf16"),
        (("{run}", "--to", "{to}", "--dtype", "bf16"), "Add --merge"),
        (("{run}", "--to", "{to}", "--adapter", "first"), "Use last or best"),
        (("{run}", "--to", "{to}", "--private"), "nothing leaves this machine"),
        (("{run}", "--to", "{to}", "--push", "a b"), "Give OWNER/NAME"),
        (("{run}", "--to", "{to}", "--push", "owner/name"), "no token for the hub"),
        (("{broken}", "--to", "{to}"), "adapter_model.safetensors is damaged"),
        (("{empty}", "--to", "{to}"), "A run that is not finished goes on with"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    places = {name: tmp_path / name for name in ("full", "file", "to", "broken", "empty")}
    for name in ("broken", "empty"):
        shutil.copytree(run.root, places[name])
    (places["broken"] / "adapter" / "adapter_model.safetensors").write_bytes(b"x" * 100)
    shutil.rmtree(places["empty"] / "adapter")
    places["file"].write_text("mine")
    places["full"].mkdir()
    (places["full"] / "mine").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    done = typed(*(argument.format(run=run.root, **places) for argument in arguments))
    assert done.exit_code == 2 and "Traceback" not in done.output
    assert re.search(said, " ".join(done.output.split())), done.output
    assert sorted(tmp_path.rglob("*")) == before


def test_a_full_disk_is_told_before_and_while_it_is_written(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("rct_lightning.export.writing.shutil.disk_usage", lambda _: usage._replace(free=2**20))
        done = typed(run.root, "--to", tmp_path / "to", "--merge")
    assert done.exit_code == 2 and "are needed, and 1 MiB are free" in " ".join(done.output.split())

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("rct_lightning.replacing.os.replace", full)
        done = typed(run.root, "--to", tmp_path / "to")
    assert done.exit_code == 2 and "No space left on device" in done.output
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_taken(run: RunDir, tmp_path: Path) -> None:
    assert typed(run.root, "--to", tmp_path).exit_code == 0
    assert (tmp_path / "README.md").is_file()


def test_an_adapter_of_nf4_is_not_exported_beside_full_weights(
    of_nf4: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = load_trained(of_nf4, accelerator="cpu")
    full = trained.backbone.precision.__class__("auto", "none", "", torch.float32, 0)
    other = SimpleNamespace(backbone=SimpleNamespace(precision=full))
    monkeypatch.setattr(writing, "load_trained", lambda *_, **__: other)
    with pytest.raises(UserError, match="trained beside a base in NF4"):
        writing.export(Request(of_nf4, tmp_path / "to", merge=True))
    assert list(tmp_path.iterdir()) == []


# --- the comparison can fail ----------------------------------------------------------------------------------------


def test_weights_that_were_changed_on_the_way_are_noticed(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = writing._write_beside

    def damaged(trained: Any, source: Provenance, part: Path) -> None:
        write(trained, source, part)
        file = part / "adapter_model.safetensors"
        tensors = load_file(file)
        name = next(name for name in tensors if "lora_B" in name)
        tensors[name] = tensors[name] * 1.001
        save_file(tensors, file)

    monkeypatch.setattr(writing, "_write_beside", damaged)
    done = typed(run.root, "--to", tmp_path / "to")
    assert done.exit_code == 2 and "is not what the run's model is" in " ".join(done.output.split())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_a_base_without_its_adapter_is_no_merged_model(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    monkeypatch.setattr(backbone, "merge", lambda own, _: own.model.unload())
    done = typed(run.root, "--to", tmp_path / "to", "--merge", "--dtype", dtype)
    assert done.exit_code == 2 and "merged model, loaded again, is not" in " ".join(done.output.split())
    assert list(tmp_path.iterdir()) == []


def test_another_chat_template_is_noticed(run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DialogueTemplate, "chat_template", lambda self, begins: "{{ messages[0]['content'] }}")
    done = typed(run.root, "--to", tmp_path / "to")
    assert done.exit_code == 2 and "chat template" in done.output
    assert list(tmp_path.iterdir()) == []


def test_a_logit_that_is_no_number_never_agrees() -> None:
    one = [torch.zeros(2, 3)]
    agreement = checking.compare(one, [torch.full((2, 3), torch.nan)])
    for check in (checking.check_adapter_logits, lambda found: checking.check_merged_logits(found, torch.bfloat16)):
        with pytest.raises(UserError, match="inf"):
            check(agreement)


# --- the hub --------------------------------------------------------------------------------------------------------


class Hub:
    """Records its requests, and can refuse."""

    asked: list[tuple[str, dict[str, Any]]] = []
    error: Exception | None = None

    def create_repo(self, name: str, **options: Any) -> str:
        if self.error is not None:
            raise self.error
        self.asked.append((name, options))
        return f"https://hub.example/{name}"

    def upload_folder(self, **options: Any) -> None:
        self.asked.append(("upload", options))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> type[Hub]:
    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_invented")
    monkeypatch.setattr(Hub, "asked", [])
    return Hub


@pytest.mark.parametrize("private", [True, False])
def test_it_is_pushed_when_that_is_asked_for(run: RunDir, tmp_path: Path, hub: type[Hub], private: bool) -> None:
    to = tmp_path / "to"
    done = typed(run.root, "--to", to, "--push", "owner/name", *(["--private"] if private else []))
    assert done.exit_code == 0 and "pushed: https://hub.example/owner/name" in done.output, done.output
    (name, made), (_, sent) = hub.asked
    assert name == "owner/name" and made == {"private": private, "exist_ok": False}
    assert sent["repo_id"] == "owner/name" and Path(sent["folder_path"]) == to and "hf_invented" not in done.output


def test_nothing_is_pushed_unasked(run: RunDir, tmp_path: Path, hub: type[Hub]) -> None:
    assert typed(run.root, "--to", tmp_path / "to").exit_code == 0
    assert hub.asked == []


def test_a_hub_that_refuses_leaves_the_export(
    run: RunDir, tmp_path: Path, hub: type[Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hub, "error", OSError("409 Conflict: this repository exists\nmore"))
    done = typed(run.root, "--to", tmp_path / "to", "--push", "owner/name")
    said = " ".join(done.output.split())
    assert (
        done.exit_code == 2 and "409 Conflict: this repository exists)" in said and "The export itself is whole" in said
    )
    assert AutoTokenizer.from_pretrained(tmp_path / "to").chat_template
