"""Run commands with mistakes in them, many in one process, and record what each says and leaves.

A command runs as ``python train.py ...`` does, in its own folder with ``data/`` as in a checkout. A command that
imports torch or another heavy library goes too far: the import is refused and recorded. The same commands can be run
as separate processes (``pytest -m long``).
"""

from __future__ import annotations

import contextlib
import importlib.abc
import io
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "lightning", "transformers", "peft", "bitsandbytes", "torchmetrics", "huggingface_hub")
RUN_DIR = "logs/train/runs/new"
HERE = "DIR"
"""Replaces the command's folder in the output that is shown."""
NOTING = (
    "import atexit, os, sys\n"
    "atexit.register(lambda: open(os.environ['TYPED_MODULES'], 'w').write('\\n'.join(sys.modules)))\n"
)
"""Appended in a separate process: records what it had imported at the end."""


@dataclass(frozen=True)
class Case:
    """A mistake.

    Attributes:
        name: The mistake in words.
        command: The command: the script and its arguments.
        words: What the message must contain: the place, and the remedy.
        make: Makes the files of the case, in the folder where the command is run.
        own_conf: Whether the folder has its own ``conf/``, to be changed.
        shown: Contents of the file, for the page; empty for a mistake on the command line.
        passed_over: Whether the hostile part is never read, so that the command succeeds.
    """

    name: str
    command: tuple[str, ...]
    words: tuple[str, ...]
    make: Callable[[Path], Any] | None = None
    own_conf: bool = False
    shown: str = ""
    passed_over: bool = False


@dataclass(frozen=True)
class Said:
    """The outcome of a command: exit code (-1: uncaught error), output, files, whether it went on to heavy imports."""

    code: int
    out: str
    err: str
    left: tuple[str, ...] = ()
    heavy: bool = False

    @property
    def paragraph(self) -> str:
        """The message on one line."""
        return " ".join(self.err.split())


class HeavyImport(BaseException):
    """A command went on to import what it should not need."""


