"""The diagonal of a sketched range exactly, and of the rest from probes: one-sided, so that no cross term is lost."""

from __future__ import annotations

import torch

from hessbench.estimand import Diagonal, Estimate
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.diagonal.entry_fits import norm_stderr
from hessbench.methods.probes import sketched_range, sketched_widths
from hessbench.methods.small_dense import freedom
from hessbench.operators import LinearOperator


def diagpp(op: LinearOperator, /, *, num_matvecs: int, generator: torch.Generator) -> Estimate:
    """Diag++: diag(Q Q^T A) exactly, and the mean of g * (I - Q Q^T) A g over sign probes for what is left.

    Of a budget m, s = m // 3 products (at most n) sketch the range with signs, s more give Q^T A on its orthonormal
    basis Q, and the remaining m - 2 s go to probes. Unbiased: the two-sided form, with (I - Q Q^T) A (I - Q Q^T),
    loses the cross terms Q Q^T A (I - Q Q^T). Exact, up to rounding, for an operator of rank at most s.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Products, at least 3; 2 n are spent where s reaches n.
        generator: Source of the signs.

    Returns:
        The diagonal, shape (n,), from two probes on with the standard error of its 2-norm over them, 0 where the sketch
        is the whole space. Diagnostics: `sketched` and `probes`, the two numbers of columns.

    Cost:
        num_matvecs products in 2 calls, of widths s and m - s; own work about 4 s^2 n for QR and 4 s (m - 2 s) n for
        the projections.

    Raises:
        ValueError: If `num_matvecs` is below 3.

    Source:
        Baston and Nakatsukasa, Stochastic diagonal estimation: probabilistic bounds and an improved algorithm (2022),
        arXiv:2201.10684.
    """
    check_at_least("num_matvecs", num_matvecs, 3)
    Q, G = sketched_range(op, num_matvecs, generator)
    s, probes = Q.shape[1], G.shape[1]
    products = op.matmat(torch.cat([Q, G], dim=1)).detach()
    known, said = (Q * products[:, :s]).sum(dim=1), {"sketched": s, "probes": probes}
    if not probes:
        return Estimate(known, stderr=0.0, diagnostics=said)
    AG = products[:, s:]
    rest = G * (AG - Q @ (Q.T @ AG))
    value = known + rest.mean(dim=1)
    return Estimate(value, stderr=norm_stderr(rest), stderr_dof=freedom(probes), diagnostics=said)


def _footprint(dim: int, num_matvecs: int, **_: object) -> Footprint:
    s = min(num_matvecs // 3, dim)
    return Footprint(vectors=3.0 * (num_matvecs - s), passes=2.0 * s * s + 10.0 * num_matvecs)


DIAGPP = Method(
    name="diagpp",
    run=diagpp,
    estimands=(Diagonal,),
    citation=(
        "Baston and Nakatsukasa, Stochastic diagonal estimation: probabilistic bounds and an improved algorithm "
        "(2022), arXiv:2201.10684"
    ),
    version="1",
    min_matvecs=3,
    block_widths=sketched_widths,
    footprint=_footprint,
)
