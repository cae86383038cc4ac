"""References of every estimand from one dense float64 matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final, TypeAlias, cast

import numpy as np
import torch

from hessbench.estimand.base import Array, Estimand, Reference, Source, spectral_norm
from hessbench.estimand.density import Density, density_reference
from hessbench.estimand.diagonal import Diagonal
from hessbench.estimand.eigenspace import TopEigenspace, eigenspace_reference
from hessbench.estimand.eigenvalues import TopEigenvalues, top_reference
from hessbench.estimand.solve import Solve, refined_solution, refuse_singular, solve_reference
from hessbench.estimand.trace import Trace, trace_reference
from hessbench.estimand.work import part
from hessbench.operators import check_symmetric

References: TypeAlias = Mapping[type[Estimand], Callable[[Any], Reference]]

DENSE_LIMIT: Final = 4096
"""Largest dimension for which a reference is computed from the dense matrix."""

_MATRIX: Final = 0.8
"""Part of the way, for who waits, at which the matrix is made and its eigenvalues are not."""


def dense_references(dense: Callable[[], Array], network: Callable[[], object] | None = None) -> References:
    """References of every estimand from a function that makes the dense float64 matrix (n, n).

    The bound is that of a backward-stable symmetric eigensolver, n eps ||A||; the trace is the sum of the diagonal, and
    has sqrt(n) eps ||A|| + 10 eps sum |a_ii| where that is less. The solution of a system has that of its own residual.

    Args:
        dense: Makes the matrix.
        network: Makes the network it belongs to, whose gradients are right-hand sides.
    """
    solved: list[tuple[Array, Array, float]] = []
    made = cache(dense)

    def solve() -> tuple[Array, Array, float]:
        if not solved:
            with part(0.0, _MATRIX):
                A = made()
            check_symmetric(torch.as_tensor(A))
            eigenvalues = cast("Array", np.linalg.eigvalsh(A))
            solved.append((eigenvalues, A.diagonal().copy(), A.shape[0] * 2.0**-52 * spectral_norm(eigenvalues)))
        return solved[0]

    def space(estimand: TopEigenspace) -> Reference:
        A = made()
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
        return Reference({"diagonal": entries}, Source.DENSE, spectral_norm(eigenvalues), bound)

    def solution(estimand: Solve) -> Reference:
        A = made()
        eigenvalues, _, _ = solve()
        b = estimand.right_side(A.shape[0], network)
        refuse_singular(estimand, eigenvalues + estimand.damping)
        x, off = refined_solution(A + estimand.damping * np.eye(A.shape[0]), b)
        return solve_reference(estimand, x, b, eigenvalues, Source.DENSE, off)

    return {
        TopEigenvalues: top, Trace: trace, Density: density, Diagonal: diagonal, TopEigenspace: space, Solve: solution
    }  # fmt: skip
