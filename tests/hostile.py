"""Hostile files: what each attempts, and the message it gets instead.

A payload creates the file ``canary`` in the working directory. Nothing here is dangerous elsewhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bad_configs import (
    ADAPTER,
    HEAD,
    make_checkpoint,
    make_run,
    model,
    of_run,
    resumed,
    run_config,
    typed,
    write,
)
from typing_in import Case

CANARY = "canary"
PICKLE = b"cposix\nsystem\n(S'touch canary'\ntR."
MODULE = b"open('canary', 'w').close()\n"
TAG = b'!!python/object/apply:os.system ["touch canary"]'
ESCAPES = "\x1b]52;c;Y2FuYXJ5\x07\x1b[2J\u202e"


def adapter(name: str, changes: dict[str, Any] | bytes, *words: str, shown: str = "", beside: str = "") -> Case:
    """A run whose adapter's configuration is hostile; ``beside`` is a module in the working directory."""
    content = changes if isinstance(changes, bytes) else json.dumps(ADAPTER | changes).encode()

    def change(run: Path) -> None:
        write(run / "adapter" / "adapter_config.json", content)
        if beside:
            write(run.parent / beside, MODULE)

    seen = shown or (json.dumps(changes) if isinstance(changes, dict) else changes.decode("utf-8", "backslashreplace"))
    return of_run(f"an adapter: {name}", change, *words, shown=seen)


def adapter_file(name: str, file: str, content: bytes, *words: str, shown: str = "") -> Case:
    """A run whose adapter folder holds a hostile file."""
    return of_run(
        f"an adapter: {name}", lambda run: write(run / "adapter" / file, content), *words, shown=shown or file
    )


def config(name: str, old: bytes, new: bytes, *words: str, shown: str = "") -> Case:
    """A run whose config.yaml was changed."""

    def change(run: Path) -> None:
        text = run_config().encode()
        assert old in text, old
        write(run / "config.yaml", text.replace(old, new, 1))

    return of_run(f"a run: {name}", change, *words, shown=shown or new.decode("utf-8", "backslashreplace"))


def link(name: str, place: str, *words: str, folder: bool = False) -> Case:
    """A run with a file that is a link to something outside."""

    def change(run: Path) -> None:
        outside = run.parent / "outside"
        outside.mkdir() if folder else outside.write_text("not yours\n")
        path = run / place
        if path.exists():
            os.replace(path, run.parent / "former")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(outside)

    return of_run(
        f"a run: {name}", change, place, "this link leads out", *words, shown=f"{place} is a link to ../outside"
    )


def base(name: str, change: Callable[[Path], Any], *words: str, shown: str) -> Case:
    """A model's folder, a changed copy of the bundled one."""
    return model(f"a model: {name}", change, *words, shown=shown)


def base_config(name: str, changes: dict[str, Any], *words: str) -> Case:
    def change(folder: Path) -> None:
        file = folder / "config.json"
        write(file, json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes))

    return base(name, change, *words, shown=json.dumps(changes))


def sent(name: str, content: bytes, *words: str) -> Case:
    """An experiment received from somebody, with a module in the working directory."""

    def make(folder: Path) -> None:
        write(folder / "conf" / "experiment" / "mine.yaml", HEAD + content)
        write(folder / "evil.py", MODULE)

    case = Case(f"an experiment: {name}", ("train.py", "experiment=mine"), words, make, True, content.decode())
    return case


def looked_at(name: str, change: Callable[[Path], Any], *words: str, shown: str, passed_over: bool = False) -> Case:
    """A run that ``rct health`` examines."""

    def make(folder: Path) -> None:
        change(make_run(folder / "run"))

    return Case(f"rct health: {name}", ("rct", "health", "run"), words, make, shown=shown, passed_over=passed_over)


def alert(**changes: Any) -> bytes:
    told = {"time": 0.0, "event": "alert", "step": 1, "rule": "rising", "seen": "x", "means": "y", "remedy": "z"}
    return json.dumps(told | changes).encode() + b"\n"


def table(length: int, text: bytes) -> bytes:
    """A safetensors file: a length and a table."""
    return length.to_bytes(8, "little") + text


LAUGHS = b"a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b, *b, *b, *b]\n"
PROMISES = json.dumps({"w": {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}}).encode()
DEEP = b'{"r": ' + b"[" * 100_000
NO_CHECKPOINT = "there is no whole checkpoint"

