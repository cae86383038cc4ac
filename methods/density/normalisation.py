"""The document's NORMALIZATION: bounds of a spectrum by a few Lanczos steps, and the operator mapped to [-1, 1]."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch

from hessbench.estimand import Array
from hessbench.methods.arguments import check_at_least, check_choice
from hessbench.methods.density.lanczos_density import Margins, residual_bounds
from hessbench.methods.krylov.recurrence import lanczos_steps
from hessbench.methods.krylov.tridiagonal import first_block, tridiagonal_values
from hessbench.methods.probes import draw_direction
from hessbench.operators import LinearOperator
from hessbench.transforms import normalised


@dataclass(frozen=True)
class Normalisation:
    """An operator mapped to [-1, 1], and what was taken for the ends of its spectrum.

    Attributes:
        operator: (A - c I) / d with c the middle of the interval and d half its width.
        low: Lower end, margin included.
        high: Upper end, margin included.
        spent: Products.
    """

    operator: LinearOperator
    low: float
    high: float
    spent: int


def normalise(
    op: LinearOperator,
    /,
    *,
    generator: torch.Generator,
    steps: int = 64,
    margin: float = 0.05,
    margins: Margins = "recurrence",
) -> Normalisation:
    """Bound the spectrum by Lanczos without reorthogonalisation, and map it to [-1, 1].

    The extreme Ritz values are moved out by their residuals, and then by `margin` of the width between them. The
    document writes the residual as ||(H - theta I) y|| with y an eigenvector of the small matrix, which has another
    length than H has rows; the two readings that make sense are the two `margins`. Neither is a bound that holds: a
    residual says that some eigenvalue is near, not that none is beyond. `outside_share` and `find_escape` check.

    Args:
        op: Symmetric operator of dimension n; hand in a `CountingOperator` and every product is charged.
        generator: Source of the start.
        steps: The document's M_0, at least 1; no more than n are made.
        margin: The document's kappa, 0 or more.
        margins: `recurrence`, |beta_m s_m|, which is the residual while the basis is orthogonal and costs nothing; or
            `explicit`, ||A y - theta y|| with y the Ritz vector of length n, which costs two more products and a basis.

    Cost:
        min(steps, n) products one at a time, and for `explicit` one call of width 2; 3 vectors, or `steps` + 2.

    Raises:
        ValueError: If an argument is out of range, or the products are not finite or show a multiple of the identity.

    Source:
        Papyan, The full spectrum of deep net Hessians at scale (2018), arXiv:1811.07062, algorithm 4.
    """
    check_at_least("steps", steps, 1)
    check_choice("margins", margins, get_args(Margins))
    if not (math.isfinite(margin) and margin >= 0):
        raise ValueError(f"margin must be at least 0 and finite, got {margin}")
    made = min(steps, op.dim)
    low, high = residual_bounds(op, made, draw_direction(op, generator), explicit=margins == "explicit")
    low, high = low - margin * (high - low), high + margin * (high - low)
    return Normalisation(normalised(op, low, high), low, high, made + 2 * (margins == "explicit"))


def outside_share(eigenvalues: Array, low: float, high: float, bound: float = 0.0) -> float:
    """How far a known spectrum leaves an interval, as a share of the spectrum's width; 0 where the interval holds it.

    Args:
        eigenvalues: All of them, any order.
        low: Lower end.
        high: Upper end.
        bound: Error bound of the eigenvalues, which is no escape.
    """
    least, most = float(eigenvalues.min()), float(eigenvalues.max())
    beyond = max(low - least, most - high, 0.0)
    return 0.0 if beyond <= bound else beyond / max(most - least, beyond)


def find_escape(
    op: LinearOperator, low: float, high: float, /, *, num_matvecs: int, generator: torch.Generator
) -> float:
    """Look for an eigenvalue outside an interval where the spectrum is not known: how far one is beyond, at least.

    A Ritz value of a fully reorthogonalised run never passes the end of the spectrum, so one outside the interval
    proves an escape; 0 proves nothing.

    Args:
        op: Symmetric operator of dimension n.
        low: Lower end.
        high: Upper end.
        num_matvecs: Most products, at least 1.
        generator: Source of a start, which should not be that of the interval.

    Cost:
        min(num_matvecs, n) products one at a time, and a basis of as many vectors.

    Raises:
        ValueError: If `num_matvecs` is below 1.
    """
    check_at_least("num_matvecs", num_matvecs, 1)
    beyond = 0.0
    start = draw_direction(op, generator)
    for T in lanczos_steps(op, start, reorth="full", num_steps=num_matvecs, generator=generator):
        values = tridiagonal_values(*first_block(*T.read()))
        beyond = max(beyond, low - float(values[0]), float(values[-1]) - high)
    return float(np.maximum(beyond, 0.0))
