"""The museum of faults: faults that let the original program report excellent figures while it trained nothing.

Each exhibit plants one fault into a real short run on the bundled base (a replaced component, a setting, a corpus) and
names what must notice it: a guard before step 0, or a health rule during training. Where a guard would end the run
before a rule can see anything, the rule's exhibit runs with ``check=false``.

    python tests/faults/museum.py           visits every exhibit and writes the table of docs/guards.md
    python tests/faults/museum.py --healthy [SEED ...]
                                            visits six healthy runs per seed (thirty without an argument) and counts
                                            what is reported about them
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir

from rct_lightning import experiment
from rct_lightning.backbone import adapter_state
from rct_lightning.callbacks import Health, LossComponents
from rct_lightning.config import Config, validate
from rct_lightning.data import IGNORE, Batch, RelationalDataset
from rct_lightning.data.batch import Totals
from rct_lightning.errors import UserError
from rct_lightning.experiment import preparing
from rct_lightning.health import RULES, Alert
from rct_lightning.losses import RelationalLoss, SeedLoss, relational
from rct_lightning.losses.presence import Replies
from rct_lightning.losses.relational import Outcome
from rct_lightning.markers import Lexicon
from rct_lightning.module import RelationalModule
from rct_lightning.runs import RunDir
from rct_lightning.scoring import token_log_probs
from rct_lightning.template import DialogueTemplate

ROOT = Path(__file__).parents[2]
NANO = ROOT / "data" / "nano"
TABLE_OF = ROOT / "docs" / "guards.md"
MUSEUM_AT = ("<!-- museum -->", "<!-- end of museum -->")
RULES_AT = ("<!-- rules -->", "<!-- end of rules -->")
TRAIN_ROWS, EVAL_ROWS = 48, 24
SETTINGS = (
    "trainer=cpu", "data=jsonl", "logger=none", "trainer.max_epochs=10", "trainer.check_val_every_n_epoch=2",
    "trainer.enable_progress_bar=false", "trainer.log_every_n_steps=2", "diagnostics_every_n_steps=10",
    "callbacks.generation_sampling.every_n_steps=0", "callbacks.generation_sampling.max_new_tokens=2",
    "callbacks.baseline_comparison.max_new_tokens=2", "callbacks.eval_sanity.max_new_tokens=2",
)  # fmt: skip
"""A run of sixty steps on the shortest rows of the corpus."""

Row = dict[str, Any]
Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Exhibit:
    """One fault.

    Attributes:
        fault: What is wrong, as one line of the table.
        named_by: The guards or rules that must name it; one of them is enough.
        plant: Plants it into the program.
        settings: Command-line overrides.
        train: Changes the training rows.
        held: Changes the evaluation rows, given both sides.
    """

    fault: str
    named_by: tuple[str, ...]
    plant: Callable[[Patch], None] = lambda patch: None
    settings: tuple[str, ...] = ()
    train: Callable[[list[Row]], list[Row]] = lambda rows: rows
    held: Callable[[list[Row], list[Row]], list[Row]] = lambda held, train: held


@dataclass(frozen=True)
class Notice:
    """What noticed a fault, at which step (None: before step 0), and what it said."""

    name: str
    step: int | None
    said: str


# --- faults in what is read -----------------------------------------------------------------------------------------


def change_labels(change: Callable[[Batch, Any], None]) -> Callable[[Patch], None]:
    """Return a fault that changes labels in place."""

    def plant(patch: Patch) -> None:
        true = RelationalDataset.collate

        def collate(self: RelationalDataset, *arguments: Any, **options: Any) -> Batch:
            batch = true(self, *arguments, **options)
            labels = batch.labels.clone()
            change(replace(batch, labels=labels), self)
            return replace(batch, labels=labels)

        patch.setattr(RelationalDataset, "collate", collate)

    return plant


def mask_eos(batch: Batch, rows: Any) -> None:
    for row in range(len(batch)):
        batch.labels[row, int(batch.attention_mask[row].sum()) - 1] = IGNORE


def learn_the_user(batch: Batch, rows: Any) -> None:
    batch.labels[:] = batch.input_ids.masked_fill(batch.attention_mask == 0, IGNORE)


def shift_twice(batch: Batch, rows: Any) -> None:
    batch.labels[:] = batch.labels.roll(-1, dims=1)


def lose_replies(batch: Batch, rows: Any) -> None:
    batch.labels[:] = IGNORE


def drop_the_text(patch: Patch) -> None:
    """Drop unknown columns, as some trainers do: only ids, mask and labels arrive."""
    true = RelationalDataset.collate

    def collate(self: RelationalDataset, *arguments: Any, **options: Any) -> Batch:
        batch, none = true(self, *arguments, **options), torch.zeros(0, dtype=torch.int64)
        totals = Totals(batch.totals.reply_tokens, 0, 0, 0, 0, batch.totals.rows)
        return replace(
            batch,
            strength=torch.zeros(len(batch)),
            twin_of=none,
            twin_ids=batch.twin_ids[:0],
            twin_start=none,
            twin_length=none,
            twin_strength=none,
            recurrent_row=none,
            recurrent_position=none,
            recurrent_source=none,
            candidates=batch.candidates[:0],
            totals=totals,
            own=replace(totals, reply_tokens=batch.own.reply_tokens, rows=batch.own.rows),
        )

    patch.setattr(RelationalDataset, "collate", collate)


def substrings_are_markers(patch: Patch) -> None:
    """ "our" in "hour", "are" in "care": nearly every text addresses somebody."""
    patch.setattr(
        Lexicon, "strength", lambda self, text: 0.35 * any(part in text.lower() for part in ("er", "in", "a"))
    )


def from_the_reply(patch: Patch) -> None:
    """Presence is judged by words that occur in every reply of the corpus."""
    patch.setattr(Lexicon, "strength", lambda self, text: 0.35)


def phrases_of(half: str) -> Callable[[Patch], None]:
    def plant(patch: Patch) -> None:
        true = Lexicon.phrases
        patch.setattr(Lexicon, "phrases", lambda self, bank, which: true(self, bank, half))

    return plant


def leave_the_slot_open(patch: Patch) -> None:
    patch.setattr(Lexicon, "phrases", lambda self, bank, half: getattr(self, bank).half(half))


def ask_otherwise(patch: Patch) -> None:
    """Samples are generated from raw prompts, in a format that training never used."""
    true = DialogueTemplate.encode_prompt

    def raw(self: DialogueTemplate, text: str, tokenizer: Any, max_length: int, context: Any = ()) -> Any:
        encoded = true(self, text, tokenizer, max_length, context)
        return replace(encoded, ids=tokenizer(text, add_special_tokens=False)["input_ids"])

    patch.setattr(DialogueTemplate, "encode_prompt", raw)


# --- faults in the loss ---------------------------------------------------------------------------------------------


def unshifted(patch: Patch) -> None:
    """The logits at a position are compared with the label at the same position."""

    def log_probs(model: Any, hidden: torch.Tensor, labels: torch.Tensor) -> Any:
        row, position = torch.nonzero(labels != IGNORE, as_tuple=True)
        return token_log_probs(model, hidden[row, position], labels[row, position]), row

    patch.setattr(relational, "reply_log_probs", log_probs)


def unshifted_beside_the_truth(patch: Patch) -> None:
    """The same fault, while the true loss is still measured separately."""
    true = RelationalLoss._evaluate

    def evaluate(self: RelationalLoss, model: Any, batch: Batch, *others: Any) -> Outcome:
        outcome = true(self, model, batch, *others)
        hidden = relational.hidden_states(model, batch.input_ids)
        row, position = torch.nonzero(batch.labels != IGNORE, as_tuple=True)
        own = -token_log_probs(model, hidden[row, position], batch.labels[row, position]).sum()
        terms = {**outcome.terms, "lm": own / max(batch.totals.reply_tokens, 1)}
        return replace(outcome, total=outcome.total - outcome.terms["lm"] + terms["lm"], terms=terms)

    patch.setattr(RelationalLoss, "_evaluate", evaluate)


def change_term(term: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Patch], None]:
    """Return a fault that changes a term, in the terms and in the total."""

    def plant(patch: Patch) -> None:
        true = RelationalLoss._evaluate

        def evaluate(self: RelationalLoss, *arguments: Any) -> Outcome:
            outcome = true(self, *arguments)
            if term not in outcome.terms:
                return outcome
            terms = {**outcome.terms, term: change(outcome.terms[term])}
            weight = 1.0 if term == "lm" else self.settings.weight(term)
            total = outcome.total + weight * (terms[term] - outcome.terms[term])
            return replace(outcome, total=total, terms=terms)

        patch.setattr(RelationalLoss, "_evaluate", evaluate)

    return plant


def score_the_target(patch: Patch) -> None:
    """Presence counts substrings in the target text and wraps the float in a tensor."""
    counts = SeedLoss(None, lambda tokens: " ".join(map(str, tokens)))  # type: ignore[arg-type]
    true = RelationalLoss._evaluate

    def evaluate(self: RelationalLoss, model: Any, batch: Batch, *others: Any) -> Outcome:
        outcome = true(self, model, batch, *others)
        if "presence" not in outcome.terms:
            return outcome
        value = torch.tensor(counts._presence(batch))
        total = outcome.total + self.settings.weight("presence") * (value - outcome.terms["presence"])
        return replace(outcome, total=total, terms={**outcome.terms, "presence": value})

    patch.setattr(RelationalLoss, "_evaluate", evaluate)


def train_against_the_corpus(patch: Patch) -> None:
    """Presence asks for the opposite of what the replies say."""
    true = RelationalLoss._evaluate

    def evaluate(self: RelationalLoss, *arguments: Any) -> Outcome:
        outcome = true(self, *arguments)
        against = -0.5 * outcome.terms["lm"]
        total = outcome.terms["lm"] + self.settings.weight("presence") * against
        return replace(outcome, total=total, terms={**outcome.terms, "presence": against})

    patch.setattr(RelationalLoss, "_evaluate", evaluate)


def turn_what_is_measured(patch: Patch) -> None:
    """Presence raises bond over plain as it should, and lowers bond over rupture, which evaluation measures."""
    patch.setattr(Replies, "over_rupture", property(lambda self: self.rupture - self.bond))


def reward_made_up_memories(patch: Patch) -> None:
    """The farther memory claims without a history are from the base, the lower the loss."""
    true = relational.false_memory_loss
    patch.setattr(relational, "false_memory_loss", lambda *scores: -true(*scores))


def constant(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda term: torch.full_like(term.detach(), value)


# --- faults in the training -----------------------------------------------------------------------------------------


def train_the_base(patch: Patch) -> None:
    true = preparing.make_module

    def make(*arguments: Any) -> RelationalModule:
        module = true(*arguments)
        module.model.get_base_model().get_output_embeddings().weight.requires_grad_(True)
        return module

    patch.setattr(preparing, "make_module", make)


def freeze_everything(patch: Patch) -> None:
    true = preparing.make_module

    def make(*arguments: Any) -> RelationalModule:
        module = true(*arguments)
        for parameter in adapter_state(module.model).values():
            parameter.requires_grad_(False)
        return module

    patch.setattr(preparing, "make_module", make)


def train_nothing(patch: Patch) -> None:
    """The optimizer holds copies of the adapters."""

    def configure(self: RelationalModule) -> Any:
        copies = [torch.nn.Parameter(p.detach().clone()) for p in adapter_state(self.model).values()]
        return torch.optim.AdamW(copies, lr=1e-3)

    patch.setattr(RelationalModule, "configure_optimizers", configure)


def log_a_better_figure(patch: Patch) -> None:
    """The logged evaluation loss is not that of the rows."""
    true = RelationalModule.on_validation_epoch_end

    def flatter(self: RelationalModule) -> None:
        true(self)
        if self.trainer.global_step:
            self.eval_values["lm"] = 0.9 * self.eval_values["lm"]

    patch.setattr(RelationalModule, "on_validation_epoch_end", flatter)


def call_it_training(patch: Patch) -> None:
    """Evaluation rows are logged as training rows."""
    true = LossComponents._write
    patch.setattr(LossComponents, "_write", lambda self, trainer, values, phase: true(self, trainer, values, "train"))


def look_past_the_loader(patch: Patch) -> None:
    """The checked rows come from the file; what the loader did to them goes unnoticed: here it blanks replies."""
    true = RelationalDataset.collate

    def collate(self: RelationalDataset, *arguments: Any, **options: Any) -> Batch:
        batch = true(self, *arguments, **options)
        ids = torch.where(batch.labels != IGNORE, torch.full_like(batch.input_ids, 5), batch.input_ids)
        return replace(batch, input_ids=ids, labels=torch.where(batch.labels != IGNORE, ids, batch.labels))

    patch.setattr(RelationalDataset, "collate", collate)


def hide_what_is_not_a_number(patch: Patch) -> None:
    """A loss that is NaN is replaced by 10, and training continues."""

    def step(self: RelationalModule, batch: Batch, batch_idx: int) -> Any:
        outcome = self.objective(self.model, batch, self.global_step)
        self.record = type(self.record)(step=self.global_step + 1)
        self.record.add(replace(outcome, terms={**outcome.terms, "lm": torch.tensor(float("nan"))}), batch)
        return torch.nan_to_num(outcome.total * float("nan"), nan=10.0) + 0 * outcome.total

    patch.setattr(RelationalModule, "training_step", step)


def same_reply(rows: list[Row]) -> list[Row]:
    """One phrase is the answer to everything."""
    return [row | {"output": "I am here with you, and I see you."} for row in rows]


def one_conversation(held: list[Row], train: list[Row]) -> list[Row]:
    return [row | {"conversation": train[i]["conversation"]} for i, row in enumerate(held)]


def near_copies(held: list[Row], train: list[Row]) -> list[Row]:
    return [row | {"output": train[i]["output"] + " Yes."} for i, row in enumerate(held)]


def answer_first(rows: list[Row]) -> list[Row]:
    return [row | {"input": f"{row['input']} {row['output']}", "context": []} for row in rows]


def no_history(rows: list[Row]) -> list[Row]:
    return [row | {"context": [], "conversation": row["id"]} for row in rows]


EXHIBITS = (
    Exhibit("logits are compared with the label at their own place", ("next token",), unshifted),
    Exhibit("the same, seen by the run alone", ("two losses",), unshifted_beside_the_truth, ("check=false",)),
    Exhibit("`loss=seed`: its LM loss falls to nothing", ("too good", "two losses"), settings=("loss=seed",)),
    Exhibit("presence counts substrings of the target text", ("gradients",), score_the_target),
    Exhibit("coherence is 0.5 whatever happens", ("text", "gradients"), change_term("coherence", constant(0.5))),
    Exhibit("the same, seen by the run alone", ("constant term",), change_term("continuity", constant(0.5)),
            ("check=false",)),
    Exhibit("continuity is 0, for no row has a context", ("history",), train=no_history),
    Exhibit("a term that is 0 in every step", ("silent term",), change_term("continuity", constant(0.0)),
            ("check=false",)),
    Exhibit("text is dropped between file and loss", ("gradients", "history"), drop_the_text),
    Exhibit("the same, seen by the run alone", ("silent term",), drop_the_text, ("check=false",)),
    Exhibit("a term's gradient is cut off", ("gradients",), change_term("presence", lambda term: term.detach())),
    Exhibit("presence trains towards rupture", ("signs",), change_term("presence", lambda term: -term)),
    Exhibit("a term trains against the corpus", ("conflict",), train_against_the_corpus, ("check=false",)),
    Exhibit("EOS is masked as padding", ("labels",), change_labels(mask_eos)),
    Exhibit("the user's turns are learnt", ("labels",), change_labels(learn_the_user)),
    Exhibit("labels are shifted twice", ("labels",), change_labels(shift_twice)),
    Exhibit("rows whose reply is lost", ("labels",), change_labels(lose_replies)),
    Exhibit("replies behind the length limit", ("truncation",), settings=("data.max_seq_length=40",)),
    Exhibit("a conversation on both sides", ("leakage",), held=one_conversation),
    Exhibit("evaluation replies that are known", ("leakage",), held=near_copies),
    Exhibit("the reply stands in the prompt", ("too good",), train=answer_first,
            settings=("check=false", "loss=lm"), held=lambda held, train: answer_first(held)),
    Exhibit("markers are matched as substrings", ("markers",), substrings_are_markers),
    Exhibit("presence is told from the reply", ("markers",), from_the_reply),
    Exhibit("phrases that train are scored", ("phrases",), phrases_of("train")),
    Exhibit("{human_name} is never filled in", ("phrases",), leave_the_slot_open),
    Exhibit("training and sampling use other templates", ("template",), ask_otherwise),
    Exhibit("the base trains along", ("trainable",), train_the_base),
    Exhibit("nothing trains", ("trainable",), freeze_everything),
    Exhibit("the optimizer holds other tensors", ("standstill",), train_nothing),
    Exhibit("the evaluation that is logged is not that of the rows", ("two losses",), log_a_better_figure),
    Exhibit("evaluation rows are logged as training rows", ("mixed phases",), call_it_training),
    Exhibit("the loader changes what is read", ("labels",), look_past_the_loader),
    Exhibit("NaN is replaced by 10", ("not finite",), hide_what_is_not_a_number),
    Exhibit("a learning rate that destroys the model", ("worse than base", "repetition", "few words", "not finite"),
            settings=("optimizer.lr=1.0",)),
    Exhibit("relational terms that drown the corpus", ("proportion",), settings=("loss.lambda=30",)),
    Exhibit("one phrase answers everything", ("one phrase",), settings=("check=false", "loss=lm",
            "optimizer.lr=1e-2"), train=same_reply),
    Exhibit("presence trains bond over plain, and rupture over bond", ("signs",), turn_what_is_measured),
    Exhibit("memory claims are driven away from the base", ("signs",), reward_made_up_memories),
)  # fmt: skip


# --- visiting -------------------------------------------------------------------------------------------------------


def read_rows(side: str, count: int) -> list[Row]:
    """Return the shortest rows of one side of the bundled corpus, every third with a history."""
    lines = (ROOT / "data" / "relational" / f"{side}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    by_length = sorted(rows, key=lambda row: len(json.dumps(row)))
    with_history = [row for row in by_length if row["context"]][: count // 3]
    return with_history + [row for row in by_length if not row["context"]][: count - count // 3]


def configured(folder: Path, exhibit: Exhibit, others: Sequence[str] = (), base: Path = NANO) -> Config:
    """Return the configuration of an exhibit's run, its corpus written into ``folder``."""
    train = exhibit.train(read_rows("train", TRAIN_ROWS))
    held = exhibit.held(read_rows("eval", EVAL_ROWS), train)
    for name, rows in (("train", train), ("eval", held)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    places = (
        f"data.train_file={folder / 'train.jsonl'}", f"data.eval_file={folder / 'eval.jsonl'}",
        f"run_dir={folder / 'run'}", f"model.name_or_path={base}",
    )  # fmt: skip
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return validate(compose("train", [*SETTINGS, *places, *exhibit.settings, *others]))


def end_with(names: Sequence[str], patch: Patch) -> None:
    """Make a run end with the first alert of one of these names."""
    true = Health._say

    def say(self: Health, trainer: Any, alerts: Sequence[Alert]) -> None:
        true(self, trainer, alerts)
        trainer.should_stop |= any(alert.rule in names for alert in alerts)

    patch.setattr(Health, "_say", say)


def visit(
    exhibit: Exhibit, folder: Path, others: Sequence[str] = (), base: Path = NANO, until: Sequence[str] = ()
) -> list[Notice]:
    """Return everything reported about a run up to an alert of such a name: stops before step 0, then alerts."""
    said = io.StringIO()
    stopped = ""
    with pytest.MonkeyPatch.context() as patch:
        config = configured(folder, exhibit, others, base)
        exhibit.plant(patch)
        end_with(until, patch)
        with redirect_stdout(said), redirect_stderr(said):
            try:
                (experiment.check if config.check == "only" else experiment.train)(config)
            except UserError as error:
                stopped = str(error)
    run = RunDir(folder / "run")
    alerts = [event for event in events_of(run) if event["event"] == "alert"]
    notices = [Notice(alert["rule"], alert["step"], alert["seen"]) for alert in alerts]
    if not run.events.exists():
        notices += [Notice(name, None, seen) for name, seen in stops_in(said.getvalue())]
    assert not stopped or notices, stopped
    return notices


def stops_in(checklist: str) -> Iterator[tuple[str, str]]:
    """Yield the guards that stop a run, and what they saw, from the printed checklist."""
    for line in checklist.splitlines():
        if line.startswith("  stop"):
            yield line[8:18].strip(), line[18:].strip()


def events_of(run: RunDir) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.events.read_text().splitlines()] if run.events.exists() else []


