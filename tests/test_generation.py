from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from rct_lightning.backbone import load_backbone
from rct_lightning.dialogue import Turn
from rct_lightning.generation import GREEDY, SAMPLED, Piece, Reply, Sampling, generate, stream, undisturbed
from rct_lightning.scoring import base_model
from rct_lightning.template import DialogueTemplate

SHORT, LONG = Sampling(max_new_tokens=8), Sampling(temperature=1.0, max_new_tokens=8)
PROMPTS = (
    ((), "Hi."),
    ((Turn("human", "My dog is called Bramble."), Turn("assistant", "A fine name.")), "Who sleeps on the porch?"),
    ((), "Aelara, are you there? I missed you, and the kettle is warm."),
    ((), "Why?"),
)


def ask(
    model: Any, tokenizer: Any, sampling: Sampling = SHORT, prompts: Sequence[Any] = PROMPTS, **options: Any
) -> Any:
    return generate(model, tokenizer, DialogueTemplate(), prompts, sampling, **options)


def test_replies_come_in_the_order_of_the_prompts(model: Any, tokenizer: Any) -> None:
    replies = ask(model, tokenizer)
    assert ask(model, tokenizer, prompts=PROMPTS[::-1]) == replies[::-1]
    assert len({reply.text for reply in replies}) == len(PROMPTS), "one reply to all would hide a wrong order"
    assert all(0 < reply.tokens <= 8 for reply in replies)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_batch_answers_as_one_by_one(model: Any, tokenizer: Any, batch_size: int) -> None:
    assert ask(model, tokenizer, batch_size=batch_size) == ask(model, tokenizer)


def test_greedy_is_the_most_likely_token_at_every_step(model: Any, tokenizer: Any) -> None:
    template = DialogueTemplate()
    ids = template.encode_prompt("Why?", tokenizer, 512).ids
    start = len(ids)
    for _ in range(8):
        with torch.no_grad():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    assert ask(model, tokenizer, prompts=PROMPTS[3:])[0].text == tokenizer.decode(ids[start:]).strip()


def test_the_same_seed_gives_the_same_replies(model: Any, tokenizer: Any) -> None:
    first = ask(model, tokenizer, LONG, seed=1)
    torch.manual_seed(99)
    assert ask(model, tokenizer, LONG, seed=1) == first
    assert ask(model, tokenizer, LONG, seed=2) != first
    assert ask(model, tokenizer, SHORT, seed=1) == ask(model, tokenizer, SHORT, seed=2), "greedy needs no seed"


def test_sampling_is_not_cut_at_the_libraries_default_of_50_tokens(model: Any, tokenizer: Any) -> None:
    one_token = Sampling(temperature=1.0, max_new_tokens=1)
    ids = DialogueTemplate().encode_prompt("Why?", tokenizer, 512).ids
    with torch.no_grad():
        top = model(input_ids=torch.tensor([ids])).logits[0, -1].topk(50).indices.tolist()
    likeliest = {tokenizer.decode([token]).strip() for token in top}
    drawn = ask(model, tokenizer, one_token, [PROMPTS[3]] * 64)
    assert {reply.text for reply in drawn} - likeliest


def test_generating_leaves_no_trace(make_backbone: Any, tokenizer: Any) -> None:
    model = make_backbone(dropout=0.5).model.train()
    layers = model.get_base_model().gpt_neox.layers
    layers[0].eval()  # a mixture of modes is restored
    before = {name: module.training for name, module in model.named_modules()}
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    config = model.generation_config.to_dict()
    tokenizer.padding_side = "right"
    torch.manual_seed(7)
    state = torch.get_rng_state()
    for sampling in (GREEDY, SAMPLED):
        ask(model, tokenizer, Sampling(**(vars(sampling) | {"max_new_tokens": 3})))
    assert torch.equal(torch.get_rng_state(), state)
    assert {name: module.training for name, module in model.named_modules()} == before
    assert torch.is_grad_enabled()
    assert tokenizer.padding_side == "right"
    assert model.generation_config.to_dict() == config
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == trainable
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())


def test_dropout_is_off_while_generating(make_backbone: Any, tokenizer: Any) -> None:
    model = make_backbone(dropout=0.5).model.train()
    assert ask(model, tokenizer) == ask(make_backbone().model, tokenizer)


def test_an_error_while_generating_restores_mode_and_random_state(model: Any) -> None:
    model.train()
    torch.manual_seed(7)
    state = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), undisturbed(model, seed=1):
        assert not model.training and not torch.is_grad_enabled()
        torch.rand(3)
        raise ZeroDivisionError
    assert model.training and torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), state)


