"""curvlinops on the whole spectrum: `eigsh` on its operator, and its Lanczos density on either operator."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, Literal, TypeAlias
from unittest.mock import patch

import numpy as np
import torch

from hessbench.counting import CountingOperator
from hessbench.distributions import library
from hessbench.estimand import Density, Estimate, TopEigenvalues
from hessbench.method import Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.peers.calling import called
from hessbench.methods.peers.curvlinops_operator import CHECKED, CITATION, LIBRARY, least_own, own_operator
from hessbench.methods.peers.scipy_solvers import arpack
from hessbench.problem import NETWORK

Bounds: TypeAlias = Literal["automatic", "lanczos"]
_MODULES: Final = ("curvlinops", "curvlinops.papyan2020traces.spectrum")


def own_eigsh(
    op: CountingOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    tol: float = 1e-2,
    ncv: int = 0,
    check: bool = True,
    k: int | None = None,
) -> Estimate:
    """SciPy's `eigsh` on curvlinops' own operator of a copy of the network, as its tutorial has it.

    On the counted operator it is `scipy-eigsh`.

    Args:
        op: Hessian or GGN of a network with dimension n.
        num_matvecs: Most products and gradients; the check takes four of them.
        generator: Source of the start.
        tol: ARPACK's tolerance.
        ncv: Vectors of its basis; 0, its default, for max(2 k + 1, 20).
        check: Whether its operator checks that it is deterministic when it is made, which is its default.
        k: Number of eigenvalues by magnitude, below n; 10 by default.

    Returns:
        The values that ARPACK says have converged, all of them where `converged`; NaN where none has.

    Cost:
        The check, and then single products.

    Raises:
        ValueError: If the budget is too small.

    Source:
        Dangel et al., curvlinops (2025), arXiv:2501.19183.
    """
    check_at_least("num_matvecs", num_matvecs, _least_eigsh(op.dim, k=k, check=check))
    start = torch.randn(op.dim, generator=generator, device=op.device).cpu().double().numpy()
    with called(generator), own_operator(op, check=check) as peer:
        return arpack(peer.to_scipy(), start, num_matvecs - CHECKED * check, min(k or 10, op.dim - 1), tol, ncv)


def density(
    op: CountingOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    steps: int = 0,
    starts: int = 1,
    kappa: float = 3.0,
    bounds: Bounds = "automatic",
) -> Estimate:
    """The `lanczos_approximate_spectrum` of curvlinops on the counted operator, its bounds of the spectrum by ARPACK.

    The start of ARPACK is drawn from the seed. These bounds cost what they cost: where the budget does not hold them,
    the run ends over its budget.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, of which each Lanczos run takes `steps`.
        generator: Seeds the global generators it draws from.
        steps: Its Lanczos steps (`ncv`); half of the budget, shared among the starts, by default.
        starts: Its repeats with fresh starts (`num_repeats`), averaged.
        kappa: Its width of the Gaussians, above 1.
        bounds: `automatic`, its default, by ARPACK at its tolerance of 1 %; `lanczos`: handed to it, the ends of a run
            of its own `fast_lanczos` of as many steps.

    Returns:
        (grid, mass), its density times the step of its grid, scaled to the mass of one.

    Cost:
        Unknown beforehand; `steps` for each start and once more with the bounds handed over.

    Source:
        Dangel et al., curvlinops (2025), arXiv:2501.19183; Papyan (2020), https://jmlr.org/papers/v21/20-933.html.
    """
    with called(generator):
        return _density(op, num_matvecs, steps, starts, kappa, bounds)


def own_density(
    op: CountingOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    steps: int = 0,
    starts: int = 1,
    kappa: float = 3.0,
    bounds: Bounds = "automatic",
    check: bool = True,
) -> Estimate:
    """The `lanczos_approximate_spectrum` of curvlinops on its own operator of a copy of the network.

    Args:
        op: Hessian or GGN of a network with dimension n.
        num_matvecs: Most products and gradients, of which each Lanczos run takes `steps`.
        generator: Seeds the global generators it draws from.
        steps: Its Lanczos steps (`ncv`); half of the budget, shared among the starts, by default.
        starts: Its repeats with fresh starts (`num_repeats`), averaged.
        kappa: Its width of the Gaussians, above 1.
        bounds: `automatic`, its default, by ARPACK at its tolerance of 1 %; `lanczos`: handed to it, the ends of a run
            of its own `fast_lanczos` of as many steps.
        check: Whether its operator checks that it is deterministic when it is made, which is its default.

    Returns:
        (grid, mass), its density times the step of its grid, scaled to the mass of one.

    Cost:
        The check, and then as `density`.

    Raises:
        ValueError: If the budget is too small.

    Source:
        Dangel et al., curvlinops (2025), arXiv:2501.19183; Papyan (2020), https://jmlr.org/papers/v21/20-933.html.
    """
    check_at_least("num_matvecs", num_matvecs, least_own(op.dim, check=check))
    with called(generator), own_operator(op, check=check) as peer:
        return _density(peer, num_matvecs - CHECKED * check, steps, starts, kappa, bounds)


def _density(peer: Any, num_matvecs: int, steps: int, starts: int, kappa: float, bounds: Bounds) -> Estimate:
    check_at_least("starts", starts, 1)
    ncv = min(steps or max(num_matvecs // (starts + 1), 2), peer.shape[0])
    spectra = library("curvlinops.papyan2020traces.spectrum")
    # SciPy draws ARPACK's start from fresh entropy, which no seed reaches: it is handed one.
    start = np.random.standard_normal(peer.shape[0])
    with patch.object(spectra, "eigsh", partial(spectra.eigsh, v0=start)):
        ends = None
        if bounds == "lanczos":
            values, _ = spectra.fast_lanczos(peer, ncv)
            ends = float(values.min()), float(values.max())
        grid, found = spectra.lanczos_approximate_spectrum(peer, ncv, num_repeats=starts, kappa=kappa, boundaries=ends)
    nodes, weights = grid.double().cpu().numpy(), found.double().cpu().numpy() * float(grid[1] - grid[0])
    mass = float(weights.sum())
    asked = f"lanczos_approximate_spectrum(ncv={ncv}, num_repeats={starts}, kappa={kappa:g}, bounds {bounds})"
    said = {"asked": asked, "asked_matvecs": ncv * starts}
    return Estimate((nodes, weights / mass), diagnostics={**said, "reported": f"a density of mass {mass:.4f}"})


def _least_eigsh(dim: int, *, k: int | None, check: bool, **_: object) -> int:
    return CHECKED * check + min(k or 10, dim - 1) + 3


CURVLINOPS_OWN_EIGSH = Method(
    name="curvlinops-own-eigsh",
    run=own_eigsh,
    estimands=(TopEigenvalues,),
    requires=(NETWORK,),
    works_by="copy",
    citation=CITATION,
    version="2",
    min_matvecs=_least_eigsh,
    presets=("curvlinops-own-eigsh", "curvlinops-own-eigsh[check=false]"),
    library=LIBRARY,
    modules=_MODULES,
)
CURVLINOPS_DENSITY = Method(
    name="curvlinops-density",
    run=density,
    estimands=(Density,),
    citation=CITATION,
    version="1",
    min_matvecs=4,
    presets=("curvlinops-density", "curvlinops-density[bounds=lanczos]"),
    library=LIBRARY,
    modules=_MODULES,
)
CURVLINOPS_OWN_DENSITY = Method(
    name="curvlinops-own-density",
    run=own_density,
    estimands=(Density,),
    requires=(NETWORK,),
    works_by="copy",
    citation=CITATION,
    version="2",
    min_matvecs=least_own,
    presets=("curvlinops-own-density", "curvlinops-own-density[bounds=lanczos]"),
    library=LIBRARY,
    modules=_MODULES,
)
