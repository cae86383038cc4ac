"""The compiled engine: it agrees with eager products to rounding, and does without where compiling fails."""

import pytest
import torch

from hessbench.operators import to_dense
from hessbench.problems.curvature.matrices import curvature_operator


@pytest.mark.slow
@pytest.mark.parametrize(("form", "matrix"), [("dense", "hessian"), ("convolutions", "ggn")])
def test_compiled_and_eager_products_agree_to_rounding(network, truth, form, matrix):
    net = network(form, dtype=torch.float32)
    op = curvature_operator(net, matrix, "compiled")
    assert op.info.engine == "compiled, looped blocks"
    compiled, eager = to_dense(op), to_dense(curvature_operator(net, matrix, "kept-graph"))
    exact = truth(form, "cross-entropy", matrix)
    bound = 20 * 2.0**-23 * float(exact.norm())
    assert float((compiled - eager).norm()) <= bound
    assert float((compiled.double() - exact).norm()) <= bound


@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
@pytest.mark.parametrize("loss", ["cross-entropy", "squared"])
def test_where_compiling_fails_products_are_eager_and_the_ledger_says_so(network, truth, matrix, loss, monkeypatch):
    def broken(function):
        def call(*inputs):
            raise RuntimeError("no compiler found\nand more lines")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    op = curvature_operator(network("dense", loss, (4, 3)), matrix, "compiled")
    assert op.info.engine == ("compiled, looped blocks, eager, as compiling failed: RuntimeError: no compiler found")
    torch.testing.assert_close(to_dense(op), truth("dense", loss, matrix), rtol=0, atol=1e-12)
