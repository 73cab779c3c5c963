"""How fast `rct monitor` opens a run, and what it holds: a run of many events, made up as training writes them.

python tests/benchmarks/monitor.py --events 1000000

Printed are the seconds from the start of the process to the first screen with its curves, the longest that a turned tab
took while the rest was read, the seconds until all of it was read, and the memory of the process. Every event has the
size of a real one (1 KB).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPIKE = 12345.0
"""The loss of one step in the middle."""


def make_run(root: Path, events: int) -> Path:
    """Write a run's directory with that many step events, ten steps apart, and the events before the first."""
    root.mkdir(parents=True)
    (root / "config.yaml").write_text("{}\n", encoding="utf-8")
    (root / "status.json").write_text(json.dumps({"state": "finished", "step": 10 * events}), encoding="utf-8")
    figures = {f"presence/figure_of_the_term_{number}": 1.2345678901234567 for number in range(14)}
    figures |= {"presence": 2.345678901234567, "coherence": 6.789012345678901, "continuity": 5.678901234567890}
    figures |= {f"activity/{term}": 0.5 for term in ("presence", "coherence", "continuity")}
    figures |= {"lr": 0.0002, "perf/reply_tokens_per_s": 419.59104002495695, "perf/peak_memory_mib": 1262.8984375}
    gradients = {f"grad/{term}_norm": 1.234567890123456 for term in ("lm", "presence", "coherence", "continuity")}
    with (root / "events.jsonl").open("w", encoding="utf-8") as file:
        file.write(json.dumps({"time": 0.0, "event": "start", "step": 0}) + "\n")
        file.write(json.dumps({"time": 0.5, "event": "eval", "step": 0, "lm": 7.5, "total": 9.0}) + "\n")
        file.write(json.dumps({"time": 1.0, "event": "fit", "step": 0, "total_steps": 10 * events}) + "\n")
        rest = json.dumps(figures)[1:]
        measured = json.dumps(figures | gradients)[1:]
        for at in range(1, events + 1):
            loss = SPIKE if at == events // 3 else 2.0 + 5.0 / at
            file.write(
                f'{{"time": {1.0 + at}, "event": "step", "step": {10 * at}, "lm": {loss}, "total": {1.5 * loss}, '
                f"{measured if at % 5 == 0 else rest}\n"
            )
    return root


async def opened(run: Path, begun: float) -> dict[str, float]:
    """Return seconds and MiB of one opening; ``begun`` is the start time of the process, in seconds since 1970."""
    from rct_lightning.runs import RunDir
    from rct_lightning.tui.monitor.app import Monitor

    found = {}
    app = Monitor(RunDir(run))
    async with app.run_test(size=(120, 40)):
        found["first screen, s"] = time.time() - begun
        found["first screen, s of processor time"] = time.process_time()
        assert app.views[0].state.curves["train/lm"].newest is not None
        worst = 0.0
        while app.views[0].read < 1:
            turned = time.perf_counter()
            app.action_turn(1)
            await asyncio.sleep(0.05)  # time for everything else, such as drawing
            worst = max(worst, time.perf_counter() - turned - 0.05)
        found["longest wait for a turned tab meanwhile, s"] = worst
        found["all events, s"] = time.time() - begun
        found["all events, s of processor time"] = time.process_time()
        curve = app.views[0].state.curves["train/lm"]
        assert max(stretch.high for stretch in curve.stretches) == SPIKE, "the spike is kept"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found["peak memory, MiB"] = peak / (2**20 if sys.platform == "darwin" else 2**10)
    return found


def main() -> None:
    """Make a run, open it in a fresh process, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--begun", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.open is not None:
        for name, value in asyncio.run(opened(given.open, given.begun)).items():
            print(f"{name:44} {value:10.2f}")
        return
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder) / "run", given.events)
        size = (run / "events.jsonl").stat().st_size
        print(f"{given.events:,} events, {size / 2**20:,.0f} MiB", flush=True)
        line = [sys.executable, __file__, "--open", str(run), "--begun", repr(time.time())]
        subprocess.run(line, check=True)


if __name__ == "__main__":
    main()
