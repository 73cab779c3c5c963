"""README.md of an exported folder: what it is, how it was made and measured, its limits, how to load it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from rct_lightning import __version__
from rct_lightning.export.provenance import Provenance
from rct_lightning.page import Facts, Page, Paragraph, Points, Section, SideBySide, Table, as_markdown
from rct_lightning.sanitize import printable

LIMITS = (
    "Adapted on a small corpus of dialogues to answer in its voice; it is no assistant, knows little, makes things up.",
    "It was taught to answer warmly where it is addressed as someone. That is a way of speaking, learnt from examples.",
    "It had no safety training beyond what its corpus shows, and what its base has learnt is still there.",
    "Intervals speak of this one run, not of other seeds.",
)
MERGED = 'model = AutoModelForCausalLM.from_pretrained("THIS FOLDER", dtype="auto")'
FOUR_BITS = 'nf4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)'
QUANTISED = 'base = AutoModelForCausalLM.from_pretrained("BASE", quantization_config=nf4)'
FULL = 'base = AutoModelForCausalLM.from_pretrained("BASE")'
ADAPTER = 'model = PeftModel.from_pretrained(base, "THIS FOLDER")'
ASKING = (
    'tokenizer = AutoTokenizer.from_pretrained("THIS FOLDER")',
    'asked = [{"role": "user", "content": "Good morning."}]',
    'ids = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt", return_dict=True)',
    "reply = model.generate(**ids, max_new_tokens=60)[0, ids['input_ids'].shape[1] :]",
    "print(tokenizer.decode(reply, skip_special_tokens=True))",
)
"""How to load a folder, in Python; the tests run it."""
LICENSES = {"license": ["apache-2.0", "cc-by-4.0"]}
"""The licenses of this project's own base and Pythia, and of this project's own corpus."""
LICENSED = (
    'The base is under the Apache License 2.0. The corpus, "RCT Lightning relational dialogues", is under CC BY 4.0 '
    "(https://creativecommons.org/licenses/by/4.0/): whoever shares this must name it."
)
UNLICENSED = "No license is stated: those of the base and of the corpus decide, and whoever shares this puts it here."


def card(source: Provenance) -> str:
    """Return the whole README.md."""
    what = f"{source.base}, relational coherence training" if source.merged else f"LoRA adapter for {source.base}"
    page = Page(
        what, [Paragraph(_what_it_is(source))], [_training(source), _evaluation(source), _limits(), _asking(source)]
    )
    front = yaml.safe_dump(_printable(_metadata(source)), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{as_markdown(page)}"


def _metadata(source: Provenance) -> dict[str, Any]:
    """Return the YAML metadata that the hub reads, with the run's own figures."""
    config, loss, endpoints = source.config, source.config.loss, source.endpoints()
    run = {
        "version": __version__,
        "base": source.base,
        "base_weights": _weights(source),
        "loss": loss.name,
        "lambda": loss.lambda_,
        "weights": loss.weights.model_dump(),
        "seed": config.seed,
        "steps": source.steps,
        "data_sha256": source.data,
    }
    return {
        **({"base_model": config.model.hub_name} if config.model.hub_name else {}),
        **(LICENSES if source.is_open else {}),
        "library_name": "transformers" if source.merged else "peft",
        "pipeline_tag": "text-generation",
        "tags": [*([] if source.merged else ["lora"]), "rct_lightning", "relational-coherence-training"],
        "rct_lightning": run,
        **({"model-index": [{"name": source.base, "results": [_results(endpoints)]}]} if endpoints else {}),
    }


def _results(endpoints: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results of one evaluation in the hub's format."""
    return {
        "task": {"type": "text-generation"},
        "dataset": {"name": "held-out rows and probes", "type": "rct_lightning"},
        "metrics": [
            {"type": name, "name": str(one.get("meaning", name)), "value": one["tuned"]["mean"]}
            for name, one in endpoints.items()
        ],
    }


def _what_it_is(source: Provenance) -> str:
    loss = source.config.loss
    how = f"Trained by rct_lightning {__version__} with loss={loss.name}, lambda={loss.lambda_:g}."
    return " ".join(
        [how, *([f"{source.merged}."] if source.merged else []), LICENSED if source.is_open else UNLICENSED]
    )


def _training(source: Provenance) -> Section:
    config, loss, lora = source.config, source.config.loss, source.config.model.lora
    weights = ", ".join(f"{name} {value:g}" for name, value in loss.weights.model_dump().items())
    pairs = [
        ("objective", f"{loss.name}, lambda {loss.lambda_:g}, weights {weights}"),
        ("adapter", f"LoRA of rank {lora.r}, alpha {lora.alpha}, dropout {lora.dropout:g}"),
        ("optimizer", f"AdamW, peak learning rate {config.optimizer.lr:g}"),
        ("steps", "not noted" if source.steps is None else str(source.steps)),
        ("seed", str(config.seed)),
        ("base weights", _weights(source)),
        *((f"SHA-256 of {name}", value) for name, value in source.data.items()),
        ("made with", ", ".join(f"{name} {value}" for name, value in source.packages.items())),
    ]
    return Section("Training", [Facts(pairs)])


def _weights(source: Provenance) -> str:
    return "NF4, double quantisation" if source.is_nf4 else "not quantised"


def _evaluation(source: Provenance) -> Section:
    rows = [
        (
            name,
            str(one.get("meaning", "")),
            f"{one['base']['mean']:.3f}",
            f"{one['tuned']['mean']:.3f}",
            f"{one['change']['mean']:+.3f} [{one['change']['low']:+.3f}, {one['change']['high']:+.3f}]",
        )
        for name, one in source.endpoints().items()
    ]
    if not rows:
        return Section("Evaluation", [Paragraph("This adapter was not evaluated; python evaluate.py run=DIR does it.")])
    caption = "Base (without the adapter) against tuned, on rows and probes that nothing trained on."
    header = ("endpoint", "meaning", "base", "tuned", "change [95% interval]")
    said = [Paragraph(sentence) for sentence in source.verdict()]
    return Section("Evaluation", [*said, Table(caption, header, rows, "llrrr")])


def _limits() -> Section:
    return Section("Limits", [Points(LIMITS)])


def _asking(source: Provenance) -> Section:
    about = (
        "A turn is a line, and a reply ends with EOS. The tokenizer's chat template writes this text; its roles are "
        "user and assistant."
    )
    words = [("In Python", "\n".join(_code(source))), ("A dialogue", f"{source.template.prompt('...')} ...")]
    return Section("Asking it", [Paragraph(about), SideBySide("Word for word", words, [])])


def _code(source: Provenance) -> list[str]:
    classes = ["AutoModelForCausalLM", "AutoTokenizer"]
    if source.merged:
        first, load = [], [MERGED]
    elif source.is_nf4:
        first, load = ["from peft import PeftModel"], [FOUR_BITS, QUANTISED, ADAPTER]
        classes.append("BitsAndBytesConfig")
    else:
        first, load = ["from peft import PeftModel"], [FULL, ADAPTER]
    base = source.config.model.hub_name or f"FOLDER OF {source.base}"
    lines = [*first, f"from transformers import {', '.join(classes)}", "", *load, *ASKING]
    return [line.replace('"BASE"', f'"{base}"') for line in lines]


def _printable(value: Any) -> Any:
    """Return the same tree with all texts made safe for a terminal."""
    if isinstance(value, dict):
        return {_printable(name): _printable(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_printable(one) for one in value]
    return printable(value) if isinstance(value, str) else value
