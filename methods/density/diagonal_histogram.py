"""The histogram of the exact diagonal of a Gauss-Newton matrix, offered as its density."""

from __future__ import annotations

import numpy as np
import torch

from hessbench.estimand import Density, Estimate
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.diagonal.ggn_diagonal import FactoredOperator, ggn_diagonal_exact


def diagonal_histogram(
    op: FactoredOperator, /, *, num_matvecs: int, generator: torch.Generator, bins: int = 1000
) -> Estimate:
    """Diagonal entries of a GGN in place of its eigenvalues.

    The mean is exact and the shape is not: the diagonal is majorised by the spectrum (Schur), so the outliers are too
    small and the mass at zero is missing, whatever the budget. That known harm is what Granziol et al. argue against.

    Args:
        op: GGN with a factor of C outputs.
        num_matvecs: Most per-example squares; C are spent.
        generator: Not used.
        bins: Bins of equal width, at least 1; the node of a bin is the mean of its entries.

    Returns:
        (nodes, weights), empty bins left out, the weights summing to one.

    Cost:
        That of `ggn_diagonal_exact`: C per-example squares.

    Raises:
        ValueError: If `num_matvecs` is below C, or `bins` below 1.

    Source:
        Granziol, Wan and Garipov (2019), arXiv:1912.09656, which argues against it; squares: Dangel, Kunstner and
        Hennig, BackPACK (2020), arXiv:1912.10985.
    """
    check_at_least("bins", bins, 1)
    found = ggn_diagonal_exact(op, num_matvecs=num_matvecs, generator=generator)
    diagonal = found.value.cpu().double().numpy()
    if not np.isfinite(diagonal).all():
        return Estimate((np.full(1, np.nan), np.ones(1)))
    low, high = float(diagonal.min()), float(diagonal.max())
    if low == high:
        return Estimate((np.asarray([low]), np.ones(1)))
    places = np.minimum(((diagonal - low) / (high - low) * bins).astype(np.intp), bins - 1)
    counts = np.bincount(places, minlength=bins)
    sums = np.bincount(places, weights=diagonal, minlength=bins)
    filled = counts > 0
    return Estimate((sums[filled] / counts[filled], counts[filled] / diagonal.size))


def _widths(num_matvecs: int, **_: object) -> tuple[int, ...]:
    return (min(num_matvecs, 10),)


def _footprint(dim: int, num_matvecs: int, **_: object) -> Footprint:
    del dim
    return Footprint(vectors=16, passes=5.0 * num_matvecs)


DIAGONAL_HISTOGRAM = Method(
    name="ggn-diagonal-histogram",
    run=diagonal_histogram,
    estimands=(Density,),
    requires=("factor",),
    works_by="factor",
    citation=(
        "Granziol, Wan and Garipov, Deep curvature suite (2019), arXiv:1912.09656 (argues against it); Dangel, "
        "Kunstner and Hennig, BackPACK: Packing more into backprop, ICLR (2020), arXiv:1912.10985"
    ),
    version="1",
    min_matvecs=1,
    block_widths=_widths,
    footprint=_footprint,
)
