"""A diagonal as the fits y = d x through the origin, entry by entry, and the standard error of its 2-norm."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hessbench.estimand import Estimate
from hessbench.methods.small_dense import freedom


@dataclass(frozen=True)
class EntryFits:
    """Least squares fits of y = d x for each of n entries, over the samples so far.

    Of the products Y = A X with random probes, entry i of a row is d_i x_i and noise that is free of x_i, so that the
    least squares slope sum x y / sum x^2 is the estimator of Bekas, Kokiopoulou and Saad; with signs it is the mean of
    x y. Its variance is that of the noise over sum x^2, the noise having the sum of squared residuals over one less
    than the number of samples.

    Attributes:
        above: sum x y, shape (n,).
        below: sum x^2, shape (n,), or their number, where each is one.
        residuals: Root of the sum of (y - d x)^2, shape (n,).
        samples: Their number.
    """

    above: Tensor
    below: Tensor | float
    residuals: Tensor
    samples: int

    def estimate(self) -> Estimate:
        """The slopes, from two samples on with the standard error of their 2-norm, see `norm_stderr`."""
        value = self.above / self.below
        if self.samples < 2:
            return Estimate(value)
        each = self.residuals / self.below**0.5
        stderr = float(torch.linalg.vector_norm(each, dtype=torch.float64)) / (self.samples - 1) ** 0.5
        return Estimate(value, stderr=stderr, stderr_dof=freedom(self.samples))


def joined(one: EntryFits | None, other: EntryFits) -> EntryFits:
    """The fits over the samples of both, in new memory; `other` where there is nothing to join it with.

    Source:
        Chan, Golub and LeVeque, Am. Stat. 37 (1983), doi:10.1080/00031305.1983.10483115, with weights.
    """
    if one is None:
        return other
    below = one.below + other.below
    apart = (one.above / one.below - other.above / other.below).abs()
    apart *= (one.below / below * other.below) ** 0.5
    residuals = one.residuals.hypot(other.residuals).hypot(apart)
    return EntryFits(one.above + other.above, below, residuals, one.samples + other.samples)


def fits_of_samples(D: Tensor) -> EntryFits:
    """The fits where every x is a sign or one: the means of the samples x y, columns of D, shape (n, b)."""
    width = D.shape[1]
    residuals = D.std(dim=1, correction=0) * width**0.5
    return EntryFits(D.sum(dim=1), float(width), residuals, width)


def fits_of_pairs(X: Tensor, Y: Tensor) -> EntryFits:
    """The fits over the columns of X and Y, both of shape (n, b)."""
    above, below = (X * Y).sum(dim=1), (X * X).sum(dim=1)
    left = torch.addcmul(Y, X, (above / below).unsqueeze(1), value=-1)
    return EntryFits(above, below, torch.linalg.vector_norm(left, dim=1), X.shape[1])


def norm_stderr(D: Tensor) -> float | None:
    """Standard error of the mean of independent samples of a diagonal, in the 2-norm; None for a single one.

    It is the root of the summed variances of the entries, and so the root of the mean square of the 2-norm of the
    error. Of a Gaussian error that norm is within half the width of the interval that it stands for at least as often
    as the confidence says, from 79 % on, and far more often where many entries err independently: a quadratic form of
    mean 1 exceeds x > 1.5364 most often where it is the square of one normal number.

    Args:
        D: Samples as columns, shape (n, k).

    Source:
        Szekely and Bakirov, Probab. Theory Relat. Fields 126 (2003), doi:10.1007/s00440-003-0262-6.
    """
    k = D.shape[1]
    if k < 2:
        return None
    return float(torch.linalg.vector_norm(D.std(dim=1), dtype=torch.float64)) / k**0.5
