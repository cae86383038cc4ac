"""Losses of many rows a sample, and of single yes-or-no outputs, against torch and their own derivatives."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from hessbench.problems.networks.binary_loss import binary_cross_entropy
from hessbench.problems.networks.losses import CROSS_ENTROPY, Loss, cross_entropy, squared
from hessbench.problems.networks.row_losses import by_rows

M, L, W, K = 4, 3, 2, 5
GENERATOR = torch.Generator().manual_seed(0)
OUTPUTS = 2 * torch.randn(M, L * W, generator=GENERATOR, dtype=torch.float64)
LABELS = torch.randint(0, W, (M, L), generator=GENERATOR)
IGNORED = LABELS.clone()
IGNORED[0, 1], IGNORED[2] = -100, -100
VALUES = torch.rand(M, L * W, generator=GENERATOR, dtype=torch.float64)
SHARES = torch.rand(M, L, W, generator=GENERATOR, dtype=torch.float64).softmax(dim=2)
WEIGHTS = torch.rand(L * W, generator=GENERATOR, dtype=torch.float64)
CLASSES = torch.tensor([0.5, 2.0], dtype=torch.float64)


def in_rows(loss, factor=1.0):
    """Torch's loss of positions, the classes along the second axis."""

    def total(outputs, targets):
        targets = targets.movedim(-1, 1) if targets.is_floating_point() else targets
        return factor * loss(outputs.view(-1, L, W).movedim(-1, 1), targets)

    return total


def yes_or_no(**options):
    return nn.BCEWithLogitsLoss(reduction="sum", **options)


CASES = {
    "positions": (by_rows(CROSS_ENTROPY, W), LABELS, in_rows(nn.CrossEntropyLoss(reduction="sum"))),
    "mean of positions": (
        by_rows(CROSS_ENTROPY, W, 1 / L), LABELS, in_rows(nn.CrossEntropyLoss(reduction="sum"), 1 / L)
    ),
    "ignored": (
        by_rows(cross_entropy(weights=CLASSES, ignored=-100), W, 0.3), IGNORED,
        in_rows(nn.CrossEntropyLoss(CLASSES, reduction="sum"), 0.3),
    ),
    "ignored and smoothed": (
        by_rows(cross_entropy(weights=CLASSES, smoothing=0.2, ignored=-100), W), IGNORED,
        in_rows(nn.CrossEntropyLoss(CLASSES, label_smoothing=0.2, reduction="sum")),
    ),
    "shares": (
        by_rows(cross_entropy(weights=CLASSES), W), SHARES, in_rows(nn.CrossEntropyLoss(CLASSES, reduction="sum"))
    ),
    "squared": (by_rows(squared(weight=0.7), 1), VALUES, lambda o, t: 0.35 * (o - t).square().sum()),
    "yes or no": (binary_cross_entropy(), VALUES, yes_or_no()),
    "yes or no, certain": (binary_cross_entropy(), (VALUES > 0.5).double(), yes_or_no()),
    "yes or no, weights": (binary_cross_entropy(weight=WEIGHTS), VALUES, yes_or_no(weight=WEIGHTS)),
    "yes or no, one weight": (binary_cross_entropy(weight=torch.tensor(0.2)), VALUES, lambda o, t:
                              torch.tensor(0.2).double() * yes_or_no()(o, t)),
    "yes or no, factors": (
        binary_cross_entropy(weight=WEIGHTS, positive=3 * WEIGHTS), VALUES,
        yes_or_no(weight=WEIGHTS, pos_weight=3 * WEIGHTS),
    ),
}  # fmt: skip


def output_hessians(function, targets):
    """(M, L W, L W), one sample at a time."""
    return torch.stack(
        [
            torch.autograd.functional.hessian(lambda o, i=i: function(o[None], targets[i : i + 1]), OUTPUTS[i])
            for i in range(M)
        ]
    )