HOSTILE: tuple[Case, ...] = (
    adapter_file("a pickle under another name", "adapter_model.safetensors", PICKLE, "is damaged, or no safetensors",
                 shown="adapter_model.safetensors: cposix system (S'touch canary' ..."),
    adapter_file("a pickle beside it", "adapter_model.bin", PICKLE, "adapter_model.bin could run code", "remove this"),
    adapter_file("a module beside it", "modeling_own.py", MODULE, "modeling_own.py could run code", "remove this"),
    adapter_file("a library beside it", "kernel.so", b"\x7fELF", "kernel.so could run code", "remove this"),
    of_run("an adapter: a pickle in its stead", lambda run: os.replace(
        write(run / "adapter/adapter_model.bin", PICKLE), run / "adapter/adapter_model.pt") or
        (run / "adapter/adapter_model.safetensors").unlink(), "no adapter_model.safetensors here",
           shown="adapter_model.pt"),
    adapter_file("a table longer than any file", "adapter_model.safetensors", table(2**62, b"{}"), "is damaged",
                 shown="the table has 2^62 bytes"),
    adapter_file("tensors that are not there", "adapter_model.safetensors", table(len(PROMISES), PROMISES),
                 "is damaged",
                 "and 0 follow", shown="a tensor of a terabyte in 80 bytes"),
    adapter("a pickle for its configuration", PICKLE, "not a readable adapter configuration", "Use another"),
    adapter("classes to import", {"auto_mapping": {"base_model_class": "system", "parent_library": "os"}},
            "auto_mapping names classes to import", "Use an adapter that this program wrote"),
    adapter("a module to import", {"megatron_config": {"a": 1}, "megatron_core": "evil"},
            "'megatron_config' ask for more",
            beside="evil.py"),
    adapter("a rank for a thousand machines", {"r": 10**9}, "r is 1000000000, not 1 to 4096"),
    adapter("an expression that never ends", {"target_modules": "(a+)+$"}, "target_modules names no modules"),
    adapter("targets that are no modules", {"target_modules": ["../../lm_head"]}, "target_modules names no modules"),
    adapter("expressions for ranks", {"rank_pattern": {"(a+)+$": 10**6}}, "'rank_pattern' ask for more"),
    adapter("layers a million times", {"layer_replication": [[0, 6]] * 9}, "'layer_replication' ask for more"),
    adapter("whole layers besides", {"modules_to_save": ["lm_head"]}, "'modules_to_save' ask for more"),
    adapter("another kind", {"peft_type": "PROMPT_TUNING"}, "peft_type is 'PROMPT_TUNING', not LORA"),
    adapter("weights that are made by code", {"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa', not true"),
    adapter("nested without end", DEEP, "not a readable adapter configuration", "nested too deeply",
            shown='{"r": [[[[ ...'),
    adapter("five megabytes of configuration", b'{"r": "' + b"x" * 5 * 2**20 + b'"}', "bytes are more than",
            shown="{...}"),
    adapter_file("roles of a megabyte", "dialogue_template.json", json.dumps({"human": "x" * 2**20,
                                                                              "assistant": "y"}).encode(),
                 "has no two names of roles", shown='{"human": "xxxx ...'),
    config("a tag of YAML", b"seed: 42", b"seed: " + TAG, "not a readable configuration", "Give another run"),
    config("a function for a callback", b"rct_lightning.callbacks.Events", b"os.system",
           "'os.system' is not on the list"),
    config("a way through an allowed name", b"rct_lightning.callbacks.Events", b"rct_lightning.callbacks.os.system",
           "is not on the list"),
    config("a function for a logger", b"rct_lightning.callbacks.BoardLogger", b"subprocess.Popen",
           "logger.tensorboard._target_='subprocess.Popen' is not on the list"),
    config("a secret of this machine", b"name_or_path: data/nano", b"name_or_path: me/${oc.env:HOME}",
           "is a reference"),
    config("few lines for gigabytes", b"model:", LAUGHS + b"model:", "run/config.yaml, line 2: an alias",
           shown="a: &a [x ...]"),
    config("nested without end", b"seed: 42", b"seed: " + b"[" * 100_000, "nested more than 20 times",
           shown="seed: [[[[ ..."),
    config("two megabytes", b"seed: 42", b"# " + b"x" * 2**21 + b"\nseed: 42", "bytes are more than",
           shown="# xxxx ..."),
    config("a zero byte", b"seed: 42", b"seed: 42 \x00", "not a readable configuration"),
    config("a file that never ends", b"data/relational/train.jsonl", b"/dev/zero", "/dev/zero: is no regular file"),
    link("events that are somebody's file", "events.jsonl", "Put the file itself"),
    link("a report that is somebody's file", "report/report.md", "Put the file itself"),
    link("a report that is somebody's folder", "report", "Put the file itself", folder=True),
    link("a status to be written over", ".status.json.part", "Put the file itself"),
    link("checkpoints that are somebody's folder", "checkpoints", "Put the file itself", folder=True),
    resumed("a checkpoint: a pickle for its state", lambda run: make_checkpoint(run / "checkpoints/step-1", PICKLE),
            NO_CHECKPOINT, "train anew", shown="state.json, with the right sum"),
    resumed("a checkpoint: a pickle for its tensors", lambda run: make_checkpoint(
        run / "checkpoints/step-1", b'{"map": []}', PICKLE), NO_CHECKPOINT,
            shown="tensors.safetensors, with the right sum"),
    resumed("a checkpoint: a manifest that names other files", lambda run: (
        make_checkpoint(run / "checkpoints/step-1", b'{"map": []}', manifest={"state.json": "0", "../../canary": "0"})),
        NO_CHECKPOINT, shown='{"../../canary": "0"}'),
    resumed("a checkpoint: a manifest nested without end", lambda run: write(
        run / "checkpoints/step-1/manifest.json", DEEP), NO_CHECKPOINT, shown='{"r": [[[[ ...'),
    resumed("a checkpoint: a number of no step", lambda run: os.replace(
        run / "checkpoints/step-1", run / f"checkpoints/step-{'9' * 200}"), NO_CHECKPOINT, shown="step-999 ..."),
    base("pickled weights", lambda folder: (folder / "model.safetensors").unlink() or write(
        folder / "pytorch_model.bin", PICKLE), "its weights are pickled", "save them as safetensors",
         shown="pytorch_model.bin"),
    base("a pickle under another name", lambda folder: write(folder / "model.safetensors", PICKLE),
         "model.safetensors is damaged, or no safetensors",
         shown="model.safetensors: cposix system (S'touch canary' ..."),
    base("an adapter of another base", lambda folder: write(folder / "adapter_config.json", json.dumps(
        ADAPTER | {"base_model_name_or_path": "evil/model"})), "makes it an adapter", "name its base",
        shown='{"base_model_name_or_path": "evil/model"}'),
    base("weights elsewhere", lambda folder: write(folder / "model.safetensors.index.json", json.dumps(
        {"weight_map": {"w": "../../x.safetensors"}})), "names files that are not in this folder",
        shown='{"weight_map": {"w": "../../x.safetensors"}}'),
    base("nested without end", lambda folder: write(folder / "config.json", DEEP), "nested too deeply",
         shown='{"r": [[[[ ...'),
    base_config("attention from somebody's repository", {"attn_implementation": "evil/kernel"},
                "config.json asks for attn_implementation 'evil/kernel'"),
    base_config("no kind of model", {"model_type": ["gpt_neox"]}, "config.json names no model_type"),
    sent("a callback of Hydra", b"hydra:\n  callbacks:\n    own:\n      _target_: evil.run\n", "evil.run",
         "not Hydra's"),
    sent("a launcher of its own", b"hydra:\n  launcher:\n    _target_: evil.run\n", "evil.run", "Remove it"),
    sent("a handler of logs", b"hydra:\n  job_logging:\n    handlers:\n      own:\n        (): evil.run\n", "evil.run",
         "Remove it"),
    sent("a class of logs", b"hydra:\n  hydra_logging:\n    handlers:\n      own:\n        class: evil.Handler\n",
         "evil.Handler", "not Hydra's"),
    sent("a callback of ours", b"callbacks:\n  own:\n    _target_: os.system\n    command: touch canary\n",
         "not on the list"),
    sent("a tag of YAML", b"seed: " + TAG + b"\n", "mine.yaml, line 2: a tag of YAML", "remove it"),
    typed("a job to be run again", "--experimental-rerun=job.pickle", "unpickles a file, which can run code",
          make=lambda here: write(here / "job.pickle", PICKLE), shown="job.pickle: cposix system (S'touch canary' ..."),
    Case("a corpus: an id that commands the terminal", ("train.py", "data=jsonl", "data.train_file=own.jsonl"),
         ("own.jsonl, line 2: the id 'x\\x1b]52", "Ids are unique"), lambda here: write(
             here / "own.jsonl", (json.dumps({"id": f"x{ESCAPES}", "input": "a", "output": "b"}) + "\n") * 2),
         shown="\\u001b]52;c;..."),
    looked_at("a pipe that nobody writes to",
              lambda run: (run / "events.jsonl").unlink() or os.mkfifo(run / "events.jsonl"),
              "There is no run in run", shown="events.jsonl is a pipe"),
    looked_at("words that command the terminal", lambda run: write(run / "events.jsonl", alert(seen=ESCAPES,
                                                                                               rule=ESCAPES)),
              shown="\\u001b]52;c;...", passed_over=True),
    looked_at("figures that are none", lambda run: write(
        run / "events.jsonl", b'[1]\n{"event": "alert"}\n' + b"[" * 100_000 + b"\n" + alert(seen={"a": 1},
                                                                                            step=10**400)),
        shown='{"event": "alert"} [[[[ ...', passed_over=True),
    looked_at("a configuration with a tag", lambda run: write(run / "config.yaml", b"a: " + TAG),
              shown="a: !!python ...",
              passed_over=True),
)  # fmt: skip
