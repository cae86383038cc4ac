"""Dense matrices against torch's own functional derivatives."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from custom_operations import Square

from hessbench.estimand import TopEigenvalues
from hessbench.operators import to_dense
from hessbench.problems.curvature.matrices import curvature_operator
from hessbench.problems.networks.losses import CROSS_ENTROPY, SQUARED, Loss
from hessbench.problems.references import dense
from hessbench.problems.references.dense import DENSE, dense_ggn, output_hessians
from hessbench.problems.user_model.from_model import from_model

# A loss of one's own, without a root: its second derivatives are not constant.
QUARTIC = Loss("quartic", lambda outputs, targets: (outputs**4).sum() + (outputs[:, 0] * outputs[:, 1]).sum())
LINEAR = Loss("linear", lambda outputs, targets: outputs.sum())
SUMMED = replace(CROSS_ENTROPY, mean=False)


ANY_LOSS = [operator for operator in DENSE if operator not in ("monte-carlo-fisher", "gram")]
CASES = [
    *((operator, loss) for operator in DENSE for loss in (CROSS_ENTROPY, SQUARED, SUMMED)),
    *((operator, QUARTIC) for operator in ANY_LOSS),
]


@pytest.mark.parametrize(
    ("operator", "loss"), CASES, ids=[f"{operator}-{loss.name}-{loss.mean}" for operator, loss in CASES]
)
@pytest.mark.parametrize("batched", [True, False])
def test_a_dense_matrix_over_ragged_batches_is_that_of_functional_derivatives(
    operator, batched, loss, network_of, explicit
):
    network = network_of((3, 5), loss, batched)
    expected = explicit(network, operator)
    np.testing.assert_allclose(DENSE[operator](network), expected, rtol=0, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize("operator", DENSE)
def test_the_product_that_is_measured_is_the_dense_matrix(operator, network_of):
    network = network_of((3, 5))
    product = to_dense(curvature_operator(network, operator))
    np.testing.assert_allclose(product.numpy(), DENSE[operator](network), rtol=0, atol=1e-13)


def test_a_float32_network_is_computed_in_float64(network_of):
    network = network_of().to(torch.device("cpu"), torch.float32)
    exact = network.to(torch.device("cpu"), torch.float64)
    for operator, matrix in DENSE.items():
        np.testing.assert_array_equal(matrix(network), matrix(exact), err_msg=operator)


def test_a_ggn_in_small_pieces_is_the_same(network_of, monkeypatch):
    network = network_of((3, 5))
    whole = dense_ggn(network)
    monkeypatch.setattr(dense, "_ROW_ENTRIES", 1)
    np.testing.assert_allclose(dense_ggn(network), whole, rtol=0, atol=1e-15)


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("operator", DENSE)
def test_an_operation_that_the_transforms_do_not_take_is_differentiated_in_a_loop(
    operator, batched, network_of, explicit
):
    network = network_of(batched=batched)

    def forward(parameters, inputs):
        return network.forward(Square.apply(parameters), inputs)

    squared = replace(network, forward=forward)
    np.testing.assert_allclose(DENSE[operator](squared), explicit(squared, operator), rtol=0, atol=1e-12)


def test_a_linear_loss_has_no_curvature_in_the_outputs(network_of):
    network = network_of(loss=LINEAR)
    assert output_hessians(network, network.batches[1]).shape == (5, 4, 4)
    assert not dense_ggn(network).any()


def test_a_forward_mode_of_torch_that_is_wrong_is_not_the_truth():
    """Forward mode does not mask the row of `padding_idx`; double backward does."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Embedding(6, 3, padding_idx=0), torch.nn.Flatten(), torch.nn.Tanh(), torch.nn.Linear(6, 2)
    )
    tokens, targets = torch.tensor([[0, 1], [2, 0], [3, 4], [0, 5]]), torch.randn(4, 2)
    problem = from_model(model, "squared", (tokens, targets))
    model = model.double()
    names, values = zip(*model.named_parameters(), strict=True)

    def total(*parameters):
        outputs = torch.func.functional_call(model, dict(zip(names, parameters, strict=True)), (tokens,))
        return 0.5 * ((outputs - targets.double()) ** 2).sum(dim=1).mean()

    blocks = torch.autograd.functional.hessian(total, values)
    expected = torch.cat(
        [torch.cat([b.reshape(v.numel(), -1) for b in row], 1) for v, row in zip(values, blocks, strict=True)]
    )
    truth = problem.references[TopEigenvalues](TopEigenvalues(5))
    np.testing.assert_allclose(
        truth.arrays["eigenvalues"],
        TopEigenvalues(5).rank(np.linalg.eigvalsh(expected.numpy()))[:5],
        rtol=0,
        atol=1e-6 * truth.norm,
    )
