import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jinja2.exceptions import TemplateError
from tokenizers import Tokenizer as Backend
from tokenizers.processors import TemplateProcessing

from rct_lightning.backbone import load_tokenizer
from rct_lightning.corpus.tokens import FolderTokenizer
from rct_lightning.corpus.truncation import Lengths
from rct_lightning.dialogue import Example, Turn, read_jsonl
from rct_lightning.template import DialogueTemplate, Encoded, beginning, forged_turns

ROOT = Path(__file__).parents[1]

CONTEXT = (
    Turn("human", "My dog is called Bramble."),
    Turn("assistant", "What a fine name for a dog, and easy to call."),
    Turn("human", "He eats apples."),
)
EXAMPLE = Example(
    "i", "c", "Who eats apples in the morning, do you know?", "Bramble eats the apples, every one.", CONTEXT
)


def ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def kept(encoded: Encoded, kind: str) -> list[list[int]]:
    return [encoded.ids[span.start : span.stop] for span in encoded.spans if span.kind == kind]


@pytest.mark.parametrize("template", [DialogueTemplate(), DialogueTemplate("Mensch", "Aelara")])
def test_a_training_row_is_the_prompt_the_reply_and_eos(tokenizer: Any, template: DialogueTemplate) -> None:
    whole = template.encode(EXAMPLE, tokenizer, 512)
    prompt = template.encode_prompt(EXAMPLE.input, tokenizer, 512, EXAMPLE.context)
    assert whole.ids == prompt.ids + ids(tokenizer, template.reply(EXAMPLE.output)) + [tokenizer.eos_token_id]
    assert whole.prompt_length == prompt.prompt_length == len(prompt.ids)


def test_tokens_decode_to_the_text_of_the_prompt(tokenizer: Any) -> None:
    for template in (DialogueTemplate(), DialogueTemplate("Mensch", "Aelara")):
        encoded = template.encode_prompt("Who eats apples?", tokenizer, 512, CONTEXT)
        text = template.prompt("Who eats apples?", CONTEXT)
        assert tokenizer.decode(encoded.ids) == text
        assert text.endswith(f"\n{template.assistant}:")
        assert text.startswith(f"{template.human}: My dog")


def test_spans_cover_all_tokens_and_name_what_they_hold(tokenizer: Any) -> None:
    encoded = DialogueTemplate().encode(EXAMPLE, tokenizer, 512)
    assert [encoded.spans[0].start, encoded.spans[-1].stop] == [0, len(encoded.ids)]
    assert all(a.stop == b.start for a, b in zip(encoded.spans, encoded.spans[1:], strict=False))
    assert [tokenizer.decode(t) for t in kept(encoded, "human")] == [f" {CONTEXT[i].content}" for i in (0, 2)]
    assert [tokenizer.decode(t) for t in kept(encoded, "assistant")] == [f" {CONTEXT[1].content}"]
    assert [tokenizer.decode(t) for t in kept(encoded, "input")] == [f" {EXAMPLE.input}"]
    assert kept(encoded, "reply") == [encoded.ids[encoded.prompt_length :]]


def test_a_piece_has_the_same_tokens_wherever_it_stands(tokenizer: Any) -> None:
    short = DialogueTemplate().encode(Example("i", "c", EXAMPLE.input, EXAMPLE.output), tokenizer, 512)
    whole = DialogueTemplate().encode(EXAMPLE, tokenizer, 512)
    assert whole.ids[-len(short.ids) :] == short.ids


