"""A GGN by the columns of its Jacobian, against the oracle; and when a dense GGN is made so."""

import pytest
import torch
from dense_oracle import FORMULAS
from small_networks import SPLITS, oracle_of, small_network
from torch.nn import functional

from hessbench.problems.networks.losses import Loss
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.references.columns import ggn_by_columns
from hessbench.problems.references.dense import dense_ggn


@pytest.mark.parametrize(
    ("name", "loss"),
    [("dense", "log-cosh mean"), ("dense", "binary-cross-entropy sum"), ("sequence", "of-positions mean")],
)
@pytest.mark.parametrize("split", SPLITS)
def test_it_is_the_oracles(name, loss, split):
    found = ggn_by_columns(small_network(name, loss, SPLITS[split]))
    torch.testing.assert_close(found, oracle_of(name, loss).ggn, rtol=0, atol=1e-13)


def test_it_is_zero_for_a_loss_that_is_linear_in_the_outputs():
    (batch,) = small_network().batches
    network = Network(
        small_network().forward, small_network().parameters, (batch,), Loss("linear", lambda f, _: f.sum())
    )
    assert float(ggn_by_columns(network).abs().max()) == 0


def many_outputs(function):
    """600 outputs of 3 parameters: the first dense GGN that is made by columns."""

    def forward(parameters, inputs):
        return function(inputs @ parameters[:, None] * torch.linspace(0, 1, 600, dtype=parameters.dtype))

    inputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Network(forward, torch.ones(3, dtype=torch.float64), (Batch(inputs, 0 * inputs[:, :1].expand(4, 600)),),
                   Loss("log-cosh", FORMULAS["log-cosh"]))  # fmt: skip


class NoForward(torch.autograd.Function):
    """A tanh that has no forward derivative."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    def backward(ctx, slope):
        return slope * (1 - ctx.saved_tensors[0].tanh() ** 2)


class WrongForward(torch.autograd.Function):
    """A tanh whose forward derivative is twice too large."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.tanh()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, slope):
        return slope * (1 - ctx.saved_tensors[0].tanh() ** 2)

    @staticmethod
    def jvp(ctx, change):
        return 2 * change * (1 - ctx.saved_tensors[0].tanh() ** 2)


@pytest.mark.parametrize("function", [torch.tanh, functional.gelu])
def test_a_dense_ggn_of_many_outputs_is_the_one_by_columns_and_the_one_by_rows(function):
    network = many_outputs(function)
    by_columns = ggn_by_columns(network)
    assert torch.equal(torch.as_tensor(dense_ggn(network)), by_columns)
    J = torch.autograd.functional.jacobian(lambda q: network.forward(q, network.batches[0].inputs), network.parameters)
    bend = torch.autograd.functional.hessian(
        lambda f: FORMULAS["log-cosh"](f, network.batches[0].targets),
        network.forward(network.parameters, network.batches[0].inputs),
    )
    truth = torch.einsum("ijp,ijkl,klq->pq", J, bend, J) / 4
    torch.testing.assert_close(by_columns, truth, rtol=0, atol=1e-13)


@pytest.mark.parametrize("function", [NoForward.apply, WrongForward.apply])
def test_where_forward_mode_is_missing_or_wrong_the_columns_come_from_the_backward_pass(function):
    found = ggn_by_columns(many_outputs(function))
    torch.testing.assert_close(found, ggn_by_columns(many_outputs(torch.tanh)), rtol=0, atol=1e-12)
