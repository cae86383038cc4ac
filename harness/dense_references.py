"""References of every estimand from one dense float64 matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, cast

import numpy as np
import torch

from hessbench.estimand import (
    Array,
    Density,
    Diagonal,
    Estimand,
    Reference,
    Source,
    TopEigenvalues,
    Trace,
    density_reference,
    top_reference,
    trace_reference,
)
from hessbench.operators import check_symmetric

References: TypeAlias = Mapping[type[Estimand], Callable[[Any], Reference]]

DENSE_LIMIT: Final = 4096
"""Largest dimension for which a reference is computed from the dense matrix."""


def dense_references(dense: Callable[[], Array]) -> References:
    """References of all four estimands from a function that makes the dense float64 matrix (n, n).

    The bound is that of a backward-stable symmetric eigensolver, n eps ||A||.
    """
    solved: list[tuple[Array, Array, float]] = []

    def solve() -> tuple[Array, Array, float]:
        if not solved:
            A = dense()
            check_symmetric(torch.as_tensor(A))
            eigenvalues = cast("Array", np.linalg.eigvalsh(A))
            solved.append((eigenvalues, A.diagonal().copy(), A.shape[0] * 2.0**-52 * float(np.abs(eigenvalues).max())))
        return solved[0]

    def top(estimand: TopEigenvalues) -> Reference:
        eigenvalues, _, bound = solve()
        return top_reference(eigenvalues, estimand, Source.DENSE, bound)

    def trace(_: Trace) -> Reference:
        eigenvalues, _diagonal, bound = solve()
        return trace_reference(eigenvalues, Source.DENSE, bound / eigenvalues.size)

    def density(_: Density) -> Reference:
        eigenvalues, _diagonal, bound = solve()
        return density_reference(eigenvalues, Source.DENSE, bound)

    def diagonal(_: Diagonal) -> Reference:
        eigenvalues, entries, bound = solve()
        return Reference({"diagonal": entries}, Source.DENSE, float(np.abs(eigenvalues).max()), bound)

    return {TopEigenvalues: top, Trace: trace, Density: density, Diagonal: diagonal}
