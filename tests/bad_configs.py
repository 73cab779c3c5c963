"""Bad configurations as users really get them wrong, with the words that each error message must contain."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from typing_in import ROOT, Case

HEAD = b"# @package _global_\n"
TABLE = b"\x02\x00\x00\x00\x00\x00\x00\x00{}"
"""A safetensors file without tensors."""
ADAPTER = {
    "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "lora_dropout": 0.0,
    "target_modules": ["query_key_value"], "bias": "none", "init_lora_weights": True,
}  # fmt: skip
_config: list[str] = []


def run_config() -> str:
    """The config.yaml of a run with the bundled corpus and base."""
    from hydra import compose, initialize_config_dir

    from rct_lightning.config import Config, save_run_config, validate

    if not _config:
        import tempfile

        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config: Config = validate(compose("train", ["run_dir=run"]))
        with tempfile.TemporaryDirectory() as folder:
            save_run_config(config, Path(folder) / "config.yaml")
            _config.append((Path(folder) / "config.yaml").read_text(encoding="utf-8"))
    return _config[0]


def make_run(run: Path, state: str = "running", checkpoints: bool = True) -> Path:
    """A run directory as an interrupted or finished run leaves it, but without learnt weights."""
    write(run / "config.yaml", run_config())
    hashes = {
        f"data.{side}_file": hashlib.sha256((ROOT / f"data/relational/{side}.jsonl").read_bytes()).hexdigest()
        for side in ("train", "eval")
    }
    noted = {"data": hashes, "chosen": {"dequantize": "auto", "gradient_checkpointing": False}}
    write(run / "environment.json", json.dumps(noted))
    write(run / "status.json", json.dumps({"state": state, "step": 1}))
    write(run / "events.jsonl", '{"time": 0.0, "event": "start", "step": 0}\n')
    write(run / "adapter" / "adapter_model.safetensors", TABLE)
    write(run / "adapter" / "adapter_config.json", json.dumps(ADAPTER))
    write(run / "adapter" / "dialogue_template.json", '{"human": "Human", "assistant": "Assistant"}')
    if checkpoints:
        make_checkpoint(run / "checkpoints" / "step-1", b'{"map": [["global_step", 1]]}')
    return run


def make_checkpoint(
    folder: Path, state: bytes, tensors: bytes = TABLE, manifest: Mapping[str, Any] | None = None
) -> None:
    """A checkpoint with correct checksums, whatever it holds."""
    write(folder / "state.json", state)
    write(folder / "tensors.safetensors", tensors)
    sums = {"tensors.safetensors": hashlib.sha256(tensors).hexdigest(), "state.json": hashlib.sha256(state).hexdigest()}
    listed = json.dumps(sums | dict(manifest or {})).encode()
    write(folder / "manifest.json", listed)
    write(folder / "COMMITTED", hashlib.sha256(listed).hexdigest())


def write(path: Path, content: str | bytes) -> Path:
    """Write a file, creating its parent folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def typed(name: str, setting: str, *words: str, make: Callable[[Path], Any] | None = None, shown: str = "") -> Case:
    """Settings of train.py, split at blanks outside quotes and brackets."""
    parts = re.findall(r"(?:'[^']*'|\S)+", setting)
    return Case(name, ("train.py", *(part.strip("'") for part in parts)), words, make, shown=shown)


def evaluated(name: str, setting: str, *words: str, make: Callable[[Path], Any] | None = None, shown: str = "") -> Case:
    """Settings of evaluate.py, split in the same way."""
    return Case(name, ("evaluate.py", *setting.split()), words, make, shown=shown)


def experiment(name: str, content: bytes, *words: str) -> Case:
    """A file conf/experiment/mine.yaml."""
    shown = content.decode("utf-8", "backslashreplace")
    return Case(name, ("train.py", "experiment=mine"), words, _file("experiment/mine.yaml", content), True, shown)