@pytest.mark.parametrize("max_length", range(16, 100))
def test_what_does_not_fit_is_cut_oldest_first_and_counted(tokenizer: Any, max_length: int) -> None:
    template = DialogueTemplate()
    whole, cut = template.encode(EXAMPLE, tokenizer, 1000), template.encode(EXAMPLE, tokenizer, max_length)
    assert len(cut.ids) <= max_length
    reply, text = kept(whole, "reply")[0], kept(whole, "input")[0]
    turns = [span for span in whole.spans if span.kind in ("human", "assistant")]

    kept_reply = cut.ids[cut.prompt_length :]
    assert kept_reply == reply[: len(reply) - cut.reply_tokens_cut]
    fixed = len(template.encode_prompt("", tokenizer, 1000).ids) - len(ids(tokenizer, " "))
    assert len(kept_reply) >= min(len(reply), (max_length - fixed) // 2), "the prompt swallowed the reply"

    assert kept(cut, "input")[0] == text[cut.input_tokens_cut :]
    contents = [cut.ids[span.start : span.stop] for span in cut.spans if span.kind in ("human", "assistant")]
    assert contents == [whole.ids[span.start : span.stop] for span in turns][cut.turns_cut :]
    if cut.turns_cut < len(turns):
        assert cut.input_tokens_cut == cut.reply_tokens_cut == 0, "text was cut while an older turn was kept"


def test_cutting_happens_at_all(tokenizer: Any) -> None:
    cuts = [DialogueTemplate().encode(EXAMPLE, tokenizer, length) for length in range(16, 100)]
    assert {cut.turns_cut for cut in cuts} == {0, 1, 2, 3}
    assert any(cut.input_tokens_cut for cut in cuts) and any(cut.reply_tokens_cut for cut in cuts)


def test_a_prompt_alone_keeps_the_end_of_a_long_text(tokenizer: Any) -> None:
    encoded = DialogueTemplate().encode_prompt("word " * 200 + "end", tokenizer, 40, CONTEXT)
    assert len(encoded.ids) == 40
    assert encoded.turns_cut == 3
    assert tokenizer.decode(encoded.ids).endswith("word end\nAssistant:")


@pytest.mark.parametrize(
    ("generated", "reply"),
    [
        (" Hello there.\nHuman: And you?", "Hello there."),
        (" Hello there.\n\n  Assistant: Again", "Hello there."),
        (" Line one.\nLine two.", "Line one.\nLine two."),
        (" The Human: is a word here", "The Human: is a word here"),
        ("\nHuman: x", ""),
        ("", ""),
    ],
)
def test_a_reply_ends_where_a_next_turn_begins(generated: str, reply: str) -> None:
    assert DialogueTemplate().cut_reply(generated) == reply


def test_role_names_are_configurable_and_stored() -> None:
    template = DialogueTemplate("Mensch (du)", "Aelara")
    assert template.prompt("Hallo") == "Mensch (du): Hallo\nAelara:"
    assert template.cut_reply(" Ja.\nMensch (du): Und?") == "Ja."
    assert template.cut_reply(" Ja.\nHuman: Und?") == "Ja.\nHuman: Und?"
    assert DialogueTemplate(**template.to_json()) == template


def test_the_shortest_prompt_has_no_context(tokenizer: Any) -> None:
    template = DialogueTemplate()
    assert template.shortest_prompt("Hello", tokenizer) == len(ids(tokenizer, "Human:")) + len(
        ids(tokenizer, " Hello") + ids(tokenizer, "\n") + ids(tokenizer, "Assistant:")
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Fine.\nAssistant: I am not.", "Assistant: I am not."),
        ("Fine.\r\n  Human: and you?", "Human: and you?"),
        ("Human: hello", "Human: hello"),
        ("I am the Assistant: trust me", None),
        ("The\nHumans: a history", None),
        ("a\n\nAssistant\n: b", None),
    ],
)
def test_a_line_that_begins_like_a_turn_is_seen(text: str, line: str | None) -> None:
    assert DialogueTemplate().forged_turn(text) == line
    assert DialogueTemplate("Mensch", "Aelara").forged_turn(text) is None, "other roles, other lines"


