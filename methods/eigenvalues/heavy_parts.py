"""A matrix as S + E, S over the samples that carry weight, and the next S where E turned out too large."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, cast

import torch
from torch import Tensor

from hessbench.methods.eigenvalues.light_rows import light_rows, plus_rows
from hessbench.methods.eigenvalues.sample_weights import heaviest, sample_weights
from hessbench.methods.krylov.vectors import norm
from hessbench.methods.probes import draw_normal
from hessbench.operator_parts import Parted, Rowed, Sampled
from hessbench.operators import LinearOperator
from hessbench.transforms import shifted

_ALL: Final = 0.75
"""Share of the samples from which on all are taken: what is saved on the rest would go into bounding it."""


_NOISE: Final = 0.1
"""Size of the random part of a start beside Ritz vectors of a smaller set, which hold nothing of the new samples."""


class SampledOperator(LinearOperator, Sampled, Protocol):
    """A GGN or a Hessian that is a sum over samples."""


@dataclass(frozen=True, eq=False)
class HeavyPart:
    """S of A = S + E: some samples whole, and of a Hessian some rows of the GGN of the others.

    Attributes:
        op: A.
        kept: Numbers of the samples that are whole in S.
        dropped: Numbers of the others.
        rows: Numbers of the rows that are in S; None where there are none.
    """

    op: SampledOperator
    kept: Tensor
    dropped: Tensor
    rows: Tensor | None = None

    @property
    def num_rows(self) -> int:
        """Products that its rows take."""
        return 0 if self.rows is None else self.rows.numel()

    def split(self) -> tuple[LinearOperator, Callable[[], LinearOperator] | None]:
        """S, and what makes E; A itself and None where nothing is left.

        Cost: the rows. E is made when it is asked for, since an engine is built for it.
        """
        if not self.dropped.numel():
            return self.op, None
        part = shifted(self.op.subset(self.kept), 0.0 if is_ggn(self.op) else cast("Parted", self.op).parts.shift)
        if self.rows is None:
            return part, partial(self.op.subset, self.dropped)
        B = cast("Rowed", cast("Parted", self.op).parts.ggn).rows(self.rows)
        return plus_rows(part, B, 1.0), lambda: plus_rows(self.op.subset(self.dropped), B, -1.0)


def is_ggn(op: SampledOperator) -> bool:
    """Whether it is the sum of outer products of its rows, rather than a Hessian."""
    return hasattr(op, "rows")


def num_samples_of(op: SampledOperator) -> int:
    """Number N of samples. Cost: none."""
    ggn: object = op if is_ggn(op) else cast("Parted", op).parts.ggn
    return cast("Rowed", ggn).rows.num_samples


def heavy_parts(op: SampledOperator, k: int, dropped: float, *, takes_rows: bool) -> Iterator[HeavyPart]:
    """S for a share of the weight that may be left out, then for a tenth of that and a quarter more samples, and so on.

    Args:
        op: A.
        k: Number of eigenvalues that are asked for.
        dropped: Share of the weight that E has at first; 0 for all samples that weigh anything.
        takes_rows: Whether heavy rows of the GGN of a Hessian's other samples go into S; see `light_rows`.

    Cost: a forward pass, the first time.

    Raises:
        ValueError: If an output of the network is not finite.
    """
    weights = sample_weights(op)
    ranking = weights.argsort(descending=True, stable=True)
    nearly_all = _ALL * ranking.numel()
    size = least = 0
    while True:
        size = min(max(heaviest(weights, dropped), 5 * size // 4 + 1), ranking.numel())
        size = size if size < nearly_all else ranking.numel()
        found = light_rows(cast("Parted", op), dropped, k, least, size) if takes_rows and not is_ggn(op) else None
        if found is None or found.kept.numel() >= nearly_all:  # `size` is all of them then
            part = HeavyPart(op, ranking[:size], ranking[size:])
        else:
            part = HeavyPart(op, found.kept, found.dropped, found.rows)
        yield part
        dropped /= 10
        least = 5 * part.kept.numel() // 4 + 1


def restart_block(ritz: Tensor, width: int, op: LinearOperator, generator: torch.Generator) -> Tensor:
    """A start (n, width) of a run on more samples: in the space of the Ritz vectors of a smaller set, and noise beside.

    Args:
        ritz: The Ritz vectors, orthonormal columns (n, k).
        width: Columns.
        op: Whose dtype and device they have.
        generator: Source of the mixture and of the noise.
    """
    mixture = draw_normal(ritz.shape[1], width, op, generator)
    noise = draw_normal(ritz.shape[0], width, op, generator)
    return ritz @ (mixture / norm(mixture, dim=0)) + _NOISE * noise / norm(noise, dim=0)
