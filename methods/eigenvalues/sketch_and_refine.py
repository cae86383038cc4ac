"""Sketch and refine: a cheap sketch warm-starts a matrix-free eigenvalue iteration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Estimate, TopEigenspace, TopEigenvalues
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Which, check_at_least, check_choice
from hessbench.methods.eigenvalues.refinement import Pairs, corrected, lobpcg, ritz_pairs
from hessbench.methods.eigenvalues.sketch import lifted
from hessbench.methods.probes import draw_signs
from hessbench.methods.small_dense import eigenpairs_of, to_host, top_pairs
from hessbench.operators import LinearOperator

Refine: TypeAlias = Literal["rayleigh", "davidson", "lobpcg"]


def sketch_and_refine(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    refine: Refine = "davidson",
    oversampling: int = 0,
    inner: int = 1,
    k: int = 10,
    which: Which = "magnitude",
) -> Iterator[Estimate]:
    """Top eigenpairs from the sign sketch S^T A S, refined by an iteration that needs products only.

    The sketch has s = min(k + oversampling, n) columns. An orthonormal basis of A S is multiplied once for a
    Rayleigh-Ritz step, and from the s pairs one of three iterations goes on:

    - `rayleigh`: Rayleigh quotient iteration on the worst of the k pairs, each solve by `inner` products;
    - `davidson`: the same in a space that grows, which is Jacobi-Davidson;
    - `lobpcg`: locally optimal block conjugate gradients, a product for each unconverged pair of the block a step.

    It ends when all k residuals are at rounding, or before the first block of products that does not fit.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products.
        generator: Source of the signs.
        refine: The iteration.
        oversampling: Columns of the sketch beyond k.
        inner: Products in each solve of `rayleigh` and `davidson`, at least 1.
        k: Number of eigenvalues.
        which: Their order: `magnitude`, `algebraic` or `smallest`.

    Yields:
        k eigenvalues: those of the sketch, then the Ritz values after every block of products with their vectors,
        their space in `also`, and as a diagnostic `residual`, the largest ||A x - theta x|| among the k. `converged`
        where each is below sqrt(eps) |theta|, unless the signs show an earlier value, or a value before the last is
        found several times, of which there may be more.

    Cost:
        s products in one call, s in another; then for each yield up to s in one call (`lobpcg`) or `inner` single ones.
        Vectors held: 8 s for `lobpcg`; 6 s + 2 inner for `rayleigh`, and 2 more for each correction of `davidson`.

    Raises:
        ValueError: If `num_matvecs` is below s, or another number is out of range.

    Source:
        The question is that of Deshpande, Approximating the spectra of neural network Hessians (future research); the
        iterations are those named in `hessbench.methods.eigenvalues.refinement`.
    """
    check_choice("refine", refine, get_args(Refine))
    check_at_least("oversampling", oversampling, 0)
    check_at_least("inner", inner, 1)
    wanted = min(k, op.dim)
    s = _sketch_size(op.dim, k, oversampling)
    check_at_least("num_matvecs", num_matvecs, s)
    S = draw_signs(op.dim, s, op, generator)
    Y = op.matmat(S).detach()
    values, W = top_pairs(to_host(S.T @ Y) / s, s, which)
    X = lifted(Y, W).contiguous()
    sketch = _Sketch(S, Y, TopEigenvalues(wanted, which))
    del S, Y
    yield Estimate(values[:wanted], also={TopEigenspace: Estimate(X[:, :wanted])})
    spent = 2 * s
    if spent > num_matvecs or not np.isfinite(values).all():
        return
    pairs, _ = ritz_pairs(X, op.matmat(X).detach(), s, which)
    yield _answer(pairs, sketch)
    if not pairs.is_finite:
        return
    floor = 10 * torch.finfo(op.dtype).eps
    if refine == "lobpcg":
        steps = lobpcg(op, pairs, wanted, which, floor)
    else:
        steps = corrected(op, pairs, wanted, which, floor, inner, grows=refine == "davidson")
    # The iteration is asked for a block of products only when the largest it may take fits.
    block = s if refine == "lobpcg" else inner
    while spent + block <= num_matvecs:
        refined = next(steps, None)
        if refined is None:
            return
        spent += block
        yield _answer(refined, sketch)


@dataclass(frozen=True)
class _Sketch:
    """Signs S, their products Y = A S, both (n, s), and the order asked for."""

    S: Tensor
    Y: Tensor
    order: TopEigenvalues


def _answer(pairs: Pairs, sketch: _Sketch) -> Estimate:
    wanted = sketch.order.k
    values, residuals = pairs.values[:wanted], pairs.residuals[:wanted]
    tolerance = float(torch.finfo(pairs.X.dtype).eps) ** 0.5
    vectors = pairs.X[:, :wanted]
    small = bool((residuals <= tolerance * np.abs(values)).all())
    return Estimate(
        value=values,
        vectors=vectors,
        converged=small and not _may_hide(pairs, sketch, tolerance),
        diagnostics={"residual": float(residuals.max(initial=0.0))},
        also={TopEigenspace: Estimate(vectors)},
    )


def _may_hide(pairs: Pairs, sketch: _Sketch, tolerance: float) -> bool:
    """Whether an eigenvalue may be missing that comes before the last one given, though all residuals are small.

    A S has no part in the null space, and pairs built on it none either. The signs have a part along every eigenvector,
    and what A makes of it outside of the Ritz vectors X is known: A (S - X X^T S) = Y - A X X^T S. A Ritz value there
    that comes before the last one given bounds one that is missing.

    An eigenvalue found several times before the last place may have further copies. An iteration that keeps the first
    Ritz vectors only can rest for long on too few of them and a later value, and nothing known without further
    products tells: unless X and S span the whole space, that counts as hidden.
    """
    X, order = pairs.X, sketch.order
    n, s = X.shape
    if s == n:
        return False
    part = X.T @ sketch.S
    left, sizes, Vt = torch.linalg.svd(sketch.S - X @ part, full_matrices=False)
    kept = sizes > tolerance * sizes[0]
    Z, AZ = left[:, kept], ((sketch.Y - pairs.AX @ part) @ Vt.T)[:, kept] / sizes[kept]
    values, outside = pairs.values[: order.k], eigenpairs_of(to_host(Z.T @ AZ))[0]
    limit = tolerance * max(float(np.abs(values).max()), float(np.abs(outside).max()))
    keys = order.sort_key(values)
    first = float(keys[-1]) - limit
    if not float(order.sort_key(outside).min()) >= first:
        return True
    repeats = bool((np.diff(np.sort(values[keys < first])) <= limit).any())
    return repeats and s + Z.shape[1] < n


def _sketch_size(dim: int, k: int, oversampling: int) -> int:
    return min(k + oversampling, dim)


def _least(dim: int, *, k: int, oversampling: int, **_: object) -> int:
    return _sketch_size(dim, k, oversampling)


def _widths(num_matvecs: int, *, refine: str, oversampling: int, k: int, **_: object) -> tuple[int, ...]:
    s = _sketch_size(num_matvecs, k, oversampling)
    return (s,) if refine == "lobpcg" or s == 1 else (1, s)


def _footprint(
    dim: int, num_matvecs: int, *, refine: str, oversampling: int, inner: int, k: int, **_: object
) -> Footprint:
    s = _sketch_size(dim, k, oversampling)
    steps = max(0, num_matvecs - 2 * s) // (s if refine == "lobpcg" else inner)
    held = {"lobpcg": 8.0 * s, "rayleigh": 6.0 * s + 2 * inner, "davidson": 6.0 * s + 2.0 * (inner + steps)}[refine]
    read = {"lobpcg": 24.0 * s, "rayleigh": 10.0 * s, "davidson": 8.0 * s + 8.0 * steps}[refine]
    return Footprint(vectors=held, passes=2.0 * s * s + steps * (read + 2.0 * inner * inner))


SKETCH_AND_REFINE = Method(
    name="sketch-and-refine",
    run=sketch_and_refine,
    estimands=(TopEigenvalues, TopEigenspace),
    citation=(
        "Deshpande, Approximating the spectra of neural network Hessians (the open question), "
        "https://github.com/iamsalil/PyHessian; Knyazev, Toward the optimal preconditioned eigensolver: locally "
        "optimal block preconditioned conjugate gradient method, SIAM J. Sci. Comput. 23 (2001) 517-541, "
        "doi:10.1137/S1064827500366124; Sleijpen and van der Vorst, A Jacobi-Davidson iteration method for linear "
        "eigenvalue problems, SIAM J. Matrix Anal. Appl. 17 (1996) 401-425, doi:10.1137/S0895479894270427; Simoncini "
        "and Elden, Inexact Rayleigh quotient-type methods for eigenvalue computations, BIT 42 (2002) 159-182, "
        "doi:10.1023/A:1021930421106"
    ),
    version="2",
    min_matvecs=_least,
    block_widths=_widths,
    footprint=_footprint,
    presets=tuple(f"sketch-and-refine[refine={word}]" for word in get_args(Refine)),
)
