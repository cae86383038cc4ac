"""XTrace, XNysTrace and XDiag against their definitions: every probe really left out, on the same probes."""

import numpy as np
import pytest
import torch

from hessbench.methods.diagonal.diagpp import diagpp
from hessbench.methods.diagonal.xdiag import xdiag
from hessbench.methods.leave_one_out import left_out
from hessbench.methods.probes import draw_probes, draw_signs, draw_sphere
from hessbench.methods.trace.xnystrace import xnystrace
from hessbench.methods.trace.xtrace import xtrace
from hessbench.operators import FunctionOperator, dense_operator
from hessbench.seeding import make_generator

N = 30
SPECTRA = {
    "flat": np.linspace(1, 3, N),
    "indefinite": np.linspace(-2, 3, N),
    "decaying": 0.7 ** np.arange(N),
    "low rank": np.r_[np.linspace(1, 2, 4), np.zeros(N - 4)],
}


def basis_without(Y, i):
    others = np.delete(Y, i, axis=1)
    U, sizes, _ = np.linalg.svd(others, full_matrices=False)
    return U[:, sizes > 1e-11 * max(sizes.max(initial=0.0), 1e-300)]


def literal_xtrace(A, Omega, resphered):
    n, k = Omega.shape
    found = []
    for i in range(k):
        Q = basis_without(A @ Omega, i)
        left = Omega[:, i] - Q @ (Q.T @ Omega[:, i])
        scale = (n - Q.shape[1]) / (left @ left) if resphered else 1.0
        found.append(np.trace(Q.T @ A @ Q) + scale * left @ A @ left)
    return np.array(found)


def literal_xnystrace(A, Omega):
    n, m = Omega.shape
    found = []
    for i in range(m):
        others = np.delete(Omega, i, axis=1)
        Y = A @ others
        approximation = Y @ np.linalg.pinv(others.T @ Y, rcond=1e-12, hermitian=True) @ Y.T
        Q = np.linalg.qr(others)[0]
        left = Omega[:, i] - Q @ (Q.T @ Omega[:, i])
        rest = Omega[:, i] @ (A - approximation) @ Omega[:, i] * (n - m + 1) / (left @ left)
        found.append(np.trace(approximation) + rest)
    return np.array(found)


def literal_jackknife(estimates, Omega):
    k = Omega.shape[1]
    without = np.array([estimates(np.delete(Omega, i, axis=1)).mean() for i in range(k)])
    return ((k - 1) / k * ((without - without.mean()) ** 2).sum()) ** 0.5


def literal_xdiag(A, Omega):
    found = []
    for i in range(Omega.shape[1]):
        P = basis_without(A @ Omega, i)
        P = P @ P.T
        found.append(np.diag(P @ A) + Omega[:, i] * ((A - P @ A) @ Omega[:, i]))
    return np.mean(found, axis=0)


