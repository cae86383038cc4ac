"""The diagonal of any operator: a ratio of probe products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import torch

from hessbench.estimand import Diagonal, Estimate
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Probe, check_at_least, check_choice
from hessbench.methods.diagonal.entry_fits import EntryFits, fits_of_pairs, fits_of_samples, joined
from hessbench.methods.probes import block_schedule, draw_probes, schedule_widths
from hessbench.operators import LinearOperator


def hutchinson_diagonal(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    probe: Probe = "signs",
    block: int = 5,
) -> Iterator[Estimate]:
    """Entrywise ratio sum x * A x / sum x * x over random probes.

    With sign probes the denominator is their number and entry i is unbiased with variance sum_{j != i} A_ij^2 a probe.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products; up to block - 1 may stay unspent (see `block_schedule`).
        generator: Source of the probes.
        probe: `signs`, `normal` or `sphere`.
        block: Probes multiplied at once, after the first `block`, which go one at a time.

    Yields:
        After each block the diagonal so far, shape (n,), from two probes on with the standard error of its 2-norm.

    Cost:
        One product per probe in calls of width 1, then `block`.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Bekas, Kokiopoulou and Saad, Appl. Numer. Math. 57 (2007), doi:10.1016/j.apnum.2007.01.003.
    """
    check_at_least("num_matvecs", num_matvecs, 1)
    check_at_least("block", block, 1)
    check_choice("probe", probe, get_args(Probe))
    fits: EntryFits | None = None
    for width in block_schedule(num_matvecs, block):
        # New tensors each time: a checkpoint keeps the sums it was made from.
        fits = joined(fits, _fits_of_block(op, probe, width, generator))
        yield Estimate(value=fits.estimate)


def _fits_of_block(op: LinearOperator, probe: str, width: int, generator: torch.Generator) -> EntryFits:
    """Draw, multiply and fit a block, which is let go before the next is drawn."""
    X = draw_probes(probe, op.dim, width, op, generator)
    Y = op.matmat(X).detach()
    return fits_of_samples(X * Y) if probe == "signs" else fits_of_pairs(X, Y)


def _footprint(dim: int, num_matvecs: int, *, block: int, **_: object) -> Footprint:
    del dim
    return Footprint(vectors=3 * block + 7, passes=14.0 * num_matvecs)


HUTCHINSON_DIAGONAL = Method(
    name="hutchinson-diagonal",
    run=hutchinson_diagonal,
    estimands=(Diagonal,),
    citation=(
        "Bekas, Kokiopoulou and Saad, An estimator for the diagonal of a matrix, Appl. Numer. Math. 57 (2007) "
        "1214-1229, doi:10.1016/j.apnum.2007.01.003"
    ),
    version="1",
    min_matvecs=1,
    block_widths=schedule_widths,
    footprint=_footprint,
)
