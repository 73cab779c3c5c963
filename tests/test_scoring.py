from typing import Any

import pytest
import torch
from torch.nn import functional as F

from rct_lightning import scoring
from rct_lightning.backbone import adapter_state
from rct_lightning.scoring import (
    Branches,
    base_model,
    reply_log_probs,
    score,
    score_continuations,
    score_phrases,
    token_log_probs,
)

PROMPTS = (
    "Human: Hi\nAssistant:",
    "Human: Are you there, and is the kettle warm?\nAssistant:",
    "Human: Why should I?\nAssistant:",
)
PHRASES = (" I am here.", " No", " I know your voice, and I kept a place for you.")


@pytest.fixture(scope="module")
def prompts(tokenizer: Any) -> list[list[int]]:
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in PROMPTS]


@pytest.fixture(scope="module")
def phrases(tokenizer: Any) -> list[list[int]]:
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in PHRASES]


def padded(rows: list[list[int]], pad_id: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Right-padded ids, their mask, their lengths; the second half of each row belongs to the reply."""
    width = max(map(len, rows)) + 3
    ids = torch.tensor([row + [pad_id] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids, mask, torch.tensor([len(row) for row in rows])


@torch.no_grad()
def naive_score(model: Any, prompt: list[int], continuation: list[int]) -> float:
    """s(c|q) by the book: all logits of one unpadded row."""
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


def test_branches_equal_separate_passes(model: Any, prompts: Any, phrases: Any, expected: Any, tokenizer: Any) -> None:
    ids, mask, lengths = padded([prompt + phrases[2] for prompt in prompts], tokenizer.pad_token_id)
    prompt_length = torch.tensor([len(prompt) for prompt in prompts])
    with torch.no_grad():
        result = score(model, ids, mask, prompt_length, Branches.of(phrases))
        plain = score(model, ids, mask)
    assert result.phrase_scores is not None
    torch.testing.assert_close(result.phrase_scores, expected, atol=1e-5, rtol=0)
    for row, length in enumerate(lengths):  # the branches behind a row do not disturb it
        torch.testing.assert_close(result.hidden[row, :length], plain.hidden[row, :length], atol=1e-5, rtol=0)
    assert plain.phrase_scores is None


@pytest.mark.parametrize("fault", ["positions", "mask"])
def test_a_branch_without_its_position_or_mask_is_noticed(
    model: Any,
    prompts: Any,
    phrases: Any,
    expected: Any,
    tokenizer: Any,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if fault == "positions":  # a branch that carries on where the row ends
        trunk = scoring.trunk_and_head(model)[0]
        true_forward = trunk.forward

        def forward(*args: Any, position_ids: torch.Tensor, **kwargs: Any) -> Any:
            carried_on = torch.arange(position_ids.shape[1]).expand_as(position_ids)
            return true_forward(*args, position_ids=carried_on, **kwargs)

        monkeypatch.setattr(trunk, "forward", forward)
    else:  # branches that see each other
        true_mask = scoring._branch_mask

        def mask_of(attention_mask: Any, prompt_length: Any, branches: Branches, dtype: Any) -> Any:
            joined = Branches(branches.ids, torch.zeros_like(branches.phrase), branches.offset, branches.lengths)
            return true_mask(attention_mask, prompt_length, joined, dtype)

        monkeypatch.setattr(scoring, "_branch_mask", mask_of)
    ids, mask, lengths = padded(prompts, tokenizer.pad_token_id)
    with torch.no_grad():
        found = score(model, ids, mask, lengths, Branches.of(phrases)).phrase_scores
    assert found is not None
    assert (found - expected).abs().max() > 1e-3


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
    labels[0, 0] = ids[0, 0]  # nothing stands before it: not counted
    with torch.no_grad():
        found, row = reply_log_probs(model, score(model, ids, mask).hidden, labels)
        logits = model(input_ids=ids, attention_mask=mask).logits
    rows, places = torch.nonzero(labels[:, 1:] != -100, as_tuple=True)
    true = F.log_softmax(logits, -1)[rows, places, labels[rows, places + 1]]
    torch.testing.assert_close(found, true, atol=1e-5, rtol=0)
    assert row.tolist() == rows.tolist() and len(row) == int((lengths - 3).sum())


def test_chunks_of_the_head_change_nothing(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, targets = torch.randn(50, 64, generator=torch.Generator().manual_seed(0)), torch.arange(50)
    with torch.no_grad():
        whole = token_log_probs(model, hidden, targets)
        monkeypatch.setattr(scoring, "HEAD_CHUNK", 7)
        torch.testing.assert_close(token_log_probs(model, hidden, targets), whole, atol=1e-6, rtol=0)
        assert token_log_probs(model, hidden[:0], targets[:0]).shape == (0,)


def test_an_empty_phrase_and_a_missing_prompt_length_are_errors(model: Any) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        Branches.of([[1], []])
    with pytest.raises(ValueError, match="prompt_length"):
        score(model, torch.ones(1, 3, dtype=torch.int64), torch.ones(1, 3), None, Branches.of([[1]]))


def test_base_model_is_the_base_and_restores_everything(make_backbone: Any, prompts: Any) -> None:
    model = make_backbone(dropout=0.5).model
    for module in model.modules():  # the base may have dropout of its own
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    ids = torch.tensor([prompts[1]])
    with torch.no_grad():
        base = make_backbone(trained=False).model(input_ids=ids).logits
        tuned = make_backbone().model(input_ids=ids).logits
    assert (base - tuned).abs().max() > 1e-2, "the adapters do nothing, so nothing is tested"

    model.train()
    model.get_base_model().gpt_neox.layers[0].eval()  # a mixture of modes comes back as it was
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
