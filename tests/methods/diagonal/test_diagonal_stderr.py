"""Standard errors of diagonals: their formulas on the same probes, their mean, and how often intervals hold."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from hessbench.estimand import Diagonal, Reference, Source
from hessbench.methods.probes import block_schedule, draw_probes, draw_signs
from hessbench.operators import FunctionOperator, dense_operator, to_dense
from hessbench.seeding import make_generator

N = 20
SEEDS = 300


@pytest.fixture
def matrix(rotated):
    """Decaying, on a diagonal of its own, so that the spread of the entries is no multiple of their size."""
    return rotated(3 * 0.8 ** np.arange(N)) + torch.diag(torch.linspace(1, 50, N, dtype=torch.float64))


def probes_of(op, probe, num_matvecs):
    generator = make_generator(0)
    blocks = [draw_probes(probe, op.dim, width, op, generator) for width in block_schedule(num_matvecs, 5)]
    return torch.cat(blocks, dim=1)


@pytest.mark.parametrize("probe", ["signs", "normal", "sphere"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_every_checkpoint_has_the_standard_error_of_a_fit_through_the_origin(run, matrix, probe, dtype):
    op = dense_operator(matrix.to(dtype))
    X = probes_of(op, probe, 20)
    X, Y = X.double(), op.matmat(X).double()
    for checkpoint in run("hutchinson-diagonal", op, 20, probe=probe).checkpoints:
        m, found = checkpoint.matvecs, checkpoint.estimate.resolve()
        x, y = X[:, :m], Y[:, :m]
        slope = (x * y).sum(dim=1) / (x * x).sum(dim=1)
        if m == 1:
            assert (found.stderr, found.stderr_dof) == (None, None)
            continue
        variance = ((y - slope[:, None] * x) ** 2).sum(dim=1) / (m - 1) / (x * x).sum(dim=1)
        rel = 1e-12 if dtype == torch.float64 else 1e-4
        assert found.stderr == pytest.approx(float(variance.sum().sqrt()), rel=rel)
        assert found.stderr_dof == m - 1


def test_one_sided_remainders_have_the_spread_of_their_samples(run, matrix):
    op, generator = dense_operator(matrix), make_generator(0)
    S, G = draw_signs(N, 5, op, generator), draw_signs(N, 7, op, generator)
    Q = torch.linalg.qr(matrix @ S).Q
    samples = G * ((matrix - Q @ Q.T @ matrix) @ G)
    found = run("diagpp", op, 17).last
    assert found.stderr == pytest.approx(float((samples.var(dim=1) / 7).sum().sqrt()), rel=1e-10)
    assert found.stderr_dof == 6


def test_squares_have_the_spread_of_their_samples(run, ggn):
    op = ggn()
    generator = make_generator(0)
    U = torch.cat([draw_signs(18, width, op, generator) for width in block_schedule(15, 5)], dim=1)
    squares = op.factor.squared_sum(U)
    found = run("ggn-diagonal-mc", op, 15).last
    assert found.stderr == pytest.approx(float((squares.var(dim=1) / 15).sum().sqrt()), rel=1e-12)
    assert found.stderr_dof == 14


WAYS = {
    "hutchinson-diagonal": ("hutchinson-diagonal", 10, {}),
    "normal": ("hutchinson-diagonal", 10, {"probe": "normal"}),
    "diagpp": ("diagpp", 15, {}),
    "ggn-diagonal-mc": ("ggn-diagonal-mc", 10, {}),
    "xdiag": ("xdiag", 12, {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_2_norm_of_the_error_is_within_the_interval_at_least_as_often_as_said(run, matrix, ggn, way):
    """Of 300 seeds. The mean of the square of the claim is that of the error's, the jackknife's no less than it."""
    name, budget, keywords = WAYS[way]
    op = ggn() if name == "ggn-diagonal-mc" else dense_operator(matrix)
    truth = to_dense(op).diagonal()
    answers = [run(name, op, budget, seed=seed, **keywords).last for seed in range(SEEDS)]
    errors = np.array([float((answer.value - truth).norm()) for answer in answers])
    widths = np.array([answer.half_width(0.95) for answer in answers])
    assert binomtest(int((errors <= widths).sum()), SEEDS).proportion_ci(0.999).high >= 0.95
    gaps = np.array([answer.stderr**2 for answer in answers]) - errors**2
    noise = 4.5 * gaps.std() / SEEDS**0.5
    assert gaps.mean() >= -noise
    assert gaps.mean() <= noise + (errors**2).mean() * (way == "xdiag")


@pytest.mark.parametrize("name", ["hutchinson-diagonal", "diagpp", "xdiag"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(
    "values",
    [np.zeros(12), [4.0], [1e-20], np.r_[[3e15], np.zeros(11)], np.r_[np.full(3, 1e-18), np.zeros(9)]],
    ids=["zero", "n=1", "n=1, small", "rank one", "small"],
)
def test_what_is_exact_claims_rounding_and_nothing_overflows(run, rotated, name, dtype, values):
    found = run(name, rotated(values, dtype=dtype), 14).last
    size = float(np.abs(values).max())
    if name == "hutchinson-diagonal" and len(values) > 1 and size:
        # Not exact: the spread of what is off the diagonal, not lost to the range of float32.
        assert 0.01 * size < found.stderr < 10 * size
    else:
        assert 0 <= found.stderr <= 100 * torch.finfo(dtype).eps * size


@pytest.mark.parametrize(("name", "budget"), [("hutchinson-diagonal", 1), ("diagpp", 3), ("xdiag", 2), ("xdiag", 5)])
def test_too_few_samples_claim_nothing(run, matrix, name, budget):
    found = run(name, matrix, budget).last
    assert (found.stderr, found.stderr_dof) == (None, None)


def test_a_single_draw_claims_nothing(run, ggn):
    assert run("ggn-diagonal-mc", ggn(), 1).last.stderr is None


@pytest.mark.parametrize(("name", "budget"), [("diagpp", 3 * N), ("xdiag", 2 * N)])
def test_the_whole_space_claims_no_error(run, matrix, name, budget):
    assert run(name, matrix, budget).last.stderr == 0.0


@pytest.mark.parametrize("name", ["hutchinson-diagonal", "diagpp", "xdiag"])
def test_products_that_are_not_finite_have_no_claim_that_is(run, name):
    op = FunctionOperator(lambda block: block * torch.nan, 10, torch.float64)
    stderr = run(name, op, 12).last.stderr
    assert stderr is None or np.isnan(stderr)


def test_the_claim_is_in_the_unit_of_the_absolute_error():
    truth = np.array([3.0, 4.0])
    estimand = Diagonal()
    reference = Reference({"diagonal": truth}, Source.DENSE, 4.0)
    errors = estimand.errors(estimand.to_arrays(truth + np.array([0.3, -0.4]), 2), reference, "float64")
    assert errors["absolute"] == pytest.approx(0.5)
    assert errors["relative_norm"] == pytest.approx(0.1)
    assert estimand.errors({"diagonal": truth}, reference, "float64")["absolute"] == 0
