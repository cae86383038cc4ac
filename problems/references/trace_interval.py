"""The trace of an operator in random signs, with a 99 % interval that holds whatever the spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import scipy.special  # scipy.stats would cost every process of a run a quarter of a second
import torch
from torch import Tensor

from hessbench.estimand.work import advance
from hessbench.operators import LinearOperator

LEVEL: Final = 0.99
"""Confidence of every interval."""

MEMORY: Final = 2**31


@dataclass(frozen=True)
class Effort:
    """How many products are spent.

    Attributes:
        sketch: Columns of the subspace whose part of the trace is computed exactly, 1 at least.
        samples: Probes of the rest of the trace, 2 at least.
        probes: Probes of a density, 2 at least.
        steps: Lanczos steps of each of them.
        memory: Bytes of a probe's basis; where it does not fit, Lanczos runs without reorthogonalisation.
    """

    sketch: int = 20
    samples: int = 100
    probes: int = 10
    steps: int = 80
    memory: int = MEMORY

    @property
    def trace_products(self) -> int:
        """Products of a trace."""
        return 2 * self.sketch + self.samples

    @property
    def density_products(self) -> int:
        """Products of a density."""
        return self.probes * self.steps


@dataclass(frozen=True)
class TraceInterval:
    """A trace, the half width of its 99 % interval, and the largest Ritz value met, which the norm is not below."""

    value: float
    half_width: float
    norm: float


def trace_interval(op: LinearOperator, generator: torch.Generator, effort: Effort) -> TraceInterval:
    """Trace with a 99 % interval: exact on the range of a sketch, Hutchinson on the rest.

    With Q an orthonormal basis of A S, S random signs, P = I - Q Q^T and B = P A P, the trace is tr Q^T A Q + tr B. The
    second part is the mean of z^T B z over random signs z that Q is independent of (Hutch++, Meyer et al. 2021,
    https://arxiv.org/abs/2010.09649).

    The variance of z^T B z is 2 V with V = sum_{i != j} b_ij^2. The coordinates x_i = z_i (B z)_i add up to z^T B z,
    and their own variances, sum_{j != i} b_ij^2, to V: it is taken from these, twice the sum of their sample variances.
    The variance of the sums themselves has the same mean and is far noisier where one eigenvalue of B stands out, and
    it is low when their mean is: an interval from it misses too often. The quantile is `sign_quantile`.

    Args:
        op: The operator, in float64.
        generator: Source of the signs.
        effort: How many products are spent.

    Cost: 2 sketch + samples products.

    Raises:
        ValueError: If the sketch is empty, or fewer than two samples are asked for.
    """
    if effort.sketch < 1 or effort.samples < 2:
        raise ValueError(f"sketch must be at least 1 and samples 2, got {effort.sketch} and {effort.samples}")
    width, n = min(effort.sketch, op.dim), effort.samples
    Q = torch.linalg.qr(op.matmat(random_signs(op.dim, width, generator))).Q
    advance(width, effort.trace_products)
    ritz = Q.T @ op.matmat(Q)
    exact, norm = float(ritz.trace()), float(torch.linalg.matrix_norm((ritz + ritz.T) / 2, 2))
    if width == op.dim:
        return TraceInterval(exact, 0.0, norm)
    mean, squares = torch.zeros(op.dim, dtype=torch.float64), torch.zeros(op.dim, dtype=torch.float64)
    done = 0
    for start in range(0, n, 20):
        advance(2 * width + start, effort.trace_products)
        Z = random_signs(op.dim, min(20, n - start), generator)
        X = op.matmat(Z - Q @ (Q.T @ Z))
        X.sub_(Q @ (Q.T @ X)).mul_(Z)
        # Chan's update: sums of squares about the mean, from which no digits cancel.
        count, here = X.shape[1], X.mean(dim=1)
        shift = here - mean
        squares += (X - here[:, None]).square_().sum(dim=1) + shift.square() * (done * count / (done + count))
        mean += shift * (count / (done + count))
        done += count
    variance = 2 * float(squares.sum()) / (n - 1)
    return TraceInterval(exact + float(mean.sum()), sign_quantile(n) * (variance / n) ** 0.5, norm)


def sign_quantile(samples: int) -> float:
    """Half width, in standard errors, of the 99 % interval of a mean of quadratic forms whose variance is estimated.

    The least favourable B has one eigenvalue, and where that is 1 the mean M is chi-squared / N with N degrees of
    freedom, N samples, and the variance found for it 2 M / N: the error in standard errors is (M - 1) / sqrt(2 M / N).
    With more eigenvalues it nears a normal distribution, for which Student's t allows. The larger quantile is taken.
    The first holds for normal probes, which signs in many coordinates are like; no B was found to be worse.
    """
    from scipy.optimize import brentq  # a tenth of a second, which few processes need

    student = float(scipy.special.stdtrit(samples - 1, (1 + LEVEL) / 2))

    def excess(c: float) -> float:
        # (M - 1) / sqrt(2 M / N) = -+c, a quadratic equation in sqrt(M).
        d = c / (2 * samples) ** 0.5
        low, high = ((d * d + 1) ** 0.5 - d) ** 2, ((d * d + 1) ** 0.5 + d) ** 2
        outside = scipy.special.chdtr(samples, samples * low) + scipy.special.chdtrc(samples, samples * high)
        return float(outside) - (1 - LEVEL)

    return max(student, cast("float", brentq(excess, 1.0, 1000.0)))


def random_signs(dim: int, width: int, generator: torch.Generator) -> Tensor:
    """Random signs (dim, width)."""
    return torch.randint(0, 2, (dim, width), generator=generator, dtype=torch.int8).mul_(2).sub_(1).to(torch.float64)
