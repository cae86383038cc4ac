"""References from the nonzero eigenvalues and the number of zeros: no array of zeros, however many there are."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import numpy as np

from hessbench.estimand import Array, Density, Diagonal, Estimand, Reference, Solve, Source, TopEigenvalues, Trace
from hessbench.estimand.from_dense import References
from hessbench.estimand.work import OwnWork


@dataclass(frozen=True)
class Spectrum:
    """All eigenvalues of an operator, and its diagonal.

    Attributes:
        eigenvalues: Those that may differ from zero, in any order.
        zeros: Number of the others, all zero.
        diagonal: Diagonal entries (n,).
        bound: Error bound of each eigenvalue and diagonal entry, and of the trace, absolute.
    """

    eigenvalues: Array
    zeros: int
    diagonal: Array
    bound: float

    @property
    def dim(self) -> int:
        """Number n of eigenvalues."""
        return self.eigenvalues.size + self.zeros

    @property
    def norm(self) -> float:
        """Largest magnitude of an eigenvalue."""
        return float(np.abs(self.eigenvalues).max(initial=0.0))

    @property
    def semidefinite(self) -> bool:
        """Whether no eigenvalue is negative."""
        return bool((self.eigenvalues >= 0).all())


def spectrum_references(solve: Callable[[], Spectrum], source: Source, rounding: float) -> References:
    """References of the top eigenvalues, the trace, the density and the diagonal.

    Args:
        solve: Computes the spectrum; called once, when a reference is asked for.
        source: How it is computed.
        rounding: Constant c in the rounding c eps ||A|| of the operator that is compared with these references.
    """
    solve = cache(solve)

    def reference(**arrays: Array) -> Reference:
        spectrum = solve()
        return Reference(
            arrays,
            source,
            spectrum.norm,
            spectrum.bound,
            rounding,
            dim=spectrum.dim,
            semidefinite=spectrum.semidefinite,
        )

    def top(estimand: TopEigenvalues) -> Reference:
        spectrum = solve()
        zeros = np.zeros(min(spectrum.zeros, estimand.k))
        return reference(eigenvalues=estimand.rank(np.concatenate([spectrum.eigenvalues, zeros]))[: estimand.k])

    def trace(_: Trace) -> Reference:
        values = solve().eigenvalues
        return reference(trace=np.asarray([math.fsum(values)]), abs_sum=np.asarray([np.abs(values).sum()]))

    def density(_: Density) -> Reference:
        spectrum = solve()
        nodes, counts = np.unique(spectrum.eigenvalues, return_counts=True)
        if spectrum.zeros:
            place = int(np.searchsorted(nodes, 0.0))
            if place == nodes.size or nodes[place] != 0:
                nodes, counts = np.insert(nodes, place, 0.0), np.insert(counts, place, 0)
            counts[place] += spectrum.zeros
        return reference(nodes=nodes, weights=counts / spectrum.dim)

    def diagonal(_: Diagonal) -> Reference:
        return reference(diagonal=solve().diagonal)

    return {TopEigenvalues: top, Trace: trace, Density: density, Diagonal: diagonal}


def shifted_references(references: References, shift: float, dim: int) -> References:
    """References of A + shift * I from those of a positive semi-definite A, whose order of eigenvalues stays.

    Args:
        references: Of A.
        shift: Not negative.
        dim: Dimension n of A.
    """
    if shift == 0:
        return references
    steps = {"trace": dim * shift, "abs_sum": dim * shift, "weights": 0.0}

    def moved(find: Callable[[Any], Reference], estimand: Estimand) -> Reference:
        found = find(estimand)
        arrays = {name: array + steps.get(name, shift) for name, array in found.arrays.items()}
        bound = found.bound + 2.0**-52 * max(float(np.abs(array).max()) for array in arrays.values())
        return replace(found, arrays=arrays, norm=found.norm + shift, bound=bound)

    def solved(find: Callable[[Any], Reference], estimand: Solve) -> Reference:
        return find(replace(estimand, damping=estimand.damping + shift))

    return {
        kind: OwnWork(partial(solved, find)) if kind is Solve else partial(moved, find)
        for kind, find in references.items()
    }
