"""Small networks on ragged batches, and their dense matrices in float64, put together from torch's own derivatives."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import nn

from hessbench.problems.networks.losses import CROSS_ENTROPY, SQUARED
from hessbench.problems.networks.network import Batch, Network

CPU = torch.device("cpu")
SAMPLES = 7
CLASSES = 3
LOSSES = {"cross-entropy": CROSS_ENTROPY, "squared": replace(SQUARED, mean=False)}


@pytest.fixture(autouse=True)
def one_thread():
    """Products this small wait for a second thread longer than they take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def dense_forward(parameters, inputs):
    """4 -> 3 tanh -> 3 ReLU -> 3, (m, 4) -> (m, 3)."""
    W1, b1, W2, b2, W3 = parameters.split([12, 3, 9, 3, 9])
    hidden = torch.tanh(nn.functional.linear(inputs, W1.view(3, 4), b1))
    hidden = torch.relu(nn.functional.linear(hidden, W2.view(3, 3), b2))
    return nn.functional.linear(hidden, W3.view(3, 3))


def conv_forward(parameters, inputs):
    """Two convolutions, a pooling and a linear layer, (m, 4) as 2 x 2 images -> (m, 3)."""
    first, second, W = parameters.split([8, 8, 6])
    x = torch.relu(nn.functional.conv2d(inputs.view(-1, 1, 2, 2), first.view(2, 1, 2, 2), padding=1))
    x = torch.tanh(nn.functional.conv2d(x, second.view(2, 2, 1, 2)))
    return nn.functional.linear(nn.functional.max_pool2d(x, (3, 2)).flatten(1), W.view(3, 2))


FORMS = {"dense": (dense_forward, 36, True), "convolutions": (conv_forward, 22, False)}


def made_network(form="dense", loss="cross-entropy", sizes=(SAMPLES,), dtype=torch.float64):
    forward, dim, batched = FORMS[form]
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(SAMPLES, 4, generator=generator)
    labels = torch.randint(0, CLASSES, (SAMPLES,), generator=generator)
    parameters = 0.7 * torch.randn(dim, generator=generator)
    batches = tuple(Batch(*pair) for pair in zip(inputs.split(sizes), labels.split(sizes), strict=True))
    return Network(forward, parameters, batches, LOSSES[loss], batched=batched).to(CPU, dtype)


@cache
def dense_truth(form, loss, matrix):
    """The matrix as an explicit sum over single samples."""
    network = made_network(form, loss)
    theta, (batch,) = network.parameters, network.batches
    total = torch.zeros(theta.numel(), theta.numel(), dtype=torch.float64)
    for x, y in zip(batch.inputs, batch.targets, strict=True):
        single = Batch(x[None], y[None])
        if matrix == "hessian":
            total += torch.autograd.functional.hessian(network.part_of(single), theta)
        else:
            J = torch.autograd.functional.jacobian(lambda q, x=x: network.forward(q, x[None])[0], theta)
            outputs = network.forward(theta, x[None])[0]
            bend = torch.autograd.functional.hessian(lambda f, y=y: network.loss.total(f[None], y[None]), outputs)
            total += network.scale * J.T @ bend @ J
    return total


@pytest.fixture
def network():
    return made_network


@pytest.fixture
def truth():
    return dense_truth
