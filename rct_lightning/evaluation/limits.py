"""What a report cannot show, derived from the facts of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rct_lightning.evaluation.setting import Setting
from rct_lightning.evaluation.told import Told

if TYPE_CHECKING:
    from rct_lightning.evaluation.report import Report

SMALL = 1e9
"""Number of parameters below which a base is called small."""


def limits(report: Report, setting: Setting, told: Told) -> list[str]:
    """Return one sentence per limit, the most important first."""
    return [*_of_the_design(setting), *_of_the_data(report, setting, told), *_of_the_model(report, setting)]


def _of_the_design(setting: Setting) -> list[str]:
    loss, seed = setting.config["loss"], setting.config["seed"]
    found = []
    if loss["name"] != "lm" and loss["lambda"]:
        found.append(
            "Tuned against base does not say what the relational terms did: the LM loss alone changes most endpoints, "
            "too. Only runs with loss.lambda=0 and the same seeds can tell: python train.py -m loss.lambda=0,"
            f"{loss['lambda']:g} seed=1,2,3,4,5,6,7,8, then python evaluate.py study=DIR."
        )
    found.append(
        f"One run with one seed ({seed}). Intervals are over rows and probes; another seed may come out otherwise, and "
        "by more than the intervals."
    )
    if loss["name"] == "relational" and loss["lambda"]:
        idle = [term for term, weight in loss.get("weights", {}).items() if not weight]
        if idle:
            found.append(f"No weight was on {', '.join(idle)}: what changed there was not asked for.")
    if setting.adapter[0] == "best":
        found.append(
            "The adapter is that of the best evaluation, chosen on the very evaluation rows: their loss flatters it."
        )
    return found


def _of_the_data(report: Report, setting: Setting, told: Told) -> list[str]:
    found = []
    judged = [each for each in report.judged if each.word]
    if judged:
        found.append(
            f"{len(judged)} intervals were looked at; of intervals without any true change about one in twenty lies "
            f"beside zero by chance ({len(judged) / 20:.1f} of these)."
        )
    if setting.rows.get("eval"):
        own = "split off the training file" if not setting.config["data"].get("eval_file") else "of the corpus"
        found.append(
            f"{setting.rows['eval']} evaluation rows of {setting.conversations} conversations, {own}, and "
            f"{sum(setting.probes.values())} probes: small differences cannot be seen, and no other corpus was asked."
        )
    if setting.misread:
        asked = setting.probes.get("twin", 0) + setting.probes.get("harmful", 0)
        found.append(
            f"{setting.misread} of {asked} probes address the assistant in words that this run's markers do not count, "
            "or the other way round: what is said of presence, and of harmful requests, is about other words than were "
            "trained. A probes_file=FILE of your own can ask in the words of loss.markers.presence (data/README.md)."
        )
    if setting.phrases:
        bond, rupture = setting.phrases
        found.append(
            f"Presence is scored on {bond} phrases of bond and {rupture} of rupture that nothing trains on. Bond "
            "language in replies is found by word lists: other wordings are not counted, and quoting counts."
        )
    return [*found, *changes(setting, told)]


def changes(setting: Setting, told: Told) -> list[str]:
    """Return a sentence that names the corpus files that changed since the run was trained, if there are any."""
    then = told.environment.get("data")
    changed = [name for name, now in setting.data.items() if isinstance(then, dict) and then.get(name, now) != now]
    return [f"What {', '.join(changed)} names is not what it was when the run was trained."] if changed else []


def _of_the_model(report: Report, setting: Setting) -> list[str]:
    found = []
    if setting.parameters is not None and setting.parameters < SMALL:
        found.append(
            f"The base has {setting.parameters / 1e6:,.1f} million parameters. What it learns says little about larger "
            "ones."
        )
    ends = next((each for each in report.judged if each.key == "guardrail/eos_rate"), None)
    if ends is not None and ends.base.mean < 0.5:
        found.append(
            f"The base ends {ends.base.mean:.0%} of its replies: it does not know this form of dialogue, and part of "
            "what got better is the form alone."
        )
    if ends is not None and ends.tuned.mean < 0.95:
        found.append(
            f"{1 - ends.tuned.mean:.0%} of the tuned model's replies did not end within 60 tokens; they are judged as "
            "far as they go."
        )
    return found
