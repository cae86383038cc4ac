"""How far the mean of quadratic forms of normal probes strays: bounds of its tails for any spectrum.

For x^T B x over k normal probes x, B symmetric. Among all spectra of one Frobenius norm a single eigenvalue has the
widest tails, so that those of a chi-squared variable bound them all.
"""

from __future__ import annotations

import math
from typing import Final

from scipy.special import gammaincinv

_NEWTON: Final = 60


def frobenius_share(probes: int, level: float) -> float:
    """The a for which the mean of ||B x||^2 over the probes is below a ||B||_F^2 with probability at most `level`.

    Args:
        probes: Number k of normal probes, at least 1.
        level: Probability, in (0, 1/2).

    Returns:
        The quantile of a gamma variable of shape k/2 and mean 1. Below its mean it has the heaviest lower tail among
        combinations of such variables of the same mean.

    Source:
        Roosta-Khorasani and Szekely, Schur properties of convolutions of gamma random variables (2016),
        arXiv:1601.04731; used so by Persson, Cortinovis and Kressner (2022), arXiv:2109.10659.
    """
    return float(gammaincinv(probes / 2, level)) / (probes / 2)


def deviation(probes: int, level: float) -> float:
    """The d for which the mean of x^T B x leaves tr B +- d ||B||_F with probability at most `level`.

    The same probability holds for leaving it at this number of probes or at any larger one.

    Args:
        probes: Number k of normal probes, at least 1.
        level: Probability, in (0, 1).

    Returns:
        The root of d - log(1 + d) = (2 / k) log(2 / level): Chernoff's bound for a chi-squared variable. That its
        exponent is largest for one eigenvalue follows from the series of -log(1 - 2 t l) / 2 - t l in l^2, which is
        convex; that it holds from k probes on, from Ville's inequality for exp(t sum - k psi(t)).

    Source:
        Cortinovis and Kressner, Found. Comput. Math. 22 (2022), arXiv:2005.10009, whose bound is this one with
        d - log(1 + d) replaced by d^2 / (2 + 2 d); Ville, Etude critique de la notion de collectif (1939).
    """
    c = 2 * math.log(2 / level) / probes
    d = c + math.sqrt(2 * c)  # above the root, from where Newton's steps on a convex function fall towards it
    for _ in range(_NEWTON):
        step = (d - math.log1p(d) - c) * (1 + d) / d
        d -= step
        if step <= 1e-14 * d:
            break
    return d
