"""The report of an evaluation: a table for the console, Markdown, JSON and figures."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rct_lightning.evaluation.endpoints import Comparison, Endpoint
from rct_lightning.evaluation.subject import SIDES
from rct_lightning.figures import draw_losses
from rct_lightning.runs import RunDir
from rct_lightning.sanitize import printable

FIGURE_DPI = 120
METRICS_FILE, PAGE_FILE = "metrics.json", "report.md"
PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Report:
    """A comparison ready to be shown."""

    comparison: Comparison

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Endpoint, base, tuned, change with its interval, and what the change means."""
        samples, seed = self.comparison.samples, self.comparison.seed
        rows = []
        for endpoint in self.comparison.endpoints:
            base, tuned = (endpoint.estimate(side, samples, seed) for side in SIDES)
            change = endpoint.change(samples, seed)
            verdict = _verdict(endpoint, change.low, change.high)
            rows.append((endpoint.key, f"{base.mean:.3f}", f"{tuned.mean:.3f}", str(change), verdict))
        return rows

    def table(self) -> str:
        """The endpoints as aligned text."""
        header = ("endpoint", "base", "tuned", "change [95% interval]", "")
        rows = [header, *self.rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        )

    def metrics(self) -> dict[str, Any]:
        """Everything as plain numbers, item by item."""
        samples, seed = self.comparison.samples, self.comparison.seed
        endpoints: dict[str, Any] = {}
        for endpoint in self.comparison.endpoints:
            sides = {
                side: vars(endpoint.estimate(side, samples, seed)) | {"values": _round(endpoint.values[side])}
                for side in SIDES
            }
            change = vars(endpoint.change(samples, seed))
            endpoints[endpoint.key] = {
                "meaning": endpoint.meaning,
                "better": endpoint.better,
                **sides,
                "change": change,
            }
            endpoints[endpoint.key] |= {"groups": endpoint.groups, "weights": endpoint.weights}
        return {"bootstrap_samples": samples, "seed": seed, "endpoints": endpoints}


def fingerprint(files: Iterable[Path], *settings: object) -> str:
    """SHA-256 of what an evaluation is made from: files, settings, and this package's own code."""
    digest = hashlib.sha256(repr(settings).encode())
    for path in [*files, *sorted(PACKAGE.rglob("*.py"))]:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def stands(folder: Path, made_from: str) -> bool:
    """Whether the report in a folder was made from the same."""
    try:
        found = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and bool(made_from) and found.get("made_from") == made_from


def write_report(report: Report, run: RunDir, folder: Path, config: Mapping[str, Any], made_from: str = "") -> None:
    """Write report.md, metrics.json and figures/ into a folder; ``made_from`` is a :func:`fingerprint`."""
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    curves = run.read_loss_components()
    if curves:
        draw_losses(curves).savefig(figures / "loss_components.png", dpi=FIGURE_DPI)
    _draw_changes(report.comparison).savefig(figures / "endpoints.png", dpi=FIGURE_DPI)
    (folder / PAGE_FILE).write_text(_markdown(report, config, bool(curves)), encoding="utf-8")
    metrics = {"made_from": made_from, **report.metrics()}  # last: where it stands, the rest does
    (folder / METRICS_FILE).write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")


def _verdict(endpoint: Endpoint, low: float, high: float) -> str:
    if endpoint.better is None or math.isnan(low):
        return ""
    if low <= 0 <= high:
        return "no clear change"
    return "better" if (low > 0) == (endpoint.better == "higher") else "WORSE"


def _markdown(report: Report, config: Mapping[str, Any], has_curves: bool) -> str:
    loss, model = config["loss"], config["model"]
    lines = [
        f"# {model['name']}, loss={loss['name']}, lambda={loss['lambda']:g}, seed={config['seed']}",
        "",
        "Base (adapters off) against tuned on held-out rows, probes and phrases. An interval is a 95% bootstrap over "
        "conversations, pairs or probes; it speaks of this one run, not of other seeds.",
        "",
        "| endpoint | meaning | base | tuned | change [95% interval] | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    meanings = {endpoint.key: endpoint.meaning for endpoint in report.comparison.endpoints}
    lines += [
        f"| {key} | {meanings[key]} | {base} | {tuned} | {change} | {verdict} |"
        for key, base, tuned, change, verdict in report.rows()
    ]
    lines += ["", "![changes](figures/endpoints.png)", ""]
    lines += ["![losses](figures/loss_components.png)", ""] if has_curves else []
    lines += ["## Replies to the fixed prompts, greedy", ""]
    for prompt, base, tuned in report.comparison.replies:
        lines += [f"**{prompt}**", "", *_quoted("base", base), *_quoted("tuned", tuned)]
    return "\n".join(lines) + "\n"


def _quoted(name: str, text: str) -> list[str]:
    fence = "````"
    return [f"{name}:", "", fence, printable(text).replace(fence, "'''"), fence, ""]


def _draw_changes(comparison: Comparison) -> Any:
    """Each endpoint's change in units of its own standard deviation over items, with its interval."""
    from matplotlib.figure import Figure

    shown = [e for e in comparison.endpoints if e.better is not None]
    figure = Figure(figsize=(9, 0.32 * len(shown) + 1), layout="constrained")
    axis = figure.subplots()
    for place, endpoint in enumerate(reversed(shown)):
        change = endpoint.change(comparison.samples, comparison.seed)
        spread = float((endpoint.values["tuned"] - endpoint.values["base"]).std()) or 1.0
        sign = 1 if endpoint.better == "higher" else -1
        ends = sorted((sign * change.low / spread, sign * change.high / spread))
        axis.plot(ends, [place, place], color="C0")
        axis.plot([sign * change.mean / spread], [place], "o", color="C0")
    axis.axvline(0, color="grey", lw=0.8)
    axis.set_yticks(range(len(shown)), [e.key for e in reversed(shown)], fontsize=8)
    axis.set_xlabel("change in the better direction, in standard deviations over items")
    return figure


def _round(values: Any) -> list[float]:
    return [round(float(value), 6) for value in values]
