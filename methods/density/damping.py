"""Quadratures of a truncated Chebyshev series, and damping factors against its Gibbs oscillations.

Which kernels are non-negative, and so make a non-negative density of any moments of a measure: Jackson's and Lorentz';
Lanczos' is not.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import numpy as np
import scipy.fft

from hessbench.estimand.base import Array
from hessbench.methods.arguments import check_at_least, check_choice

Damping: TypeAlias = Literal["jackson", "lorentz", "lanczos"]
_DECAY: Final = 4.0  # of Lorentz' kernel; 3 to 5 are in use


def damping_factors(damping: str, count: int) -> Array:
    """Damping factors g_0 = 1 to g_(count-1) by the name of their kernel.

    Raises:
        ValueError: If the name is another, or `count` below 1.
    """
    check_choice("damping", damping, get_args(Damping))
    check_at_least("count", count, 1)
    return {"jackson": jackson_kernel, "lorentz": lorentz_kernel, "lanczos": lanczos_kernel}[damping](count)


def jackson_kernel(count: int) -> Array:
    """Jackson's factors: of all non-negative kernels the narrowest, an eigenvalue widened to about pi / count.

    Source:
        Weisse, Wellein, Alvermann and Fehske, Rev. Mod. Phys. 78 (2006), doi:10.1103/RevModPhys.78.275, II.C.
    """
    k = np.arange(count)
    angle = np.pi / (count + 1)
    return ((count - k + 1) * np.cos(k * angle) + np.sin(k * angle) / np.tan(angle)) / (count + 1)


def lorentz_kernel(count: int) -> Array:
    """Lorentz' factors sinh(4 (1 - k / count)) / sinh(4): non-negative, a point becomes a Lorentzian of 4 / count.

    Its tails are heavier than Jackson's. The decay 4 is within the 3 to 5 of the source.

    Source:
        Weisse, Wellein, Alvermann and Fehske, Rev. Mod. Phys. 78 (2006), doi:10.1103/RevModPhys.78.275, II.C.
    """
    return np.sinh(_DECAY * (1 - np.arange(count) / count)) / np.sinh(_DECAY)


def lanczos_kernel(count: int) -> Array:
    """Lanczos' sigma factors sin(a k) / (a k), a = pi / count: narrower than Jackson's, and not non-negative.

    Source:
        Lanczos, Applied Analysis (1956); Lin, Saad and Yang, SIAM Rev. 58 (2016), doi:10.1137/130934283.
    """
    return np.sinc(np.arange(count) / count)


def chebyshev_quadrature(moments: Array) -> tuple[Array, Array]:
    """Gauss-Chebyshev quadrature of the series of moments (m,): 2 m nodes in [-1, 1], and weights of any sign.

    The weights sum to the first moment, and give back every moment. The sum of a function over it is that of its
    Chebyshev series, cut after m terms, under the measure whose moments they are.
    """
    count = moments.size
    points = 2 * count
    padded = np.zeros(points)
    padded[:count] = moments
    series = np.asarray(scipy.fft.dct(padded, type=3), dtype=np.float64)
    x = np.cos(np.pi * (np.arange(points) + 0.5) / points)
    return x[::-1].copy(), (series / points)[::-1].copy()
