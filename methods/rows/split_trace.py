"""The trace of a Hessian: that of its GGN by rows, that of the residual by probes where its diagonal may not vanish."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np
import torch

from hessbench.estimand import Diagonal, Estimate, Trace
from hessbench.method import Footprint, Method
from hessbench.methods.rows.growing_chunks import largest_chunk, row_widths
from hessbench.methods.rows.parted import PartedOperator
from hessbench.methods.rows.sampled_sum import SampledSum, check_arguments
from hessbench.methods.rows.split_sum import Aim, SplitSum, split_sums


def split_trace(
    op: PartedOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    chunk: int = 16,
    draws: int = 16,
    confidence: float = 0.99,
) -> Iterator[Estimate]:
    """Tr H = tr G + tr R + c n: G by `sampled_rows`, R by sign probes on the parameters where diag(R) may not vanish.

    Where it vanishes everywhere no product of R is made but for the check. What is spent on either part follows their
    variances, see `split_sums`. The part of the rows is unbiased; so is that of the probes but for what the number of
    probes, which looks at the mean of ||R v||^2, has to do with their forms: nothing where R and -R are alike.

    Args:
        op: Hessian with parts and structure.
        num_matvecs: Most rows, probes and columns of the check together, one for two flat groups; what the next step
            takes may stay unspent.
        generator: Source of the check, the draws and the signs.
        chunk: Rows made at once at first; later up to an eighth of the draws made, where they are short.
        draws: As in `sampled_rows`.
        confidence: Of the interval in the diagnostics.

    Yields:
        After each chunk or probe the trace, with its standard error once both parts have one. Diagnostics: `rows`,
        `probes`, the standard error of each part, `low` and `high` of the interval, `ggn_lower_bound`, `null_rows`.

    Cost:
        Forward passes of the roots and the structure; a product of R over one sample for two flat groups; then a
        forward pass and a VJP of one sample for each row, and a product of R for each probe.

    Raises:
        ValueError: If an argument is out of range, an output is not finite, or the structure's claim is wrong.

    Source:
        Des Raj (1956), doi:10.1080/01621459.1956.10501326; Hutchinson (1990), doi:10.1080/03610919008812866.
    """
    check_arguments(chunk, draws, confidence)
    aim = Aim(_variance_of_rows, lambda probed: 2 * probed.squares)
    for found in split_sums(op, aim, num_matvecs=num_matvecs, generator=generator, chunk=chunk, draws=draws):
        yield Estimate(value=partial(found.trace, confidence))


def split_diagonal(
    op: PartedOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    chunk: int = 16,
    draws: int = 16,
    confidence: float = 0.99,
) -> Iterator[Estimate]:
    """The diagonal of H = G + R + c I: as `split_trace`, what is spent on either part by the variances of all entries.

    Entries of R that are shown to vanish are not estimated. The second moment of a draw's entries stands for their
    variance.

    Args:
        op: As in `split_trace`, like all others.
        num_matvecs: Budget.
        generator: Source of randomness.
        chunk: Rows made at once at first; later up to an eighth of the draws made, where they are short.
        draws: As in `sampled_rows`.
        confidence: Of the interval of the trace.

    Yields:
        After each chunk or probe the diagonal, (n,), and in `also` the trace.

    Cost:
        As `split_trace`.

    Raises:
        ValueError: As `split_trace`.

    Source:
        As `split_trace`; Bekas, Kokiopoulou and Saad (2007), doi:10.1016/j.apnum.2007.01.003.
    """
    check_arguments(chunk, draws, confidence)
    aim = Aim(lambda rows: rows.diagonal_variance, lambda probed: probed.squares)
    for found in split_sums(op, aim, num_matvecs=num_matvecs, generator=generator, chunk=chunk, draws=draws):
        yield Estimate(value=partial(_diagonal, found, confidence))


def _variance_of_rows(rows: SampledSum) -> float:
    return np.inf if rows.trace is None else rows.trace.stderr**2


def _diagonal(found: SplitSum, confidence: float) -> Estimate:
    trace = found.trace(confidence)
    stderr = 0.0 if found.is_exact else None
    return Estimate(
        found.diagonal, stderr=stderr, converged=found.is_exact, diagnostics=trace.diagnostics, also={Trace: trace}
    )


def _least(dim: int, *, chunk: int, **_: object) -> int:
    del dim
    return chunk + 1


def _widths(num_matvecs: int, *, chunk: int, **_: object) -> tuple[int, ...]:
    return (1, *row_widths(num_matvecs, chunk=chunk))


def _footprint(dim: int, num_matvecs: int, *, chunk: int, **_: object) -> Footprint:
    return Footprint(vectors=5.0 * largest_chunk(chunk, num_matvecs, dim) + 40, passes=10.0 * num_matvecs)


_CITATION: Final = (
    "Des Raj, Some estimators in sampling with varying probabilities without replacement, J. Am. Stat. Assoc. 51 "
    "(1956) 269-284, doi:10.1080/01621459.1956.10501326; Hutchinson, A stochastic estimator of the trace of the "
    "influence matrix for Laplacian smoothing splines, Commun. Stat. Simul. Comput. 19 (1990) 433-450, "
    "doi:10.1080/03610919008812866"
)

SPLIT_TRACE = Method(
    name="split-trace",
    run=split_trace,
    estimands=(Trace,),
    requires=("parts",),
    works_by="rows",
    citation=_CITATION,
    version="3",
    min_matvecs=_least,
    block_widths=_widths,
    footprint=_footprint,
)

SPLIT_DIAGONAL = Method(
    name="split-diagonal",
    run=split_diagonal,
    estimands=(Diagonal, Trace),
    requires=("parts",),
    works_by="rows",
    citation=_CITATION,
    version="3",
    min_matvecs=_least,
    block_widths=_widths,
    footprint=_footprint,
)
