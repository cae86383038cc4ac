"""The figures the Krylov methods must reach: medians over 20 spectra and starts, paired, in float64 unless said.

Spectrum s: signed Student-t(3) of NumPy's generator seeded s, the first 800 of 1000 set to zero, rotated by the QR
factor of a Gaussian matrix; start s: the generator seeded s.
"""

import functools

import numpy as np
import pytest
import torch

from hessbench.estimand import TopEigenvalues
from hessbench.methods.eigenvalues.block_krylov import block_krylov
from hessbench.methods.eigenvalues.lanczos import lanczos
from hessbench.methods.eigenvalues.sketch import randomized_eigh
from hessbench.methods.eigenvalues.thick_restart import thick_restart_lanczos
from hessbench.operators import dense_operator
from hessbench.seeding import make_generator

pytestmark = pytest.mark.slow
SEEDS = range(20)


@functools.cache
def problem(law, seed):
    values = 1 / np.arange(1.0, 1001.0)
    if law == "student-t":
        values = np.random.default_rng(seed).standard_t(3, 1000)
        values[:800] = 0
    Q = np.linalg.qr(np.random.default_rng(1000 + seed).standard_normal((1000, 1000)))[0]
    A = (Q * values) @ Q.T
    return TopEigenvalues(10).rank(values)[:10], dense_operator(torch.from_numpy((A + A.T) / 2))


@functools.cache
def run(f, num_matvecs, law="student-t", **keywords):
    """Errors and vector operations over the seeds."""
    found = []
    for seed in SEEDS:
        truth, op = problem(law, seed)
        result = f(op, num_matvecs=num_matvecs, generator=make_generator(seed), k=10, **keywords)
        estimate = (result if f is randomized_eigh else list(result)[-1]).resolve()
        error = np.abs(np.abs(estimate.value) - np.abs(truth)) / np.abs(truth)
        found.append((error.max(), estimate.diagnostics.get("vector_operations", 0)))
    return np.array(found).T


def twin(num_steps):
    """Errors of a textbook Lanczos in NumPy: modified Gram-Schmidt, twice, from the same starts."""
    errors = []
    for seed in SEEDS:
        truth, op = problem("student-t", seed)
        w = torch.randn(1000, 1, generator=make_generator(seed), dtype=torch.float64)
        Q, T = [], np.zeros((num_steps, num_steps))
        for j in range(num_steps):
            for _ in range(2):
                for q in Q:
                    w = w - q * float(q.T @ w)
            if j:
                T[j, j - 1] = T[j - 1, j] = float(w.norm())
            Q.append(w / w.norm())
            w = op.matmat(Q[-1])
            T[j, j] = float(Q[-1].T @ w)
        found = TopEigenvalues(10).rank(np.linalg.eigvalsh(T))[:10]
        errors.append((np.abs(np.abs(found) - np.abs(truth)) / np.abs(truth)).max())
    return np.array(errors)


def test_full_is_within_a_tenth_of_the_twin_at_40_products():
    ratio = run(lanczos, 40)[0] / twin(40)
    print(f"full over twin: median {np.median(ratio):.4f}, error {np.median(run(lanczos, 40)[0]):.2e}")
    assert np.median(ratio) < 1.1


@pytest.mark.parametrize("reorth", ["selective", "periodic"])
def test_semiorthogonal_runs_equal_full_for_less_than_a_third_of_its_work(reorth):
    (full, work), (error, spent) = run(lanczos, 40), run(lanczos, 40, reorth=reorth)
    print(f"{reorth}: error ratio {np.median(error / full):.4f}, work ratio {np.median(spent / work):.3f}")
    assert np.median(error / full) < 1.1
    assert np.median(spent / work) <= 0.30


def test_thick_restart_reaches_1e_12_with_a_basis_of_30_and_60_products():
    error = run(thick_restart_lanczos, 60, basis=30)[0]
    print(f"thick restart: median {np.median(error):.2e}, largest {error.max():.2e}")
    assert np.median(error) < 1e-12


@pytest.mark.parametrize("num_matvecs", [40, 80, 120])
@pytest.mark.parametrize("law", ["power-law", "student-t"])
def test_block_krylov_beats_the_range_finder_at_equal_products_on_every_spectrum(law, num_matvecs):
    block = run(block_krylov, num_matvecs, law, block=10)[0]
    ranges = [run(randomized_eigh, num_matvecs, law, num_power_iterations=power)[0] for power in (0, 1, 2)]
    best = np.min(ranges, axis=0)
    print(f"{law}, {num_matvecs}: block {np.median(block):.2e}, range finder {np.median(best):.2e}")
    assert (block < best).all()
