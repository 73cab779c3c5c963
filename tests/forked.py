"""Run commands in processes forked from one that has imported everything: fast, and killable.

Run as a script, it is that process: it reads one command per line as JSON from standard input, forks a process (in its
own group) for it, prints its number, and reports how it ended when it has.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[1]


class Forker:
    """Inside ``with``, commands can be run."""

    def __enter__(self) -> Forker:
        own = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONHASHSEED": "0"}  # threads do not survive a fork
        env = os.environ | own
        line = [sys.executable, __file__]
        self.process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def begin(self, cwd: Path, *arguments: str, before: str = "") -> int:
        """Start ``python train.py ...`` in a folder; return the number of its process.

        Args:
            cwd: The folder; output goes into files next to it.
            arguments: The script and its arguments.
            before: Code to run in the process first.
        """
        return int(self._ask({"cwd": str(cwd), "arguments": arguments, "before": before}))

    def end(self, number: int, cwd: Path) -> tuple[int, str, str]:
        """Wait for a process; return its exit code (negative: a signal), and its output on both streams."""
        code = int(self._ask({"wait": number}))
        return code, *((cwd / f"{number}.{stream}").read_text(encoding="utf-8") for stream in ("out", "err"))

    def type_in(self, cwd: Path, *arguments: str, before: str = "") -> tuple[int, str, str]:
        """Run a command and wait for it."""
        return self.end(self.begin(cwd, *arguments, before=before), cwd)

    def _ask(self, question: dict[str, Any]) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()


def _run(cwd: str, arguments: list[str], before: str) -> None:
    """Run in the forked process."""
    import runpy

    os.setsid()
    os.chdir(cwd)
    for number, stream in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{os.getpid()}.{stream}", os.O_WRONLY | os.O_CREAT), number)
    sys.argv = [str(ROOT / arguments[0]), *arguments[1:]]
    code: Any = 0
    try:
        exec(before, {})
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as ended:
        code = ended.code or 0
        if isinstance(code, str):
            print(code, file=sys.stderr)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def main() -> None:
    """Fork processes and report on them."""
    import matplotlib.figure  # noqa: F401  this and what follows, so that no forked process imports it
    import peft  # noqa: F401
    import torch
    from transformers import GPTNeoXForCausalLM  # noqa: F401
    from transformers.utils.logging import disable_progress_bar

    import rct_lightning.experiment  # noqa: F401
    from rct_lightning.backbone import nf4_problem

    nf4_problem("cpu")  # imports bitsandbytes, if it is installed
    torch.set_num_threads(1)
    disable_progress_bar()
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            print(os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1]), flush=True)
            continue
        sys.stdout.flush()
        child = os.fork()
        if not child:
            _run(**asked)
        print(child, flush=True)


if __name__ == "__main__":
    main()
