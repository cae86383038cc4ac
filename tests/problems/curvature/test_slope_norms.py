"""The norms of the slopes are those of the gradients of the losses in their outputs."""

import pytest
import torch

from hessbench.problems.curvature.network_rows import NetworkRows
from hessbench.problems.networks.losses import CROSS_ENTROPY, SQUARED
from hessbench.problems.networks.network import Batch, Network


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
