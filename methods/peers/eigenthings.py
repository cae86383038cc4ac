"""hessian-eigenthings 1.0, a pre-release, on the counted operator by its `LambdaOperator`."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from hessbench.counting import CountingOperator
from hessbench.distributions import library
from hessbench.estimand import Density, Estimate, TopEigenvalues, Trace
from hessbench.method import Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.peers.calling import called

Reorthogonalize: TypeAlias = Literal["auto", "on"]
TraceBy: TypeAlias = Literal["hutch++", "hutchinson"]

_CITATION: Final = (
    "Golmant, Yao, Gholami, Mahoney and Gonzalez, pytorch-hessian-eigenthings (2018), "
    "https://github.com/noahgolmant/pytorch-hessian-eigenthings"
)
_LIBRARY: Final = "hessian-eigenthings"
_MODULES: Final = ("hessian_eigenthings", "hessian_eigenthings.operators.base")


def lanczos(
    op: CountingOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    reorthogonalize: Reorthogonalize = "auto",
    k: int | None = None,
) -> Estimate:
    """The `lanczos` of hessian-eigenthings.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, its `max_iter`.
        generator: Source of its seed.
        reorthogonalize: `auto`, its default: up to 50 steps only. `on`: always.
        k: Number of eigenvalues, by magnitude; 10 by default.

    Returns:
        k Ritz values; converged where it says so of each.

    Cost:
        Single products.

    Raises:
        ValueError: If the budget is below k.

    Source:
        Golmant et al., https://github.com/noahgolmant/pytorch-hessian-eigenthings.
    """
    wanted = min(k or 10, op.dim)
    check_at_least("num_matvecs", num_matvecs, wanted)
    steps, whole = min(num_matvecs, op.dim), True if reorthogonalize == "on" else None
    module = library("hessian_eigenthings")
    with called(generator) as seed:
        found = module.lanczos(_view(op), k=wanted, max_iter=steps, reorthogonalize=whole, seed=seed)
    return _eigenvalues(found, f"lanczos(k={wanted}, max_iter={steps}, reorthogonalize={whole})", steps)


def power(
    op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator, tol: float = 1e-4, k: int | None = None
) -> Estimate:
    """The `deflated_power_iteration` of hessian-eigenthings.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least k.
        generator: Source of its seed.
        tol: Its tolerance, of the change and of the residual.
        k: Number of eigenvalues, by magnitude; 10 by default.

    Returns:
        k values; converged where it says so of each.

    Cost:
        Single products, at most num_matvecs // k for each value.

    Raises:
        ValueError: If the budget is below k.

    Source:
        Golmant et al., https://github.com/noahgolmant/pytorch-hessian-eigenthings.
    """
    wanted = min(k or 10, op.dim)
    check_at_least("num_matvecs", num_matvecs, wanted)
    steps = num_matvecs // wanted
    module = library("hessian_eigenthings")
    with called(generator) as seed:
        found = module.deflated_power_iteration(_view(op), k=wanted, max_iter=steps, tol=tol, seed=seed)
    return _eigenvalues(found, f"deflated_power_iteration(k={wanted}, max_iter={steps})", steps * wanted)


def trace(
    op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator, by: TraceBy = "hutch++"
) -> Estimate:
    """The `trace` of hessian-eigenthings, with the standard error that it claims.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least 3.
        generator: Source of its seed.
        by: `hutch++`, its default, or `hutchinson`.

    Returns:
        The trace.

    Cost:
        Single products: 3 (num_matvecs // 3), or num_matvecs.

    Raises:
        ValueError: If the budget is below 3.

    Source:
        Golmant et al., https://github.com/noahgolmant/pytorch-hessian-eigenthings.
    """
    check_at_least("num_matvecs", num_matvecs, 3)
    module = library("hessian_eigenthings")
    with called(generator) as seed:
        found = module.trace(_view(op), num_matvecs=num_matvecs, method=by, seed=seed)
    said = {"asked": f"trace(num_matvecs={num_matvecs}, method={by})", "asked_matvecs": num_matvecs}
    stderr = None if np.isnan(found.stderr) else float(found.stderr)
    reported = f"standard error {found.stderr:.3g} of {len(found.samples)} samples"
    return Estimate(float(found.estimate), stderr=stderr, diagnostics={**said, "reported": reported})


def density(op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator, steps: int = 80) -> Estimate:
    """The `spectral_density` of hessian-eigenthings: the quadratures it hands back beside its smoothed curve.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products.
        generator: Source of its seed.
        steps: Lanczos steps of each run, 80 by default; fewer where n or the budget holds fewer.

    Returns:
        (nodes, weights), averaged over the runs.

    Cost:
        Single products, `steps` for each run.

    Source:
        Golmant et al., https://github.com/noahgolmant/pytorch-hessian-eigenthings.
    """
    steps = min(steps, num_matvecs, op.dim)
    runs = num_matvecs // steps
    module = library("hessian_eigenthings")
    with called(generator) as seed:
        found = module.spectral_density(_view(op), num_runs=runs, lanczos_steps=steps, num_grid_points=2, seed=seed)
    nodes, weights = found.raw_eigenvalues.double().flatten(), found.raw_weights.double().flatten()
    kept = ~nodes.isnan()
    said = {"asked": f"spectral_density(num_runs={runs}, lanczos_steps={steps})", "asked_matvecs": runs * steps}
    value = (nodes[kept].cpu().numpy(), (weights[kept] / runs).cpu().numpy())
    return Estimate(value, diagnostics={**said, "reported": "no count"})


def _view(op: CountingOperator) -> Any:
    operators = library("hessian_eigenthings.operators.base")

    def multiply(v: Tensor) -> Tensor:
        return op @ v

    return operators.LambdaOperator(multiply, size=op.dim, device=op.device, dtype=op.dtype)


def _eigenvalues(found: Any, asked: str, matvecs: int) -> Estimate:
    flags = found.converged.tolist()
    reported = f"{sum(flags)} of {len(flags)} converged in {found.iterations} iterations"
    said = {"asked": asked, "asked_matvecs": matvecs, "reported": reported, "matvecs": int(found.iterations)}
    return Estimate(found.eigenvalues, converged=all(flags), diagnostics=said)


def _least(dim: int, *, k: int | None, **_: object) -> int:
    return min(k or 10, dim)


EIGENTHINGS_LANCZOS = Method(
    name="eigenthings-lanczos",
    run=lanczos,
    estimands=(TopEigenvalues,),
    citation=_CITATION,
    version="1",
    min_matvecs=_least,
    presets=("eigenthings-lanczos", "eigenthings-lanczos[reorthogonalize=on]"),
    library=_LIBRARY,
    modules=_MODULES,
)
EIGENTHINGS_POWER = Method(
    name="eigenthings-power",
    run=power,
    estimands=(TopEigenvalues,),
    citation=_CITATION,
    version="1",
    min_matvecs=_least,
    library=_LIBRARY,
    modules=_MODULES,
)
EIGENTHINGS_TRACE = Method(
    name="eigenthings-trace",
    run=trace,
    estimands=(Trace,),
    citation=_CITATION,
    version="1",
    min_matvecs=3,
    presets=("eigenthings-trace", "eigenthings-trace[by=hutchinson]"),
    library=_LIBRARY,
    modules=_MODULES,
)
EIGENTHINGS_DENSITY = Method(
    name="eigenthings-density",
    run=density,
    estimands=(Density,),
    citation=_CITATION,
    version="1",
    library=_LIBRARY,
    modules=_MODULES,
)
