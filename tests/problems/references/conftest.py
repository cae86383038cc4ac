"""Small networks whose curvature matrices torch's own functional derivatives give, and operators of known spectra."""

import numpy as np
import pytest
import torch
from torch.autograd.functional import hessian, jacobian

from hessbench.operators import dense_operator
from hessbench.problems.curvature.monte_carlo_fisher import fisher_network
from hessbench.problems.networks.losses import CROSS_ENTROPY
from hessbench.problems.networks.network import Batch, Network

INPUTS, HIDDEN, CLASSES = 5, 3, 4
PARAMETERS = INPUTS * HIDDEN + HIDDEN + CLASSES * HIDDEN


def forward(parameters, inputs):
    W1, b1, W2 = parameters.split([HIDDEN * INPUTS, HIDDEN, CLASSES * HIDDEN])
    return torch.tanh(inputs @ W1.view(HIDDEN, INPUTS).T + b1) @ W2.view(CLASSES, HIDDEN).T


@pytest.fixture
def network_of():
    """Makes a network of 30 parameters and 4 outputs on batches of the given sizes."""

    def make(sizes=(3, 5), loss=CROSS_ENTROPY, batched=True):
        generator = torch.Generator().manual_seed(sum(sizes))
        batches = tuple(
            Batch(
                torch.randn(size, INPUTS, generator=generator, dtype=torch.float64),
                torch.randint(0, CLASSES, (size,), generator=generator),
            )
            for size in sizes
        )
        return Network(
            forward, torch.randn(PARAMETERS, generator=generator, dtype=torch.float64), batches, loss, batched
        )

    return make


@pytest.fixture
def explicit():
    """The matrix of an operator by torch.autograd.functional, sample by sample."""

    def matrix(network, operator):
        if operator == "hessian":
            return hessian(network.objective, network.parameters).numpy()
        if operator == "residual":
            return matrix(network, "hessian") - matrix(network, "ggn")
        inputs = torch.cat([batch.inputs for batch in network.batches])
        targets = torch.cat([batch.targets for batch in network.batches])

        def loss_of(i, outputs):
            return network.loss.total(outputs[None], targets[i : i + 1])

        J = jacobian(lambda parameters: network.forward(parameters, inputs), network.parameters)
        outputs = network.forward(network.parameters, inputs)
        if operator == "ntk":
            return torch.einsum("icp,jcp->ij", J, J).numpy()
        if operator in ("ggn", "gram"):
            bends = [hessian(lambda row, i=i: loss_of(i, row), outputs[i]) for i in range(len(targets))]
            if operator == "gram":
                S = network.loss.root(outputs, targets)
                torch.testing.assert_close(S @ S.mT, torch.stack(bends), rtol=0, atol=1e-14)
                F = torch.einsum("icp,icr->pir", J, S).flatten(1)
                return (F.T @ F * network.scale).numpy()
            return (torch.einsum("icp,icd,idq->pq", J, torch.stack(bends), J) * network.scale).numpy()
        if operator == "monte-carlo-fisher":
            drawn = torch.cat([batch.targets for batch in fisher_network(network).batches])[:, :, 0]
            classes = network.loss.name == "cross-entropy"
            targets = drawn.argmin(dim=1) if classes else outputs - drawn  # of the draws, whose slopes are given
        slopes = [jacobian(lambda row, i=i: loss_of(i, row), outputs[i]) for i in range(len(targets))]
        g = torch.einsum("icp,ic->ip", J, torch.stack(slopes))
        if operator == "gradient-covariance":
            return torch.cov(g.T, correction=0).numpy() * network.scale * len(targets)
        return (g.T @ g * network.scale).numpy()

    return matrix


@pytest.fixture
def rotated():
    """Makes a dense operator of given eigenvalues in a random orthonormal basis."""

    def make(eigenvalues, seed=0):
        n = len(eigenvalues)
        Q = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
        A = torch.as_tensor((Q * np.asarray(eigenvalues, dtype=np.float64)) @ Q.T)
        return dense_operator((A + A.T) / 2)

    return make
