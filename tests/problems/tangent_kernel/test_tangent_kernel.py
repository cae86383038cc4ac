"""The tangent kernel of small networks against dense truth, its eigenfunctions, and the lazy regime in closed form."""

from dataclasses import replace

import pytest
import torch
from small_networks import SPLITS, oracle_of, small_network
from torch.autograd.functional import jvp

from hessbench.operators import ProductKind
from hessbench.problems.networks.losses import SQUARED
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.tangent_kernel import (
    aligned,
    class_shares,
    eigenfunction_images,
    explained_variance,
    kernel_drift,
    kernel_matrix,
    lazy_regime,
    linearised_outputs,
    top_eigenfunctions,
)
from hessbench.spending import Spending


def moved(network: Network, size: float) -> Network:
    step = torch.randn(network.parameters.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return replace(network, parameters=network.parameters + size * step)


@pytest.mark.parametrize("name", ["dense", "convolutions", "residual"])
@pytest.mark.parametrize("sizes", SPLITS.values(), ids=SPLITS)
@pytest.mark.parametrize("entries", [1, 200, 2**27])
def test_the_kernel_is_the_dense_one_whatever_is_held_at_a_time(name, sizes, entries):
    network = small_network(name, sizes=sizes)
    kernel = kernel_matrix(network, entries=entries)
    torch.testing.assert_close(kernel, oracle_of(name, "cross-entropy mean").matrix("ntk"), rtol=1e-10, atol=1e-12)
    assert torch.equal(kernel, kernel.T)


def test_the_kernel_is_charged_as_gradients_of_single_samples():
    spending = Spending()
    kernel_matrix(small_network(), spending=spending)
    assert spending.counts == {ProductKind.VJP: 7 * 3}
    assert spending.gradient_equivalents == pytest.approx(3 * 2 / 3)


def test_the_drift_is_relative_in_the_frobenius_norm():
    K = torch.diag(torch.tensor([3.0, 4.0]))
    assert kernel_drift(K, K + torch.ones(2, 2)) == pytest.approx(2 / 5)
    assert kernel_drift(K, K) == 0


def test_eigenfunctions_come_from_the_top_with_a_fixed_sign():
    Q = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    values, vectors = top_eigenfunctions(Q @ torch.diag(torch.arange(6.0, dtype=torch.float64)) @ Q.T, 3)
    torch.testing.assert_close(values, torch.tensor([5.0, 4.0, 3.0], dtype=torch.float64))
    torch.testing.assert_close((vectors * Q[:, [5, 4, 3]]).sum(dim=0).abs(), torch.ones(3, dtype=torch.float64))
    assert bool((vectors.max(dim=0).values == vectors.abs().max(dim=0).values).all())


def test_signs_follow_an_earlier_step():
    V = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(aligned(V * torch.tensor([1.0, -1.0, -1.0, 1.0]), V), V)


def test_an_image_is_the_mean_weighted_by_the_eigenfunction():
    inputs = torch.arange(12.0).reshape(3, 2, 2)
    images = eigenfunction_images(torch.tensor([[1.0, 1.0], [0.0, -1.0], [0.0, 2.0]]), inputs)
    torch.testing.assert_close(images[0], inputs[0].double())
    torch.testing.assert_close(images[1], (inputs[0] - inputs[1] + 2 * inputs[2]).double() / 4)


def test_the_share_about_classes_is_a_projection():
    labels = torch.tensor([0, 0, 5, 5, 5, 2, 2, 2, 2])
    V = torch.randn(9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    indicators = torch.stack([(labels == c).double() for c in (0, 2, 5)], dim=1)
    basis = torch.linalg.svd(indicators - indicators.mean(dim=0))[0][:, :2]
    expected = (basis.T @ V).square().sum(dim=0) / V.square().sum(dim=0)
    torch.testing.assert_close(class_shares(V, labels), expected)
    ends = class_shares(torch.stack([torch.ones(9), indicators[:, 0].float() - 2 / 9], dim=1), labels)
    torch.testing.assert_close(ends, torch.tensor([0.0, 1.0], dtype=torch.float64), rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", ["dense", "convolutions", "attention"])
@pytest.mark.parametrize("sizes", SPLITS.values(), ids=SPLITS)
def test_the_linearised_network_is_one_product_off_its_start(name, sizes):
    network, spending = small_network(name, sizes=sizes), Spending()
    later = moved(network, 0.3).parameters
    inputs = torch.cat([batch.inputs for batch in network.batches])
    value, change = jvp(lambda q: network.forward(q, inputs), network.parameters, later - network.parameters)
    torch.testing.assert_close(linearised_outputs(network, later, spending=spending), value + change)
    assert spending.counts == {ProductKind.JVP: 1}


def linear_network(theta: torch.Tensor) -> Network:
    """Outputs linear in the parameters: it is its own linearisation, and its kernel never moves."""
    inputs = torch.randn(9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Network(
        lambda q, x: x @ q.view(4, 2), theta, (Batch(inputs, torch.zeros(9, 2, dtype=torch.float64)),), SQUARED
    )


def test_a_linear_network_is_lazy_however_far_it_goes():
    start = torch.randn(8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = lazy_regime(linear_network(start), linear_network(-5 * start), k=2)
    assert found.kernel_drift == 0
    assert found.overlap == pytest.approx(1)
    assert found.prediction_r2 == pytest.approx(1)
    assert found.change_r2 == pytest.approx(1)
    assert found.parameter_change == pytest.approx(6)
    assert found.random_overlap == 2 / 9


def test_a_network_is_lazier_the_less_it_moves():
    network = small_network()
    near, far = (lazy_regime(network, moved(network, size), k=3) for size in (1e-3, 1.0))
    assert near.kernel_drift < 0.02 < 0.2 < far.kernel_drift
    # Beside a step h the linearised network is off by h^2, so by h of the change.
    assert 1 - near.change_r2 < 1e-3 < 0.05 < 1 - far.change_r2
    assert near.overlap > 0.999 > far.overlap
    assert near.prediction_r2 > far.prediction_r2


def test_nothing_trained_is_lazy():
    network = small_network()
    assert lazy_regime(network, network, k=3).change_r2 == 1


def test_the_mean_explains_nothing():
    f = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    assert explained_variance(f, f.mean(dim=0).expand(20, 3)) == pytest.approx(0, abs=1e-6)
    assert explained_variance(f, f) == 1


def other_data(network: Network) -> Network:
    (batch,) = network.batches
    return replace(network, batches=(Batch(batch.inputs + 1, batch.targets),))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda net: lazy_regime(net, other_data(net)), "same data"),
        (lambda net: lazy_regime(net, net, k=8), "k from 1"),
        (lambda net: lazy_regime(net, small_network("residual")), "one network"),
        (lambda net: kernel_matrix(replace(net, group=True)), "one group"),
        (lambda net: linearised_outputs(net, net.parameters[:-1]), "parameters takes a vector"),
        (lambda net: kernel_drift(torch.zeros(2, 2), torch.eye(2)), "not zero"),
        (lambda net: kernel_drift(torch.eye(3), torch.eye(2)), "one shape"),
        (lambda net: top_eigenfunctions(torch.eye(3), 4), "k from 1 to N"),
        (lambda net: class_shares(torch.eye(3), torch.zeros(2, dtype=torch.int64)), "class numbers"),
        (lambda net: eigenfunction_images(torch.eye(3), torch.zeros(2, 4)), "on N samples"),
    ],
)
def test_what_is_not_accepted_is_said(call, said):
    with pytest.raises(ValueError, match=said):
        call(small_network())
