"""Inputs whose columns of zeros are left out give the same products: for parts of the flat vector, and for others."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear

from hessbench.operators import to_dense
from hessbench.problems.curvature.matrices import curvature_operator
from hessbench.problems.curvature.rules import bilinear
from hessbench.problems.networks.network import Batch, Network

SIZE, UNITS, CLASSES = 12, 20, 3


def forward(parameters: Tensor, inputs: Tensor, *, computed: bool) -> Tensor:
    first, bias, second = parameters.split([SIZE * UNITS, UNITS, UNITS * CLASSES])
    weight = first.view(UNITS, SIZE)
    weight = weight.sin() if computed else weight
    return linear(torch.tanh(linear(inputs, weight, bias)), second.view(CLASSES, UNITS))


@pytest.mark.parametrize("dark", [(), (0, 1, 5), tuple(range(SIZE))])
@pytest.mark.parametrize("computed", [False, True])
@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
def test_products_are_those_of_the_kept_graph(matrix, computed, dark, monkeypatch):
    monkeypatch.setattr(bilinear, "_LARGE", 1)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(9, SIZE, generator=generator, dtype=torch.float64)
    inputs[:, list(dark)] = 0
    n = SIZE * UNITS + UNITS + UNITS * CLASSES
    network = Network(
        lambda parameters, batch: forward(parameters, batch, computed=computed),
        torch.randn(n, generator=generator, dtype=torch.float64),
        (Batch(inputs, torch.arange(9) % CLASSES),),
    )
    found, truth = (to_dense(curvature_operator(network, matrix, engine)) for engine in ("rules", "kept-graph"))
    torch.testing.assert_close(found, truth, rtol=0, atol=1e-12)


def test_columns_are_left_out_only_where_that_pays():
    wide = torch.ones(512, 256)
    assert bilinear._used(wide) is None
    wide[:, 3:30] = 0
    assert bilinear._used(wide).tolist() == [0, 1, 2, *range(30, 256)]
    assert bilinear._used(wide[:4]) is None
    wide[0] = torch.nan
    assert bilinear._used(wide) is None  # what is not a number is not nothing
