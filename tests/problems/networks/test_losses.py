"""Losses against those of torch, and their curvature in the outputs against torch's own derivatives."""

import pytest
import torch
from torch import nn

from hessbench.problems.networks.losses import CROSS_ENTROPY, LOSSES, SQUARED, Loss, cross_entropy, squared

M, C, K = 6, 4, 3


def log_cosh(outputs, targets):
    return torch.cosh(outputs - nn.functional.one_hot(targets, C)).sum(dim=1).log().sum()


def drawn():
    generator = torch.Generator().manual_seed(0)
    outputs = 2 * torch.randn(M, C, generator=generator, dtype=torch.float64)
    numbers = torch.randint(0, C, (M,), generator=generator)
    shares = torch.rand(M, C, generator=generator, dtype=torch.float64)
    return outputs, numbers, shares / shares.sum(dim=1, keepdim=True)


OUTPUTS, NUMBERS, SHARES = drawn()
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 0.0], dtype=torch.float64)

CASES = {
    "cross-entropy": (CROSS_ENTROPY, NUMBERS, nn.CrossEntropyLoss(reduction="sum")),
    "probabilities": (CROSS_ENTROPY, SHARES, nn.CrossEntropyLoss(reduction="sum")),
    "weights": (cross_entropy(weights=WEIGHTS), NUMBERS, nn.CrossEntropyLoss(WEIGHTS, reduction="sum")),
    "smoothing": (cross_entropy(smoothing=0.2), NUMBERS, nn.CrossEntropyLoss(reduction="sum", label_smoothing=0.2)),
    "weights and smoothing": (
        cross_entropy(weights=WEIGHTS, smoothing=0.2),
        NUMBERS,
        nn.CrossEntropyLoss(WEIGHTS, reduction="sum", label_smoothing=0.2),
    ),
    "weights and probabilities": (
        cross_entropy(weights=WEIGHTS, smoothing=0.2),
        SHARES,
        nn.CrossEntropyLoss(WEIGHTS, reduction="sum", label_smoothing=0.2),
    ),
    "squared": (SQUARED, SHARES, lambda o, t: (o - t).square().sum() / 2),
    "squared of class numbers": (SQUARED, NUMBERS, lambda o, t: (o - torch.eye(C)[t]).square().sum() / 2),
    "squared weighted": (squared(weight=3.0), SHARES, lambda o, t: 1.5 * (o - t).square().sum()),
    "own": (Loss("own", log_cosh), NUMBERS, log_cosh),
}


def output_hessians(function, targets):
    """(m, C, C), one sample at a time."""
    return torch.stack(
        [
            torch.autograd.functional.hessian(lambda o, i=i: function(o[None], targets[i : i + 1]), OUTPUTS[i])
            for i in range(M)
        ]
    )


