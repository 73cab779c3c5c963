"""The content of a report, from the verdict down to the limits (docs/report.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rct_lightning.evaluation import pictures
from rct_lightning.evaluation.endpoints import GROUPS, PRIMARY, group_of
from rct_lightning.evaluation.examples import RULE, fixed_prompts, of_each_kind
from rct_lightning.evaluation.limits import limits
from rct_lightning.evaluation.setting import Setting
from rct_lightning.evaluation.statistics import Estimate
from rct_lightning.evaluation.told import Told, text_of
from rct_lightning.evaluation.verdict import FEWEST_GROUPS, TONES, Judged
from rct_lightning.losses import TERMS
from rct_lightning.page import Block, Cell, Facts, Figures, Page, Paragraph, Points, Section, Table, Tone
from rct_lightning.runs import RunDir

if TYPE_CHECKING:
    from rct_lightning.evaluation.report import Report

NOT_KEPT = "The run kept no record of this."


def page_of(report: Report, run: RunDir, setting: Setting) -> Page:
    """Return the report as a page.

    Args:
        report: The results.
        run: The evaluated run, whose own records are read here.
        setting: What was evaluated, and on what.
    """
    told = Told.of(run)
    sections = [
        Section("What was run", [_facts(run, setting, told)]),
        Section("Base against tuned", _compared(report)),
        Section("Losses", _losses(told)),
        Section("Examples", _examples(report, run.step_of("best" if setting.adapter[0] == "best" else "last"))),
        Section("Alerts while training", _alerts(setting, told)),
        Section("Checks before training", _checks(told)),
        Section("What was cut from the data", _cut(setting)),
        Section("Limits", [Points(limits(report, setting, told))]),
        Section("How it was made", [_made(setting, told)]),
    ]
    lead = [*(Paragraph(each.text, each.tone) for each in report.verdict), Paragraph(_explained(report))]
    footer = "Made by rct_lightning. The same figures, item by item, are in metrics.json."
    return Page(f"{setting.title}: tuned against base", lead, sections, footer)


def _explained(report: Report) -> str:
    return (
        "The tuned model is the base with the adapter that this run trained; the base is the same model with the "
        "adapter turned off. Both were asked the same held-out rows, probes and phrases. Intervals are "
        "95%, by Student's t over conversations, pairs or probes. A change counts as better or WORSE where its "
        f"interval lies on one side of zero; with fewer than {FEWEST_GROUPS} of them it is not judged. The primary "
        f"endpoints are fixed and not chosen by what came out: {', '.join(PRIMARY)}."
    )


# --- what was run ---------------------------------------------------------------------------------------------------


def _facts(run: RunDir, setting: Setting, told: Told) -> Facts:
    config, loss = setting.config, setting.config["loss"]
    data = config.get("data", {})
    weights = ", ".join(f"{name} {weight:g}" for name, weight in loss.get("weights", {}).items())
    parameters = "" if setting.parameters is None else f", {setting.parameters / 1e6:,.1f} million parameters"
    which, adapter = setting.adapter
    steps = f"{told.step} optimizer steps, {told.state or 'state unknown'}" if told.step is not None else ""
    rows = ", ".join(f"{number:,} {side}" for side, number in setting.rows.items())
    rows += f" of {setting.conversations} conversations" if setting.conversations else ""
    files = ", ".join(str(data[name]) for name in ("train_file", "eval_file") if data.get(name))
    pairs = {
        "run": str(run.root) if not run.root.is_absolute() else run.root.name,
        "base": f"{config['model'].get('name_or_path', config['model']['name'])}{parameters}",
        "loss": f"{loss['name']}, lambda {loss['lambda']:g}" + (f", weights {weights}" if weights else ""),
        "adapter": f"{adapter} ({'after the last step' if which == 'last' else 'of the best evaluation'})",
        "seed": str(config["seed"]),
        "training": ", ".join(part for part in (steps, f"begun {told.began}" if told.began else "") if part),
        "device": text_of(told.environment.get("gpu") or told.environment.get("device")),
        "commit": text_of(told.environment.get("commit")),
        "corpus": files,
        "rows": rows,
        "probes": text_of(setting.probes),
    }
    return Facts([(name, value) for name, value in pairs.items() if value])


def _made(setting: Setting, told: Told) -> Facts:
    then, now = told.environment, setting.environment
    pairs = [
        ("trained with", _versions(then)),
        ("training precision", text_of(then.get("precision"))),
        ("evaluated with", _versions(now)),
        ("evaluated by commit", text_of(now.get("commit"))),
        ("evaluated on", text_of(now.get("gpu") or now.get("device"))),
        *((f"SHA-256 of {name}", digest) for name, digest in setting.data.items()),
    ]
    return Facts([(name, value) for name, value in pairs if value])


def _versions(environment: Any) -> str:
    packages = environment.get("packages")
    listed = [f"Python {text_of(environment.get('python'))}", text_of(environment.get("platform"))]
    listed += [text_of(packages)] if isinstance(packages, dict) else []
    return "; ".join(listed) if environment else "unknown"


# --- what was found -------------------------------------------------------------------------------------------------


def _compared(report: Report) -> list[Block]:
    blocks: list[Block] = [Figures([pictures.changes(report.judged)])] if report.judged else []
    for group, (title, explanation) in GROUPS.items():
        found = [each for each in report.judged if group_of(each.key) == group]
        if found:
            blocks.append(Section(title, [Paragraph(explanation), _table(title, found)]))
    return blocks


def _table(title: str, found: list[Judged]) -> Table:
    header = ["endpoint", "verdict", "base", "tuned", "change"]
    rows = [
        [
            Cell(each.key.partition("/")[2], each.endpoint.meaning),
            Cell(each.word or "not judged", f"({each.better or 'neither'} is better)", TONES[each.word]),
            _estimate(each.base),
            _estimate(each.tuned),
            _estimate(each.change),
        ]
        for each in found
    ]
    return Table(f"{title}: means with 95% intervals.", header, rows, "llrrr")


def _estimate(found: Estimate) -> Cell:
    return Cell(f"{found.mean:.3f}", f"[{found.low:.3f}, {found.high:.3f}]")


def _losses(told: Told) -> list[Block]:
    if not told.curves:
        return [Paragraph(NOT_KEPT)]
    names = ("lm", *TERMS, "total")
    evaluated = [row for row in told.curves if row["phase"] == "eval"]
    shown = [evaluated[0], evaluated[-1]] if len(evaluated) > 1 else evaluated
    rows = [
        [f"step {row['step']:g}", *(f"{row[f'{name}_loss']:.3f}" if f"{name}_loss" in row else "-" for name in names)]
        for row in shown
    ]
    caption = "First and last evaluation while training; terms before they are weighted, - where none was computed."
    table = [Table(caption, ["evaluation", *names], rows, "l" + "r" * len(names))] if rows else []
    return [Figures(pictures.losses(told.curves)), *table]


def _examples(report: Report, step: int | None) -> list[Block]:
    return [Paragraph(RULE), fixed_prompts(report.comparison, step), *of_each_kind(report.comparison)]


def _alerts(setting: Setting, told: Told) -> list[Block]:
    if told.events is None:
        return [Paragraph(NOT_KEPT)]
    if not told.alerts:
        watched = "callbacks" not in setting.config or "health" in setting.config["callbacks"]
        spoke = "None: no rule of docs/guards.md spoke while this run trained."
        return [Paragraph(spoke) if watched else Paragraph("No rule watched: callbacks.health was off.", "bad")]
    rows: list[list[str | Cell]] = [
        [
            Cell(str(alert.get("rule", "?")), "", "bad"),
            str(alert["step"]),
            str(alert.get("seen", "?")),
            f"{alert.get('means', '')} {alert.get('remedy', '')}".strip(),
        ]
        for alert in told.alerts
    ]
    return [
        Table(
            "What rules said, in order of steps.", ["rule", "step", "seen", "what it means, what to do"], rows, "lrll"
        )
    ]


def _checks(told: Told) -> list[Block]:
    if told.findings is None:
        return [Paragraph(NOT_KEPT)]
    if not told.findings:
        return [Paragraph("No guard looked at this run before it trained (check=false).", "bad")]
    tones: dict[str, Tone] = {"warn": "bad", "stop": "bad"}
    rows: list[list[str | Cell]] = [
        [guard, Cell(status, "", tones.get(status, "quiet")), Cell(seen, remedy)]
        for guard, status, seen, remedy in told.findings
    ]
    return [Table("What the guards saw before step 0.", ["guard", "status", "seen"], rows)]


def _cut(setting: Setting) -> list[Block]:
    limit = setting.config.get("data", {}).get("max_seq_length")
    header = ["side", "rows", "oldest turns cut", "user text cut", "reply cut", "reply tokens lost"]
    rows = [
        [
            side,
            f"{cut.rows:,}",
            f"{cut.rows_with_cut_context:,}",
            f"{cut.rows_with_cut_input:,}",
            f"{cut.rows_with_cut_reply:,}",
            f"{cut.reply_tokens_cut:,} of {cut.reply_tokens:,}",
        ]
        for side, cut in setting.cut.items()
    ]
    caption = f"Rows of which something did not fit into data.max_seq_length={limit} tokens."
    blocks: list[Block] = [Table(caption, header, rows, "lrrrrr") if rows else Paragraph(NOT_KEPT)]
    return blocks + _cleaned(setting)


def _cleaned(setting: Setting) -> list[Block]:
    """Return what cleaning removed, if the corpus has a record of it."""
    found = setting.cleaning
    taken, scrubbed = found.get("quarantined"), found.get("scrubbed")
    if not isinstance(taken, dict) or not isinstance(scrubbed, dict):
        return [Paragraph("There is no account of cleaning (clean.json) beside the corpus.")]
    rows = [[text_of(rule), "quarantined", text_of(number)] for rule, number in taken.items() if number]
    for kind, counts in scrubbed.items():
        if isinstance(counts, dict) and counts.get("rows"):
            rows.append([text_of(kind), "replaced by placeholders", text_of(counts["rows"])])
    rows.append(["all rules", "kept", f"{text_of(found.get('clean'))} of {text_of(found.get('rows'))}"])
    return [
        Table("What cleaning did before (clean.json beside the corpus), in rows.", ["rule", "", "rows"], rows, "llr")
    ]
