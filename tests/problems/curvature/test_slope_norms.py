"""The norms of the slopes are those of the gradients of the losses in their outputs."""

import pytest
import torch

from hessbench.problems.curvature.network_rows import NetworkRows
from hessbench.problems.networks.losses import CROSS_ENTROPY, SQUARED
from hessbench.problems.networks.network import Batch, Network


def test_the_norms_of_the_inputs_are_of_all_that_is_real_among_them():
    inputs = {"one": torch.tensor([[3.0, 0.0], [1.0, 0.0]]), "ids": torch.tensor([7, 8]), "two": torch.tensor([4.0, 0])}
    batches = (Batch(inputs, torch.tensor([0, 1])), Batch(torch.tensor([[[2.0], [0.0]]]), torch.tensor([0])))
    rows = NetworkRows(Network(lambda parameters, inputs: parameters, torch.ones(2), batches))
    assert rows.input_norms().tolist() == [5, 1, 2]
    tokens = (Batch(torch.tensor([[1, 2], [3, 4]]), torch.tensor([0, 1])),)
    assert NetworkRows(Network(lambda p, x: p, torch.ones(2), tokens)).input_norms().tolist() == [1, 1]


@pytest.mark.parametrize("sizes", [(5,), (2, 3)])
@pytest.mark.parametrize("loss", [CROSS_ENTROPY, SQUARED], ids=lambda loss: loss.name)
def test_the_norms_of_the_slopes(loss, sizes):
    torch.manual_seed(0)
    inputs = torch.randn(5, 4, dtype=torch.float64)
    targets = torch.tensor([0, 2, 1, 1, 0]) if loss is CROSS_ENTROPY else torch.randn(5, 3, dtype=torch.float64)
    W = torch.randn(12, dtype=torch.float64)

    def forward(parameters, inputs):
        return inputs @ parameters.view(4, 3)

    batches = tuple(map(Batch, inputs.split(sizes), targets.split(sizes)))
    network = Network(forward, W, batches, loss)
    outputs = forward(W, inputs).requires_grad_()
    (slopes,) = torch.autograd.grad(loss.total(outputs, targets) * network.scale, outputs)
    torch.testing.assert_close(NetworkRows(network).slope_norms(), slopes.norm(dim=1))
