"""The trace from a sketched range and the quadratic forms outside of it: Hutch++."""

from __future__ import annotations

from typing import get_args

import torch

from hessbench.estimand import Estimate, Trace
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Probe, check_at_least, check_choice
from hessbench.methods.probes import sketched_range, sketched_widths
from hessbench.methods.small_dense import freedom, mean_and_stderr
from hessbench.operators import LinearOperator


def hutchpp(op: LinearOperator, /, *, num_matvecs: int, generator: torch.Generator, probe: Probe = "signs") -> Estimate:
    """Hutch++: the trace on a sketched range exactly, the rest by Hutchinson's estimator.

    Of a budget m, s = m // 3 products (at most n) sketch the range, s more give the trace on its orthonormal
    basis Q, and the remaining m - 2 s go to probes projected off Q: 6 + 6 + 8 of 20. Exact, up to rounding, for an
    operator of rank at most s; where s reaches n no probe is left to draw and 2 n products are spent.

    With B = (I - Q Q^T) A (I - Q Q^T), the variance of one probe is 2 (||B||_F^2 - sum_i B_ii^2) for signs and
    2 ||B||_F^2 for normal ones; on the sphere of radius sqrt(n) it is 2 (||B||_F^2 - tr(B)^2 / n) n / (n + 2).

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Products, at least 3.
        generator: Source of the probes.
        probe: Distribution of those of both parts: `signs`, `normal` or `sphere`.

    Returns:
        The trace, with the standard error of the probed rest where there are two probes or more. Diagnostics:
        `sketched` and `probes`, the two numbers of columns.

    Cost:
        num_matvecs products in 2 calls, of widths s and m - s; own work about 4 s^2 n for QR and 4 s (m - 2 s) n for
        the projections.

    Raises:
        ValueError: If `num_matvecs` is below 3, or `probe` another word.

    Source:
        Meyer, Musco, Musco and Woodruff, Hutch++ (2021), arXiv:2010.09649.
    """
    check_at_least("num_matvecs", num_matvecs, 3)
    check_choice("probe", probe, get_args(Probe))
    Q, G = sketched_range(op, num_matvecs, generator, probe)
    s, probes = Q.shape[1], G.shape[1]
    X = torch.cat([Q, G - Q @ (Q.T @ G)], dim=1)
    forms = torch.linalg.vecdot(X, op.matmat(X).detach(), dim=0).cpu().double().numpy()
    said = {"sketched": s, "probes": probes}
    known = float(forms[:s].sum())
    if not probes:
        return Estimate(known, stderr=0.0, diagnostics=said)
    rest, stderr = mean_and_stderr(forms[s:])
    return Estimate(known + rest, stderr=stderr, stderr_dof=freedom(probes), diagnostics=said)


def _footprint(dim: int, num_matvecs: int, **_: object) -> Footprint:
    s = min(num_matvecs // 3, dim)
    return Footprint(vectors=2.0 * (num_matvecs - s), passes=2.0 * s * s + 8.0 * num_matvecs)


HUTCHPP = Method(
    name="hutchpp",
    run=hutchpp,
    estimands=(Trace,),
    citation=(
        "Meyer, Musco, Musco and Woodruff, Hutch++: Optimal stochastic trace estimation, SOSA (2021), arXiv:2010.09649"
    ),
    version="1",
    min_matvecs=3,
    block_widths=sketched_widths,
    footprint=_footprint,
)
