"""References of every estimand from one dense float64 matrix, and that of a top eigenspace from eigenvectors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray

from hessbench.estimand.base import (
    Array,
    Density,
    Diagonal,
    Estimand,
    Reference,
    Source,
    TopEigenspace,
    TopEigenvalues,
    Trace,
    density_reference,
    sort_key,
    top_reference,
    trace_reference,
)
from hessbench.estimand.subspaces import tied
from hessbench.operators import check_symmetric

References: TypeAlias = Mapping[type[Estimand], Callable[[Any], Reference]]

DENSE_LIMIT: Final = 4096
"""Largest dimension for which a reference is computed from the dense matrix."""

BASIS_LIMIT: Final = 125_000
"""Most numbers in the bases of one reference: 1 MB in float64, what a ledger keeps of an estimate."""


def dense_references(dense: Callable[[], Array]) -> References:
    """References of every estimand from a function that makes the dense float64 matrix (n, n).

    The bound is that of a backward-stable symmetric eigensolver, n eps ||A||; the trace is the sum of the diagonal, and
    has sqrt(n) eps ||A|| + 10 eps sum |a_ii| where that is less.
    """
    solved: list[tuple[Array, Array, float]] = []

    def solve() -> tuple[Array, Array, float]:
        if not solved:
            A = dense()
            check_symmetric(torch.as_tensor(A))
            eigenvalues = cast("Array", np.linalg.eigvalsh(A))
            solved.append((eigenvalues, A.diagonal().copy(), A.shape[0] * 2.0**-52 * float(np.abs(eigenvalues).max())))
        return solved[0]

    def space(estimand: TopEigenspace) -> Reference:
        A = dense()
        eigenvalues, vectors = cast("tuple[Array, Array]", np.linalg.eigh(A))
        _, _, bound = solve()
        return eigenspace_reference(eigenvalues, lambda places: vectors[:, places], estimand, Source.DENSE, bound)

    def top(estimand: TopEigenvalues) -> Reference:
        eigenvalues, _, bound = solve()
        return top_reference(eigenvalues, estimand, Source.DENSE, bound)

    def trace(_: Trace) -> Reference:
        eigenvalues, entries, bound = solve()
        value = math.fsum(entries)
        # Roundings of the entries that are independent add up like a random walk, those they share do not.
        own = bound / entries.size**0.5 + 10 * 2.0**-52 * math.fsum(np.abs(entries))
        return replace(
            trace_reference(eigenvalues, Source.DENSE),
            arrays={"trace": np.asarray([value]), "abs_sum": np.asarray([np.abs(eigenvalues).sum()])},
            bound=min(bound, own),
        )

    def density(_: Density) -> Reference:
        eigenvalues, _diagonal, bound = solve()
        return density_reference(eigenvalues, Source.DENSE, bound)

    def diagonal(_: Diagonal) -> Reference:
        eigenvalues, entries, bound = solve()
        return Reference({"diagonal": entries}, Source.DENSE, float(np.abs(eigenvalues).max()), bound)

    return {TopEigenvalues: top, Trace: trace, Density: density, Diagonal: diagonal, TopEigenspace: space}


def eigenspace_reference(
    eigenvalues: Array,
    vectors: Callable[[NDArray[np.intp]], Array],
    estimand: TopEigenspace,
    source: Source,
    bound: float = 0.0,
) -> Reference:
    """The reference of a `TopEigenspace` from the whole spectrum.

    Args:
        eigenvalues: All of them, shape (n,), in any order.
        vectors: Gives the orthonormal eigenvectors (n, p) of p places in `eigenvalues`.
        estimand: What is asked.
        source: Where the eigenvectors come from.
        bound: Error bound of the eigenvalues, absolute.

    Raises:
        ValueError: If the bases would hold more than 125,000 numbers.
    """
    n = eigenvalues.size
    ascending = sort_key(eigenvalues, estimand.which)
    order = np.argsort(ascending, kind="stable")
    keys = -ascending[order]
    norm = float(np.abs(eigenvalues).max())
    empty = Reference({}, source, norm, bound)
    c, f = tied(keys, estimand.k, empty.bound_in("float64"))
    by_complement = n - f < f
    side = slice(f, None) if by_complement else slice(f)
    columns = (n - f if by_complement else f) + (c if c < f else 0)
    if columns * n > BASIS_LIMIT:
        raise ValueError(
            f"{estimand.spec}: bases of {columns} vectors of length {n} are more than the {BASIS_LIMIT} numbers kept"
        )
    arrays = {"keys": keys[: f + 1], "beyond" if by_complement else "within": vectors(order[side])}
    if c < f:
        arrays["core"] = vectors(order[:c])
    return replace(empty, arrays=arrays)
