"""Every engine against the dense matrix in float64."""

import pytest
import torch

from hessbench.operators import check_operator, to_dense
from hessbench.problems.curvature.engines.choosing import Limits
from hessbench.problems.curvature.engines.operator import EngineOperator
from hessbench.problems.curvature.engines.table import ENGINES, engine_names

SPLITS = {"one batch": (7,), "ragged batches": (3, 3, 1)}
EAGER = [name for name in ENGINES if name != "compiled"]
STREAMING = [name for name, engine in ENGINES.items() if not engine.is_costly]
CASES = [(name, matrix) for name in EAGER for matrix in ("hessian", "ggn") if name in engine_names(matrix)]


def rules_are_here(name):
    if name == "rules":
        pytest.importorskip("hessbench.problems.curvature.rules")


def near(op, truth):
    # 36 terms of order 10 at most, so 1e-13 is a few hundred roundings.
    torch.testing.assert_close(to_dense(op, 5), truth, rtol=0, atol=1e-13 * max(1.0, float(truth.abs().max())))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("loss", ["cross-entropy", "squared"])
@pytest.mark.parametrize("form", ["dense", "convolutions"])
@pytest.mark.parametrize(("name", "matrix"), CASES)
def test_an_engine_multiplies_with_the_dense_matrix(network, truth, name, matrix, form, loss, split):
    rules_are_here(name)
    op = EngineOperator(network(form, loss, SPLITS[split]), matrix, name)
    near(op, truth(form, loss, matrix))
    near(op, truth(form, loss, matrix))


@pytest.mark.parametrize("micro_batch", [1, 3, 7, 8])
@pytest.mark.parametrize(("name", "matrix"), [case for case in CASES if case[0] in STREAMING])
def test_micro_batches_of_any_size_weigh_every_sample_the_same(network, truth, name, matrix, micro_batch):
    rules_are_here(name)
    for form, loss, split in (("dense", "cross-entropy", "one batch"), ("convolutions", "squared", "ragged batches")):
        op = EngineOperator(network(form, loss, SPLITS[split]), matrix, name, Limits(micro_batch=micro_batch))
        assert f"micro-batches of {micro_batch}" in op.info.engine
        near(op, truth(form, loss, matrix))


@pytest.mark.parametrize(("name", "matrix"), CASES)
def test_single_precision_is_off_by_its_rounding_only(network, truth, name, matrix):
    rules_are_here(name)
    op = EngineOperator(network("dense", dtype=torch.float32), matrix, name)
    found = to_dense(op)
    assert found.dtype == torch.float32
    exact = truth("dense", "cross-entropy", matrix)
    assert float((found.double() - exact).norm()) <= 20 * 2.0**-23 * float(exact.norm())


@pytest.mark.parametrize(("name", "matrix"), CASES)
def test_products_are_the_same_without_gradients_and_of_any_memory_layout(network, name, matrix):
    rules_are_here(name)
    op = EngineOperator(network("dense"), matrix, name)
    check_operator(op, torch.Generator().manual_seed(2))
    block = torch.randn(3, op.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64).T
    with torch.no_grad():
        quiet = op.matmat(block)
    assert not quiet.requires_grad
    torch.testing.assert_close(quiet, op.matmat(block.contiguous()), rtol=0, atol=1e-14)
    one_by_one = torch.cat([op.matmat(block[:, j : j + 1]) for j in range(3)], dim=1)
    torch.testing.assert_close(quiet, one_by_one, rtol=0, atol=1e-13)
    assert not op.matmat(block.requires_grad_()).requires_grad


def test_an_engine_without_hessian_products_says_so():
    assert "jvp-by-double-vjp" in engine_names("ggn")
    assert "jvp-by-double-vjp" not in engine_names("hessian")
    with pytest.raises(ValueError, match="makes products with the GGN only, not with the hessian"):
        ENGINES["jvp-by-double-vjp"].of("hessian")


@pytest.mark.parametrize("operator", ["ntk", "gradient-second-moment"])
def test_other_matrices_have_no_choice(operator):
    assert engine_names(operator) == ("auto",)
