from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional as F
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BloomConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PretrainedConfig,
    Qwen2Config,
)

from rct_lightning import scoring
from rct_lightning.backbone import adapter_state
from rct_lightning.scoring import (
    Branches,
    Twins,
    base_model,
    branches_problem,
    hidden_states,
    reply_log_probs,
    score_continuations,
    score_pairs,
    score_phrases,
    token_log_probs,
)

PROMPTS = (
    "Human: Hi\nAssistant:",
    "Human: Are you there, and is the kettle warm?\nAssistant:",
    "Human: Why should I?\nAssistant:",
)
OTHERS = (
    "Human: Hi, Aelara\nAssistant:",
    "Human: Are you there, dear friend, and is the kettle warm?\nAssistant: It is, and",
    "Why should I, Aelara?\nAssistant:",
)
"""Prompts that begin as those above but continue differently; the last shares nothing."""
PHRASES = (" I am here.", " No", " I know your voice, and I kept a place for you.")


@pytest.fixture(scope="module")
def prompts(tokenizer: Any) -> list[list[int]]:
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in PROMPTS]


@pytest.fixture(scope="module")
def phrases(tokenizer: Any) -> list[list[int]]:
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in PHRASES]


def padded(rows: list[list[int]], pad_id: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Right-pad ids; return them, their mask and lengths; the second half of each row belongs to the reply."""
    width = max(map(len, rows)) + 3
    ids = torch.tensor([row + [pad_id] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids, mask, torch.tensor([len(row) for row in rows])


@torch.no_grad()
def naive_score(model: Any, prompt: list[int], continuation: list[int]) -> float:
    """Compute s(c|q) by definition: all logits of one unpadded row."""
    logits = model(input_ids=torch.tensor([[*prompt, *continuation]])).logits[0].double()
    log_probs = F.log_softmax(logits[:-1], dim=-1)
    places = range(len(prompt) - 1, len(prompt) + len(continuation) - 1)
    return float(sum(log_probs[at, token] for at, token in zip(places, continuation, strict=True)) / len(continuation))


@pytest.fixture(scope="module")
def expected(make_backbone: Any, prompts: list[list[int]], phrases: list[list[int]]) -> torch.Tensor:
    model = make_backbone().model
    return torch.tensor([[naive_score(model, prompt, phrase) for phrase in phrases] for prompt in prompts])


def test_prompts_and_phrases_differ_in_length(prompts: list[list[int]], phrases: list[list[int]]) -> None:
    assert len({len(p) for p in prompts}) == len({len(p) for p in phrases}) == 3


@pytest.fixture(scope="module")
def twins(prompts: list[list[int]], tokenizer: Any) -> Twins:
    parted = []
    for prompt, text in zip(prompts, OTHERS, strict=True):
        other = tokenizer(text, add_special_tokens=False)["input_ids"]
        start = next(at for at, (a, b) in enumerate(zip(prompt, other, strict=False)) if a != b)
        parted.append((start, other[start:]))
    assert [start > 0 for start, _ in parted] == [True, True, False]
    ids, _, length = padded([own for _, own in parted], tokenizer.pad_token_id)
    return Twins(ids, torch.tensor([start for start, _ in parted]), length)


@pytest.fixture(scope="module")
def expected_of_twins(make_backbone: Any, phrases: list[list[int]], tokenizer: Any) -> torch.Tensor:
    model = make_backbone().model
    others = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in OTHERS]
    return torch.tensor([[naive_score(model, prompt, phrase) for phrase in phrases] for prompt in others])


def test_a_pass_over_pairs_equals_separate_passes(
    model: Any, prompts: Any, phrases: Any, twins: Twins, expected: Any, expected_of_twins: Any, tokenizer: Any
) -> None:
    ids, _, lengths = padded([prompt + phrases[2] for prompt in prompts], tokenizer.pad_token_id)
    asked_at = torch.tensor([len(prompt) for prompt in prompts])
    with torch.no_grad():
        found = score_pairs(model, ids, asked_at, twins, Branches.of(phrases))
        plain = hidden_states(model, ids)
    torch.testing.assert_close(found.rows, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.twins, expected_of_twins, atol=1e-5, rtol=0)
    assert (found.rows - found.twins).abs().max() > 1e-3, "the two prompts of a pair are told apart"
    for row, length in enumerate(lengths):  # what comes after a row does not disturb it
        torch.testing.assert_close(found.hidden[row, :length], plain[row, :length], atol=1e-5, rtol=0)


def test_pairs_need_no_more_positions_than_rows_and_twins(tokenizer: Any) -> None:
    """A late twin is padded to the length of an early one; with learnt positions there may be none for the padding."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        GPT2Config(vocab_size=len(tokenizer), n_positions=48, n_embd=16, n_layer=2, n_head=2)
    ).eval()
    rows, starts, own = torch.randint(100, 900, (2, 40)), torch.tensor([35, 3]), torch.tensor([5, 37])
    twins = Twins(torch.randint(100, 900, (2, 37)), starts, own)
    asked, branches = torch.tensor([38, 38]), Branches.of([[5, 6, 7], [8, 9]])
    with torch.no_grad():
        together = score_pairs(model, rows, asked, twins, branches)
    for at in range(2):
        one = Twins(twins.ids[at : at + 1, : own[at]], starts[at : at + 1], own[at : at + 1])
        with torch.no_grad():
            alone = score_pairs(model, rows[at : at + 1], asked[:1], one, branches)
        torch.testing.assert_close(together.rows[at], alone.rows[0], atol=1e-5, rtol=0)
        torch.testing.assert_close(together.twins[at], alone.twins[0], atol=1e-5, rtol=0)


