"""The spectral density by stochastic Lanczos quadrature."""

from __future__ import annotations

import numpy as np
import torch

from hessbench.estimand import Density, Estimate, Trace
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Probe, check_at_least
from hessbench.methods.krylov.lockstep import lanczos_lockstep
from hessbench.methods.krylov.tridiagonal import quadrature
from hessbench.methods.probes import draw_probes
from hessbench.methods.small_dense import mean_and_stderr
from hessbench.operators import LinearOperator


def slq(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    steps: int = 20,
    probe: Probe = "normal",
) -> Estimate:
    """Stochastic Lanczos quadrature: Gauss quadratures of the spectral measures of random starts, averaged.

    Each start runs min(steps, n) Lanczos steps with full reorthogonalisation; all run in lock-step, so a product is a
    block of as many columns as there are starts. Their number is num_matvecs // min(steps, n). The nodes are all Ritz
    values, the weights squared first components over the number of starts. A start whose Krylov space is exhausted
    contributes the quadrature it has, which is exact for it.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products; fewer than min(steps, n) may stay unspent.
        generator: Source of the starts.
        steps: Lanczos steps of each start.
        probe: Distribution of the starts before normalisation: `normal` (uniform on the sphere) or `signs`.

    Returns:
        (nodes, weights), the weights summing to one, and from which start each node is; in `also` the trace, n times
        the mean, with its standard error over the starts. Diagnostics: `starts`.

    Cost:
        min(steps, n) calls, each as wide as there are starts; own work 2 n steps^2 multiplications a start and pass.

    Raises:
        ValueError: If `num_matvecs` is below min(steps, n), or another argument is out of range.

    Source:
        Ubaru, Chen and Saad, SIAM J. Matrix Anal. Appl. 38 (2017), doi:10.1137/16M1104974; Ghorbani, Krishnan and Xiao
        (2019), arXiv:1901.10159.
    """
    check_at_least("steps", steps, 1)
    depth = min(steps, op.dim)
    check_at_least("num_matvecs", num_matvecs, depth)
    starts = num_matvecs // depth
    X = draw_probes(probe, op.dim, starts, op, generator)
    rules = [quadrature(alphas, betas) for alphas, betas in lanczos_lockstep(op, X, depth)]
    nodes = np.concatenate([values for values, _ in rules])
    weights = np.concatenate([mass for _, mass in rules]) / starts
    trace, stderr = mean_and_stderr(np.asarray([op.dim * float(values @ mass) for values, mass in rules]))
    return Estimate(
        value=(nodes, weights),
        diagnostics={"starts": starts},
        also={Trace: Estimate(trace, stderr=stderr)},
        starts=np.repeat(np.arange(starts), [values.size for values, _ in rules]),
    )


def _least(dim: int, *, steps: int, **_: object) -> int:
    return min(steps, dim)


def _widths(num_matvecs: int, *, steps: int, **_: object) -> tuple[int, ...]:
    return (max(1, num_matvecs // steps),)


def _footprint(dim: int, num_matvecs: int, *, steps: int, **_: object) -> Footprint:
    depth = min(steps, dim)
    starts = max(1, num_matvecs // depth)
    return Footprint(vectors=starts * (depth + 3.0), passes=starts * (depth * (depth + 1) + 18.0 * depth))


SLQ = Method(
    name="slq",
    run=slq,
    estimands=(Density, Trace),
    citation=(
        "Ubaru, Chen and Saad, Fast estimation of tr(f(A)) via stochastic Lanczos quadrature, SIAM J. Matrix Anal. "
        "Appl. 38 (2017) 1075-1099, doi:10.1137/16M1104974; Ghorbani, Krishnan and Xiao, An investigation into neural "
        "net optimization via Hessian eigenvalue density, ICML (2019), arXiv:1901.10159"
    ),
    version="1",
    min_matvecs=_least,
    block_widths=_widths,
    footprint=_footprint,
)
