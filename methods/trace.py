"""The trace from quadratic forms: Hutchinson's estimator and Hutch++."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import get_args

import torch
from torch import Tensor

from hessbench.estimand import Estimate, Trace
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Probe, check_at_least, check_choice
from hessbench.methods.probes import block_schedule, draw_probes, draw_signs, schedule_widths
from hessbench.methods.small_dense import mean_and_stderr
from hessbench.operators import LinearOperator


def hutchinson(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    probe: Probe = "signs",
    block: int = 5,
) -> Iterator[Estimate]:
    """Mean of x^T A x over random probes.

    Unbiased. The variance of one sample is 2 (||A||_F^2 - sum_i A_ii^2) for signs and 2 ||A||_F^2 for normal probes.

    Args:
        op: Symmetric operator.
        num_matvecs: Most products; up to block - 1 may stay unspent (see `block_schedule`).
        generator: Source of the probes.
        probe: `signs` or `normal`.
        block: Probes multiplied at once, after the first `block`, which go one at a time.

    Yields:
        After each block the mean, with the standard error of the samples so far from two on.

    Cost:
        One product per probe in calls of width 1, then `block`. Nothing is read from a device before a checkpoint.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Hutchinson, Commun. Stat. Simul. Comput. 19 (1990), doi:10.1080/03610919008812866.
    """
    check_at_least("num_matvecs", num_matvecs, 1)
    check_at_least("block", block, 1)
    check_choice("probe", probe, get_args(Probe))
    samples: list[Tensor] = []
    for width in block_schedule(num_matvecs, block):
        X = draw_probes(probe, op.dim, width, op, generator)
        samples.append(torch.linalg.vecdot(X, op.matmat(X).detach(), dim=0))
        yield Estimate(value=partial(average, samples, len(samples)))


def average(samples: list[Tensor], count: int) -> Estimate:
    """Mean and standard error of the first `count` blocks of samples; the list may grow meanwhile."""
    mean, stderr = mean_and_stderr(torch.cat(samples[:count]).cpu().double().numpy())
    return Estimate(mean, stderr=stderr)


def hutchpp(op: LinearOperator, /, *, num_matvecs: int, generator: torch.Generator) -> Estimate:
    """Hutch++: the trace on a sketched range exactly, the rest by Hutchinson's estimator.

    Of a budget m, s = m // 3 products (at most n) sketch the range with signs, s more give the trace on its orthonormal
    basis Q, and the remaining m - 2 s go to sign probes projected off Q: 6 + 6 + 8 of 20. Exact, up to rounding, for an
    operator of rank at most s; where s reaches n no probe is left to draw and 2 n products are spent.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Products, at least 3.
        generator: Source of the signs.

    Returns:
        The trace, with the standard error of the probed rest where there are two probes or more. Diagnostics:
        `sketched` and `probes`, the two numbers of columns.

    Cost:
        num_matvecs products in 2 calls, of widths s and m - s; own work about 4 s^2 n for QR and 4 s (m - 2 s) n for
        the projections.

    Raises:
        ValueError: If `num_matvecs` is below 3.

    Source:
        Meyer, Musco, Musco and Woodruff, Hutch++ (2021), arXiv:2010.09649.
    """
    check_at_least("num_matvecs", num_matvecs, 3)
    s = min(num_matvecs // 3, op.dim)
    probes = num_matvecs - 2 * s if s < op.dim else 0
    Q = torch.linalg.qr(op.matmat(draw_signs(op.dim, s, op, generator)).detach()).Q
    G = draw_signs(op.dim, probes, op, generator)
    X = torch.cat([Q, G - Q @ (Q.T @ G)], dim=1)
    forms = torch.linalg.vecdot(X, op.matmat(X).detach(), dim=0).cpu().double().numpy()
    said = {"sketched": s, "probes": probes}
    known = float(forms[:s].sum())
    if not probes:
        return Estimate(known, stderr=0.0, diagnostics=said)
    rest, stderr = mean_and_stderr(forms[s:])
    return Estimate(known + rest, stderr=stderr, diagnostics=said)


def _footprint_hutchinson(dim: int, num_matvecs: int, *, block: int, **_: object) -> Footprint:
    del dim
    return Footprint(vectors=3 * block, passes=6.0 * num_matvecs)


def _widths_hutchpp(num_matvecs: int, **_: object) -> tuple[int, ...]:
    return (num_matvecs // 3, num_matvecs - num_matvecs // 3)


def _footprint_hutchpp(dim: int, num_matvecs: int, **_: object) -> Footprint:
    s = min(num_matvecs // 3, dim)
    return Footprint(vectors=2.0 * (num_matvecs - s), passes=2.0 * s * s + 8.0 * num_matvecs)


HUTCHINSON = Method(
    name="hutchinson",
    run=hutchinson,
    estimands=(Trace,),
    citation=(
        "Hutchinson, A stochastic estimator of the trace of the influence matrix for Laplacian smoothing splines, "
        "Commun. Stat. Simul. Comput. 19 (1990) 433-450, doi:10.1080/03610919008812866"
    ),
    version="1",
    min_matvecs=1,
    block_widths=schedule_widths,
    footprint=_footprint_hutchinson,
)

HUTCHPP = Method(
    name="hutchpp",
    run=hutchpp,
    estimands=(Trace,),
    citation=(
        "Meyer, Musco, Musco and Woodruff, Hutch++: Optimal stochastic trace estimation, SOSA (2021), arXiv:2010.09649"
    ),
    version="1",
    min_matvecs=3,
    block_widths=_widths_hutchpp,
    footprint=_footprint_hutchpp,
)