def edited(name: str, file: str, change: Callable[[bytes], bytes], *words: str, shown: str) -> Case:
    """A file of conf/ that somebody edited."""
    return Case(name, ("train.py",), words, lambda here: _edit(here / "conf" / file, change), True, shown)


def resumed(name: str, change: Callable[[Path], Any], *words: str, more: str = "", shown: str) -> Case:
    """A run that cannot be resumed."""

    def make(folder: Path) -> None:
        change(make_run(folder / "run"))

    return Case(name, ("train.py", "resume=run", *more.split()), words, make, shown=shown)


def of_run(name: str, change: Callable[[Path], Any], *words: str, more: str = "", shown: str) -> Case:
    """A run that cannot be evaluated."""

    def make(folder: Path) -> None:
        change(make_run(folder / "run", state="finished"))

    return Case(name, ("evaluate.py", "run=run", *more.split()), words, make, shown=shown)


def model(name: str, make: Callable[[Path], Any], *words: str, shown: str) -> Case:
    """A model's folder, a changed copy of the bundled one."""

    def copy(folder: Path) -> None:
        shutil.copytree(ROOT / "data" / "nano", folder / "base")
        make(folder / "base")

    return Case(name, ("train.py", "model=local", "model.name_or_path=base"), words, copy, shown=shown)


def _file(name: str, content: bytes) -> Callable[[Path], Any]:
    return lambda here: write(here / "conf" / name, content)


def _edit(file: Path, change: Callable[[bytes], bytes]) -> None:
    file.write_bytes(change(file.read_bytes()))


def _json(file: Path, **changes: Any) -> None:
    write(file, json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes))


def _pickled(base: Path) -> None:
    os.replace(base / "model.safetensors", base / "pytorch_model.bin")


def _elsewhere(here: Path) -> None:
    (here / "data").unlink()


def _split_off(run: Path) -> None:
    _edit(run / "config.yaml", lambda text: text.replace(b"eval_file: data/relational/eval.jsonl", b"eval_file: null"))
    _json(run / "environment.json", data={"data.train_file": "0"})


CONFLICT = b"<<<<<<< HEAD\nlambda: 0.3\n=======\nlambda: 0.4\n>>>>>>> other"

