"""The sum of the squares of all rows from some of them: heavy ones for certain, then draws among the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array
from hessbench.methods.arguments import check_at_least, check_inside
from hessbench.methods.rows.growing_chunks import next_chunk
from hessbench.methods.rows.ordered_draws import OrderedEstimate, draw, ordered_estimate, precision_weights
from hessbench.methods.rows.ranking import Ranking, ranked
from hessbench.methods.rows.row_sizes import row_sizes
from hessbench.operator_parts import Rows
from hessbench.operator_protocol import LinearOperator

_LEFT_TO_DRAWS: Final = 1e-3
"""Share of the squares that is drawn from in any case, so that an interval comes before the last row."""


@dataclass(frozen=True, eq=False)
class SampledSum:
    """What a number of rows says of all of them.

    Attributes:
        known: Sum of the squares of the entries of the rows made, (n,).
        weighted: sum_k w_k t_k of the draws, t_k (n,) the estimate of the diagonal by draw k.
        terms: Traces of the t_k, (m,).
        weights: w_k, (m,).
        extreme: What the first draw would have come to with the largest ||b_r||^2 / ||s_r||^2 that was seen.
        diagonal_variance: Second moment of the error of the diagonal, summed over its entries; infinite before a draw.
        made: Rows made.
        ranking: All rows.
    """

    known: Tensor
    weighted: Tensor
    terms: Array
    weights: Array
    extreme: float
    diagonal_variance: float
    made: int
    ranking: Ranking

    @property
    def is_whole(self) -> bool:
        """Whether every row that weighs more than rounding is made."""
        return self.made == self.ranking.weighing

    @property
    def lower_bound(self) -> float:
        """Trace of the rows made, which none of the others can lower."""
        return float(self.known.sum())

    @property
    def diagonal(self) -> Tensor:
        """The diagonal in float64, (n,): exact with all rows, unbiased from the first draw on, a lower bound before."""
        if self.is_whole or not self.terms.size:
            return self.known
        return self.weighted / float(self.weights.sum())

    @property
    def trace(self) -> OrderedEstimate | None:
        """The trace; None before the first draws."""
        if self.is_whole:
            return OrderedEstimate(self.lower_bound, 0.0, np.inf)
        return ordered_estimate(self.terms, self.weights, self.extreme) if self.terms.size > 1 else None


@final
class RowSampler:
    """Makes rows chunk by chunk: first those that are certain, then draws without replacement among all others.

    A row is certain while its chance in `draws` draws from it and the lighter ones would be 1 or more, and at most
    until the rest holds a thousandth of sum ||s_r||^2. The chances of a chunk go by `row_sizes` of the rows before it.

    Args:
        rows: The rows.
        op: Their operator.
        generator: Source of the draws.
        chunk: Rows made at once at first; later up to an eighth of those made or drawn, see `next_chunk`.
        draws: Number of draws in which a certain row would be expected once.
        pilot: Draws that only count until there are others, so that who decides by them how many others there are
            makes no bias.

    Cost:
        One forward pass.
    """

    def __init__(
        self, rows: Rows, op: LinearOperator, generator: torch.Generator, *, chunk: int, draws: int, pilot: int = 0
    ) -> None:
        self._rows = rows
        self._generator = generator
        self._chunk = chunk
        self._pilot = pilot
        self._left_out = 0
        self.ranking = ranked(rows, op.dtype)
        self.certain = _certain(self.ranking, chunk, draws)
        ordered = self.ranking.squares[: self.ranking.weighing]
        rest = ordered[self.certain :]
        self._weights = precision_weights(rest, rest.size) if rest.size else np.zeros(0)
        self._squares = np.zeros(self.ranking.order.size)
        self._squares[self.ranking.order[: ordered.size]] = ordered
        self._norms = np.zeros(self._squares.size)
        self._seen = self._squares <= 0
        self._seen[self.ranking.order[ordered.size :]] = True
        self._terms: list[Array] = []
        self._made = 0
        self._known = torch.zeros(op.dim, dtype=torch.float64, device=op.device)
        self._weighted = torch.zeros_like(self._known)
        self._moments = 0.0

    @property
    def width(self) -> int:
        """Rows of the next chunk; 0 when all are made.

        It follows from numbers of rows alone, so that no draw has a say in how many are drawn by the same chances.
        """
        is_certain = self._made < self.certain
        end = self.certain if is_certain else self.ranking.weighing
        before = self._made if is_certain else self.drawn
        return min(next_chunk(self._chunk, before, self._known.numel()), end - self._made)

    @property
    def drawn(self) -> int:
        """Draws made."""
        return max(self._made - self.certain, 0)

    @property
    def next_weight(self) -> float:
        """Sum of the weights after the next chunk, of draws; infinite where it is the last."""
        width = self.width
        if self._made + width >= self.ranking.weighing:
            return np.inf
        return float(self._weights[self._left_out : self.drawn + width].sum())

    def step(self) -> SampledSum:
        """Make the next chunk."""
        if self._made < self.certain:
            self._take(self.ranking.order[self._made : self._made + self.width])
        else:
            if self._pilot and self.drawn == self._pilot:
                self._terms, self._moments, self._left_out = [], 0.0, self._pilot
                self._weighted = torch.zeros_like(self._known)
            self._draw(self.width)
        weights = self._weights[self._left_out : self.drawn]
        total = float(weights.sum())
        return SampledSum(
            known=self._known,
            weighted=self._weighted,
            terms=np.concatenate([np.zeros(0), *self._terms]),
            weights=weights,
            extreme=self._extreme(),
            diagonal_variance=0.0 if not self.width else self._moments / total**2 if total else np.inf,
            made=self._made,
            ranking=self.ranking,
        )

    def _extreme(self) -> float:
        first = self.ranking.order[: self.certain]
        seen = self._seen & (self._squares > 0)
        largest = float((self._norms[seen] / self._squares[seen]).max(initial=0.0))
        return float(self._norms[first].sum()) + largest * float(self.ranking.squares[self.certain :].sum())

    def _take(self, numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Tensor:
        """Make rows and add them to what is known; the squares of their entries (r, n)."""
        squares = self._rows(torch.from_numpy(numbers)).T.double()
        squares = squares * squares
        self._norms[numbers] = squares.sum(dim=1).cpu().numpy()
        self._seen[numbers] = True
        self._made += numbers.size
        self._known = self._known + squares.sum(dim=0)
        return squares

    def _draw(self, width: int) -> None:
        """Draw rows; t_k is what was known, the draws before k in this chunk, and draw k over its chance."""
        sizes = row_sizes(self._squares, self._norms, self._seen, self.ranking.per_sample)
        left = np.flatnonzero(~self._seen)
        drawn = draw(sizes[left], width, self._generator)
        numbers = left[drawn.places]
        before, known_trace = self._known, float(self._known.sum())
        weights = self._weights[self.drawn : self.drawn + width]
        squares = self._take(numbers)
        norms = self._norms[numbers]
        self._terms.append(known_trace + norms.cumsum() - norms + norms * drawn.inverse_chances)
        later = weights.sum() - weights.cumsum()
        shares = torch.from_numpy(later + weights * drawn.inverse_chances).to(squares)
        self._weighted = self._weighted + float(weights.sum()) * before + shares @ squares
        scaled = torch.from_numpy(weights * drawn.inverse_chances).to(squares)
        self._moments += float(torch.linalg.vector_norm(squares, dim=1).square() @ scaled.square())


def _certain(ranking: Ranking, chunk: int, draws: int) -> int:
    """Rows that are made for certain: whole chunks, and all where hardly more than a chunk would be left."""
    squares = ranking.squares[: ranking.weighing]
    tails = squares[::-1].cumsum()[::-1]
    goes_on = (squares * draws >= tails) & (tails > _LEFT_TO_DRAWS * tails[0])
    count = squares.size if goes_on.all() else int(np.argmin(goes_on))
    count = -(-count // chunk) * chunk
    return squares.size if squares.size - count <= 2 * chunk else count


def check_arguments(chunk: int, draws: int, confidence: float) -> None:
    """Refuse what is out of range.

    Raises:
        ValueError: If an argument is.
    """
    check_at_least("chunk", chunk, 1)
    check_at_least("draws", draws, 1)
    check_inside("confidence", confidence, 0.0, 1.0)