def test_the_base_answers_under_base_model(make_backbone: Any, tokenizer: Any) -> None:
    model = make_backbone().model
    base = ask(make_backbone(trained=False).model, tokenizer)
    tuned = ask(model, tokenizer)
    with base_model(model):
        assert ask(model, tokenizer) == base
    assert tuned != base, "the adapters change nothing, so nothing is tested"
    assert ask(model, tokenizer) == tuned


def test_a_long_history_loses_its_oldest_turns(model: Any, tokenizer: Any) -> None:
    context = (Turn("human", "old words " * 50), Turn("assistant", "A fine name."))
    cut = ask(model, tokenizer, prompts=[(context, "Hi.")], max_length=40)
    assert cut == ask(model, tokenizer, prompts=[(context[1:], "Hi.")])


@pytest.fixture(scope="module")
def gpt2(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model with a table of 64 learnt positions: there is nothing beyond it."""
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=32, n_layer=2, n_head=2)
    folder = tmp_path_factory.mktemp("gpt2")
    GPT2LMHeadModel(config).save_pretrained(folder)
    return load_backbone(str(folder), tokenizer, device="cpu", quantization="none").model


@pytest.mark.parametrize(("most", "kept"), [(20, 44), (50, 32), (200, 32)])
def test_prompt_and_reply_stay_within_the_positions_of_the_model(
    gpt2: Any, tokenizer: Any, most: int, kept: int
) -> None:
    """The oldest turns are dropped for a reply, and of a reply that would take more than half, the end."""
    sampling, context = Sampling(max_new_tokens=most), (Turn("human", "old words " * 50), Turn("assistant", "Well."))
    prompt = (context, "And then? " * 30)
    (reply,) = ask(gpt2, tokenizer, sampling, [prompt])
    assert reply.tokens == min(most, 32) or reply.ended
    assert [reply] == ask(gpt2, tokenizer, sampling, [prompt], max_length=kept)
    assert "".join(piece.text for piece in streamed(gpt2, tokenizer, prompt, sampling)) == reply.text


@pytest.mark.parametrize("sampling", [SHORT, Sampling(repetition_penalty=1.5, max_new_tokens=8)])
def test_no_reply_depends_on_the_padding_token(model: Any, tokenizer: Any, sampling: Sampling) -> None:
    """Not even on one that the model writes: some tokenizers have no other."""
    expected = ask(model, tokenizer, sampling)
    ids = DialogueTemplate().encode_prompt("Hi.", tokenizer, 512).ids
    with torch.no_grad():
        written = int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
    other = deepcopy(tokenizer)
    other.pad_token = other.convert_ids_to_tokens(written)
    assert other.pad_token_id == written and written not in (tokenizer.pad_token_id, tokenizer.eos_token_id)
    assert ask(model, other, sampling) == expected
    streams = [streamed(model, each, PROMPTS[0], sampling) for each in (tokenizer, other)]
    assert streams[0] == streams[1]


class Scripted:
    """Stands in for a model: returns a script, as a model's ``generate`` would."""

    generation_config = None

    def __init__(self, *replies: list[int]) -> None:
        self.replies, self.weight = replies, torch.nn.Parameter(torch.zeros(1))

    def parameters(self) -> Any:
        return iter([self.weight])

    def modules(self) -> Any:
        return iter([])

    def eval(self) -> None:
        pass

    def generate(self, input_ids: torch.Tensor, **_: Any) -> torch.Tensor:
        return torch.cat([input_ids, torch.tensor(self.replies)], dim=1)


def test_a_reply_is_cut_at_eos_and_at_the_next_turn(tokenizer: Any) -> None:
    eos, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    hello = tokenizer(" Hello.", add_special_tokens=False)["input_ids"]
    onward = tokenizer("\nHuman: And you?", add_special_tokens=False)["input_ids"]
    width = len(hello) + len(onward)  # a reply without EOS is never padded

    def filled(tokens: list[int]) -> list[int]:
        return tokens + [pad] * (width - len(tokens))

    script = Scripted(filled([*hello, eos]), filled([*hello, *onward]), filled([*hello, eos, *hello][:width]))
    replies = ask(script, tokenizer, prompts=[((), "a"), ((), "b"), ((), "c")])
    assert replies[0] == replies[2] == Reply("Hello.", len(hello), True)
    assert replies[1] == Reply("Hello.", len(hello) + len(onward), False)


# --- streamed -------------------------------------------------------------------------------------------------------


def streamed(model: Any, tokenizer: Any, prompt: Any, sampling: Sampling, **options: Any) -> list[Piece]:
    context, text = prompt
    return list(stream(model, tokenizer, DialogueTemplate(), text, context, sampling, **options))


@pytest.mark.parametrize("sampling", [SHORT, LONG, Sampling(1.0, 0.8, 1.3, 12)], ids=["greedy", "sampled", "penalised"])
def test_a_streamed_reply_is_the_generated_one(model: Any, tokenizer: Any, sampling: Sampling) -> None:
    for prompt in PROMPTS:
        pieces = streamed(model, tokenizer, prompt, sampling, seed=5)
        whole = ask(model, tokenizer, sampling, [prompt], seed=5)[0]
        assert "".join(piece.text for piece in pieces) == whole.text
        assert (pieces[-1].tokens, pieces[-1].ended) == (whole.tokens, whole.ended)
        assert [piece.tokens for piece in pieces if not piece.ended] == list(range(1, whole.tokens + 1))


def test_the_base_can_be_streamed(model: Any, tokenizer: Any) -> None:
    with base_model(model):
        base = "".join(piece.text for piece in streamed(model, tokenizer, PROMPTS[0], SHORT))
        assert base == ask(model, tokenizer, prompts=PROMPTS[:1])[0].text
    assert base != ask(model, tokenizer, prompts=PROMPTS[:1])[0].text


def test_between_two_pieces_everything_is_as_before(model: Any, tokenizer: Any) -> None:
    undrawn = streamed(model, tokenizer, PROMPTS[0], LONG, seed=1)
    model.train()
    torch.manual_seed(7)
    state, pieces = torch.get_rng_state(), stream(model, tokenizer, DialogueTemplate(), "Hi.", (), LONG, seed=1)
    found = []
    for piece in pieces:
        found.append(piece)
        assert model.training and torch.is_grad_enabled()
        assert torch.equal(torch.get_rng_state(), state)
        torch.rand(3)  # another consumer of random numbers
        state = torch.get_rng_state()
    assert found == undrawn


def test_a_stream_that_is_left_leaves_no_trace(model: Any, tokenizer: Any) -> None:
    model.train()
    torch.manual_seed(7)
    state = torch.get_rng_state()
    pieces = stream(model, tokenizer, DialogueTemplate(), "Hi.", (), LONG)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert model.training and torch.is_grad_enabled() and torch.equal(torch.get_rng_state(), state)


class Reciting(Scripted):
    """Returns one token of its script per call."""

    def __init__(self, tokens: list[int]) -> None:
        super().__init__(tokens)
        self.base_model = self
        self.said = 0

    def forward(self, past_key_values: Any) -> None: ...

    def get_output_embeddings(self) -> None: ...

    def generate(self, input_ids: torch.Tensor, **_: Any) -> torch.Tensor:
        self.said += 1
        return torch.cat([input_ids, torch.tensor([[self.replies[0][self.said - 1]]])], dim=1)


def recited(tokenizer: Any, text: str, *, ended: bool = True) -> tuple[list[Piece], int]:
    """Return what is streamed of a text, and the number of tokens it took."""
    tokens = tokenizer(text, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id] * ended
    script = Reciting(tokens)
    pieces = streamed(script, tokenizer, ((), "a"), Sampling(max_new_tokens=len(tokens)))
    return pieces, script.said


@pytest.mark.parametrize("between", ["\n", "\n\n  ", "\n \n\t"])
def test_no_piece_is_of_a_next_turn_and_the_model_stops_there(tokenizer: Any, between: str) -> None:
    pieces, said = recited(tokenizer, f" Hello.{between}Human: And you? I am well, thank you.")
    assert "".join(piece.text for piece in pieces) == "Hello."
    assert said == len(tokenizer(f" Hello.{between}Human:", add_special_tokens=False)["input_ids"])
    assert not pieces[-1].ended


@pytest.mark.parametrize(
    "text", [" One.\nHumans are many.", " One.\nAssist", " One.\n\n- two\n- three ", " a\n", " \n Human nature", ""]
)
def test_what_only_looked_like_a_next_turn_is_shown(tokenizer: Any, text: str) -> None:
    pieces, _ = recited(tokenizer, text)
    assert "".join(piece.text for piece in pieces) == text.strip()


def test_characters_of_several_tokens_come_whole(tokenizer: Any) -> None:
    text = "Ein Gru\u00df \u4f60\u597d \U0001f56f and on"
    pieces, _ = recited(tokenizer, " " + text)
    assert "".join(piece.text for piece in pieces) == text
    assert not any("\ufffd" in piece.text for piece in pieces)


def test_a_sequence_that_spans_pieces_is_taken_out(tokenizer: Any) -> None:
    pieces, said = recited(tokenizer, " a\x1b]52;c;Y2FuYXJ5\x07b\x1b[2Jc\u202ed")
    assert said > 10, "it takes several tokens"
    assert "".join(piece.text for piece in pieces) == "abcd"
