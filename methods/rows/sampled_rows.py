"""Trace and diagonal of a GGN: its heavy rows exactly, the others by draws, with an interval."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

from hessbench.estimand import Diagonal, Estimate, Trace
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.rows.growing_chunks import largest_chunk, row_widths
from hessbench.methods.rows.heavy_rows import check_all_flat
from hessbench.methods.rows.parted import WithRows, split
from hessbench.methods.rows.sampled_sum import RowSampler, SampledSum, check_arguments


def sampled_rows(
    op: WithRows,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    chunk: int = 16,
    draws: int = 16,
    confidence: float = 0.99,
) -> Iterator[Estimate]:
    """Heavy rows for certain, then draws of the others without replacement: tr G = sum_r ||b_r||^2, diag G likewise.

    Draw k has a chance p in proportion to what ||b_r||^2 is predicted to be, ||s_r||^2 times ratios of the rows seen,
    and t_k = (all rows before) + b_k^2 / p is unbiased given these. The answer is sum w_k t_k / sum w_k with weights
    fixed by the roots alone, so it is unbiased, entry by entry; the interval is Student's t from the spread of the t_k,
    see `ordered_estimate`. It holds at each checkpoint, not at all of them together, and where ||b_r|| / ||s_r|| varies
    by far more than the norms of the inputs tell (`ranked`), it may miss more often. With all rows that weigh more than
    rounding the answer is exact.

    Args:
        op: GGN with rows, or a Hessian with parts and structure whose diag(R) = 0; see `heavy_rows`.
        num_matvecs: Most rows; what the next chunk takes may stay unspent. Of a Hessian, a column for two flat groups
            besides.
        generator: Source of the draws, and of the check of a Hessian.
        chunk: Rows made at once at first; later up to an eighth of those made, where they are short.
        draws: A row is certain while its chance in so many draws would be 1 or more.
        confidence: Of the interval in the diagnostics.

    Yields:
        After each chunk the trace, with its standard error and degrees of freedom from the first draws on, and in
        `also` the diagonal; before the first draws the lower bound of `heavy_rows`. Diagnostics: `low` and `high` of
        the interval; `lower_bound`, which holds for certain; `rows` made, how many were `certain`; `null_rows`.

    Cost:
        A forward pass, and a forward pass and a VJP of one sample for each row; own work 6 n a row. Of a Hessian also
        the check.

    Raises:
        ValueError: If an argument is out of range, an output is not finite, or a Hessian is refused as in `heavy_rows`.

    Source:
        Des Raj, Some estimators in sampling with varying probabilities without replacement, J. Am. Stat. Assoc. 51
        (1956), doi:10.1080/01621459.1956.10501326.
    """
    check_arguments(chunk, draws, confidence)
    check_at_least("num_matvecs", num_matvecs, chunk)
    parts = split(op)
    spent = check_all_flat(op, parts, num_matvecs, chunk, generator)
    sampler = RowSampler(parts.rows, op, generator, chunk=chunk, draws=draws)
    while sampler.width and spent + sampler.width <= num_matvecs:
        spent += sampler.width
        yield Estimate(value=partial(_answer, sampler.step(), sampler.certain, parts.shift, confidence))


def _answer(found: SampledSum, certain: int, shift: float, confidence: float) -> Estimate:
    dim = found.known.numel()
    trace, done = found.trace, found.is_whole
    said: dict[str, float] = {
        "lower_bound": found.lower_bound + dim * shift,
        "rows": found.made,
        "certain": min(certain, found.made),
        "null_rows": found.ranking.null_rows,
    }
    diagonal = Estimate(found.diagonal + shift, stderr=0.0 if done else None, converged=done)
    if trace is None:
        return Estimate(said["lower_bound"], converged=done, diagnostics=said, also={Diagonal: diagonal})
    answer = Estimate(
        trace.value + dim * shift,
        stderr=trace.stderr,
        stderr_dof=None if done else trace.dof,
        converged=done,
        also={Diagonal: diagonal},
        diagnostics=said,
    )
    half = answer.half_width(confidence) or 0.0
    said |= {"low": max(answer.value - half, said["lower_bound"]), "high": answer.value + half}
    return answer


def _least(dim: int, *, chunk: int, **_: object) -> int:
    del dim
    return chunk


def _footprint(dim: int, num_matvecs: int, *, chunk: int, **_: object) -> Footprint:
    return Footprint(vectors=5.0 * largest_chunk(chunk, num_matvecs, dim) + 8, passes=10.0 * num_matvecs)


SAMPLED_ROWS = Method(
    name="sampled-rows",
    run=sampled_rows,
    estimands=(Trace, Diagonal),
    requires=("rows",),
    also_takes={Trace: "parts", Diagonal: "parts"},
    works_by="rows",
    citation=(
        "Des Raj, Some estimators in sampling with varying probabilities without replacement, J. Am. Stat. Assoc. 51 "
        "(1956) 269-284, doi:10.1080/01621459.1956.10501326"
    ),
    version="2",
    min_matvecs=_least,
    block_widths=row_widths,
    footprint=_footprint,
)
