"""Dropout of the adapters: equivalent to torch's own, from fewer random bits."""

import pytest
import torch
from torch import nn

from rct_lightning.backbone import Lora, load_backbone, load_tokenizer
from rct_lightning.dropout import AdapterDropout


@pytest.mark.parametrize("p", [0.05, 0.5, 0.9])
def test_share_and_scale(p: float) -> None:
    torch.manual_seed(0)
    ones = torch.ones(400, 1001)
    out = AdapterDropout(p)(ones)
    share = float((out == 0).float().mean())
    assert abs(share - p) < 4 * (p * (1 - p) / ones.numel()) ** 0.5  # four standard errors
    assert torch.unique(out).tolist() == pytest.approx([0.0, 1 / (1 - p)], rel=1e-4)


@pytest.mark.parametrize("size", [1, 3, 4, 5, 1003])
def test_every_element_has_its_own_draw(size: int) -> None:
    torch.manual_seed(0)
    dropout = AdapterDropout(0.5)
    kept = torch.stack([dropout(torch.ones(size)) > 0 for _ in range(400)]).float()
    assert ((kept.mean(0) - 0.5).abs() < 0.15).all()
    if size > 1:  # neighbours come from one 64-bit number and must not be correlated
        assert abs(float(torch.corrcoef(kept[:, :2].T)[0, 1])) < 0.2


def test_gradient_passes_where_the_value_did() -> None:
    torch.manual_seed(0)
    x = torch.randn(7, 11, requires_grad=True)
    out = AdapterDropout(0.3)(x)
    out.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad == 0, out == 0)
    assert torch.allclose(x.grad * x.detach(), out.detach())


def test_the_way_back_holds_a_byte_an_element() -> None:
    held: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        held.append(tensor)
        return tensor

    x = torch.randn(7, 11, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        AdapterDropout(0.3)(x)
    assert [tensor.dtype for tensor in held] == [torch.uint8]


def test_off_in_evaluation_and_repeatable_in_training() -> None:
    x = torch.randn(64, 64)
    dropout = AdapterDropout(0.1)
    torch.manual_seed(3)
    first = dropout(x)
    torch.manual_seed(3)
    assert torch.equal(dropout(x), first)
    assert dropout.eval()(x) is x
    assert AdapterDropout(0.0)(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.0, 2.0])
def test_impossible_probabilities_are_refused(p: float) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        AdapterDropout(p)


def test_adapters_use_it() -> None:
    tokenizer = load_tokenizer("data/nano")
    model = load_backbone("data/nano", tokenizer, device="cpu", quantization="none", lora=Lora(dropout=0.2)).model
    used = [module for module in model.modules() if isinstance(module, AdapterDropout)]
    assert len(used) == 4 * model.config.num_hidden_layers
    assert {module.p for module in used} == {0.2}
    assert not [module for module in model.modules() if isinstance(module, nn.Dropout) and module.p > 0]
