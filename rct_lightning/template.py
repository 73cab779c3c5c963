r"""The only place where a dialogue is turned into text and tokens, and where a reply is cut out of generated text.

A turn is a line: ``Human: ...`` or ``Assistant: ...``; the reply to learn ends with EOS. Training, sampling,
evaluation, chat and export all use this module, so a model is never prompted in another format than in training.

A dialogue is tokenised piece by piece (role, content, newline), never as one string: labels, marker strength and
recurrent positions refer to these pieces, and a piece has the same tokens wherever it occurs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from string import Template
from typing import Any, Literal, Protocol

from rct_lightning.dialogue import Example, Role, Turn
from rct_lightning.reading import shown

SpanKind = Literal["role", "human", "assistant", "input", "reply", "separator"]
_Turn = tuple[Role, list[int], list[int]]
"""Role of an earlier turn, and the tokens of its name and of its content."""


FORGED_TURNS = (
    "A model would learn to speak for both, and a reply is cut there. Make a turn of 'context' of each such line, or "
    "call the roles otherwise: data.roles.human=NAME, data.roles.assistant=NAME."
)
"""Remedy for a corpus whose texts hold lines that begin like turns."""
BEGINS = "{{ bos_token }}"
"""Start of the chat template where the tokenizer adds a BOS token."""
_CHAT_TEMPLATE = Template(
    "${bos}{% set names = {'user': $human, 'human': $human, 'assistant': $assistant} %}"
    "{% for message in messages %}"
    "{% if message['role'] not in names %}"
    "{{ raise_exception('The roles of this template are user and assistant, not ' ~ message['role']) }}"
    "{% endif %}"
    "{{ names[message['role']] ~ ' ' ~ message['content'] | trim }}"
    "{% if not loop.last or add_generation_prompt %}{{ '\\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ $assistant }}{% endif %}"
)
"""Jinja source on one line, since a newline in it would become part of the text."""


class Tokenizer(Protocol):
    """What the template needs of a tokenizer (a Hugging Face fast tokenizer has it)."""

    bos_token_id: Any
    eos_token_id: Any

    def __call__(self, text: str, *, add_special_tokens: bool) -> Any:
        """Return token ids under the key ``input_ids``."""
        ...


def beginning(tokenizer: Tokenizer) -> list[int]:
    """Return the BOS token with which a tokenizer begins every text; empty if it adds none.

    This is found by a text: ``add_bos_token`` of a loaded tokenizer does not tell, since transformers 5 leaves what is
    added to the post-processor of tokenizer.json and ignores the key.
    """
    bos = tokenizer.bos_token_id
    return [bos] if bos is not None and tokenizer("a", add_special_tokens=True)["input_ids"][:1] == [bos] else []


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens ``start`` to ``stop`` (exclusive) of an encoded dialogue, and their kind.

    ``human`` and ``assistant`` are contents of earlier turns; ``input`` is the user's current text.
    """

    kind: SpanKind
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """An encoded dialogue.

    Attributes:
        ids: Token ids of prompt and reply.
        prompt_length: Number of prompt tokens; the reply starts there (equal to len(ids) for a prompt alone).
        spans: Pieces in order, covering all ids.
        turns_cut: Earlier turns dropped to fit.
        input_tokens_cut: Tokens dropped from the beginning of the user's current text.
        reply_tokens_cut: Tokens dropped from the end of the reply (its EOS included).
    """

    ids: list[int]
    prompt_length: int
    spans: list[Span]
    turns_cut: int = 0
    input_tokens_cut: int = 0
    reply_tokens_cut: int = 0