@pytest.mark.parametrize("case", CASES)
def test_total_slope_bend_and_root_are_those_of_torch(case):
    loss, targets, twin = CASES[case]
    torch.testing.assert_close(loss.total(OUTPUTS, targets), twin(OUTPUTS, targets), rtol=1e-7, atol=0)
    slope = torch.autograd.functional.jacobian(lambda o: twin(o, targets), OUTPUTS)
    torch.testing.assert_close(loss.slope(OUTPUTS, targets), slope, rtol=0, atol=1e-14)
    truth = output_hessians(twin, targets)
    change = torch.randn(M, L * W, K, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for bend in (loss.bend, Loss("autograd", loss.total).bend):
        torch.testing.assert_close(bend(OUTPUTS, targets)(change), truth @ change, rtol=0, atol=1e-13)
    assert loss.width in (1, W)
    S = loss.root(OUTPUTS, targets)
    blocks = (S @ S.mT).view(M, -1, loss.width, loss.width)
    found = torch.stack([torch.block_diag(*sample) for sample in blocks])
    torch.testing.assert_close(found, truth, rtol=0, atol=1e-13)


@pytest.mark.parametrize("case", [case for case in CASES if case != "yes or no, factors"])
def test_drawn_slopes_have_mean_zero_and_the_hessian_for_their_mean_square(case):
    loss, targets, twin = CASES[case]
    number = 20_000
    slopes = loss.draw(OUTPUTS, targets, number, torch.Generator().manual_seed(5))
    assert slopes.shape == (M, L * W, number)
    squares = torch.einsum("mcr,mdr->mcdr", slopes, slopes)
    # Five standard deviations of the mean, found from the draws: passed once in two million by a normal number.
    deviation = squares.std(dim=3) / number**0.5
    assert bool(((squares.mean(dim=3) - output_hessians(twin, targets)).abs() <= 5 * deviation + 1e-13).all())
    assert bool((slopes.mean(dim=2).abs() <= 5 * slopes.std(dim=2) / number**0.5 + 1e-13).all())


def test_positions_that_are_ignored_have_no_slope_no_root_and_no_draws():
    loss = by_rows(cross_entropy(ignored=-100), W)
    away = IGNORED == -100
    slope = loss.slope(OUTPUTS, IGNORED).view(M, L, W)
    assert bool((slope[away] == 0).all())
    assert bool((loss.root(OUTPUTS, IGNORED).view(M, L, W, W)[away] == 0).all())
    drawn = loss.draw(OUTPUTS, IGNORED, 7, torch.Generator().manual_seed(0)).view(M, L, W, 7)
    assert bool((drawn[away] == 0).all())
    assert bool((slope[~away] != 0).all())


def test_factors_of_the_ones_leave_no_distribution():
    assert binary_cross_entropy(positive=torch.tensor(2.0)).draw is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_yes_or_no_keeps_its_digits_where_the_network_is_sure(dtype):
    margins = torch.tensor([[0.0, 5.0, 20.0, 40.0, 80.0]], dtype=dtype)
    loss, close = binary_cross_entropy(), {"rtol": 50 * torch.finfo(dtype).eps, "atol": 0.0}
    e = (-margins.double()).exp()
    for outputs, targets in ((margins, torch.ones_like(margins)), (-margins, torch.zeros_like(margins))):
        sign = -1 if bool(targets.all()) else 1
        torch.testing.assert_close(loss.slope(outputs, targets).double(), sign * e / (1 + e), **close)
        for bend in (loss.bend, Loss("autograd", loss.total).bend):
            found = bend(outputs, targets)(torch.ones_like(margins)[:, :, None])[:, :, 0].double()
            torch.testing.assert_close(found, e / (1 + e) ** 2, **close)
        for at in range(5):
            one = loss.total(outputs[:, at], targets[:, at]).double()
            torch.testing.assert_close(one, e[0, at].log1p(), **close)


def test_outputs_that_are_infinite_have_the_loss_that_torch_gives_them():
    for value in (torch.inf, -torch.inf, torch.nan):
        for target in (0.0, 1.0):
            outputs, targets = torch.tensor([[value]]), torch.tensor([[target]])
            twin = functional.binary_cross_entropy_with_logits(outputs, targets, reduction="sum")
            found = binary_cross_entropy().total(outputs, targets)
            assert bool(found.isfinite()) == bool(twin.isfinite()), (value, target, found, twin)
