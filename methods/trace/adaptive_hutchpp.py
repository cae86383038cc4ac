"""The trace to a stated tolerance and chance of failure: adaptive Hutch++."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor

from hessbench.estimand import Estimate, Trace
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least, check_inside
from hessbench.methods.probes import draw_normal
from hessbench.methods.small_dense import freedom, mean_and_stderr, to_host
from hessbench.methods.trace.normal_tails import deviation, frobenius_share
from hessbench.operators import LinearOperator

_LOST: Final = 0.5  # a column of norm 1 that keeps less than this after a second pass was rounding


def adaptive_hutchpp(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    epsilon: float = 0.01,
    delta: float = 0.05,
    relative: bool = True,
    block: int = 5,
) -> Estimate:
    """Hutch++ that decides itself how far to sketch and how many probes to draw, for an error of at most epsilon.

    First a basis Q of the range of A on normal probes grows by blocks, as long as a block saves more probes than it
    costs: a column of Q takes 2 products, and 4 log(4 / delta) / e^2 probes are needed for a unit of what remains of
    ||A||_F^2, with e the tolerance. Then normal probes are multiplied by B = (I - Q Q^T) A (I - Q Q^T), and at numbers
    of probes fixed beforehand, each two thirds of the next, it is asked whether tr(Q^T A Q) plus their mean is known to
    be within e of the trace: the mean of ||B x||^2 bounds ||B||_F, and that bounds the error of the mean. The chance of
    a wrong bound is delta / 2 for the norms, over all looks together, and delta / 2 for the error. So an answer said to
    have converged is wrong by more than epsilon with a probability of at most delta, rounding aside, whatever A is.

    Of the budget at most a third are columns of Q, so that an answer to which the budget does not suffice is still one
    of Hutch++.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least 3; fewer are spent where the tolerance is reached.
        generator: Source of the normal probes.
        epsilon: Tolerance, above 0: of |t - tr A| / |tr A|, below 1, or of |t - tr A| itself.
        delta: Chance of failure, between 0 and 1.
        relative: Whether the tolerance is relative to |tr A|; otherwise it is absolute, as in the paper.
        block: Columns multiplied at once.

    Returns:
        The trace, with the standard error of the probed rest and its degrees of freedom. `converged`: the tolerance was
        reached. Diagnostics: `sketched` columns and `probes`; `radius`, the bound of |t - tr A| at 1 - delta.

    Cost:
        2 s + k products of s sketched columns and k probes, in calls of width block; own work about 8 s^2 n + 4 s k n.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Persson, Cortinovis and Kressner, SIAM J. Matrix Anal. Appl. 43 (2022), arXiv:2109.10659. In blocks, whose
        first that is not worth its price ends the sketch; with exact chi-squared tails; with the looks counted.
    """
    check_at_least("num_matvecs", num_matvecs, 3)
    check_at_least("block", block, 1)
    check_inside("delta", delta, 0.0, 1.0)
    check_inside("epsilon", epsilon, 0.0, 1.0 if relative else math.inf)
    width = _width(op.dim, num_matvecs, block)
    price = math.sqrt(4 * math.log(4 / delta))
    sketch = _sketch(op, num_matvecs // 3 // width, width, generator, _Tolerance(epsilon, relative), price)
    if sketch.rank == op.dim:
        said = {"sketched": op.dim, "probes": 0, "radius": 0.0}
        return Estimate(sketch.trace, stderr=0.0, converged=True, diagnostics=said)
    blocks = (num_matvecs - 2 * sketch.basis.shape[1]) // width
    return _probe(op, sketch, _Looks(blocks, width, delta, every=relative), generator, _Tolerance(epsilon, relative))


class _Tolerance(NamedTuple):
    """What error is allowed."""

    epsilon: float
    relative: bool

    def at(self, trace: float) -> float:
        """The absolute error allowed for an estimate: |t - T| <= e |t| / (1 + e) implies |t - T| <= e |T|."""
        return self.epsilon / (1 + self.epsilon) * abs(trace) if self.relative else self.epsilon


@dataclass(frozen=True)
class _Sketch:
    """An orthonormal basis Q, with columns of zeros where the range had no further direction, and tr(Q^T A Q)."""

    basis: Tensor
    trace: float
    rank: int


def _sketch(
    op: LinearOperator, rounds: int, width: int, generator: torch.Generator, tolerance: _Tolerance, price: float
) -> _Sketch:
    """Sketch until a block saved fewer probes than it cost products, the range is exhausted, or `rounds` are done.

    How many probes a unit of ||B||_F^2 costs depends on the tolerance, and a relative one on the trace, of which the
    sketch's own probes give a first idea. It only shares out products: no bound rests on it.
    """
    basis = torch.empty(op.dim, 0, dtype=op.dtype, device=op.device)
    trace, rank, forms = 0.0, 0, 0.0
    for done in range(1, rounds + 1):
        Omega = draw_normal(op.dim, width, op, generator)
        Y = op.matmat(Omega).detach()
        new = _directions(Y, basis)
        Z = op.matmat(new).detach()
        old, own = basis.T @ Z, new.T @ Z
        # ||B||_F^2 = ||A||_F^2 - 2 ||A Q||_F^2 + ||Q^T A Q||_F^2 falls by this much.
        gain = 2 * (Z * Z).sum() - 2 * (old * old).sum() - (own * own).sum()
        said = torch.stack([own.trace(), (new * new).sum(), (Omega * Y).sum(), gain])
        along, directions, form, gained = said.cpu().double().tolist()
        basis = torch.cat([basis, new], dim=1)
        trace, forms = trace + along, forms + form
        if not math.isfinite(trace):
            break
        rank += round(directions)
        allowed = tolerance.at(forms / (done * width))
        worthwhile = price**2 * gained > 2 * width * allowed**2
        if directions < width - 0.5 or not worthwhile:
            break
    return _Sketch(basis, trace, rank)


def _directions(Y: Tensor, Q: Tensor) -> Tensor:
    """Orthonormal columns for what Y adds to the range of Q; zeros in place of one that adds only rounding."""
    n, eps = Y.shape[0], torch.finfo(Y.dtype).eps
    least = n**0.5 * eps * torch.linalg.vector_norm(Y, dim=0).max()
    basis, first = torch.linalg.qr(_outside(Q, Y))
    kept = first.diagonal().abs() > least
    # A second pass, on columns of norm 1, takes out what rounding left of Q in those that the first made small; of one
    # that was rounding alone it may leave nothing.
    basis, second = torch.linalg.qr(_outside(Q, basis) * kept)
    return (basis * (kept & (second.diagonal().abs() > _LOST))).contiguous()


class _Looks(NamedTuple):
    """At which numbers of blocks it is asked whether the tolerance is reached, and with which bounds.

    Fixed before the first probe, so that bounds at each of them hold together with the sum of their probabilities.
    """

    blocks: int
    width: int
    delta: float
    every: bool
    """Whether the error is bounded at every look; for a fixed tolerance the one bound holds from there on."""

    @property
    def places(self) -> list[int]:
        """Numbers of blocks, ascending: each about two thirds of the next."""
        places = [self.blocks]
        while places[-1] > 1:
            places.append(min(places[-1] - 1, math.ceil(places[-1] / 1.5)))
        return places[::-1]

    def radius(self, probes: int, mean_square: float) -> float:
        """Bound of the error of the mean of the forms, from the mean of ||B x||^2."""
        number = len(self.places)
        share = frobenius_share(probes, self.delta / 2 / number)
        norm = math.sqrt(mean_square / share) if share > 0 else math.inf if mean_square > 0 else 0.0
        return norm * deviation(probes, self.delta / 2 / (number if self.every else 1))


def _probe(
    op: LinearOperator, sketch: _Sketch, looks: _Looks, generator: torch.Generator, tolerance: _Tolerance
) -> Estimate:
    """Draw probes up to the first look at which the tolerance is reached, or the last."""
    Q, places = sketch.basis, set(looks.places)
    forms: list[Tensor] = []
    squares = torch.zeros((), dtype=op.dtype, device=op.device)
    answer = Estimate(float("nan"))
    for number in range(1, looks.blocks + 1):
        X = _outside(Q, draw_normal(op.dim, looks.width, op, generator))
        Y = _outside(Q, op.matmat(X).detach())
        forms.append(torch.linalg.vecdot(X, Y, dim=0))
        squares = squares + (Y * Y).sum()
        if number not in places:
            continue
        probes = number * looks.width
        said = {"sketched": sketch.rank, "probes": probes}
        mean_square = float(squares) / probes
        rest, stderr = mean_and_stderr(to_host(torch.cat(forms)))
        value = sketch.trace + rest
        if not (math.isfinite(mean_square) and math.isfinite(value)):
            return Estimate(float("nan"), diagnostics=said)
        radius = looks.radius(probes, mean_square)
        answer = Estimate(
            value,
            stderr=stderr,
            stderr_dof=freedom(probes),
            converged=radius <= tolerance.at(value),
            diagnostics={**said, "radius": radius},
        )
        if answer.converged:
            break
    return answer


def _outside(Q: Tensor, block: Tensor) -> Tensor:
    """(I - Q Q^T) times a block."""
    return block - Q @ (Q.T @ block)


def _width(dim: int, num_matvecs: int, block: int) -> int:
    return max(1, min(block, num_matvecs // 3, dim))


def _widths(num_matvecs: int, *, block: int, **_: object) -> tuple[int, ...]:
    return (_width(num_matvecs, num_matvecs, block),)


def _footprint(dim: int, num_matvecs: int, *, block: int, **_: object) -> Footprint:
    s = min(num_matvecs // 3, dim)
    return Footprint(vectors=2.0 * s + 5.0 * min(block, s), passes=6.0 * s * s + 4.0 * s * (num_matvecs - 2 * s))


ADAPTIVE_HUTCHPP = Method(
    name="adaptive-hutchpp",
    run=adaptive_hutchpp,
    estimands=(Trace,),
    citation=(
        "Persson, Cortinovis and Kressner, Improved variants of the Hutch++ algorithm for trace estimation, SIAM J. "
        "Matrix Anal. Appl. 43 (2022) 1162-1185, doi:10.1137/21M1447623, arXiv:2109.10659"
    ),
    version="1",
    min_matvecs=3,
    block_widths=_widths,
    footprint=_footprint,
)
