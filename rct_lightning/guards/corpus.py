"""Guards over the data: labels, template, turns, markers, history, truncation, leakage, phrases."""

from __future__ import annotations

import torch

from rct_lightning.corpus.leakage import MOST_COVERED, REMEDY, TEXTS, leakage, on_both_sides
from rct_lightning.corpus.limits import CUT_ROWS, MARKED_SHARE, REPLY_TOKENS_KEPT
from rct_lightning.data import IGNORE, RelationalDataset
from rct_lightning.guards.finding import Finding, Run, ok, spread, stop, warn
from rct_lightning.losses.relational import BANKS
from rct_lightning.markers import FEW_OR_MANY_MARKED
from rct_lightning.template import FORGED_TURNS, forged_turns

SHARED_HISTORY = (
    "A common opening does no harm. A talk that was forked does: what coherence and continuity ask about was learnt "
    "already. `rct corpus split` keeps such rows on one side where the wished number of rows allows it."
)


def check_labels(run: Run) -> Finding:
    """Labels are the reply and its EOS, nothing else; padding and EOS are different tokens."""
    name, eos = "labels", run.module.tokenizer.eos_token_id
    if eos == run.module.tokenizer.pad_token_id:
        return stop(
            name,
            "padding and end of sequence are the same token",
            "Masked as padding, EOS is never learnt and replies never end. Use a tokenizer with a padding token.",
        )
    for side, rows in {"train": run.data.train_set, "eval": run.data.eval_set}.items():
        for index in spread(len(rows), 64):
            wrong = _wrong_labels(rows, index, run)
            if wrong:
                return stop(
                    name,
                    f"{side} row {rows.examples[index].id}: {wrong}",
                    "The model would learn something else than the reply. Look at the template and the collation.",
                )
    return ok(name, "labels are the reply, EOS is learnt")


def _wrong_labels(rows: RelationalDataset, index: int, run: Run) -> str:
    batch = rows.collate([index])
    labels = batch.labels[0]
    kept = labels[labels != IGNORE].tolist()
    eos, tokenizer = run.module.tokenizer.eos_token_id, run.module.tokenizer
    cut = rows.rows[index].encoded.reply_tokens_cut > 0
    if not kept:
        return "nothing of the reply is learnt"
    if not cut and kept[-1] != eos:
        return "its end-of-sequence token carries no label"
    reply = run.module.template.reply(rows.examples[index].output)
    expected = [*tokenizer(reply, add_special_tokens=False)["input_ids"], eos]  # decoded text can lack spaces
    if kept != (expected[: len(kept)] if cut else expected):
        return f"labels decode to {tokenizer.decode(kept)[:40]!r}, the reply is {reply[:40]!r}"
    places = torch.nonzero(labels != IGNORE).flatten()
    if not torch.equal(batch.input_ids[0, places], labels[places]) or int(places[0]) != int(batch.prompt_length[0]):
        return "labels do not stand where the reply stands"
    return ""


def check_template(run: Run) -> Finding:
    """Sampling encodes prompts exactly as training does."""
    rows, module = run.data.train_set, run.module
    whole = [
        i for i in spread(len(rows), 16) if rows.rows[i].encoded.turns_cut + rows.rows[i].encoded.input_tokens_cut == 0
    ]
    for index in whole:
        row, trained = rows.examples[index], rows.rows[index].encoded
        asked = module.template.encode_prompt(row.input, module.tokenizer, run.data.max_seq_length, row.context).ids
        if list(asked) != list(trained.ids[: trained.prompt_length]):
            seen = f"row {row.id} is trained as {module.tokenizer.decode(trained.ids[: trained.prompt_length])[-40:]!r}"
            return stop(
                "template",
                f"{seen} and asked as {module.tokenizer.decode(asked)[-40:]!r}",
                "Samples would show how the model answers what it was never taught to answer. Use one template.",
            )
    return ok("template", "samples are asked in the words that training uses")


def check_turns(run: Run) -> Finding:
    """No text contains a line that reads like a turn of its own."""
    for side, rows in {"train": run.data.train_set, "eval": run.data.eval_set}.items():
        found = forged_turns(rows.examples, run.module.template)
        if found:
            return stop("turns", f"{side}: {found.rstrip('.')}", FORGED_TURNS)
    return ok("turns", "no text holds a line that begins like a turn")