def test_the_gradient_of_a_pass_over_pairs_is_that_of_separate_passes(
    model: Any, prompts: Any, phrases: Any, twins: Twins, tokenizer: Any, gradient: Any
) -> None:
    ids, _, lengths = padded(prompts, tokenizer.pad_token_id)
    together = score_pairs(model, ids, lengths, twins, Branches.of(phrases))
    others = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in OTHERS]
    apart = torch.stack(
        [
            F.cross_entropy(model(input_ids=torch.tensor([[*prompt, *phrase]])).logits[0, len(prompt) - 1 : -1].float(),
                            torch.tensor(phrase)).neg()
            for prompt in (*prompts, *others) for phrase in phrases
        ]
    )  # fmt: skip
    weights = torch.arange(1.0, 1.0 + len(apart))
    found = torch.cat([together.rows, together.twins]).flatten()
    true = gradient((apart * weights).sum(), model)
    torch.testing.assert_close(gradient((found * weights).sum(), model), true, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("fault", ["positions", "phrases see each other", "a twin sees all of its row"])
def test_a_pass_without_its_positions_or_its_mask_is_noticed(
    model: Any,
    prompts: Any,
    phrases: Any,
    twins: Twins,
    expected: Any,
    expected_of_twins: Any,
    tokenizer: Any,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if fault == "positions":  # positions after a row continue from the row's end
        trunk = scoring.trunk_and_head(model)[0]
        true_forward = trunk.forward

        def forward(*args: Any, position_ids: torch.Tensor, **kwargs: Any) -> Any:
            carried_on = torch.arange(position_ids.shape[1]).expand_as(position_ids)
            return true_forward(*args, position_ids=carried_on, **kwargs)

        monkeypatch.setattr(trunk, "forward", forward)
    else:
        true_mask = scoring._seen_in_pairs

        def mask_of(length: int, asked_at: torch.Tensor, twins: Twins, branches: Branches) -> Any:
            if fault == "phrases see each other":
                same = torch.zeros_like(branches.phrase)
                branches = Branches(branches.ids, same, branches.offset, branches.lengths)
            else:
                twins = Twins(twins.ids, asked_at, twins.length)
            return true_mask(length, asked_at, twins, branches)

        monkeypatch.setattr(scoring, "_seen_in_pairs", mask_of)
    ids, _, lengths = padded(prompts, tokenizer.pad_token_id)
    with torch.no_grad():
        found = score_pairs(model, ids, lengths, twins, Branches.of(phrases))
    assert (found.twins - expected_of_twins).abs().max() > 1e-3
    rows_too = fault != "a twin sees all of its row"
    assert bool((found.rows - expected).abs().max() > 1e-3) == rows_too


@pytest.mark.parametrize("batch_size", [1, 2, 16])
@pytest.mark.parametrize("portion", [1, 2, 8])
def test_score_phrases_agrees_with_all_logits(
    model: Any,
    prompts: Any,
    phrases: Any,
    expected: Any,
    tokenizer: Any,
    batch_size: int,
    portion: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scoring, "PHRASE_PORTION", portion)
    found = score_phrases(model, prompts, phrases, tokenizer.pad_token_id, "cpu", batch_size)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_score_continuations_agrees_with_all_logits(
    model: Any, prompts: Any, phrases: Any, expected: Any, tokenizer: Any, batch_size: int
) -> None:
    pairs = [(prompt, phrase) for prompt in prompts for phrase in phrases]
    found = score_continuations(model, pairs, tokenizer.pad_token_id, "cpu", batch_size)
    torch.testing.assert_close(found.view(3, 3), expected, atol=1e-5, rtol=0)


def test_a_continuation_may_hold_the_padding_token(model: Any, prompts: Any, tokenizer: Any) -> None:
    continuation = [tokenizer.eos_token_id, tokenizer.pad_token_id, 5]
    found = score_continuations(model, [(prompts[0], continuation), (prompts[1], [7])], tokenizer.pad_token_id, "cpu")
    assert float(found[0]) == pytest.approx(naive_score(model, prompts[0], continuation), abs=1e-5)


def test_reply_log_probs_predict_each_label_from_the_position_before(model: Any, prompts: Any, tokenizer: Any) -> None:
    ids, mask, lengths = padded(prompts, tokenizer.pad_token_id)
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, :3] = -100
    labels[0, 0] = ids[0, 0]  # nothing comes before it: not counted
    with torch.no_grad():
        found, row = reply_log_probs(model, hidden_states(model, ids), labels)
        logits = model(input_ids=ids, attention_mask=mask).logits
    rows, places = torch.nonzero(labels[:, 1:] != -100, as_tuple=True)
    true = F.log_softmax(logits, -1)[rows, places, labels[rows, places + 1]]
    torch.testing.assert_close(found, true, atol=1e-5, rtol=0)
    assert row.tolist() == rows.tolist() and len(row) == int((lengths - 3).sum())


@pytest.mark.parametrize("portion", [1, 7, 50])
def test_portions_of_the_head_change_nothing(model: Any, portion: int, monkeypatch: pytest.MonkeyPatch) -> None:
    targets = torch.arange(50)
    hidden = torch.randn(50, 64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weights = torch.linspace(-1, 1, 50)
    held: list[int] = []
    true_logits = scoring.logits_at

    def logits_at(model: Any, hidden: torch.Tensor) -> torch.Tensor:
        held.append(len(hidden))
        return true_logits(model, hidden)

    def found() -> tuple[torch.Tensor, torch.Tensor]:
        log_probs = token_log_probs(model, hidden, targets)
        return log_probs.detach(), torch.autograd.grad((log_probs * weights).sum(), hidden)[0]

    whole = found()
    monkeypatch.setattr(scoring, "logits_at", logits_at)
    monkeypatch.setattr(scoring, "HEAD_LOGITS", portion * scoring.trunk_and_head(model)[1].weight.shape[0])
    for a, b in zip(found(), whole, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)
    assert max(held) == portion and sum(held) == (50 if portion == 50 else 2 * 50), "made again for the backward pass"
    assert token_log_probs(model, hidden[:0], targets[:0]).shape == (0,)


def test_an_empty_phrase_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one token"):
        Branches.of([[1], []])


def test_base_model_is_the_base_and_restores_everything(make_backbone: Any, prompts: Any) -> None:
    model = make_backbone(dropout=0.5).model
    for module in model.modules():  # the base may have its own dropout
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    ids = torch.tensor([prompts[1]])
    with torch.no_grad():
        base = make_backbone(trained=False).model(input_ids=ids).logits
        tuned = make_backbone().model(input_ids=ids).logits
    assert (base - tuned).abs().max() > 1e-2, "the adapters do nothing, so nothing is tested"

    model.train()
    model.get_base_model().gpt_neox.layers[0].eval()  # a mixture of modes is restored
    before = {name: module.training for name, module in model.named_modules()}
    weights = {name: parameter.clone() for name, parameter in adapter_state(model).items()}
    state = torch.get_rng_state()
    with base_model(model):
        assert not torch.is_grad_enabled()
        assert torch.equal(model(input_ids=ids).logits, base)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()
    assert {name: module.training for name, module in model.named_modules()} == before
    after = adapter_state(model)
    assert list(after) == list(weights), "adapters became untrainable"
    assert all(torch.equal(after[name], weights[name]) for name in weights)
    with torch.no_grad():
        assert torch.equal(model.eval()(input_ids=ids).logits, tuned)


def test_base_model_restores_after_an_error(backbone: Any, prompts: Any) -> None:
    model, ids = backbone.model.train(), torch.tensor([prompts[0]])
    with torch.no_grad():
        tuned = model(input_ids=ids).logits
    with pytest.raises(ZeroDivisionError), base_model(model):
        raise ZeroDivisionError
    assert model.training and torch.is_grad_enabled()
    with torch.no_grad():
        assert torch.equal(model(input_ids=ids).logits, tuned)


SMALL = {"initializer_range": 0.2, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
ARCHITECTURES: dict[str, tuple[PretrainedConfig, str]] = {
    "gpt2": (GPT2Config(vocab_size=64, n_positions=64, n_embd=32, n_layer=2, n_head=2), ""),
    "gpt_neox": (GPTNeoXConfig(vocab_size=64, intermediate_size=64, **SMALL), ""),
    "llama": (LlamaConfig(vocab_size=64, intermediate_size=64, **SMALL), ""),
    "qwen2": (Qwen2Config(vocab_size=64, intermediate_size=64, num_key_value_heads=1, **SMALL), ""),
    "bloom": (BloomConfig(vocab_size=64, hidden_size=32, n_layer=2, n_head=2), "Error"),  # takes no mask for each row
    "bert": (
        BertConfig(vocab_size=64, intermediate_size=64, **SMALL),
        "differ from those of separate passes",
    ),  # not causal
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_that_cannot_score_branches_is_told_by_a_few_tokens(name: str) -> None:
    config, said = ARCHITECTURES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = get_peft_model(AutoModelForCausalLM.from_config(config), LoraConfig(target_modules="all-linear"))
    state = torch.get_rng_state()
    problem = branches_problem(model.train())
    assert said in problem if said and problem else problem is None and not said
    assert model.training and torch.equal(torch.get_rng_state(), state)
