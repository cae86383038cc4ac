"""The diagonal of a Gauss-Newton matrix from per-example squares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Literal, Protocol, TypeAlias, get_args

import torch
from torch import Tensor

from hessbench.estimand import Diagonal, Estimate, Trace
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least, check_choice
from hessbench.methods.diagonal.entry_fits import EntryFits, fits_of_samples, joined
from hessbench.methods.probes import block_schedule, draw_signs, schedule_widths
from hessbench.methods.trace.hutchinson import average
from hessbench.operators import Factor, Factored, LinearOperator, drawn_squares, summed_squares

Draw: TypeAlias = Literal["signs", "labels"]


class FactoredOperator(LinearOperator, Factored, Protocol):
    """A GGN that offers its factor F, with F F^T the operator."""


def ggn_diagonal_exact(
    op: FactoredOperator, /, *, num_matvecs: int, generator: torch.Generator, block: int = 10
) -> Estimate:
    """Diagonal of a GGN, exactly: per-example squares of each network output, summed.

    Entry p is sum_i sum_c F[p, iC+c]^2, where a block that is handed over selects output c of every sample.

    Args:
        op: GGN with a factor of N samples and C outputs.
        num_matvecs: Most per-example squares; C are spent.
        generator: Not used.
        block: Outputs squared at once.

    Returns:
        The diagonal, shape (n,), and in `also` its sum, the trace.

    Cost:
        C per-example squares in ceil(C / block) calls. Their sums are charged at what they take where the layers are
        known: a dense layer is squared once for a block, and nothing is sent back through the first layer.

    Raises:
        ValueError: If `num_matvecs` is below the number C of outputs, which the dimension does not tell.

    Source:
        Dangel, Kunstner and Hennig, BackPACK (2020), arXiv:1912.10985.
    """
    del generator
    check_at_least("block", block, 1)
    factor = op.factor
    check_at_least("num_matvecs", num_matvecs, factor.num_outputs)
    diagonal = torch.zeros(op.dim, dtype=op.dtype, device=op.device)
    return with_squares(diagonal, factor, block)


def with_squares(diagonal: Tensor, factor: Factor, block: int) -> Estimate:
    """A diagonal (n,) with the squares of all outputs added to it, exact, and in `also` its sum, the trace.

    Args:
        diagonal: What else there is; it is written to.
        factor: Of the GGN, C outputs.
        block: Outputs squared at once.

    Cost: C per-example squares.
    """
    select = torch.eye(factor.num_outputs, dtype=diagonal.dtype, device=diagonal.device)
    for columns in select.split(block, dim=1):
        diagonal += summed_squares(factor, columns.repeat(factor.num_samples, 1)).detach()
    trace = float(diagonal.sum(dtype=torch.float64))
    return Estimate(diagonal, stderr=0.0, converged=True, also={Trace: Estimate(trace, stderr=0.0, converged=True)})


def ggn_diagonal_mc(
    op: FactoredOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    block: int = 5,
    draw: Draw = "signs",
) -> Iterator[Estimate]:
    """Diagonal of a GGN by per-example squares of random combinations of the outputs, each sample with its own.

    With `signs` sample i has signs u_i in R^C; entry p of one probe is sum_i (sum_c F[p, iC+c] u_ic)^2, which is
    unbiased and never negative, with variance sum_i 2 ((sum_c F^2)^2 - sum_c F^4): samples do not mix. With `labels`
    each sample has a label drawn from the model's own prediction, and the probe is the sum of the squared gradients of
    the losses at these: unbiased too, for losses that name a distribution, with variance sum_i (sum_y p_iy g_iy^4 -
    (sum_y p_iy g_iy^2)^2) for gradients g_iy: large where a rare label has a large gradient.

    Args:
        op: GGN with a factor of N samples and C outputs.
        num_matvecs: Most per-example squares; up to block - 1 may stay unspent (see `block_schedule`).
        generator: Source of the signs or labels.
        draw: `signs` or `labels`.
        block: Probes squared at once, after the first `block`, which go one at a time.

    Yields:
        After each block the mean so far, shape (n,), and in `also` its sum, the trace; from two probes on each with its
        standard error, that of the diagonal in the 2-norm.

    Cost:
        One per-example square per probe in calls of width 1, then `block`.

    Raises:
        ValueError: If an argument is out of range, or labels are to be drawn of a loss that names no distribution.

    Source:
        Dangel, Kunstner and Hennig, BackPACK (2020), arXiv:1912.10985, which draws labels; Hutchinson
        (1990) for signs, doi:10.1080/03610919008812866.
    """
    check_at_least("num_matvecs", num_matvecs, 1)
    check_at_least("block", block, 1)
    check_choice("draw", draw, get_args(Draw))
    factor = op.factor
    fits: EntryFits | None = None
    sums: list[Tensor] = []
    for width in block_schedule(num_matvecs, block):
        if draw == "labels":
            squares = drawn_squares(factor, width, generator).detach()
        else:
            squares = factor.squared_sum(draw_signs(factor.num_columns, width, op, generator)).detach()
        fits = joined(fits, fits_of_samples(squares))
        sums.append(squares.sum(dim=0))
        yield Estimate(partial(_with_trace, fits, sums, len(sums)))


def _with_trace(fits: EntryFits, sums: list[Tensor], count: int) -> Estimate:
    """The diagonal, and in `also` its trace from the sums of the first `count` blocks."""
    return replace(fits.estimate(), also={Trace: Estimate(partial(average, sums, count))})


def _footprint_squares(dim: int, num_matvecs: int, *, block: int, **_: object) -> Footprint:
    del dim
    return Footprint(vectors=block + 3, passes=5.0 * num_matvecs)


def _footprint_draws(dim: int, num_matvecs: int, *, block: int, **_: object) -> Footprint:
    del dim
    return Footprint(vectors=block + 7, passes=9.0 * num_matvecs)


def _widths_exact(num_matvecs: int, *, block: int, **_: object) -> tuple[int, ...]:
    return (min(num_matvecs, block),)


_BACKPACK = "Dangel, Kunstner and Hennig, BackPACK: Packing more into backprop, ICLR (2020), arXiv:1912.10985"

GGN_DIAGONAL_EXACT = Method(
    name="ggn-diagonal-exact",
    run=ggn_diagonal_exact,
    estimands=(Diagonal, Trace),
    requires=("factor",),
    works_by="factor",
    citation=_BACKPACK,
    version="2",
    min_matvecs=1,
    block_widths=_widths_exact,
    footprint=_footprint_squares,
)

GGN_DIAGONAL_MC = Method(
    name="ggn-diagonal-mc",
    run=ggn_diagonal_mc,
    estimands=(Diagonal, Trace),
    requires=("factor",),
    works_by="factor",
    citation=_BACKPACK,
    version="1",
    min_matvecs=1,
    block_widths=schedule_widths,
    footprint=_footprint_draws,
    presets=("ggn-diagonal-mc", "ggn-diagonal-mc[draw=labels]"),
)