CONFIGS: tuple[Case, ...] = (
    # what is typed is not a setting
    typed("no value", "seed", "seed: not a readable setting", "Write seed=VALUE"),
    typed("an empty value", "seed=", "seed=''", "valid integer"),
    typed("blanks around the equals sign", "'seed = 1'", "seed = 1: not a readable setting", "seed=1"),
    typed("a colon instead", "seed:1", "seed:1: not a readable setting", "seed=1"),
    typed("dashes before it", "--seed=1", "--seed=1", "Settings are written without dashes", "seed=1"),
    typed("dashes and a blank", "--seed 1", "--seed", "Settings are written without dashes"),
    typed("a stray word", "seed=42 43", "43: not a readable setting", "Write 43=VALUE"),
    typed("a function without -m", "seed=range(1,9)", "seed=range(1,9): this lists several values", "Give -m"),
    typed("a number without end", f"seed={'1' * 5000}", "a number has too many digits", "that its key can take"),
    typed("brackets without end", f"loss.markers.presence={'[' * 500}{']' * 500}", "nested too deeply", "20 brackets"),
    typed("a decimal comma", "loss.lambda=0,3", "loss.lambda=0,3", "Write a decimal point, loss.lambda=0.3"),
    typed("several values without -m", "seed=1,2,3", "seed=1,2,3: a comma lists several values", "Give -m"),
    typed("a dash that is no minus", "loss.lambda=\u22120.3", "is no minus sign", "loss.lambda=-0.3"),
    typed("a path from home", "data=jsonl data.train_file=~/own.jsonl", "Only a shell knows ~", "$HOME/own.jsonl"),
    typed("a path with brackets", "data=jsonl 'data.train_file=own (1).jsonl'", "data.train_file=own (1).jsonl",
          "quotes of both kinds", '\'data.train_file="own (1).jsonl"\''),
    typed("an equals sign in a path", "data.train_file=a=b", "data.train_file=a=b", "quotes of both kinds"),
    typed("an option without its value", "--config-name", "--config-name", "python train.py --help"),
    # a name that does not exist
    typed("a slip in a key", "loss.lamda=1", "loss.lamda: there is no such key", "Did you mean loss.lambda?"),
    typed("a slip behind a plus", "+loss.weights.presense=1", "loss.weights.presense", "mean loss.weights.presence?"),
    typed("a key without its section", "lambda=0.3", "lambda: there is no such key", "Did you mean loss.lambda?"),
    typed("another program's name", "model.lora.rank=8", "model.lora.rank: there is no such key", "See conf/"),
    typed("a slip in a group", "modle=pythia", "modle: there is no such key", "Did you mean model?"),
    typed("a slip in a choice", "model=pithia", "model=pithia: there is no file", "Did you mean pythia?",
          "local, nano"),
    typed("a slip in a job of many", "-m model=nano2,nano3", "model=nano2: there is no file", "Did you mean nano?"),
    typed("a size for a choice", "model=pythia-410m", "model=pythia-410m",
          "Did you mean model=pythia model.size=410m?"),
    typed("a name of the hub for a choice", "model=gpt/two", "Did you mean model=local model.name_or_path=gpt/two?"),
    typed("a file for a choice", "data=own.jsonl", "data=own.jsonl",
          "Did you mean data=jsonl data.train_file=own.jsonl?"),
    typed("a logger that is not there", "logger=wandb", "logger=wandb: there is no file",
          "Available: none, tensorboard"),
    typed("an experiment that is not there", "experiment=absent", "experiment=absent",
          "Available: lambda_sweep, rct_pythia_2.8b, study"),
    typed("a path for an experiment", "experiment=conf/experiment/rct_pythia_2.8b.yaml", "there is no file",
          "Did you mean rct_pythia_2.8b?"),
    typed("a plus too many", "+seed=1", "+seed: the key exists already", "without the plus sign"),
    typed("nothing to take out", "~sed", "~sed: there is no such key to take out", "Did you mean seed?"),
    typed("a needed key taken out", "~seed", "seed: a value is missing", "leave out what takes it away (~seed"),
    typed("an argument that is settled", "+trainer.sync_batchnorm=true", "trainer.sync_batchnorm cannot be set",
          "no model here has any"),
    typed("two devices without ddp", "trainer.devices=2", "trainer.devices=2", "trainer=ddp"),
    typed("two devices and a budget of tokens", "trainer=ddp data.batch_tokens=512", "data.batch_tokens",
          "data.batch_size"),
    typed("an argument of no Trainer", "+trainer.max_step=5", "trainer.max_step", "Did you mean max_steps?"),
    typed("an argument of no callback", "+callbacks.events.every=5", "callbacks.events.every: there is no such key",
          "Did you mean callbacks.events.every_n_steps?"),
    # a value of the wrong type
    typed("not a number", "loss.lambda=nan", "loss.lambda=nan", "finite number"),
    typed("beyond all numbers", "loss.lambda=1e400", "loss.lambda=inf", "finite number"),
    typed("a real number for a count", "data.batch_size=8.5", "data.batch_size=8.5", "valid integer"),
    typed("a whole number written as a real one", "seed=1e3", "seed=1000.0", "valid integer"),
    typed("a formula", "data.max_seq_length=2**9", "data.max_seq_length='2**9'", "valid integer"),
    typed("a number with its unit", "optimizer.lr=2e-4%", "optimizer.lr='2e-4%'", "valid number"),
    typed("Python's None", "data.eval_size=None", "data.eval_size='None'", "valid integer"),
    typed("a word for a switch", "model.gradient_checkpointing=yes", "='yes'", "True, False or 'auto'"),
    typed("a word for a list", "loss.markers.presence=aelara", "loss.markers.presence='aelara'",
          "[aelara,dear friend]"),
    typed("a list for a file", "data=jsonl data.train_file=[a.jsonl,b.jsonl]", "data.train_file=['a.jsonl'",
          "Give one file"),
    typed("a list for a section", "loss.weights=[1,1,1]", "loss.weights=[1,1,1]", "set its keys (loss.weights.NAME"),
    typed("a number for a group", "loss=0.3", "loss=0.3: loss is a group of files", "conf/loss/"),
    typed("null for a group", "logger=null", "logger=null: logger is a group of files", "~logger takes it out"),
    typed("null for a callback", "callbacks.events=null", "callbacks.events: a value is missing",
          "~callbacks.events takes"),
    typed("8 bits", "model.quantization=8bit", "model.quantization='8bit'", "'auto', 'nf4' or 'none'"),
    typed("half a day in words", "trainer.max_time=12h", "trainer.max_time='12h'", "00:08:00:00"),
    typed("a check that is none", "check=maybe", "check='maybe'", "True, False or 'only'"),
    typed("a precision that is none", "trainer.precision=8", "trainer.precision=8", "'bf16-mixed'"),
    # a value out of range
    typed("a negative seed", "seed=-1", "seed=-1", "greater than or equal to 0"),
    typed("rows enough for a planet", "data.batch_size=1000000000000", "data.batch_size=1000000000000", "65536"),
    typed("a rank beyond the model", "model.lora.r=1000000000", "model.lora.r=1000000000",
          "less than or equal to 4096"),
    typed("a rate without its exponent", "optimizer.lr=2e4", "optimizer.lr=20000.0", "less than or equal to 1"),
    typed("per cent for a share", "optimizer.warmup_ratio=3", "optimizer.warmup_ratio=3", "less than 1"),
    typed("no epochs at all", "trainer.max_epochs=0", "trainer.max_epochs=0: would train nothing", "check=only"),
    typed("one and a half of all batches", "trainer.limit_train_batches=1.5", "limit_train_batches=1.5", "at most 1.0"),
    typed("batches in words", "trainer.accumulate_grad_batches=2 trainer.limit_train_batches=all", "='all'",
          "a whole number"),
    typed("a marker of no letter", "'loss.markers.presence=[\"?\"]'", "loss.markers.presence.0='?'",
          "one letter or digit"),
    typed("a role with its colon", "'data.roles.human=\"User:\"'", "data.roles.human='User:'", "without a colon"),
    typed("a slot for a name", "'loss.human_name=\"{human_name}\"'", "loss.human_name='{human_name}'",
          "without braces"),
    # settings that do not fit together
    typed("lambda where it has no place", "loss=lm loss.lambda=0.3", "loss.lambda=0.3 would add",
          "Use loss=relational"),
    typed("no end", "trainer.max_epochs=-1", "leave the run without an end", "give one of the two"),
    typed("an optimizer step cut in half", "trainer.accumulate_grad_batches=4 trainer.limit_train_batches=10",
          "trainer.limit_train_batches=10 would cut", "give a multiple of trainer.accumulate_grad_batches"),
    typed("more at least than at most", "trainer.min_steps=9 trainer.max_steps=5", "trainer.min_steps=9 is more than",
          "Change one of the two"),
    typed("two roles of one name", "data.roles.human=Assistant", "are both 'Assistant'", "Give two names"),
    typed("a size that Pythia does not have", "model=pythia model.size=3b", "model.size=3b: Pythia comes in", "2.8b"),
    typed("a size for another model", "model.size=410m", "model.size is a key of model=pythia alone", "model=pythia"),
    typed("a split beside a file", "data.eval_size=20", "data.eval_size=20: nothing is split off",
          "or add data.eval_file=null"),
    typed("a callback twice", "+callbacks.more._target_=rct_lightning.callbacks.Events",
          "callbacks.more and callbacks.events are both", "Leave one out"),
    typed("pairs without a partner", "loss.counterfactual.readdress_share=0", "leaves presence nothing to compare",
          "Use a share above 0"),
    typed("a run that changes its folder", "hydra.job.chdir=true", "hydra.job.chdir=true", "Leave it out"),
    # references
    typed("a reference to nothing", "seed=${nothing}", "seed: cannot be resolved", "Write the value itself"),
    typed("a reference to itself", "seed=${seed}", "seed: cannot be resolved", "Write the value itself"),
    typed("a variable that is not set", "data.train_file=${oc.env:NO_SUCH_VARIABLE}", "data.train_file: cannot be",
          "NO_SUCH_VARIABLE", "Write the value itself"),
    # files of conf/
    experiment("a tab", HEAD + b"loss:\n\tlambda: 1\n", "conf/experiment/mine.yaml, line 3",
               "indent with spaces alone"),
    experiment("a bracket left open", HEAD + b"data: {batch_size: 4\n", "mine.yaml, line 3: not readable as YAML"),
    experiment("a colon in a value", HEAD + b"data:\n  train_file: C: own\n", "mine.yaml, line 3", "in quotes"),
    experiment("a key twice", HEAD + b"seed: 1\nseed: 2\n", "mine.yaml, line 3: the key seed stands twice",
               "Remove one"),
    experiment("a slip in a key", HEAD + b"loss:\n  lamda: 1\n", "loss.lamda: there is no such key",
               "mean loss.lambda?"),
    experiment("without its first line", b"loss:\n  lambda: 1\n", "experiment: the chosen file", "# @package _global_"),
    experiment("empty", b"", "experiment: the chosen file of conf/experiment/ is empty"),
    experiment("a list", HEAD + b"- seed: 1\n", "conf/experiment/mine.yaml: does not fit", "key: value"),
    experiment("a number for a key", HEAD + b"trainer:\n  5: 3\n", "trainer.5: keys are words", "Correct the line"),
    experiment("another alphabet's bytes", HEAD + "# caf\u00e9\n".encode("latin-1"), "mine.yaml, line 2: not UTF-8",
               "Save"),
    experiment("a zero byte", HEAD + b"seed: 1\n\x00", "mine.yaml, line 3: not readable as YAML"),
    experiment("a group without its slash", HEAD + b"defaults:\n  - override model: pythia\n", "begins with a slash"),
    experiment("a group chosen twice", HEAD + b"defaults:\n  - /model: pythia\n", "model: two files of this group",
               "- override /model: NAME"),
    experiment("itself among its parts", HEAD + b"defaults:\n  - mine\n", "the defaults lists lead in a circle"),
    experiment("parts that are no list", HEAD + b"defaults:\n  model: pythia\n",
               "mine.yaml: its 'defaults' is no list"),
    experiment("a time without quotes", HEAD + b"trainer:\n  max_time: 12:30:00\n", "trainer.max_time=45000",
               "in quotes"),
    edited("marks of a merge", "loss/relational.yaml", lambda text: text.replace(b"lambda: 0.3", CONFLICT),
           "conf/loss/relational.yaml, line 5", "not readable as YAML", shown="<<<<<<< HEAD"),
    edited("a key out of line", "loss/relational.yaml", lambda text: text.replace(b"\n  coherence", b"\n   coherence"),
           "conf/loss/relational.yaml, line 7", "indent with spaces alone", shown="   coherence: 1.0"),
    edited("a decimal comma", "loss/relational.yaml", lambda text: text.replace(b"lambda: 0.3", b"lambda: 0,3"),
           "loss.lambda='0,3'", "valid number", shown="lambda: 0,3"),
    edited("emptied", "train.yaml", lambda text: b"", "conf/train.yaml: this file is empty", "Put it back", shown=""),
    Case("a file taken away", ("train.py",), ("loss=relational: there is no file", "Available: lm, original_v1"),
         lambda here: (here / "conf/loss/relational.yaml").unlink(), True, "conf/loss/relational.yaml is gone"),
    # models
    typed("a local model without its folder", "model=local", "model.name_or_path has no value",
          "add model.name_or_path="),
    typed("a file for a model", "model=local model.name_or_path=data/README.md", "this is a file", "Give the folder"),
    typed("a folder without a model", "model=local model.name_or_path=data/relational", "cannot be loaded",
          "config.json"),
    typed("a folder that is not there", "model=local model.name_or_path=./no/model/here", "there is no such folder",
          "or give the whole path"),
    typed("a name of the hub beside the bundled base", "model.name_or_path=EleutherAI/pythia-70m",
          "there is no such folder", "model=local model.name_or_path=EleutherAI/pythia-70m"),
    typed("typed elsewhere", "seed=1", "data/nano: there is no such folder", "Type the command where train.py is",
          make=_elsewhere, shown="a folder without data/"),
    model("pickled weights", _pickled, "its weights are pickled (pytorch_model.bin)", "save them as safetensors",
          shown="pytorch_model.bin"),
    model("an adapter for a model", lambda base: write(base / "adapter_config.json", json.dumps(ADAPTER)),
          "makes it an adapter", "name its base", shown="adapter_config.json"),
    model("weights cut off", lambda base: _edit(base / "model.safetensors", lambda content: content[:9999]),
          "model.safetensors is damaged", "Use another one", shown="the first 9,999 bytes"),
    model("no tokenizer", lambda base: (base / "tokenizer.json").unlink(),
          "the tokenizer in this folder cannot be loaded",
          "Copy tokenizer.json", shown="tokenizer.json is gone"),
    # the run's directory
    typed("a file for a run", "hydra.run.dir=data/README.md", "data/README.md: File exists",
          "hydra.run.dir=DIR writes"),
    typed("below a file", "hydra.run.dir=data/README.md/run", "Not a directory",
          "hydra.run.dir=DIR writes a run elsewhere"),
    typed("a name that no disk takes", f"hydra.run.dir={'run' * 100}", "File name too long",
          "hydra.run.dir=DIR writes"),
    typed("where the command is typed", "hydra.run.dir=.", "a run needs a folder of its own", "Give a new one"),
    typed("a file for a sweep", "-m seed=1,2 hydra.sweep.dir=data/README.md", "data/README.md: File exists",
          "hydra.sweep.dir=DIR"),
    typed("one folder for many runs", "-m seed=1,2 hydra.run.dir=mine", "hydra.run.dir=mine: a multirun has a folder",
          "Give hydra.sweep.dir=DIR"),
    typed("where a run is", "hydra.run.dir=run", "run: this folder holds a run already", "Give another hydra.run.dir",
          make=lambda here: make_run(here / "run"), shown="run/config.yaml"),
    typed("where other files are", "hydra.run.dir=mine", "mine: this folder holds other files already", "Give another",
          make=lambda here: write(here / "mine" / "letter.txt", b""), shown="mine/letter.txt"),
    typed("a file for remembered tokens", "data.token_cache=data/README.md", "data.token_cache=data/README.md",
          "no folder"),
    # runs that cannot be resumed
    typed("nothing to go on with", "resume=latest", "There is no run under", "Train one with 'python train.py'"),
    typed("no run there", "resume=data", "data: not a run directory", "Give the folder that train.py printed"),
    resumed("a finished run", lambda run: write(run / "status.json", '{"state": "finished"}'), "this run is finished",
            "evaluate it with evaluate.py", shown='{"state": "finished"}'),
    resumed("other settings beside it", lambda run: None, "seed=1: resume goes on with the configuration of that run",
            "Leave this out", more="seed=1", shown=""),
    resumed("another folder beside it", lambda run: None, "hydra.run.dir=other: resume goes on", "Leave this out",
            more="hydra.run.dir=other", shown=""),
    resumed("no checkpoint", lambda run: shutil.rmtree(run / "checkpoints"), "there is no whole checkpoint",
            "train anew", shown="checkpoints/ is gone"),
    resumed("a damaged checkpoint", lambda run: write(run / "checkpoints/step-1/state.json", b"{}"),
            "there is no whole checkpoint", "train anew", shown="state.json is another"),
    resumed("other data than it began with", lambda run: _json(run / "environment.json", data={"data.train_file": "0"}),
            "what data.train_file, data.eval_file names changed", "Put the former file back", shown="other hashes"),
    resumed("typed elsewhere", lambda run: (run.parent / "data").unlink(), "data/relational/eval.jsonl: does not exist",
            "as seen from", "type the command in the folder in which", shown="a folder without data/"),
    resumed("a note that is cut off", lambda run: write(run / "environment.json", b'{"data": '), "environment.json",
            "cannot be read", "Train anew", shown='{"data": '),
    resumed("a number of 6,000 digits in hexadecimal",
            lambda run: _edit(run / "config.yaml", lambda text: text.replace(b"seed: 42", b"seed: 0x" + b"1" * 5000)),
            "run/config.yaml: seed=a number of thousands of digits", shown="seed: 0x1111..."),
    resumed("a configuration that is cut off", lambda run: _edit(run / "config.yaml", lambda text: text[:200]),
            "run/config.yaml: ", "a value is missing", shown="the first 200 bytes"),
    # evaluations
    evaluated("nothing to evaluate", "", "give either run=DIR", "study=DIR"),
    evaluated("a run and a study", "run=a study=b", "give either run=DIR", "study=DIR"),
    evaluated("a key of training", "run=latest loss.lambda=3", "loss.lambda: this is a key of train.py",
              "Leave it out"),
    evaluated("latest alone", "latest", "latest: not a readable setting", "Write run=latest"),
    evaluated("no run there", "run=nowhere", "nowhere: not a run directory", "or latest"),
    evaluated("a file for a run", "run=data/README.md", "data/README.md: not a run directory", "or latest"),
    evaluated("a study without runs", "study=data", "study=data: no finished run", "Give the directory of a multirun"),
    evaluated("a study of one arm", "study=runs", "A study needs runs with loss.lambda=0", "train them with",
              make=lambda here: [make_run(here / "runs" / name) for name in "ab"],
              shown="two runs with loss.lambda=0.3"),
    evaluated("too few samples for an interval", "run=a bootstrap_samples=1", "bootstrap_samples=1", "equal to 100"),
    evaluated("the best of a study", "study=a adapter=best", "adapter=best goes with run=DIR"),
    of_run("a run without an adapter", lambda run: shutil.rmtree(run / "adapter"), "no adapter_model.safetensors here",
           "train.py resume=", shown="adapter/ is gone"),
    Case("a folder of two words without an adapter", ("evaluate.py", 'run="my run"'),
         ("""python train.py 'resume="my run"'""",),
         lambda here: shutil.rmtree(make_run(here / "my run") / "adapter"), shown="adapter/ is gone"),
    of_run("an adapter cut off", lambda run: write(run / "adapter/adapter_model.safetensors", TABLE[:5]),
           "adapter_model.safetensors is damaged", "Use another one", shown="5 bytes"),
    of_run("roles that are gone", lambda run: write(run / "adapter/dialogue_template.json", b"{}"),
           "dialogue_template.json: cannot be read", "The adapter's folder is damaged", shown="{}"),
    of_run("no best adapter", lambda run: None, "no best evaluation's adapter was kept", "Use the last one",
           more="adapter=best", shown=""),
    of_run("other files where a report goes", lambda run: None, "output=data: this folder holds files",
           "Give a new one", more="output=data", shown=""),
    of_run("a file for a report", lambda run: write(run / "there", b""), "output=run/there", "is no folder",
           more="output=run/there", shown=""),
    of_run("rows split off a file that changed", _split_off, "data/relational/train.jsonl: this file changed since run",
           "rows that were trained on can be among them", "Put the former file back", shown="another hash"),
    of_run("a corpus that has gone", lambda run: _edit(run / "config.yaml", lambda text: text.replace(b"relational/",
                                                                                                      b"gone/")),
           "data/gone/train.jsonl: does not exist", "Give a JSONL file", shown="train_file: data/gone/train.jsonl"),
)  # fmt: skip