@pytest.mark.parametrize("probe", ["sphere", "signs", "normal"])
@pytest.mark.parametrize("name", SPECTRA)
def test_xtrace_is_the_mean_over_literally_left_out_probes(rotated, name, probe):
    A = rotated(SPECTRA[name])
    op = dense_operator(A)
    for seed, num_matvecs in ((0, 2), (1, 4), (2, 13), (3, 20)):
        Omega = draw_probes(probe, N, num_matvecs // 2, op, make_generator(seed)).numpy()
        # A block that spans more than the rank leaves a length of rounding, which the resphered literal one divides by.
        expected = literal_xtrace(A.numpy(), Omega, probe == "sphere" and name != "low rank")
        found = xtrace(op, num_matvecs=num_matvecs, generator=make_generator(seed), probe=probe)
        if name == "low rank" and probe == "sphere" and num_matvecs <= 8:
            expected = literal_xtrace(A.numpy(), Omega, True)
        assert found.value == pytest.approx(expected.mean(), rel=1e-9)
        if num_matvecs // 2 > 1:
            spread = expected.std(ddof=1) / expected.size**0.5
            assert found.diagnostics["spread"] == pytest.approx(spread, rel=1e-6, abs=1e-9 * abs(expected.mean()))
        if num_matvecs // 2 > 1 and name != "low rank":
            stderr = literal_jackknife(lambda probes: literal_xtrace(A.numpy(), probes, probe == "sphere"), Omega)
            assert found.stderr == pytest.approx(stderr, rel=1e-6)


@pytest.mark.parametrize("name", ["flat", "decaying", "low rank"])
def test_xnystrace_is_the_mean_over_literally_left_out_probes(rotated, name):
    A = rotated(SPECTRA[name])
    op = dense_operator(A)
    for seed, m in ((0, 1), (1, 2), (2, 4), (3, 10)):
        Omega = draw_sphere(N, m, op, make_generator(seed)).numpy()
        expected = literal_xnystrace(A.numpy(), Omega)
        found = xnystrace(op, num_matvecs=m, generator=make_generator(seed))
        assert found.value == pytest.approx(expected.mean(), rel=1e-8)
        if m > 1 and name != "low rank":
            stderr = literal_jackknife(lambda probes: literal_xnystrace(A.numpy(), probes), Omega)
            assert found.stderr == pytest.approx(stderr, rel=1e-6)


@pytest.mark.parametrize("name", SPECTRA)
def test_xdiag_is_the_mean_over_literally_left_out_probes(rotated, name):
    A = rotated(SPECTRA[name])
    op = dense_operator(A)
    for seed, num_matvecs in ((0, 2), (1, 4), (2, 13), (3, 20)):
        Omega = draw_signs(N, num_matvecs // 2, op, make_generator(seed)).numpy()
        found = xdiag(op, num_matvecs=num_matvecs, generator=make_generator(seed)).value.numpy()
        np.testing.assert_allclose(found, literal_xdiag(A.numpy(), Omega), atol=1e-9)


@pytest.mark.parametrize("name", SPECTRA)
def test_the_standard_error_of_xdiag_is_the_literal_jackknife_in_the_2_norm(rotated, name):
    A = rotated(SPECTRA[name])
    op = dense_operator(A)
    for seed, k in ((1, 3), (2, 6), (3, 10)):
        Omega = draw_signs(N, k, op, make_generator(seed)).numpy()
        found = xdiag(op, num_matvecs=2 * k, generator=make_generator(seed))
        without = np.array([literal_xdiag(A.numpy(), np.delete(Omega, i, axis=1)) for i in range(k)])
        expected = ((k - 1) / k * ((without - without.mean(axis=0)) ** 2).sum()) ** 0.5
        assert found.stderr_dof == k - 1
        # Of a range that is exhausted nothing is left but rounding, and the spread is its.
        assert found.stderr == pytest.approx(expected, rel=1e-6, abs=1e-9 if name == "low rank" else 0.0)


def test_the_one_sided_form_is_its_formula_and_keeps_the_cross_terms(rotated):
    A = rotated(SPECTRA["indefinite"])
    op, generator = dense_operator(A), make_generator(0)
    S, G = draw_signs(N, 5, op, generator), draw_signs(N, 7, op, generator)
    Q = torch.linalg.qr(A @ S).Q
    P = Q @ Q.T
    expected = (P @ A).diagonal() + (G * ((A - P @ A) @ G)).mean(dim=1)
    found = diagpp(op, num_matvecs=17, generator=make_generator(0)).value
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", [xtrace, xnystrace, xdiag, diagpp])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(
    "values",
    [
        np.zeros(20), np.eye(20)[0] * 3, np.ones(20), [4.0], [1.0, 2.0], [0.0, 0.0, 5.0],
        np.r_[[1e12, 1.0], np.zeros(18)], np.r_[np.full(4, 1e-20), np.zeros(16)],
    ],
    ids=["zero", "rank one", "identity", "n=1", "n=2", "n=3", "1e12", "1e-20"],
)  # fmt: skip
def test_operators_of_low_rank_and_of_few_dimensions_are_answered_exactly(rotated, method, dtype, values):
    A = rotated(values, dtype=dtype)
    op = dense_operator(A)
    found = method(op, num_matvecs=12, generator=make_generator(0)).value
    size = float(np.abs(values).max()) * len(values)
    bound = 100 * torch.finfo(dtype).eps * max(size, 1e-300)
    if method in (xtrace, xnystrace):
        # Multiples of the identity have no range to be found, and are exact by the length of the probes.
        assert abs(float(found) - float(A.double().trace())) <= bound
    elif not np.array_equal(values, np.ones(20)):
        assert float((found.double() - A.double().diagonal()).abs().max()) <= bound


@pytest.mark.parametrize("method", [xtrace, xnystrace, xdiag, diagpp])
def test_the_dimension_in_products_is_exact(rotated, method):
    values = np.linspace(0.5, 3, N)
    A = rotated(values)
    found = method(dense_operator(A), num_matvecs=3 * N, generator=make_generator(1)).value
    expected = A.trace() if method in (xtrace, xnystrace) else A.diagonal()
    torch.testing.assert_close(torch.as_tensor(found, dtype=torch.float64), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", [xtrace, xdiag, diagpp])
def test_products_that_are_not_finite_are_not_answered_by_numbers(method):
    op = FunctionOperator(lambda block: block * torch.nan, 10, torch.float64)
    found = method(op, num_matvecs=6, generator=make_generator(0)).value
    assert np.isnan(np.asarray(found)).all()


def test_a_direction_left_out_is_orthogonal_to_every_other_column():
    R = np.triu(np.random.default_rng(0).standard_normal((7, 7)))
    S, couplings = left_out(R, 2.0**-52)
    products = S.T @ R
    np.testing.assert_allclose(products, np.diag(couplings), atol=1e-11)
    np.testing.assert_allclose(np.linalg.norm(S, axis=0), 1)


@pytest.mark.parametrize(("method", "least"), [(xtrace, 2), (xnystrace, 1), (xdiag, 2), (diagpp, 3)])
def test_too_small_a_budget_is_refused(rotated, method, least):
    with pytest.raises(ValueError, match=f"num_matvecs must be at least {least}, got {least - 1}"):
        method(dense_operator(rotated(np.arange(5))), num_matvecs=least - 1, generator=make_generator(0))


def test_an_indefinite_operator_is_refused_by_xnystrace(rotated):
    with pytest.raises(ValueError, match="op must be positive semi-definite for xnystrace"):
        xnystrace(dense_operator(rotated(np.linspace(-3, 1, 20))), num_matvecs=10, generator=make_generator(0))
