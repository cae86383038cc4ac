"""Curvature products of networks against dense matrices made by other routes."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hessbench.operators import Factor, Factored, ProductKind, check_operator, info_of, to_dense
from hessbench.problems.curvature import curvature_operator
from hessbench.problems.mlp import initial_parameters, mlp_dim, mlp_logits
from hessbench.problems.network import Batch, Network
from hessbench.problems.references.dense import dense_ggn, dense_hessian, gram_references

CPU = torch.device("cpu")


def small_network(samples=12, width=3, batched=True, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(samples, 49, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 10, (samples,), generator=generator)
    forward = partial(mlp_logits, width=width)
    return Network(forward, initial_parameters(width), (Batch(inputs, labels),), batched=batched).to(CPU, dtype)


def explicit_ggn(network):
    """J^T Lambda J from torch's own Jacobian, sample by sample."""
    J = torch.autograd.functional.jacobian(lambda q: network.forward(q, network.batches[0].inputs), network.parameters)
    p = network.forward(network.parameters, network.batches[0].inputs).softmax(dim=1)
    inner = (torch.diag_embed(p) - p[:, :, None] * p[:, None, :]) / p.shape[0]
    return torch.einsum("icp,icd,idq->pq", J, inner, J)


@pytest.mark.parametrize("batched", [True, False])
def test_the_hessian_product_is_the_dense_hessian(batched):
    network = small_network(batched=batched)
    expected = torch.autograd.functional.hessian(network.objective, network.parameters)
    torch.testing.assert_close(to_dense(curvature_operator(network, "hessian"), 50), expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(dense_hessian(network), expected.numpy(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("batched", [True, False])
def test_the_ggn_product_is_the_dense_ggn(batched):
    network = small_network(batched=batched)
    expected = explicit_ggn(network)
    torch.testing.assert_close(to_dense(curvature_operator(network, "ggn"), 50), expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(dense_ggn(network), expected.numpy(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("operator", ["hessian", "ggn"])
@pytest.mark.parametrize("batched", [True, False])
def test_a_single_column_equals_the_column_of_a_block(operator, batched):
    op = curvature_operator(small_network(batched=batched), operator)
    block = torch.randn(op.dim, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    one_by_one = torch.cat([op.matmat(block[:, j : j + 1]) for j in range(3)], dim=1)
    torch.testing.assert_close(op.matmat(block), one_by_one, rtol=0, atol=1e-13)
    check_operator(op, torch.Generator().manual_seed(2))


@pytest.mark.parametrize("operator", ["hessian", "ggn"])
def test_products_say_what_they_are(operator):
    info = info_of(curvature_operator(small_network(), operator))
    assert info.kind == ProductKind(operator)
    assert (info.samples, info.population) == (12, 12)
    assert info.engine


def test_the_factor_times_its_transpose_is_the_ggn():
    op = curvature_operator(small_network(), "ggn")
    assert isinstance(op, Factored)
    assert isinstance(op.factor, Factor)
    assert (op.factor.num_samples, op.factor.num_outputs, op.factor.num_columns) == (12, 10, 120)
    F = op.factor.rmatmat(torch.eye(120, dtype=torch.float64))
    torch.testing.assert_close(F @ F.T, to_dense(op, 50), rtol=0, atol=1e-13)


@pytest.mark.parametrize("entries", [1, 2 * mlp_dim(3), 2**24])
def test_squared_sums_are_sums_over_samples_of_squares_whatever_the_chunk(entries, monkeypatch):
    monkeypatch.setattr("hessbench.problems.curvature._EXAMPLE_GRADIENT_ENTRIES", entries)
    op = curvature_operator(small_network(), "ggn")
    F = op.factor.rmatmat(torch.eye(120, dtype=torch.float64)).view(op.dim, 12, 10)
    block = torch.randn(120, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = torch.einsum("pic,icj->pij", F, block.view(12, 10, 2)).square().sum(dim=1)
    torch.testing.assert_close(op.factor.squared_sum(block), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("samples", [2, 40])
@pytest.mark.parametrize("entries", [40_000, 2**27])
def test_gram_references_are_those_of_the_dense_ggn(samples, entries, monkeypatch):
    monkeypatch.setattr("hessbench.problems.references.dense._GRAM_ENTRIES", entries)
    network = small_network(samples=samples)
    answers = {kind.key: (kind, find) for kind, find in gram_references(lambda: network, 50.0).items()}
    G = explicit_ggn(network).numpy()
    truth = np.linalg.eigvalsh(G)
    kind, find = answers["density"]
    found = find(kind())
    counts = np.round(found.arrays["weights"] * truth.size).astype(int)
    np.testing.assert_allclose(found.arrays["weights"] * truth.size, counts, atol=1e-9)
    np.testing.assert_allclose(np.repeat(found.arrays["nodes"], counts), truth, atol=1e-13)
    assert found.rounding == 50
    kind, find = answers["diagonal"]
    np.testing.assert_allclose(find(kind()).arrays["diagonal"], G.diagonal(), atol=1e-13)
    kind, find = answers["trace"]
    assert find(kind()).arrays["trace"][0] == pytest.approx(np.trace(G), rel=1e-12)
    kind, find = answers["top-eigenvalues"]
    np.testing.assert_allclose(find(kind(5)).arrays["eigenvalues"], truth[::-1][:5], atol=1e-13)


@pytest.mark.parametrize("operator", ["hessian", "ggn"])
@pytest.mark.parametrize("batched", [True, False])
def test_floating_point_operations_of_a_product_are_counted_and_grow_with_the_block(operator, batched):
    op = curvature_operator(small_network(dtype=torch.float32, batched=batched), operator)
    counts = []
    for columns in (1, 4):
        with FlopCounterMode(display=False) as counter:
            op.matmat(torch.ones(op.dim, columns))
        counts.append(counter.get_total_flops())
    assert counts[0] > 0
    assert counts[1] == 4 * counts[0]


FORKED = """
import os, torch
from hessbench.problems import PROBLEMS
import sklearn.datasets
family = next(entry for entry in PROBLEMS if entry.name == "digits-mlp")
child = os.fork()
if child == 0:
    problem = family.problem("digits-mlp[operator={operator},step=10]")
    op = problem.build(torch.device("cpu"), torch.float32)
    for columns in (1, 4):
        assert torch.isfinite(op.matmat(torch.ones(op.dim, columns))).all()
    os._exit(7)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("operator", ["hessian", "ggn"])
def test_an_operator_can_be_built_and_used_in_a_forked_child(operator):
    code = FORKED.format(operator=operator)
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 7