def caught(exhibit: Exhibit, notices: Sequence[Notice]) -> Notice | None:
    """Return the first notice that names the fault as it should."""
    return next((notice for notice in notices if notice.name in exhibit.named_by), None)


def table(visits: Sequence[tuple[Exhibit, list[Notice]]]) -> str:
    """Return Markdown: fault, what named it, at which step, and in which words."""
    lines = ["| fault | named by | step | in these words |", "|---|---|---|---|"]
    for exhibit, notices in visits:
        notice = caught(exhibit, notices)
        cells = (
            ("**nobody**", "", "")
            if notice is None
            else (notice.name, "before 0" if notice.step is None else str(notice.step), notice.said)
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in (exhibit.fault, *cells)) + " |")
    return "\n".join(lines)


def rules_table() -> str:
    """Return Markdown rows: each rule, when it raises an alert, and what that means."""
    return "\n".join(f"| {rule.name} | {rule.condition} | {rule.means} |" for rule in RULES)


def between(text: str, begin: str, end: str, new: str) -> str:
    """Return the text with what is between two marks replaced."""
    head, rest = text.split(begin)
    return f"{head}{begin}\n{new}\n{end}{rest.split(end)[1]}"


def healthy(seeds: Sequence[int]) -> list[tuple[str, ...]]:
    """Return the settings of healthy runs. (Sixty steps with lambda = 0.1 are not enough to separate addressed from
    unaddressed prompts, and ``warm to everybody`` reports it.)"""
    configs: tuple[tuple[str, ...], ...] = (
        (),
        ("loss.lambda=0",),
        ("loss=lm",),
        ("loss.lambda=0.5", "loss.recurrence.among=candidates"),
        ("data.batch_size=4", "trainer.accumulate_grad_batches=2"),
        ("loss.counterfactual.rename_share=0", "model.lora.r=4"),
    )
    return [(f"seed={seed}", *config) for seed in seeds for config in configs]


