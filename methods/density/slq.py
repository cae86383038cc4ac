"""The spectral density by stochastic Lanczos quadrature."""

from __future__ import annotations

from typing import Final, get_args

import numpy as np
import torch

from hessbench.estimand import Array, Density, Estimate, Trace
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Probe, Reorth, check_at_least, check_choice
from hessbench.methods.krylov.lockstep import kept_rows, lanczos_lockstep
from hessbench.methods.krylov.tridiagonal import quadrature
from hessbench.methods.probes import draw_probes
from hessbench.methods.small_dense import mean_and_stderr
from hessbench.operators import LinearOperator

_WORK: Final = 5  # vectors of a start beside its basis, as measured: start, residual, block, product, one in between


def slq(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    steps: int = 20,
    probe: Probe = "normal",
    reorth: Reorth = "full",
    max_vectors: int = 0,
) -> Estimate:
    """Stochastic Lanczos quadrature: Gauss quadratures of the spectral measures of random starts, averaged.

    Each start runs min(steps, n) Lanczos steps; they run in lock-step, so a product is a block of as many columns as
    there are starts, or as many at a time as `max_vectors` holds. Their number is num_matvecs // min(steps, n). The
    nodes are all Ritz values, the weights squared first components over the number of starts. A start whose Krylov
    space is exhausted contributes the quadrature it has, which is exact for it.

    With `none` and `window` converged Ritz values come back as copies. A copy shares the weight of its value, so that
    the measure is hardly moved, but it takes up a node that would have resolved something else (Greenbaum).

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products; fewer than min(steps, n) may stay unspent.
        generator: Source of the starts.
        steps: Lanczos steps of each start.
        probe: Distribution of the starts before normalisation: `normal` and `sphere` (both uniform on the sphere) or
            `signs`.
        reorth: `full`, `periodic`, `selective`, `window` (the last 10 vectors) or `none`, which keeps no basis.
        max_vectors: Most vectors of length n that the starts may hold at once, at least what one start needs
            (min(steps, n) + 5 with a basis, half as much again with `selective`, 15 with `window`, 7 with `none`); 0
            for all starts at once.

    Returns:
        (nodes, weights), the weights summing to one, nodes of a start ascending and next to one another, and from which
        start each node is; in `also` the trace, n times the mean, with its standard error over the starts.
        Diagnostics: `starts`.

    Cost:
        min(steps, n) calls for each chunk of starts, as wide as the chunk; own work 2 n steps^2 multiplications a start
        and pass, with `none` 5 n steps.

    Raises:
        ValueError: If `num_matvecs` is below min(steps, n), or another argument is out of range.

    Source:
        Ubaru, Chen and Saad, SIAM J. Matrix Anal. Appl. 38 (2017), doi:10.1137/16M1104974; Ghorbani, Krishnan and Xiao
        (2019), arXiv:1901.10159; without reorthogonalisation: Greenbaum, Linear Algebra Appl. 113 (1989),
        doi:10.1016/0024-3795(89)90285-1.
    """
    check_at_least("steps", steps, 1)
    check_choice("reorth", reorth, get_args(Reorth))
    depth = min(steps, op.dim)
    check_at_least("num_matvecs", num_matvecs, depth)
    held = _held(reorth, depth)
    if max_vectors != 0 and max_vectors < held:
        raise ValueError(f"max_vectors must be 0 or at least {held}, which one start holds, got {max_vectors}")
    starts = num_matvecs // depth
    rules: list[tuple[Array, Array]] = []
    for width in chunks(starts, held, max_vectors):
        X = draw_probes(probe, op.dim, width, op, generator)
        rules += [quadrature(alphas, betas) for alphas, betas in lanczos_lockstep(op, X, depth, reorth=reorth)]
    nodes = np.concatenate([values for values, _ in rules])
    weights = np.concatenate([mass for _, mass in rules]) / starts
    trace, stderr = mean_and_stderr(np.asarray([op.dim * float(values @ mass) for values, mass in rules]))
    return Estimate(
        value=(nodes, weights),
        diagnostics={"starts": starts},
        also={Trace: Estimate(trace, stderr=stderr)},
        starts=np.repeat(np.arange(starts), [values.size for values, _ in rules]),
    )


def chunks(starts: int, held: int, max_vectors: int) -> list[int]:
    """Widths of the chunks in which starts that hold `held` vectors each fit into `max_vectors`; 0 for no bound."""
    width = starts if max_vectors == 0 else max(1, min(starts, max_vectors // held))
    return [min(width, starts - begin) for begin in range(0, starts, width)]


def _held(reorth: str, depth: int) -> int:
    """Vectors of length n that one start holds; `selective` has been seen to lock up to half as many as it keeps."""
    rows = kept_rows(reorth, depth)
    return rows + _WORK + (rows // 2 if reorth == "selective" else 0)


def _least(dim: int, *, steps: int, **_: object) -> int:
    return min(steps, dim)


def _widths(num_matvecs: int, *, steps: int, reorth: str, max_vectors: int, **_: object) -> tuple[int, ...]:
    starts = max(1, num_matvecs // steps)
    return tuple(sorted(set(chunks(starts, _held(reorth, steps), max_vectors))))


def _footprint(dim: int, num_matvecs: int, *, steps: int, reorth: str, max_vectors: int, **_: object) -> Footprint:
    depth = min(steps, dim)
    starts = max(1, num_matvecs // depth)
    rows = kept_rows(reorth, depth)
    width = max(chunks(starts, _held(reorth, depth), max_vectors))
    factor = {"full": 1.0, "periodic": 0.25, "selective": 0.25}.get(reorth)
    passes = 2.0 * rows * (reorth == "window") * depth if factor is None else factor * depth * (depth + 1)
    return Footprint(vectors=float(width * _held(reorth, depth)), passes=starts * (passes + 18.0 * depth))


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
