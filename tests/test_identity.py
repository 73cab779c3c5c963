"""A process is identified by its start time, not by its number alone."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rct_lightning.identity import alone_in, own_identity, presence

LOCKED = """
import os, sys, time
from pathlib import Path
from rct_lightning.identity import alone_in
with alone_in(Path(sys.argv[1])) as alone:
    os.fork()
    os.write(1, f"{alone}\\n".encode())  # both, each line in one piece; the child has left the lock then
    time.sleep(60)
"""
FORKED = """
import os, sys
from pathlib import Path
from rct_lightning.identity import alone_in
with alone_in(Path(sys.argv[1])):
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
    else:
        taken = os.open(os.devnull, os.O_RDONLY)  # gets the number that the lock had
if child:
    sys.exit(os.waitstatus_to_exitcode(status))
os.fstat(taken)  # raises if leaving the block closed it
"""
ASLEEP = """
import sys, time
from rct_lightning.identity import own_identity
import json
print(json.dumps(own_identity()), flush=True)
time.sleep(60)
"""


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Another process, and the identity that it recorded."""
    process = subprocess.Popen([sys.executable, "-c", ASLEEP], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process, json.loads(process.stdout.readline())
    process.kill()
    process.communicate()


def test_this_process_is_there() -> None:
    mine = own_identity()
    assert mine["pid"] == os.getpid() and presence(mine) == "there"


def test_a_process_that_was_killed_is_gone_even_before_its_parent_takes_note(other: Any) -> None:
    process, noted = other
    assert presence(noted) == "there"
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still in the process table
    assert presence(noted) == "gone"
    process.wait()
    assert presence(noted) == "gone"


def test_another_process_of_the_same_number_is_not_taken_for_it() -> None:
    assert presence(own_identity() | {"process_started": "another boot 1"}) == "gone"


def test_a_suspended_process_is_told(other: Any) -> None:
    process, noted = other
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    assert presence(noted) == "suspended"
    process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("changes", [{"host": "another"}, {"pid_namespace": "pid:[1]"}], ids=["machine", "container"])
def test_of_another_machine_or_container_nothing_is_said(changes: dict[str, Any]) -> None:
    assert presence(own_identity() | changes) == "elsewhere"


@pytest.mark.parametrize(
    "noted",
    [{}, {"pid": 1}, {"pid": "1", "process_started": "x"}, {"pid": -1, "process_started": "x"},
     {"pid": 10**30, "process_started": "x"}, {"pid": True, "process_started": "x"}, {"pid": 1, "process_started": []}],
)  # fmt: skip
def test_of_a_status_without_identity_nothing_is_known(noted: dict[str, Any]) -> None:
    assert presence(noted) == "unknown"


def test_a_folder_is_locked_by_one_process_until_that_ends(tmp_path: Path) -> None:
    """A process that it forked, as a loader does, is still there when it is killed."""
    folder = tmp_path / "runs" / "run"
    line = [sys.executable, "-c", LOCKED, str(folder)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout is not None and [process.stdout.readline() for _ in range(2)] == ["True\n"] * 2
            with alone_in(folder) as alone:
                assert not alone
            process.kill()
            process.wait()
            with alone_in(folder) as alone:
                assert alone
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    folder.rmdir()
    with alone_in(folder) as alone:
        assert alone and folder.is_dir()


def test_a_forked_process_closes_no_file_of_its_own_when_it_leaves_the_lock(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FORKED, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