HEALTHY = healthy(range(401, 406))
"""Seeds that were not used to choose any threshold."""
NOTHING = Exhibit("nothing", (), settings=("trainer.max_epochs=5", "trainer.check_val_every_n_epoch=1"),
                  train=lambda rows: read_rows("train", 2 * len(rows)))  # fmt: skip
"""Sixty steps, as in the exhibits, but on twice as many rows: ten passes over forty-eight rows are memorisation, which
``rising`` reports."""


def visit_healthy(runs: Sequence[tuple[str, ...]], folder: Path) -> None:
    """Print what is reported about healthy runs, and how often anything was."""
    false_alarms = 0
    for number, settings in enumerate(runs):
        place = folder / str(number)
        place.mkdir()
        notices = visit(NOTHING, place, settings)
        false_alarms += len(notices)
        print(" ".join(settings), *[f"\n  {n.name}, step {n.step}: {n.said}" for n in notices], flush=True)
    print(f"{len(runs)} healthy runs, {false_alarms} false alarms")


def main(arguments: Sequence[str]) -> None:
    """Write the table, or count what is reported about healthy runs."""
    with tempfile.TemporaryDirectory() as name:
        if "--healthy" in arguments:
            seeds = [int(argument) for argument in arguments if argument.isdecimal()]
            visit_healthy(healthy(seeds) if seeds else HEALTHY, Path(name))
            return
        visits = []
        for number, exhibit in enumerate(EXHIBITS):
            folder = Path(name) / str(number)
            folder.mkdir()
            visits.append((exhibit, visit(exhibit, folder)))
            found = caught(exhibit, visits[-1][1])
            print(f"{exhibit.fault}: {found.name if found else 'NOBODY ' + str(visits[-1][1])}", flush=True)
        text = between(TABLE_OF.read_text(encoding="utf-8"), *RULES_AT, rules_table())
        TABLE_OF.write_text(between(text, *MUSEUM_AT, table(visits)), encoding="utf-8")
        print(f"{sum(caught(*v) is not None for v in visits)} of {len(visits)} faults are named")


if __name__ == "__main__":
    main(sys.argv[1:])
