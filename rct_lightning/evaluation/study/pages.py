"""The page of a study: its conclusions in plain words, and every figure behind them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from rct_lightning.evaluation.endpoints import MEANINGS
from rct_lightning.evaluation.study import figures
from rct_lightning.evaluation.study.arms import ABOUT, BASE, LM_ONLY, POSITIVES, SHUFFLED
from rct_lightning.evaluation.study.claims import Answer
from rct_lightning.evaluation.study.contrasts import Contrast
from rct_lightning.evaluation.study.falsifiers import Finding
from rct_lightning.evaluation.study.guardrails import BOUNDS, UNBOUNDED
from rct_lightning.evaluation.study.report import StudyReport
from rct_lightning.evaluation.study.scores import NotThere
from rct_lightning.page import (
    Block,
    Cell,
    Facts,
    Figures,
    Page,
    Paragraph,
    Points,
    Section,
    Table,
    Tone,
    write_files,
    write_page,
)
from rct_lightning.runs import STUDY_FILE

NAME = "study"
TONES: dict[str, Tone] = {"holds": "good", "kept": "good", "fails": "bad", "broken": "bad", "cannot be told": "quiet"}
WHOLE = {
    "holds": "The hypothesis holds in this study.",
    "fails": "The hypothesis fails as it stands.",
    "cannot be told": "This study does not settle it.",
}
FIRED = {
    "holds": "No, it does not fail here.",
    "fails": "Yes, it fails here.",
    "cannot be told": "This cannot be told.",
}
ASKED = (
    "Asked was whether a model trained with relational terms turns to who addresses it (presence), stays the one it "
    "was (coherence) and keeps what was shared (continuity), more than the same model trained on the same text."
)
METHODS = (
    "The unit of replication is the seed: a run of the same arm with another seed differs in initialisation, order of "
    "rows and dropout. Arms are paired by seed and by item.",
    "Intervals are 95%, by a studentised bootstrap over seeds and over conversations (or pairs, or probes); with fewer "
    "than five of either, Student's t. They speak of other seeds and of other items of the same kind.",
    "The claim of a term asks four things at once: against lm_only and against positives_only, by the interval and by "
    "an exact sign-flip test over seeds. The largest of the four p counts, and the three terms are adjusted by Holm's "
    "method. Intervals elsewhere on this page are taken one at a time; among many, one in twenty misleads.",
    "d_z is the mean difference of the seeds in units of their own standard deviation.",
    "docs/statistics.md has the references, and the simulations that the methods were chosen by.",
)


def page_of(report: StudyReport) -> Page:
    """Return the report as a page."""
    arms, seeds = report.study.arms(), {run.seed for run in report.study.runs}
    unasked = _why_unasked(report)
    asked = [Section("Where the hypothesis would fail", _falsifiers(report))] if unasked is None else []
    return Page(
        f"Study of {len(arms)} arms and {len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'}",
        _verdict(report) if unasked is None else _no_verdict(report, unasked),
        [
            *asked,
            Section("Guardrails, and what it costs", _guardrails(report)),
            Section("What was compared", _compared(report)),
            Section("In pictures", _pictures(report)),
            Section("Every endpoint", _tables(report.contrasts)),
            Section("How it was computed, and what it does not show", [Points(METHODS)]),
        ],
        f"{len(report.study.runs)} runs evaluated, {report.study.samples:,} bootstrap samples, "
        f"seed {report.study.seed} of the bootstrap.",
    )


def write_study(report: StudyReport, folder: Path) -> Page:
    """Write study.html, study.md with its figures, and study.json; return the page.

    Raises:
        UserError: The files cannot be written.
    """
    page = page_of(report)
    write_page(folder, NAME, page)
    content = json.dumps(report.plain(), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    write_files({folder / STUDY_FILE: content.encode()})
    return page


def _why_unasked(report: StudyReport) -> str | None:
    """Return why no arm is the one the hypothesis is about; None if there is one."""
    try:
        report.study.treated()
    except NotThere as missing:
        return str(missing)
    return None


def _no_verdict(report: StudyReport, why: str) -> list[Block]:
    """Return the lead of a study, such as a sweep, that compares its arms without judging the hypothesis."""
    told = (
        f"The hypothesis is not asked about here: {why}. What follows sets every arm against the base and against "
        f"{LM_ONLY}, one endpoint at a time."
    )
    beside = _gaps(report)
    return [Paragraph(told, "quiet"), *([Points(beside)] if beside else [])]


def _verdict(report: StudyReport) -> list[Block]:
    six = f"Of six ways in which it could fail, {_ways(report)}."
    terms = f"Of its three terms, {_counted([(each.term, each.answer) for each in report.claims])}."
    said = [f"{_capital(each.term)}: {each.answer}. {_capital(each.why)}." for each in report.claims]
    whole = Paragraph(f"{WHOLE[report.answer]} {terms} {six}", TONES[report.answer])
    return [Paragraph(ASKED), whole, Points([*said, _guarded(report), *_missing(report)])]


def _ways(report: StudyReport) -> str:
    """Return in how many of the six ways the hypothesis fails or may fail, and their names."""
    parts = []
    for answer, said in (("fails", "it fails in {} ({})"), ("cannot be told", "{} cannot be told ({})")):
        names = [each.name for each in report.falsifiers if each.answer == answer]
        parts += [said.format(len(names), ", ".join(names))] if names else []
    return ", and ".join(parts) or "none is seen"


def _counted(found: Sequence[tuple[str, Answer]]) -> str:
    """Return how many have each answer, and their names."""
    parts = []
    for answer in ("holds", "fails", "cannot be told"):
        names = [name for name, own in found if own == answer]
        verb = answer.removesuffix("s") if len(names) > 1 and answer.endswith("s") else answer
        if names:
            parts.append(f"{len(names)} {verb} ({', '.join(names)})")
    return ", and ".join(parts)


def _guarded(report: StudyReport) -> str:
    """Summarise the guardrails of the treated arm in a sentence."""
    treated = report.study.treated()
    answers = [each.answer for each in report.guarded if each.arm == treated]
    kept = [f"{answers.count(answer)} {answer}" for answer in ("kept", "broken", "cannot be told")]
    return f"Guardrails of {treated}: {', '.join(kept)}."


def _missing(report: StudyReport) -> list[str]:
    """List what this study lacks; shown above all conclusions drawn without it."""
    wanted = [report.study.reference_of(report.study.treated()), POSITIVES, SHUFFLED]
    names = {arm.name for arm in report.study.arms()}
    lacking = [name for name in wanted if name not in names]
    said = [f"Arms that are missing: {', '.join(lacking)}. What is asked of them cannot be told."] if lacking else []
    return [*said, *_gaps(report)]


def _gaps(report: StudyReport) -> list[str]:
    """List missing seeds and runs."""
    names = sorted({arm.name for arm in report.study.arms()})
    seeds = {run.seed for run in report.study.runs}
    short = [f"{name} lacks {_listed(seeds - set(report.study.of(name)))}" for name in names
             if seeds - set(report.study.of(name))]  # fmt: skip
    said = [f"Seeds that others have: {'; '.join(short)}. Only shared ones are compared."] if short else []
    if report.absent:
        each = "; ".join(f"{absent.name} ({absent.why})" for absent in report.absent)
        said.append(f"Runs that are missing: {len(report.absent)}. {each}.")
    return said


def _falsifiers(report: StudyReport) -> list[Block]:
    blocks: list[Block] = []
    for number, each in enumerate(report.falsifiers, 1):
        head = Paragraph(f"It fails where {each.fails_where}. {FIRED[each.answer]}", TONES[each.answer])
        said: list[Block] = [head, Points([_marked(one) for one in each.findings])]
        said += [Paragraph(each.note)] if each.note else []
        blocks.append(Section(f"{number}. {each.question}", said))
    beside = "The same of coherence and continuity under another conversation's history; this is beside the six."
    placebo = Points([_marked(one) for one in report.placebo])
    return [*blocks, Section("Beside them: a wrong history", [Paragraph(beside), placebo])]


def _marked(finding: Finding) -> str:
    return finding.words if finding.answer == "cannot be told" else f"[{finding.answer}] {finding.words}"


def _guardrails(report: StudyReport) -> list[Block]:
    rows: list[list[str | Cell]] = []
    for arm in report.study.arms():
        own = [each for each in report.guarded if each.arm == arm.name]
        rows.append([arm.name, *(Cell(each.answer, each.words, TONES[each.answer]) for each in own)])
    caption = "Guardrails of every arm: kept, or broken, where the whole interval says so."
    table = Table(caption, ("arm", *(bound.words for bound in BOUNDS)), rows)
    if _why_unasked(report) is not None:
        return [table]
    treated = report.study.treated()
    cost = [e for e in report.contrasts if e.arm == treated and e.reference != BASE and e.endpoint in UNBOUNDED]
    references = dict.fromkeys(each.reference for each in cost)
    return [table, *(_table(f"Without a bound: {treated} minus {name}.", [e for e in cost if e.reference == name])
                     for name in references)]  # fmt: skip


def _compared(report: StudyReport) -> list[Block]:
    pairs = [(BASE, ABOUT[BASE])]
    for arm in report.study.arms():
        about = ABOUT.get(arm.name, "named by the settings that differ")
        pairs.append((arm.name, f"{about}; seeds {_listed(report.study.of(arm.name))}"))
    blocks: list[Block] = [Facts(pairs)]
    if report.absent:
        rows = [[each.name, each.why] for each in report.absent]
        blocks.append(Table("Runs of this study that were not evaluated.", ("run", "why"), rows))
    return blocks


def _pictures(report: StudyReport) -> list[Block]:
    sweep = figures.pareto(report.study, {run.arm.name: run.lambda_ for run in report.study.runs})
    return [Figures([*figures.forests(report.contrasts), *([sweep] if sweep else [])])]


def _tables(found: Sequence[Contrast]) -> list[Block]:
    references = list(dict.fromkeys(each.reference for each in found))
    meanings = [(key, MEANINGS[key][0]) for key in MEANINGS if any(each.endpoint == key for each in found)]
    return [
        Facts(meanings),
        *(
            Section(f"Against {name}", [_table(f"Each arm minus {name}.", [e for e in found if e.reference == name])])
            for name in references
        ),
    ]


def _table(caption: str, found: Sequence[Contrast]) -> Table:
    header = ("endpoint", "arm", "reference", "arm's", "difference [95%]", "", "d_z", "p, signs", "by seed")
    rows: list[list[str | Cell]] = []
    for each in found:
        told = "better" if each.is_better else "WORSE" if each.is_worse else ""
        tone: Tone = "good" if each.is_better else "bad" if each.is_worse else "plain"
        means = [f"{mean:.3f}" for mean in (each.reference_mean, each.arm_mean)]
        has_interval = not math.isnan(each.difference.low)
        difference = str(each.difference) if has_interval else f"{each.difference.mean:.3f} [no interval]"
        d_z, p = ("" if math.isnan(x) else f"{x:.{digits}f}" for x, digits in ((each.d_z, 2), (each.p_signs, 3)))
        by_seed = " ".join(f"{value:+.3f}" for value in each.by_seed)
        rows.append([each.endpoint, each.arm, *means, difference, Cell(told, tone=tone), d_z, p, by_seed])
    return Table(caption, header, rows, "llrrrlrrl")


def _listed(seeds: Iterable[int]) -> str:
    return ", ".join(str(seed) for seed in sorted(seeds))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
