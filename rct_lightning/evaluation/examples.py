"""Select the replies that a report shows, by a rule that no reply can influence."""

from __future__ import annotations

from collections.abc import Sequence

from rct_lightning.evaluation.endpoints import Comparison, Spoken
from rct_lightning.page import Paragraph, Section, SideBySide

EACH = 2
"""Examples per kind."""
LONGEST = 2000
"""Characters of a text that are shown."""
KINDS = {
    "marked": ("Addressed", "Twins: the same request, here with a presence marker (a name, 'are you there') ..."),
    "twin": ("Not addressed", "... and here without it."),
    "rows": ("Evaluation rows without a marker", "Rows of the corpus that nothing trained on."),
    "recall": ("Recall", "A question about something that was said before; the right answer is known."),
    "without": ("The same questions without any history", "Whoever claims to remember here makes it up."),
}
"""Title and explanation of each kind of :class:`Spoken`."""
WANTED = {"rows": "reply in the corpus", "recall": "right answer"}
RULE = (
    "All replies are greedy, of at most 60 tokens. Nothing is picked by hand: of each kind, ordered by id, the middle "
    f"one of each of {EACH} equal parts is shown (docs/report.md)."
)


def middles(number: int, parts: int = EACH) -> list[int]:
    """Return the middle of each of ``parts`` equal parts of ``range(number)``; all of it if ``number <= parts``."""
    if number <= parts:
        return list(range(number))
    return [(2 * part + 1) * number // (2 * parts) for part in range(parts)]


def chosen(spoken: Sequence[Spoken], kind: str) -> list[Spoken]:
    """Return the examples of a kind."""
    found = sorted((one for one in spoken if one.kind == kind), key=lambda one: one.id)
    return [found[place] for place in middles(len(found))]


def fixed_prompts(comparison: Comparison, step: int | None) -> Section:
    """Return the replies to the original project's five prompts, before the first step and after the last."""
    after = "tuned" if step is None else f"tuned, step {step}"
    told = (
        "The original project's five prompts, without any history. The base is the model at step 0: adapters begin as "
        "zero."
    )
    answers = [
        SideBySide(prompt, [], [("base, step 0", shortened(base)), (after, shortened(tuned))])
        for prompt, base, tuned in comparison.replies
    ]
    return Section("The five fixed prompts", [Paragraph(told), *answers])


def of_each_kind(comparison: Comparison) -> list[Section]:
    """Return the examples, one section for each kind that has any."""
    sections = []
    for kind, (title, told) in KINDS.items():
        examples = [_shown(one) for one in chosen(comparison.spoken, kind)]
        if examples:
            sections.append(Section(title, [Paragraph(told), *examples]))
    return sections


def _shown(one: Spoken) -> SideBySide:
    said = [(turn.role, shortened(turn.content)) for turn in one.context] + [("human", shortened(one.input))]
    wanted = [(WANTED[one.kind], shortened(one.wanted))] if one.wanted else []
    return SideBySide(one.id, said, [("base", shortened(one.base)), ("tuned", shortened(one.tuned)), *wanted])


def shortened(text: str) -> str:
    """Truncate a text to what is shown, and say so if it was cut."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ... ({len(text) - LONGEST:,} more characters)"
