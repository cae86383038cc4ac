"""Products by curvlinops: equal to the engines' where it is installed, and a remedy where it is not."""

import importlib.util

import pytest
import torch

from hessbench.problems.curvature.engines.operator import EngineOperator
from hessbench.problems.network_families.digits_mlp import digits_mlp_problem
from hessbench.problems.networks.losses import SQUARED
from hessbench.problems.networks.network import Network
from hessbench.problems.timing.curvlinops import curvlinops_products

INSTALLED = importlib.util.find_spec("curvlinops") is not None


@pytest.mark.skipif(not INSTALLED, reason="curvlinops is not installed: pip install 'hessbench[peers]'")
@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
@pytest.mark.parametrize("width", [1, 3])
def test_its_products_are_those_of_the_kept_graph(matrix, width):
    network = digits_mlp_problem(step=10, width=4).network().to(torch.device("cpu"), torch.float64)
    block = torch.randn(network.parameters.numel(), width, generator=torch.Generator().manual_seed(0)).double()
    ours = EngineOperator(network, matrix, "kept-graph").matmat(block)
    assert torch.allclose(curvlinops_products(network, matrix)(block), ours, rtol=1e-10, atol=1e-14)


def test_where_it_is_missing_the_remedy_is_named(monkeypatch):
    def missing(name, *args):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr("hessbench.problems.timing.curvlinops.library", missing)
    with pytest.raises(ImportError, match=r"pip install 'hessbench\[peers\]'"):
        curvlinops_products(digits_mlp_problem(step=0, width=2).network(), "hessian")


def test_a_loss_it_is_not_measured_with_is_refused():
    network = digits_mlp_problem(step=0, width=2).network()
    other = Network(network.forward, network.parameters, network.batches, SQUARED)
    with pytest.raises(RuntimeError, match="with cross-entropy only, not with squared"):
        curvlinops_products(other, "ggn")
