"""Top eigenvalues from a kept density that is the whole spectrum: nothing is decomposed a second time."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from hessbench.estimand.base import Estimand, Reference, Source
from hessbench.estimand.eigenvalues import TopEigenvalues

WHOLE: Final = frozenset({Source.DENSE, Source.GRAM})
"""Sources of references for which all eigenvalues were computed."""


def from_density(density: Reference, estimand: Estimand, dim: int) -> Reference | None:
    """The reference of an estimand, read from that of the density.

    Args:
        density: Reference of the density of an operator.
        estimand: What is asked for.
        dim: Dimension n of the operator.

    Returns:
        That of the first k eigenvalues where the density is the whole spectrum; None otherwise.
    """
    if not isinstance(estimand, TopEigenvalues) or density.source not in WHOLE:
        return None
    nodes, weights = density.arrays["nodes"], density.arrays["weights"]
    counts = np.rint(weights * dim).astype(np.int64)
    if counts.sum() != dim or counts.min() < 1:
        return None
    values = np.repeat(nodes, np.minimum(counts, estimand.k))
    return replace(density, arrays={"eigenvalues": estimand.rank(values)[: estimand.k]})
