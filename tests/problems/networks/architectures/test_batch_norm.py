"""Batch norm folded into the layer before it, and the real one while training."""

import pytest
import torch
from torch import nn

from hessbench.problems.networks.architectures.batch_norm import (
    Unfolded2d,
    normalised_convolution,
    normalised_linear,
    unfolded,
)
from hessbench.problems.networks.architectures.resnet20 import resnet20


def layer_and_norm(kind, *, bias):
    """A layer, its batch norm with statistics that are not 0 and 1, an input, and the function under test."""
    generator = torch.Generator().manual_seed(1)
    if kind == "convolution":
        layer, norm, fold = (
            nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=bias),
            nn.BatchNorm2d(3),
            normalised_convolution,
        )
        x = torch.randn(2, 2, 5, 5, generator=generator)
    else:
        layer, norm, fold = nn.Linear(4, 3, bias=bias), nn.BatchNorm1d(3), normalised_linear
        x = torch.randn(6, 4, generator=generator)
    with torch.no_grad():
        for tensor in (*layer.parameters(), *norm.parameters(), norm.running_mean):
            tensor.copy_(torch.randn(tensor.shape, generator=generator))
        norm.running_var.copy_(torch.rand(3, generator=generator) + 0.5)
    return layer.double(), norm.double().eval(), x.double(), fold


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", ["convolution", "linear"])
def test_folding_is_exact_in_value_and_in_first_and_second_derivatives(kind, bias):
    layer, norm, x, fold = layer_and_norm(kind, bias=bias)
    weights = [*layer.parameters(), *norm.parameters()]
    directions = [torch.randn(w.shape, generator=torch.Generator().manual_seed(2), dtype=w.dtype) for w in weights]

    def derivatives(value):
        slope = torch.autograd.grad(value, weights, create_graph=True)
        along = sum((one * other).sum() for one, other in zip(slope, directions, strict=True))
        return *slope, *torch.autograd.grad(along, weights)

    folded, plain = fold(x, layer, norm).tanh().sum(), norm(layer(x)).tanh().sum()
    torch.testing.assert_close(folded, plain, rtol=0, atol=1e-13)
    for one, other in zip(derivatives(folded), derivatives(plain), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12 * max(1.0, float(other.detach().abs().max())))


@pytest.mark.parametrize("kind", ["convolution", "linear"])
def test_while_training_the_batch_has_its_own_statistics_and_updates_the_stored_ones(kind):
    layer, norm, x, fold = layer_and_norm(kind, bias=False)
    norm.train()
    before = norm.running_mean.clone()
    outputs = fold(x, layer, norm).transpose(0, 1).flatten(1)
    torch.testing.assert_close(outputs.mean(dim=1), norm.bias)
    assert not torch.equal(norm.running_mean, before)


@pytest.mark.parametrize(("fold", "layer", "norm", "shape"), [
    (normalised_convolution, nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, track_running_stats=False), (1, 1, 2, 2)),
    (normalised_linear, nn.Linear(1, 2), nn.BatchNorm1d(2, track_running_stats=False), (3, 1)),
])  # fmt: skip
def test_batch_norm_without_statistics_is_refused(fold, layer, norm, shape):
    with pytest.raises(ValueError, match="must keep running statistics"):
        fold(torch.zeros(shape), layer, norm.eval())


def test_an_unfolded_copy_has_the_same_names_and_outputs_and_leaves_the_model_alone():
    model = resnet20((3, 8, 8), 4)
    copied = unfolded(model)
    assert list(copied.state_dict()) == list(model.state_dict())
    assert not any(isinstance(module, Unfolded2d) for module in model.modules())
    norms = [module for module in copied.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert all(isinstance(norm, Unfolded2d) and not norm.training for norm in norms)
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(copied(x), model(x), rtol=0, atol=1e-5)


def test_an_unfolded_copy_runs_batch_norm_itself(monkeypatch):
    called: list[int] = []
    monkeypatch.setattr(Unfolded2d, "forward", lambda self, x: called.append(1) or x)
    unfolded(resnet20((3, 8, 8), 4))(torch.zeros(1, 3, 8, 8))
    assert len(called) == 21
