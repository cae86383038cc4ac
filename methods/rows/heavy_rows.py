"""Trace, diagonal and spectrum of a GGN from its heaviest rows, the heaviest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array, Density, Diagonal, Estimate, TopEigenspace, TopEigenvalues, Trace
from hessbench.estimand.base import Estimand
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Which, check_at_least, count_of
from hessbench.methods.rows.flat_check import check_flat, check_products
from hessbench.methods.rows.growing_chunks import largest_chunk, next_chunk, row_widths
from hessbench.methods.rows.parted import Split, WithRows, split
from hessbench.methods.rows.ranking import Ranking, ranked
from hessbench.methods.rows.row_gram import RowGram


def heavy_rows(
    op: WithRows,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    chunk: int = 16,
    spectrum: bool = False,
    k: int | None = None,
    which: Which = "magnitude",
) -> Iterator[Estimate]:
    """The sum of the heaviest rows' outer products: G = sum_r b_r b_r^T, rows ranked by their roots, see `ranked`.

    Each row adds a positive semi-definite matrix: what stands after any number of them is a lower bound of the trace,
    of each diagonal entry and of each eigenvalue, by no statistics. There is no upper bound: a forward pass knows
    ||s_r|| and not ||b_r|| = ||J_i^T s_r||, and J_i is bounded by nothing that is known. Eigenpairs are those of the
    rows' Gram matrix, (B B^T) B u = theta B u. The density is theirs with zeros up to n; the mass of the rows left out
    stands at zero in it. The trace and diagonal of a Hessian G + R + c I are those of G and c where diag(R) = 0, which
    is checked.

    Args:
        op: GGN with rows, or a Hessian with parts and structure.
        num_matvecs: Most rows; what the next chunk takes may stay unspent. Of a Hessian, a column for two flat groups
            besides.
        generator: Source of the check of a Hessian; not used for a GGN.
        chunk: Rows made at once at first; later up to an eighth of those made, where they are short.
        spectrum: Keep the rows, for eigenvalues, their space and the density.
        k: Number of eigenvalues, 1 to n; by default 10, or as many as n and num_matvecs allow.
        which: Their order, `magnitude` or `algebraic`.

    Yields:
        After each chunk the trace so far, and in `also` the rest. `converged` and a standard error of 0 when all rows
        that weigh more than rounding are made. Diagnostics: `lower_bound` of the trace; `rows` made; `left_share` of
        sum_r ||s_r||^2 in those that are not; `null_rows`, at or below rounding, which are never made.

    Cost:
        A forward pass, and a forward pass and a VJP of one sample for each row; with `spectrum` r^2 n multiplications
        and r vectors. Of a Hessian, a forward pass and one residual product over one sample for every two flat groups.

    Raises:
        ValueError: If an argument is out of range, an output is not finite, or a Hessian's diag(R) is not shown to be
            0 everywhere, or not 0 where it is claimed to be.

    Source:
        G = J^T Lambda J by rows: Schraudolph, Neural Comput. 14 (2002), doi:10.1162/08997660260028683; its spectrum
        from the Gram matrix of rows: Dangel, Tatzel and Hennig, ViViT (2021), arXiv:2106.02624, who take them all.
    """
    check_at_least("chunk", chunk, 1)
    check_at_least("num_matvecs", num_matvecs, chunk)
    count = count_of(k, op.dim, num_matvecs) if spectrum else 1
    if which == "smallest":
        raise ValueError("which must be magnitude or algebraic, got 'smallest'")
    parts = split(op)
    spent = check_all_flat(op, parts, num_matvecs, chunk, generator)
    ranking = ranked(parts.rows, op.dtype)
    diagonal = torch.full((op.dim,), parts.shift, dtype=torch.float64, device=op.device)
    gram = RowGram() if spectrum else None
    made = 0
    while made < ranking.weighing:
        start, made = made, min(made + next_chunk(chunk, made, op.dim), ranking.weighing)
        if spent + made > num_matvecs:
            return
        B = parts.rows(torch.from_numpy(ranking.order[start:made]))
        diagonal = diagonal.clone()
        for b in B.unbind(dim=1):  # each is read once, and squared in float64
            diagonal.addcmul_(b, b)
        if gram is not None:
            gram.append(B)
        so_far = _SoFar(diagonal, made, ranking, gram, count)
        yield Estimate(value=partial(_trace, so_far))


def check_all_flat(op: WithRows, parts: Split, num_matvecs: int, chunk: int, generator: torch.Generator) -> int:
    """Refuse a Hessian whose diagonal is not that of its GGN; products spent on the check.

    Args:
        op: GGN or Hessian.
        parts: What it is made of.
        num_matvecs: The whole budget.
        chunk: Rows that it must hold besides.
        generator: Source of the check.

    Raises:
        ValueError: If diag(R) is not shown to be 0 everywhere, the budget does not hold the check and a chunk of rows,
            or the check fails.
    """
    if parts.structure is None or parts.parts is None:
        return 0
    curved = int((~parts.structure.flat).sum())
    if curved:
        raise ValueError(
            f"op must be a Hessian with the diagonal of its GGN, but {curved} of {op.dim} parameters may have another: "
            "split-trace and split-diagonal take it"
        )
    spent = check_products(parts.structure)
    check_at_least("num_matvecs", num_matvecs, spent + chunk)
    check_flat(parts.parts.residual, parts.structure, parts.rows.num_samples, generator)
    return spent


@dataclass(frozen=True, eq=False)
class _SoFar:
    """What stands after a number of rows."""

    diagonal: Tensor
    made: int
    ranking: Ranking
    gram: RowGram | None
    count: int

    @property
    def is_whole(self) -> bool:
        return self.made == self.ranking.weighing

    @property
    def stderr(self) -> float | None:
        return 0.0 if self.is_whole else None


def _trace(so_far: _SoFar) -> Estimate:
    trace = float(so_far.diagonal.sum())
    said = {
        "lower_bound": trace,
        "rows": so_far.made,
        "left_share": so_far.ranking.left_share(so_far.made),
        "null_rows": so_far.ranking.null_rows,
    }
    return Estimate(trace, stderr=so_far.stderr, converged=so_far.is_whole, diagnostics=said, also=_others(so_far))


def _others(so_far: _SoFar) -> dict[type[Estimand], Estimate]:
    done, stderr = so_far.is_whole, so_far.stderr
    found: dict[type[Estimand], Estimate] = {Diagonal: Estimate(so_far.diagonal, stderr=stderr, converged=done)}
    if so_far.gram is None:
        return found
    return found | {
        TopEigenvalues: Estimate(partial(_eigenvalues, so_far), converged=done),
        TopEigenspace: Estimate(partial(_eigenspace, so_far), converged=done),
        Density: Estimate(partial(_density, so_far), converged=done),
    }


def _eigenvalues(so_far: _SoFar) -> Array:
    assert so_far.gram is not None
    values = so_far.gram.eigenvalues(so_far.made)[: so_far.count]
    # All others are 0 where every row is made; before that they are not known.
    return np.pad(values, (0, so_far.count - values.size)) if so_far.is_whole else values


def _eigenspace(so_far: _SoFar) -> Tensor:
    assert so_far.gram is not None
    return so_far.gram.pairs(so_far.made, so_far.count).vectors


def _density(so_far: _SoFar) -> tuple[Array, Array]:
    assert so_far.gram is not None
    dim = so_far.diagonal.numel()
    values = so_far.gram.eigenvalues(so_far.made)
    zeros = dim - values.size
    weights = np.full(values.size + (zeros > 0), 1 / dim)
    if not zeros:
        return values, weights
    weights[-1] = zeros / dim
    return np.append(values, 0.0), weights


def _refuses(kind: type[Estimand], *, which: str = "magnitude", **_: object) -> str:
    del kind
    return "the largest rows tell nothing of the smallest eigenvalues" if which == "smallest" else ""


def _least(dim: int, *, chunk: int, k: int | None = None, **_: object) -> int:
    return max(chunk, min(k or 1, dim))


def _footprint(dim: int, num_matvecs: int, *, chunk: int, spectrum: bool, **_: object) -> Footprint:
    kept = num_matvecs if spectrum else 0
    at_once = largest_chunk(chunk, num_matvecs, dim)
    return Footprint(vectors=2.0 * at_once + 4 + kept, passes=3.0 * num_matvecs + 0.5 * kept * kept)


CITATION: Final = (
    "Schraudolph, Fast curvature matrix-vector products for second-order gradient descent, Neural Comput. 14 (2002) "
    "1723-1738, doi:10.1162/08997660260028683; Dangel, Tatzel and Hennig, ViViT: Curvature access through the "
    "generalized Gauss-Newton's low-rank structure (2021), arXiv:2106.02624"
)

HEAVY_ROWS = Method(
    name="heavy-rows",
    run=heavy_rows,
    estimands=(Trace, Diagonal, TopEigenvalues, TopEigenspace, Density),
    requires=("rows",),
    also_takes={Trace: "parts", Diagonal: "parts"},
    works_by="rows",
    refuses=_refuses,
    citation=CITATION,
    version="2",
    min_matvecs=_least,
    block_widths=row_widths,
    footprint=_footprint,
)
