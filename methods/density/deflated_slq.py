"""The spectral density by low-rank deflation, then stochastic Lanczos quadrature of what is left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from hessbench.estimand import Array, Density, Estimate, Trace
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.density.deflation import (
    DeflatedBy,
    check_share,
    deflate,
    deflation_footprint,
    outside_operator,
    put_together,
    rules_outside,
)
from hessbench.operators import LinearOperator

_ANY_DIM: Final = 2**62


@dataclass(frozen=True)
class DeflationSplit:
    """How a budget is spent: `deflation` products at most, then `starts` of `depth` Lanczos steps."""

    deflation: int
    depth: int
    starts: int


def deflated_slq(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    by: DeflatedBy = "lanczos",
    rank: int = 10,
    share: float = 0.5,
    steps: int = 20,
) -> Estimate:
    """Take C eigenpairs of the largest magnitude out of the operator, and run SLQ on what is left.

    The C values, Rayleigh quotients, enter with mass 1/n each. The starts are uniform on the complement of their
    vectors Y, where the operator is (I - Y Y^T) A; their quadratures share the other (n - C)/n. So the outliers, which
    rule the variance of SLQ and take its first nodes, cost it neither.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products; fewer than `steps`, and with `simultaneous` fewer than C more, stay unspent.
        generator: Source of the starts.
        by: `lanczos` or `simultaneous`, see `deflate`.
        rank: Number C of eigenpairs, as far as n holds them; the document takes the number of classes.
        share: Part of the budget that may be spent on the deflation, above 0 and below 1; at least C products are, and
            at least one start is left.
        steps: Lanczos steps of each start.

    Returns:
        (nodes, weights), the weights summing to one, first the C values, and from which start each node is; in `also`
        the trace, with its standard error over the starts. What a function of the matrix is off by because the C pairs
        have not converged, or because of few steps, is in no standard error; the trace is unbiased whatever they are.
        Diagnostics: `starts`; `residual`, the largest ||A y - theta y||.

    Cost:
        With `lanczos` share * num_matvecs calls of width 1, with `simultaneous` share * num_matvecs / C of width C;
        then min(steps, n - C) calls of the width of the starts, each followed by 4 n C multiplications a column.

    Raises:
        ValueError: If `num_matvecs` is below C + min(steps, n - C), or another argument is out of range.

    Source:
        Papyan, The full spectrum of deep net Hessians at scale (2018), arXiv:1811.07062, algorithm 5; Rayleigh
        quotients in place of its norms.
    """
    check_at_least("rank", rank, 1)
    check_at_least("steps", steps, 1)
    check_share(share)
    check_at_least("num_matvecs", num_matvecs, _least(op.dim, rank=rank, steps=steps))
    split = _split(op.dim, num_matvecs, rank, share, steps)
    found = deflate(op, by, rank, split.deflation, generator)
    n, taken = op.dim, found.values.size
    starts = (num_matvecs - found.spent) // split.depth if split.depth else 0
    rules: list[tuple[Array, Array]] = []
    if starts:
        largest = float(np.abs(found.values).max())
        inner = outside_operator(op, found.vectors)
        rules = rules_outside(inner, found.vectors, starts, split.depth, generator, scale=largest)
    said = {"starts": starts, "residual": found.residual}
    known = found.values, np.full(taken, 1 / n)
    return put_together(n, known, float(found.values.sum()), taken, rules, said)


def _split(dim: int, num_matvecs: int, rank: int, share: float, steps: int) -> DeflationSplit:
    count = min(rank, dim)
    depth = min(steps, dim - count)
    deflation = max(count, min(int(share * num_matvecs), num_matvecs - depth))
    return DeflationSplit(deflation, depth, (num_matvecs - deflation) // depth if depth else 0)


def _least(dim: int, *, rank: int, steps: int, **_: object) -> int:
    count = min(rank, dim)
    return count + min(steps, dim - count)


def _widths(num_matvecs: int, *, by: str, rank: int, share: float, steps: int, **_: object) -> tuple[int, ...]:
    split = _split(_ANY_DIM, num_matvecs, rank, share, steps)
    spent = split.deflation if by == "lanczos" else split.deflation // rank * rank
    first = 1 if by == "lanczos" else min(rank, num_matvecs)
    return tuple(sorted({first, max(1, (num_matvecs - spent) // split.depth)}))


def _footprint(dim: int, num_matvecs: int, *, by: str, rank: int, share: float, steps: int, **_: object) -> Footprint:
    split = _split(dim, num_matvecs, rank, share, steps)
    count, depth, starts = min(rank, dim), split.depth, split.starts
    before = deflation_footprint(dim, by, rank, split.deflation)
    after = starts * (depth * (depth + 1) + (18.0 + 2 * count) * depth)
    held = max(before.vectors, count + starts * (depth + 6.0))
    return Footprint(vectors=held, passes=before.passes + after)


DEFLATED_SLQ = Method(
    name="deflated-slq",
    run=deflated_slq,
    estimands=(Density, Trace),
    citation=(
        "Papyan, The full spectrum of deep net Hessians at scale: dynamics with sample size (2018), arXiv:1811.07062"
    ),
    version="1",
    min_matvecs=_least,
    block_widths=_widths,
    footprint=_footprint,
    presets=("deflated-slq", "deflated-slq[by=simultaneous]"),
)