def check_markers(run: Run) -> Finding:
    """There are enough marked and unmarked rows for presence."""
    rows = run.data.train_set.rows
    share = sum(row.strength > 0 for row in rows) / len(rows)
    seen = f"{share:.0%} of the training rows address the assistant"
    if MARKED_SHARE[0] <= share <= MARKED_SHARE[1]:
        return ok("markers", seen)
    if run.weight("presence") == 0:
        return warn("markers", seen, "Presence has no weight here; with weight it would have nothing to tell apart.")
    return stop("markers", seen, FEW_OR_MANY_MARKED)


def check_history(run: Run) -> Finding:
    """There are recurrent words if a history term has weight."""
    rows = run.data.train_set.rows
    history, recurrent = sum(row.has_history for row in rows), sum(bool(row.recurrent) for row in rows)
    seen = f"{history} of {len(rows)} training rows have a history, {recurrent} take up a word of it"
    weighted = [term for term in ("coherence", "continuity") if run.weight(term) > 0]
    if recurrent or not weighted:
        return ok("history", seen)
    return stop(
        "history",
        seen,
        f"{' and '.join(weighted)} would be zero in every step. Give rows a context (data.rebuild_context=true takes "
        "earlier rows of a conversation), a larger data.max_seq_length, or set the weight to 0.",
    )


def check_truncation(run: Run) -> Finding:
    """Little was cut to fit into max_seq_length."""
    name, limit = "truncation", run.data.max_seq_length
    report = run.data.truncation["train"]
    kept = 1 - report.reply_tokens_cut / max(report.reply_tokens, 1)
    cut = max(report.rows_with_cut_context, report.rows_with_cut_input, report.rows_with_cut_reply) / report.rows
    seen = f"{kept:.1%} of the reply tokens fit into {limit}, {cut:.1%} of the rows were cut"
    if kept < REPLY_TOKENS_KEPT:
        longest = max(len(row.encoded.ids) + row.encoded.reply_tokens_cut + row.encoded.input_tokens_cut
                      for row in run.data.train_set.rows)  # fmt: skip
        return stop(name, seen, f"Replies would be learnt in part. data.max_seq_length={longest} holds every reply.")
    if cut > CUT_ROWS:
        return warn(name, seen, "The oldest turns are missing there. A larger data.max_seq_length keeps them.")
    return ok(name, seen)


def check_leakage(run: Run) -> Finding:
    """Nothing of the evaluation side is on the training side.

    A shared history is only mentioned: a split may have to leave it, and an opening that all conversations have is one.
    """
    train, held = run.data.train_set.examples, run.data.eval_set.examples
    leaked = leakage(train, held)
    problems = on_both_sides(train, held)
    for what, same_text, near_text in TEXTS:
        near = leaked.count(same_text, near_text)
        problems += [f"{near} evaluation rows have nearly the {what} of a training row"] if near else []
    if leaked.covered > MOST_COVERED:
        problems.append(f"{leaked.covered:.0%} of the 8-grams of evaluation replies occur in training replies")
    histories = leaked.count("same history")
    if histories:
        seen = f"{histories} evaluation rows share a long turn with a training conversation, in one of them as history"
        if not problems:
            return warn("leakage", seen, SHARED_HISTORY)
        problems.append(seen)
    if problems:
        return stop("leakage", "; ".join(problems), REMEDY)
    return ok("leakage", f"no conversation, pair, row or history on both sides; shared 8-grams {leaked.covered:.1%}")


def check_phrases(run: Run) -> Finding:
    """Training phrases and evaluation phrases are disjoint, and no slot is unfilled."""
    halves = {half: [run.lexicon.phrases(bank, half) for bank in BANKS]
              for half in ("train", "heldout")}  # fmt: skip
    train, held = ({" ".join(p.lower().split()) for bank in banks for p in bank} for banks in halves.values())
    both, open_slots = train & held, sorted(p for p in train | held if "{" in p)
    if both or open_slots:
        seen = f"{len(both)} phrases train and are scored" if both else f"{open_slots[0]!r} has an open slot"
        return stop(
            "phrases", seen, "Score other phrases than those that train, and fill every slot (markers/words.py)."
        )
    return ok("phrases", f"{len(train)} phrases train, {len(held)} others are scored")
