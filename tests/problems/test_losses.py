"""Losses and their closed-form curvature in the outputs, against torch's own derivatives, sample by sample."""

import pytest
import torch
from torch import nn
from torch.autograd.functional import hessian

from hessbench.problems.losses import Loss, cross_entropy, squared

SAMPLES, CLASSES = 5, 4
WEIGHTS = torch.tensor([0.5, 2.0, 0.0, 1.25], dtype=torch.float64)


def tensors(seed=0):
    generator = torch.Generator().manual_seed(seed)
    outputs = 2 * torch.randn(SAMPLES, CLASSES, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 1])
    shares = torch.rand(SAMPLES, CLASSES, generator=generator, dtype=torch.float64)
    return outputs, {"labels": labels, "shares": shares / shares.sum(dim=1, keepdim=True), "values": shares}


def coupled(outputs, targets):
    """No closed form is known here."""
    return (outputs.exp().sum(dim=1).square().log() * outputs[:, 0].cos()).sum()


# A loss, the kind of its targets, and the same sum written with torch alone.
CASES = {
    "cross-entropy": (cross_entropy(), "labels", nn.CrossEntropyLoss(reduction="sum")),
    "smoothed": (cross_entropy(smoothing=0.3), "labels", nn.CrossEntropyLoss(reduction="sum", label_smoothing=0.3)),
    "weighted": (cross_entropy(weights=WEIGHTS), "labels", nn.CrossEntropyLoss(WEIGHTS, reduction="sum")),
    "weighted and smoothed": (
        cross_entropy(weights=WEIGHTS, smoothing=0.2), "labels",
        nn.CrossEntropyLoss(WEIGHTS, reduction="sum", label_smoothing=0.2),
    ),
    "probabilities": (cross_entropy(), "shares", nn.CrossEntropyLoss(reduction="sum")),
    "weighted probabilities": (
        cross_entropy(weights=WEIGHTS, smoothing=0.1), "shares",
        nn.CrossEntropyLoss(WEIGHTS, reduction="sum", label_smoothing=0.1),
    ),
    "squared": (squared(weight=2.0), "values", nn.MSELoss(reduction="sum")),
    "squared labels": (
        squared(), "labels", lambda outputs, labels: (outputs - nn.functional.one_hot(labels, CLASSES)).square().sum() / 2
    ),
    "no closed form": (Loss("coupled", coupled), "labels", coupled),
}  # fmt: skip


def truth(case):
    """Loss, outputs, targets, and the Hessian (C, C) of every sample by torch."""
    loss, kind, torch_loss = CASES[case]
    outputs, targets = tensors()
    targets = targets[kind]
    hessians = [
        hessian(lambda row, t=target: torch_loss(row[None], t[None]), output)
        for output, target in zip(outputs, targets, strict=True)
    ]
    return loss, outputs, targets, torch.stack(hessians)


@pytest.mark.parametrize("case", CASES)
def test_the_total_is_the_sum_torch_gives_and_the_slope_its_gradient(case):
    loss, kind, torch_loss = CASES[case]
    outputs, targets = tensors()
    tracked = outputs.clone().requires_grad_()
    total = torch_loss(tracked, targets[kind])
    torch.testing.assert_close(loss.total(outputs, targets[kind]), total.detach())
    torch.testing.assert_close(loss.slope(outputs, targets[kind]), torch.autograd.grad(total, tracked)[0])


@pytest.mark.parametrize("case", CASES)
def test_the_bend_multiplies_by_the_hessian_of_every_sample(case):
    loss, outputs, targets, hessians = truth(case)
    change = torch.randn(SAMPLES, CLASSES, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(loss.bend(outputs, targets)(change), hessians @ change)


@pytest.mark.parametrize("case", [case for case, (loss, *_) in CASES.items() if loss.root is not None])
def test_the_root_times_its_transpose_is_the_hessian_of_every_sample(case):
    loss, outputs, targets, hessians = truth(case)
    S = loss.root(outputs, targets)
    torch.testing.assert_close(S @ S.mT, hessians)


def test_a_root_alone_gives_the_bend():
    closed = cross_entropy()
    outputs, targets = tensors()
    change = torch.ones(SAMPLES, CLASSES, 2, dtype=torch.float64).cumsum(dim=1)
    by_root = Loss("rooted", closed.total, root=closed.root)
    expected = closed.bend(outputs, targets["labels"])(change)
    torch.testing.assert_close(by_root.bend(outputs, targets["labels"])(change), expected)


def test_a_loss_that_is_linear_in_the_outputs_has_no_curvature_and_says_so():
    outputs, targets = tensors()
    with pytest.raises(ValueError, match="the loss line does not change with the outputs: it is linear"):
        Loss("line", lambda outputs, targets: outputs.sum()).bend(outputs, targets["labels"])
