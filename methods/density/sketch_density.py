"""The spectrum of the two-sided sign sketch as a density."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np
import torch

from hessbench.estimand import Density, Estimate, Trace
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least, check_choice
from hessbench.methods.probes import draw_signs
from hessbench.methods.small_dense import eigenvalues_of, freedom, mean_and_stderr, to_host
from hessbench.operators import LinearOperator

Pad: TypeAlias = Literal["zero", "scaled"]


def sketch_density(
    op: LinearOperator, /, *, num_matvecs: int, generator: torch.Generator, pad: Pad = "zero"
) -> Estimate:
    """Eigenvalues of the sketch S^T A S, with mass 1/n each and zeros for the rest, or scaled to stand for all.

    S is n x m with entries +-1/sqrt(m), so the trace of the sketch, and with the padding the mean of this density, is
    right in expectation. Its shape is not: m values share the whole trace, so those of a full-rank A come out far too
    large and the rest of the mass is put at zero. Good for a matrix that is nearly of rank below m. No other place of
    the rest keeps the trace: the m values sum to its estimate, which leaves zero as the mean of all others.

    With `scaled` nothing is padded: the values, times m/n, have mass 1/m each, as those of A compressed to the range of
    S, whose columns are nearly orthogonal; the mean is the same. Good for a matrix with eigenvalues near one another:
    of a multiple of the identity the values differ by about 4 sqrt(m/n) of it. An outlier shrinks to m/n of itself.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Size m of the sketch, at most n; more stays unspent.
        generator: Source of the signs.
        pad: What stands for the n - m eigenvalues the sketch lacks: `zero`, or the values themselves, `scaled`.

    Returns:
        (nodes, weights): m eigenvalues, and with `zero` one node more where m is below n; in `also` the trace with its
        standard error.

    Cost:
        m products in one call; 2 m^2 n multiplications and about 9 m^3; 2 m vectors.

    Raises:
        ValueError: If `num_matvecs` is below 1, or `pad` another word.

    Source:
        Deshpande, Approximating the spectra of neural network Hessians; code at https://github.com/iamsalil/PyHessian.
    """
    check_at_least("num_matvecs", num_matvecs, 1)
    check_choice("pad", pad, get_args(Pad))
    n, m = op.dim, min(num_matvecs, op.dim)
    S = draw_signs(n, m, op, generator)
    G = to_host(S.T @ op.matmat(S).detach())
    trace, stderr = mean_and_stderr(np.diagonal(G))
    if pad == "scaled":
        nodes, weights = eigenvalues_of(G / n), np.full(m, 1 / m)
    else:
        nodes, weights = eigenvalues_of(G / m), np.full(m, 1 / n)
    if pad == "zero" and m < n:
        nodes, weights = np.append(nodes, 0.0), np.append(weights, (n - m) / n)
    return Estimate((nodes, weights), also={Trace: Estimate(trace, stderr=stderr, stderr_dof=freedom(m))})


def _widths(num_matvecs: int, **_: object) -> tuple[int, ...]:
    return (num_matvecs,)


def _footprint(dim: int, num_matvecs: int, **_: object) -> Footprint:
    m = min(num_matvecs, dim)
    return Footprint(vectors=2 * m, passes=4.0 * m)


SKETCH_DENSITY = Method(
    name="sketch-density",
    run=sketch_density,
    estimands=(Density, Trace),
    citation=(
        "Deshpande, Approximating the spectra of neural network Hessians (the sketch S^T H S with signs), "
        "https://github.com/iamsalil/PyHessian"
    ),
    version="1",
    min_matvecs=1,
    block_widths=_widths,
    footprint=_footprint,
    presets=("sketch-density", "sketch-density[pad=scaled]"),
)