@pytest.mark.parametrize("case", CASES)
def test_the_total_is_that_of_torch(case):
    loss, targets, twin = CASES[case]
    torch.testing.assert_close(loss.total(OUTPUTS, targets), twin(OUTPUTS, targets), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("case", CASES)
def test_the_slope_is_the_gradient_of_each_sample(case):
    loss, targets, twin = CASES[case]
    expected = torch.autograd.functional.jacobian(lambda o: twin(o, targets), OUTPUTS)
    torch.testing.assert_close(loss.slope(OUTPUTS, targets), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("case", CASES)
def test_the_bend_multiplies_by_the_hessian_of_each_sample(case):
    loss, targets, twin = CASES[case]
    change = torch.randn(M, C, K, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = output_hessians(twin, targets) @ change
    torch.testing.assert_close(loss.bend(OUTPUTS, targets)(change), expected, rtol=0, atol=1e-13)
    if loss.root is not None:
        by_root = Loss(loss.name, loss.total, root=loss.root)
        torch.testing.assert_close(by_root.bend(OUTPUTS, targets)(change), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("case", [case for case in CASES if case != "own"])
def test_the_root_times_its_transpose_is_the_hessian_of_each_sample(case):
    loss, targets, twin = CASES[case]
    S = loss.root(OUTPUTS, targets)
    torch.testing.assert_close(S @ S.transpose(1, 2), output_hessians(twin, targets), rtol=0, atol=1e-13)


@pytest.mark.parametrize("case", [case for case in CASES if case != "own"])
def test_the_mean_square_of_drawn_slopes_is_the_hessian_of_each_sample_and_their_mean_is_zero(case):
    loss, targets, twin = CASES[case]
    number = 40_000
    slopes = loss.draw(OUTPUTS, targets, number, torch.Generator().manual_seed(5))
    assert slopes.shape == (M, C, number)
    truth = output_hessians(twin, targets)
    # Entries of s s^T are below the mass of the sample for classes, and have the variance 2 w^2 at most where s is
    # normal: sqrt(2) times the largest of mass and weight bounds the deviation of one, and five of the mean's are
    # passed once in a million. The entries of s have the diagonal of the Hessian for variances.
    size = truth.diagonal(dim1=1, dim2=2).sum(dim=1) if "squared" not in case else truth.amax(dim=(1, 2))
    mass = size / (1 - OUTPUTS.softmax(dim=1).square().sum(dim=1)) if "squared" not in case else size
    bound = 5 * (2 / number) ** 0.5 * mass
    found = slopes @ slopes.mT / number
    assert bool(((found - truth).abs() <= bound[:, None, None]).all())
    deviation = (truth.diagonal(dim1=1, dim2=2) / number).sqrt()
    assert bool((slopes.mean(dim=2).abs() <= 5 * deviation + 1e-15).all())


def test_classes_of_no_probability_are_never_drawn():
    outputs = torch.tensor([[0.0, -1e4, 1e4], [-1e4, 0.0, 0.0]], dtype=torch.float64)
    slopes = CROSS_ENTROPY.draw(outputs, torch.tensor([0, 1]), 1000, torch.Generator().manual_seed(0))
    drawn = (outputs.softmax(dim=1)[:, :, None] - slopes).sum(dim=2)
    assert drawn[0].tolist() == [0, 0, 1000]
    assert drawn[1, 0] == 0
    assert drawn[1, 1] + drawn[1, 2] == 1000


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_found_by_its_name_and_is_a_mean(name):
    assert LOSSES[name].name == name
    assert LOSSES[name].mean


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cross_entropy_keeps_its_digits_where_the_network_is_sure(dtype):
    # Right or wrong by 5 to 80, beside two classes more; the truth is of logits that are exact in both dtypes.
    margins = torch.tensor([5.0, 20.0, 40.0, 80.0], dtype=dtype)
    outputs = torch.stack([margins, margins * 0, margins * 0 - 1], dim=1)
    change = torch.tensor([[1.0, 0.5, -2.0]], dtype=dtype).expand(4, 3)
    a, b = (-margins.double()).exp(), (-1 - margins.double()).exp()
    p = torch.stack([torch.ones_like(a), a, b], dim=1) / (1 + a + b)[:, None]
    rest = torch.stack(
        [torch.zeros_like(a), change[0, 1] - change[0, 0] + 0 * a, change[0, 2] - change[0, 0] + 0 * a], 1
    )
    bent = p * (rest - (p * rest).sum(dim=1, keepdim=True))
    slope = torch.stack([-p[:, 1] - p[:, 2], p[:, 1], p[:, 2]], dim=1)
    loss, targets = CROSS_ENTROPY, torch.zeros(4, dtype=torch.int64)
    close = {"rtol": 200 * torch.finfo(dtype).eps, "atol": 0.0}
    torch.testing.assert_close(loss.total(outputs[:1], targets[:1]).double(), (a + b).log1p()[0], **close)
    torch.testing.assert_close(loss.slope(outputs, targets).double(), slope, **close)
    by_root = Loss("root", loss.total, root=loss.root)
    for bend in (loss.bend, by_root.bend, Loss("autograd", loss.total).bend):
        found = bend(outputs, targets)(change[:, :, None])[:, :, 0]
        torch.testing.assert_close(found.double(), bent, **close)


def test_cross_entropy_takes_what_that_of_torch_takes():
    impossible = torch.tensor([[0.0, 1.0, -torch.inf]], dtype=torch.float64)
    one = torch.zeros(2, 1, dtype=torch.float64)
    for outputs, targets in ((impossible, torch.tensor([0])), (one, torch.tensor([0, 0]))):
        torch.testing.assert_close(
            CROSS_ENTROPY.total(outputs, targets), nn.functional.cross_entropy(outputs, targets, reduction="sum")
        )
        assert bool(CROSS_ENTROPY.slope(outputs, targets).isfinite().all())
    for bad in (torch.inf, torch.nan):
        outputs = torch.tensor([[0.0, bad, 1.0]], dtype=torch.float64)
        for target in range(3):
            assert not bool(CROSS_ENTROPY.total(outputs, torch.tensor([target])).isfinite())


def test_a_loss_that_is_linear_in_the_outputs_has_no_curvature_to_multiply_by():
    with pytest.raises(ValueError, match="the gradient of the loss linear does not change with the outputs"):
        Loss("linear", lambda outputs, _: outputs.sum()).bend(OUTPUTS, NUMBERS)