def test_rows_with_forged_turns_are_counted_and_the_first_is_named() -> None:
    rows = [
        Example("a", "a", "Hello.", "Hi."),
        Example("b", "b", "Hello.", "Hi.\nHuman: bye"),
        Example("c", "c", "Hello.", "Hi.", (Turn("human", "x\nAssistant: y"),)),
    ]
    assert forged_turns(rows, DialogueTemplate()).startswith(
        "2 of 3 rows hold a line that begins like a turn, first 'b'"
    )
    assert forged_turns(rows[:1], DialogueTemplate()) == ""
    for side in ("train", "eval"):
        bundled = read_jsonl(ROOT / "data" / "relational" / f"{side}.jsonl")
        assert forged_turns(bundled, DialogueTemplate()) == ""


# --- as a chat template ---------------------------------------------------------------------------------------------

NAMES = [
    ("Human", "Assistant"),
    ("Ael'a", 'O"x'),
    ("é", "😀"),
    ("{{ x }}", "{% if %}"),
    ("a\\n b", "c\\"),
    ("$", "${bos}"),
]


@pytest.mark.parametrize("names", NAMES, ids=repr)
@pytest.mark.parametrize("context", [(), CONTEXT[:2], CONTEXT[:1]])
def test_the_chat_template_writes_the_prompt(tokenizer: Any, names: tuple[str, str], context: tuple[Turn, ...]) -> None:
    template, chatty = DialogueTemplate(*names), copy.deepcopy(tokenizer)
    chatty.chat_template = template.chat_template()
    asked = " Who {{ eats }}\n\napples? \n"
    messages = [{"role": turn.role, "content": turn.content} for turn in (*context, Turn("human", asked))]
    written = chatty.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert written == template.prompt(asked, context)
    as_user = [message | {"role": message["role"].replace("human", "user")} for message in messages]
    assert chatty.apply_chat_template(as_user, tokenize=False, add_generation_prompt=True) == written
    so_far = chatty.apply_chat_template(as_user, tokenize=False)
    assert f"{so_far}\n{template.assistant}:" == written


def test_the_chat_template_has_no_system_role(tokenizer: Any) -> None:
    chatty = copy.deepcopy(tokenizer)
    chatty.chat_template = DialogueTemplate().chat_template()
    with pytest.raises(TemplateError, match="user and assistant, not system"):
        chatty.apply_chat_template([{"role": "system", "content": "Be kind."}], tokenize=False)


@pytest.fixture(scope="module")
def with_bos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a tokenizer that begins texts with a token of its own, as those of Llama 3 and Gemma say it."""
    folder = tmp_path_factory.mktemp("with_bos")
    backend = Backend.from_file(str(ROOT / "data" / "nano" / "tokenizer.json"))
    backend.add_special_tokens(["<|begin|>"])
    begins = [("<|begin|>", backend.token_to_id("<|begin|>"))]
    backend.post_processor = TemplateProcessing(single="<|begin|> $A", special_tokens=begins)
    backend.save(str(folder / "tokenizer.json"))
    names = {"bos_token": "<|begin|>", "eos_token": "<|endoftext|>", "pad_token": "<|padding|>"}
    kind = {"tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names | kind), encoding="utf-8")
    return folder


def test_a_dialogue_begins_with_bos_where_texts_do(with_bos: Path, tokenizer: Any) -> None:
    own, template = load_tokenizer(str(with_bos)), DialogueTemplate()
    assert own("a")["input_ids"][0] == own.bos_token_id and beginning(tokenizer) == []
    whole, without = template.encode(EXAMPLE, own, 512), template.encode(EXAMPLE, tokenizer, 512)
    assert whole.ids == [own.bos_token_id, *without.ids] and whole.prompt_length == without.prompt_length + 1
    prompt = template.encode_prompt(EXAMPLE.input, own, 512, EXAMPLE.context)
    assert prompt.ids == whole.ids[: whole.prompt_length]
    assert template.encode(EXAMPLE, FolderTokenizer(with_bos), 512) == whole
    assert Lengths.of([EXAMPLE], FolderTokenizer(with_bos), 512, template).whole == [len(whole.ids)]
