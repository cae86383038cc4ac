"""What a density that is the whole spectrum answers: nothing is decomposed a second time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hessbench.estimand.base import Estimand, Reference, Source
from hessbench.estimand.density import Density
from hessbench.estimand.eigenvalues import TopEigenvalues
from hessbench.estimand.spectral import SpectralQuantity
from hessbench.estimand.work import has_own_work

WHOLE: Final = frozenset({Source.DENSE, Source.GRAM})
"""Sources of references for which all eigenvalues were computed."""

_WHOLE_COUNT: Final = 1e-6
"""What n times a weight may be off the number of eigenvalues it stands for."""


def from_density(density: Reference, estimand: Estimand, dim: int) -> Reference | None:
    """The reference of an estimand, read from that of the density.

    Args:
        density: Reference of the density of an operator.
        estimand: What is asked for.
        dim: Dimension n of the operator.

    Returns:
        That of the first k eigenvalues, or of a number that the eigenvalues decide, where the density is the whole
        spectrum; None otherwise.

    Raises:
        ValueError: If the number is not defined on this spectrum.
    """
    if density.source is Source.STATISTICAL:
        return None
    if isinstance(estimand, SpectralQuantity):
        counts = counts_of(density, dim)
        return None if counts is None else replace(estimand.reference(density, counts), dim=dim)
    if not isinstance(estimand, TopEigenvalues) or density.source not in WHOLE:
        return None
    counts = counts_of(density, dim)
    if counts is None:
        return None
    values = np.repeat(density.arrays["nodes"], np.minimum(counts, estimand.k))
    return replace(density, arrays={"eigenvalues": estimand.rank(values)[: estimand.k]})


def counts_of(density: Reference, dim: int) -> NDArray[np.int64] | None:
    """How many eigenvalues each node of a density stands for; None where they are no whole numbers that add up to n."""
    exact = density.arrays["weights"] * dim
    counts = np.rint(exact).astype(np.int64)
    whole = counts.sum() == dim and counts.min() >= 1 and float(np.abs(exact - counts).max()) <= _WHOLE_COUNT * dim
    return counts if whole else None


@dataclass(frozen=True)
class ReadReference:
    """Finds the truth of a number that the eigenvalues decide: from the density, where that is the whole spectrum.

    Attributes:
        name: The problem, for messages.
        dim: Dimension n of the operator.
        density: Finds the reference of the density.
    """

    name: str
    dim: int
    density: Callable[[Any], Reference]

    def __call__(self, estimand: Estimand) -> Reference:
        """Find it.

        Raises:
            ValueError: If only an estimate of the density is known, or the number is not defined on this spectrum.
        """
        # A density whose work serves nothing else is an estimate, and costs too much to be refused afterwards.
        estimated = has_own_work(self.density, Density())
        found = None if estimated else from_density(self.density(Density()), estimand, self.dim)
        if found is None:
            raise ValueError(
                f"{estimand.spec} has no reference: not every eigenvalue of {self.name} is known, n = {self.dim}"
            )
        return found