@dataclass(frozen=True)
class DialogueTemplate:
    """Role names of a dialogue; stored with an adapter and read back from it."""

    human: str = "Human"
    assistant: str = "Assistant"

    def to_json(self) -> dict[str, str]:
        """Return the role names, to be stored in the adapter's folder."""
        return asdict(self)

    def prompt(self, text: str, context: Sequence[Turn] = ()) -> str:
        """Return the text before a reply: earlier turns, the user's text, and the assistant's role."""
        lines = [f"{self._role(turn.role)} {turn.content.strip()}" for turn in context]
        return "\n".join([*lines, f"{self.human}: {text.strip()}", f"{self.assistant}:"])

    def reply(self, text: str) -> str:
        """Return a reply in the form in which it follows the prompt."""
        return " " + text.strip()

    def chat_template(self, *, begins: bool = False) -> str:
        """Return the same format as a Jinja chat template, for other programs.

        ``tokenizer.apply_chat_template(messages, add_generation_prompt=True)`` gives what :meth:`prompt` gives; roles
        are ``user`` (or ``human``) and ``assistant``. Without a generation prompt it gives the dialogue so far, without
        an EOS at the end.

        Args:
            begins: Begin with the tokenizer's BOS, as in training with a tokenizer that adds it.
        """
        roles = {"human": repr(f"{self.human}:"), "assistant": repr(f"{self.assistant}:")}  # Jinja reads such literals
        return _CHAT_TEMPLATE.substitute(roles, bos=BEGINS if begins else "")

    def cut_reply(self, generated: str) -> str:
        """Return the reply in generated text: everything before the next turn."""
        return self._next_turn.split(generated, maxsplit=1)[0].strip()

    def reply_so_far(self, generated: str) -> tuple[str, bool]:
        """Return the reply in text that is still being generated.

        Returns:
            The part that is final whatever follows, without trailing blanks and without a last line that may become
            the next turn; and whether the next turn has begun, after which nothing more belongs to the reply.
        """
        if self._next_turn.search(generated):
            return self.cut_reply(generated), True
        text = generated.rstrip()
        line = text.rfind("\n")
        if line >= 0 and any(f"{name}:".startswith(text[line:].strip()) for name in (self.human, self.assistant)):
            text = text[:line]
        return text.strip(), False

    def forged_turn(self, text: str) -> str | None:
        """Return the beginning of the first line that reads like a turn of its own; None if there is none."""
        found = re.search(rf"(?:\A|[\n\r])\s*((?:{self._names}):[^\n\r]{{0,30}})", text)
        return found and found.group(1)

    def encode(self, example: Example, tokenizer: Tokenizer, max_length: int) -> Encoded:
        """Encode prompt, reply and EOS in at most ``max_length`` tokens.

        What does not fit is dropped in this order: the oldest turns, the beginning of the user's current text
        (half of the length is left to the reply), the end of the reply. A long prompt never crowds out the whole reply.
        """
        return self._fit(example.context, example.input, self.reply(example.output), tokenizer, max_length)

    def encode_prompt(self, text: str, tokenizer: Tokenizer, max_length: int, context: Sequence[Turn] = ()) -> Encoded:
        """Encode a prompt alone, dropping the oldest turns (and then the beginning of the text) to fit."""
        return self._fit(context, text, None, tokenizer, max_length)

    def turn_length(self, turn: Turn, tokenizer: Tokenizer) -> int:
        """Return the number of tokens of an earlier turn, with its role and the end of its line.

        It is the same in every row, since pieces are tokenised on their own.
        """
        pieces = (self._role(turn.role), " " + turn.content.strip(), "\n")
        return sum(len(tokenizer(piece, add_special_tokens=False)["input_ids"]) for piece in pieces)

    def shortest_prompt(self, text: str, tokenizer: Tokenizer) -> int:
        """Return the number of tokens of a prompt without context."""
        return len(self.encode_prompt(text, tokenizer, max_length=1 << 30).ids)

    def _fit(
        self, context: Sequence[Turn], text: str, reply: str | None, tokenizer: Tokenizer, max_length: int
    ) -> Encoded:
        def ids(piece: str) -> list[int]:
            return list(tokenizer(piece, add_special_tokens=False)["input_ids"])

        newline = ids("\n")
        human, assistant = ids(f"{self.human}:"), ids(f"{self.assistant}:")
        bos = beginning(tokenizer)
        reply_ids = [] if reply is None else [*ids(reply), tokenizer.eos_token_id]
        input_ids = ids(" " + text.strip())

        fixed = len(bos) + len(human) + len(newline) + len(assistant)
        reply_room = max(max_length - fixed - len(input_ids), (max_length - fixed) // 2)
        kept_reply = reply_ids[: max(reply_room, 0)]
        input_room = max_length - fixed - len(kept_reply)
        kept_input = input_ids[len(input_ids) - min(len(input_ids), max(input_room, 0)) :]

        newest = (
            (turn.role, human if turn.role == "human" else assistant, ids(" " + turn.content.strip()))
            for turn in reversed(context)
        )
        room = max_length - fixed - len(kept_input) - len(kept_reply)
        kept_turns = _that_fit(newest, room, len(newline))[::-1]

        pieces: list[tuple[SpanKind, list[int]]] = [("role", bos)] if bos else []
        for role, header, content in kept_turns:
            pieces += [("role", header), (role, content), ("separator", newline)]
        pieces += [("role", human), ("input", kept_input), ("separator", newline), ("role", assistant)]
        encoded = _join(pieces)
        prompt_length = len(encoded.ids)
        if kept_reply:
            encoded.spans.append(Span("reply", prompt_length, prompt_length + len(kept_reply)))
            encoded.ids.extend(kept_reply)
        return Encoded(
            encoded.ids,
            prompt_length,
            encoded.spans,
            turns_cut=len(context) - len(kept_turns),
            input_tokens_cut=len(input_ids) - len(kept_input),
            reply_tokens_cut=len(reply_ids) - len(kept_reply),
        )

    @property
    def _names(self) -> str:
        return "|".join(re.escape(name) for name in (self.human, self.assistant))

    @property
    def _next_turn(self) -> re.Pattern[str]:
        return re.compile(rf"\n\s*(?:{self._names}):")

    def _role(self, role: str) -> str:
        return f"{self.human if role == 'human' else self.assistant}:"


def forged_turns(examples: Sequence[Example], template: DialogueTemplate) -> str:
    """Describe how many rows hold a line that reads like a turn of its own, and the first one; empty if none does."""
    found: list[tuple[str, str]] = []
    for example in examples:
        texts = (example.input, example.output, *(turn.content for turn in example.context))
        line = next(filter(None, map(template.forged_turn, texts)), None)
        if line is not None:
            found.append((example.id, line))
    if not found:
        return ""
    (name, line), count = found[0], len(found)
    return f"{count} of {len(examples)} rows hold a line that begins like a turn, first {shown(name)}: {shown(line)}."


def _that_fit(turns: Iterable[_Turn], room: int, separator: int) -> list[_Turn]:
    """Return the first turns that fit together; none behind them is asked for, so that it is not tokenised either."""
    kept = []
    for turn in turns:
        room -= len(turn[1]) + len(turn[2]) + separator
        if room < 0:
            break
        kept.append(turn)
    return kept


def _join(pieces: Sequence[tuple[SpanKind, list[int]]]) -> Encoded:
    ids: list[int] = []
    spans = []
    for kind, tokens in pieces:
        spans.append(Span(kind, len(ids), len(ids) + len(tokens)))
        ids.extend(tokens)
    return Encoded(ids, len(ids), spans)
