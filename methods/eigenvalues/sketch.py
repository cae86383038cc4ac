"""Top eigenvalues by projecting the operator on a random subspace: the two-sided sign sketch, and the range finder."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array, Estimate, TopEigenspace, TopEigenvalues, Trace
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Which, check_at_least
from hessbench.methods.probes import draw_normal, draw_signs
from hessbench.methods.small_dense import freedom, mean_and_stderr, to_device, to_host, top_pairs
from hessbench.operators import LinearOperator


def sketch(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    k: int = 10,
    which: Which = "magnitude",
) -> Estimate:
    """Two-sided sign sketch S^T A S: its eigenvalues for the top ones of A and its trace for the trace of A.

    S is n x m with independent entries +-1/sqrt(m), m = num_matvecs. With this scaling E[S S^T] = I_n (and
    E[S^T S] = (n / m) I_m, so S is no isometry). Hence the trace is unbiased, each diagonal entry being 1/m of a
    Hutchinson sample, and the eigenvalues are used as they are: for A = V L V^T of rank r the nonzero ones are those of
    (V^T S S^T V) L, and V^T S S^T V tends to I_r as m grows past r. For a semidefinite A they lean upwards, since m
    values share the whole trace.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Size m of the sketch; all of it is spent.
        generator: Source of the signs.
        k: Number of eigenvalues, at most m.
        which: Their order: `magnitude`, `algebraic` or `smallest`.

    Returns:
        k eigenvalues, and in `also` the trace with its standard error over the m samples and, computed when it is
        asked for, the space A S W of the first k eigenvectors W of the sketch.

    Cost:
        m products in one call; own work 2 m^2 n for the inner products and about 9 m^3 for the eigenpairs; 2 m
        vectors.

    Raises:
        ValueError: If `num_matvecs` is below min(k, n).

    Source:
        Deshpande, Approximating the spectra of neural network Hessians; code at https://github.com/iamsalil/PyHessian.
    """
    wanted = min(k, op.dim)
    check_at_least("num_matvecs", num_matvecs, wanted)
    m = num_matvecs
    S = draw_signs(op.dim, m, op, generator)
    Y = op.matmat(S).detach()
    # The scaling 1/m is applied to the m x m result: signs stay exact in any dtype.
    G = to_host(S.T @ Y)
    trace, stderr = mean_and_stderr(np.diagonal(G))
    top, W = top_pairs(G / m, wanted, which)
    space = Estimate(partial(lifted, Y, W))
    return Estimate(top, also={Trace: Estimate(trace, stderr=stderr, stderr_dof=freedom(m)), TopEigenspace: space})


def lifted(Y: Tensor, W: Array) -> Tensor:
    """Orthonormal columns (n, k) that span Y W, for Y (n, m) and a small W (m, k); Y W where it is not finite."""
    block = Y @ to_device(W, Y)
    return torch.linalg.qr(block).Q if bool(torch.isfinite(block).all()) else block


def randomized_eigh(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    num_power_iterations: int = 0,
    oversampling: int = -1,
    k: int = 10,
    which: Which = "magnitude",
) -> Estimate:
    """Randomised range finder, then Rayleigh-Ritz on the range: eigenvalues of Q^T A Q.

    A Gaussian block of w columns is multiplied once, and once more per power iteration, with an orthonormal basis in
    between; the projection costs another w products. So w = num_matvecs // (2 + num_power_iterations), at most n: all
    the budget allows goes into oversampling, unless `oversampling` says how much.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products; (2 + num_power_iterations) w of them are spent.
        generator: Source of the Gaussian block.
        num_power_iterations: Further products of the block before the projection.
        oversampling: Most columns beyond k; -1 for as many as the budget allows.
        k: Number of eigenvalues, at most w.
        which: Their order: `magnitude`, `algebraic` or `smallest`.

    Returns:
        k eigenvalues, their Ritz vectors, and in `also` the space of these. Diagnostics: `width`, w.

    Cost:
        (2 + num_power_iterations) w products in 2 + num_power_iterations calls of width w; own work about
        4 w^2 n a QR factorisation, 2 w^2 n for the projection and 2 w k n for the vectors; 3 w vectors.

    Raises:
        ValueError: If `num_matvecs` is below (2 + num_power_iterations) min(k, n), or another number out of range.

    Source:
        Halko, Martinsson and Tropp, SIAM Rev. 53 (2011), doi:10.1137/090771806.
    """
    check_at_least("num_power_iterations", num_power_iterations, 0)
    check_at_least("oversampling", oversampling, -1)
    wanted = min(k, op.dim)
    check_at_least("num_matvecs", num_matvecs, wanted * (2 + num_power_iterations))
    width = _width(op.dim, num_matvecs, num_power_iterations, oversampling, k)
    block = draw_normal(op.dim, width, op, generator)
    for _ in range(1 + num_power_iterations):
        block = torch.linalg.qr(op.matmat(block).detach()).Q.contiguous()
    top, W = top_pairs(to_host(block.T @ op.matmat(block).detach()), wanted, which)
    vectors = block @ to_device(W, block)
    return Estimate(top, vectors, diagnostics={"width": width}, also={TopEigenspace: Estimate(vectors)})


def _width(dim: int, num_matvecs: int, num_power_iterations: int, oversampling: int, k: int) -> int:
    most = min(num_matvecs // (2 + num_power_iterations), dim)
    return most if oversampling < 0 else min(most, min(k, dim) + oversampling)


def _least_sketch(dim: int, *, k: int, **_: object) -> int:
    return min(k, dim)


def _widths_sketch(num_matvecs: int, **_: object) -> tuple[int, ...]:
    return (num_matvecs,)


def _footprint_sketch(dim: int, num_matvecs: int, **_: object) -> Footprint:
    del dim
    return Footprint(vectors=2 * num_matvecs, passes=4.0 * num_matvecs)


def _least_range(dim: int, *, k: int, num_power_iterations: int, **_: object) -> int:
    return min(k, dim) * (2 + num_power_iterations)


def _widths_range(
    num_matvecs: int, *, num_power_iterations: int, oversampling: int, k: int, **_: object
) -> tuple[int, ...]:
    return (max(1, _width(num_matvecs, num_matvecs, num_power_iterations, oversampling, k)),)


def _footprint_range(
    dim: int, num_matvecs: int, *, num_power_iterations: int, oversampling: int, k: int, **_: object
) -> Footprint:
    w = _width(dim, num_matvecs, num_power_iterations, oversampling, k)
    # Householder QR reads and writes what is left of the block once a column, and again to make Q.
    return Footprint(vectors=3 * w, passes=(1 + num_power_iterations) * 2.0 * w * w + 3 * w)


SKETCH = Method(
    name="sketch",
    run=sketch,
    estimands=(TopEigenvalues, Trace, TopEigenspace),
    citation=(
        "Deshpande, Approximating the spectra of neural network Hessians (the sketch S^T H S with signs), "
        "https://github.com/iamsalil/PyHessian"
    ),
    version="1",
    min_matvecs=_least_sketch,
    block_widths=_widths_sketch,
    footprint=_footprint_sketch,
)

RANDOMIZED_EIGH = Method(
    name="randomized-eigh",
    run=randomized_eigh,
    estimands=(TopEigenvalues, TopEigenspace),
    citation=(
        "Halko, Martinsson and Tropp, Finding structure with randomness: Probabilistic algorithms for constructing "
        "approximate matrix decompositions, SIAM Rev. 53 (2011) 217-288, doi:10.1137/090771806"
    ),
    version="1",
    min_matvecs=_least_range,
    block_widths=_widths_range,
    footprint=_footprint_range,
    presets=("randomized-eigh", "randomized-eigh[num_power_iterations=1]"),
)