class NothingHeavy(importlib.abc.MetaPathFinder):
    """Refuses to find heavy libraries."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> None:
        if name.split(".")[0] in HEAVY:
            raise HeavyImport(name)


@dataclass
class Typist:
    """Runs commands in this process."""

    typed: set[tuple[str, ...]] = field(default_factory=set)
    composed: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def type_in(self, case: Case) -> Said:
        """Run one command; what it set in this process is restored."""
        from hydra._internal.hydra import Hydra
        from hydra.core.global_hydra import GlobalHydra
        from hydra.core.plugins import Plugins
        from hydra.core.singleton import Singleton
        from omegaconf.basecontainer import BaseContainer

        import rct_lightning.config  # noqa: F401  its resolvers are among what is set back

        Hydra.get_mode = lambda *_, **__: (
            None
        )  # composes everything once before, to look for hydra.mode, which nobody sets
        with made(case) as folder:
            Plugins.instance()  # cached: Singleton.get_state and set_state would look for them at every command
            singletons, resolvers = dict(Singleton._instances), dict(BaseContainer._resolvers)
            before, environment = listed(folder), dict(os.environ)
            out, err, code, heavy = io.StringIO(), io.StringIO(), 0, False
            try:
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.chdir(folder):
                    self._run(case, folder)
            except SystemExit as stopped:
                code = stopped.code if isinstance(stopped.code, int) else 1
            except HeavyImport:
                code, heavy = -1, True
            except BaseException:
                err.write(traceback.format_exc())
                code = -1
            finally:
                GlobalHydra.instance().clear()
                Singleton._instances, BaseContainer._resolvers = singletons, resolvers
                os.environ.clear()
                os.environ.update(environment)
            return told(folder, code, out.getvalue(), err.getvalue(), before, heavy)

    def _run(self, case: Case, folder: Path) -> None:
        from rct_lightning.config.command import _remove_empty

        script, *arguments = case.command
        if script == "rct":
            from rct_lightning.cli import app

            app(arguments)
        elif case.own_conf or case.command not in self.typed or any(word.startswith("-") for word in arguments):
            self.typed.add(case.command)
            sys.argv = [str((folder if case.own_conf else ROOT) / script), *arguments]
            runpy.run_path(sys.argv[0], run_name="__main__")
        else:  # composed before: only the files that it names differ
            main = runpy.run_path(str(ROOT / script), run_name="typed again")["main"]
            try:
                main(self._composed(script, arguments).copy())
            finally:
                _remove_empty(Path(RUN_DIR), folder)  # a command that Hydra composed does this itself

    def _composed(self, script: str, arguments: list[str]) -> Any:
        from hydra import compose, initialize_config_dir

        key = (script, *arguments)
        if key not in self.composed:
            name = Path(script).stem
            where = [f"run_dir={RUN_DIR}"] if name == "train" else []
            with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
                self.composed[key] = compose(name, [*where, *arguments])
        return self.composed[key]


def type_as_process(case: Case) -> Said:
    """Run one command in a separate process."""
    with made(case) as folder, tempfile.TemporaryDirectory() as beside:
        (Path(beside) / "sitecustomize.py").write_text(NOTING, encoding="utf-8")
        modules = Path(beside) / "modules"
        env = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PL_", "HYDRA_"))}
        paths = [beside, str(ROOT), env.get("PYTHONPATH", "")]
        env |= {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "TYPED_MODULES": str(modules),
            "HF_HUB_OFFLINE": "1",
        }
        script, *arguments = case.command
        line = [str((folder if case.own_conf else ROOT) / script)]
        if script == "rct":
            line = ["-c", "from rct_lightning.cli import app; app()"]
        before = listed(folder)
        done = subprocess.run(
            [sys.executable, *line, *arguments], cwd=folder, env=env, capture_output=True, stdin=subprocess.DEVNULL
        )
        heavy = bool(set(HEAVY) & set(modules.read_text(encoding="utf-8").split("\n")))
        out, err = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
        return told(folder, done.returncode, out, err, before, heavy)


@contextlib.contextmanager
def made(case: Case) -> Iterator[Path]:
    """Yield the folder where a command is run, with the files of its case."""
    with tempfile.TemporaryDirectory(prefix="typed", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve() / "here"
        folder.mkdir()
        (folder / "data").symlink_to(ROOT / "data", target_is_directory=True)
        (folder / "logs").mkdir()
        if case.own_conf:
            shutil.copytree(ROOT / "conf", folder / "conf")
            for script in ("train.py", "evaluate.py"):
                shutil.copy(ROOT / script, folder)
        if case.make is not None:
            case.make(folder)
        yield folder


def listed(folder: Path) -> dict[str, tuple[int, int]]:
    """Return every file and folder next to and below the one where a command is run, with size and time."""
    found = {}
    for path in folder.parent.rglob("*"):
        stat = path.lstat()
        found[path.relative_to(folder.parent).as_posix()] = (stat.st_size, stat.st_mtime_ns if path.is_file() else 0)
    return found


def told(folder: Path, code: int, out: str, err: str, before: dict[str, tuple[int, int]], heavy: bool) -> Said:
    """Return what was said, with the folder's name removed, and which files have changed."""
    after = listed(folder)
    left = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    changed = tuple(name for name in left if name not in ("here", "here/logs"))
    return Said(code, out.replace(str(folder), HERE), err.replace(str(folder), HERE), changed, heavy)


def faults(case: Case, said: Said) -> list[str]:
    """Return what is wrong with the answer to a mistake; empty if nothing is."""
    found = []
    if said.heavy:
        found.append("went on to import what is heavy")
    elif said.code != (0 if case.passed_over else 2):
        found.append(f"exit code {said.code}")
    if "\x1b" in said.out + said.err or "\u202e" in said.out + said.err:
        found.append("commands the terminal")
    if "Traceback" in said.err:
        found.append("a traceback")
    if said.err and not said.paragraph.startswith("Error: "):
        found.append("does not begin with Error:")
    if "\n\n" in said.err.strip():
        found.append("is more than a paragraph")
    found += [f"does not say {word!r}" for word in case.words if word not in said.paragraph]
    return found + [f"leaves {name}" for name in said.left]
