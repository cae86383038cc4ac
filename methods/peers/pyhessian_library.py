"""PyHessian: power iteration, Hutchinson's trace and its Lanczos quadrature, on either operator."""

from __future__ import annotations

from typing import Final

import torch

from hessbench.counting import CountingOperator
from hessbench.estimand import Density, Estimate, TopEigenvalues, Trace
from hessbench.method import Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.peers.calling import called
from hessbench.methods.peers.pyhessian_peer import SETUP, counted_peer, density_by, eigenvalues_by, own_peer, trace_by
from hessbench.problem import NETWORK

_CITATION: Final = (
    "Yao, Gholami, Keutzer and Mahoney, PyHessian: Neural networks through the lens of the Hessian, IEEE Big Data "
    "(2020), arXiv:1912.07145, https://github.com/amirgholami/PyHessian"
)
_MODULES: Final = ("pyhessian.hessian",)


def power(
    op: CountingOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    tol: float = 1e-3,
    max_iter: int = 100,
    k: int | None = None,
) -> Estimate:
    """PyHessian's `eigenvalues`, power iteration with deflation, on the counted operator.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least k.
        generator: Seeds the global generators it draws from.
        tol: Its tolerance.
        max_iter: Its most products for each eigenvalue; fewer where the budget holds fewer.
        k: Number of eigenvalues, by magnitude; 10 by default.

    Returns:
        k eigenvalues with their signs.

    Cost:
        Single products, at most k min(max_iter, num_matvecs // k).

    Raises:
        ValueError: If the budget is too small.

    Source:
        Yao, Gholami, Keutzer and Mahoney, PyHessian (2020), arXiv:1912.07145.
    """
    with called(generator, op.dtype):
        return eigenvalues_by(counted_peer(op), num_matvecs, tol, max_iter, min(k or 10, op.dim))


def own_power(
    op: CountingOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    tol: float = 1e-3,
    max_iter: int = 100,
    k: int | None = None,
) -> Estimate:
    """PyHessian's `eigenvalues` as its users run it: on a copy of the network, by its own Hessian products.

    Args:
        op: Hessian of a network with dimension n.
        num_matvecs: Most products and gradients, at least k + 1.
        generator: Seeds the global generators it draws from.
        tol: Its tolerance.
        max_iter: Its most products for each eigenvalue; fewer where the budget holds fewer.
        k: Number of eigenvalues, by magnitude; 10 by default.

    Returns:
        k eigenvalues with their signs.

    Cost:
        One gradient that it keeps, where the data are one batch, and products as in `power`.

    Raises:
        ValueError: If the budget is too small.

    Source:
        Yao, Gholami, Keutzer and Mahoney, PyHessian (2020), arXiv:1912.07145.
    """
    wanted = min(k or 10, op.dim)
    check_at_least("num_matvecs", num_matvecs, SETUP + wanted)
    with called(generator, op.dtype), own_peer(op) as (peer, spent):
        return eigenvalues_by(peer, num_matvecs - spent, tol, max_iter, wanted)


def trace(op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator, tol: float = 1e-3) -> Estimate:
    """PyHessian's `trace`, Hutchinson's estimator with sign probes, on the counted operator.

    It stops when the mean changes by less than `tol` of itself from one probe to the next, and where the mean is
    negative at the second probe.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most probes.
        generator: Seeds the global generators it draws from.
        tol: Its tolerance.

    Returns:
        The mean over the probes, as its users take it.

    Cost:
        One product in one call for each probe.

    Raises:
        ValueError: If the budget is too small.

    Source:
        Yao, Gholami, Keutzer and Mahoney, PyHessian (2020), arXiv:1912.07145.
    """
    with called(generator, op.dtype):
        return trace_by(counted_peer(op), num_matvecs, tol)


def own_trace(op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator, tol: float = 1e-3) -> Estimate:
    """PyHessian's `trace` as its users run it: on a copy of the network, by its own Hessian products.

    Args:
        op: Hessian of a network with dimension n.
        num_matvecs: Most products and gradients, at least 2.
        generator: Seeds the global generators it draws from.
        tol: Its tolerance.

    Returns:
        The mean over the probes.

    Cost:
        One gradient that it keeps, where the data are one batch, and one product for each probe.

    Raises:
        ValueError: If the budget is too small.

    Source:
        Yao, Gholami, Keutzer and Mahoney, PyHessian (2020), arXiv:1912.07145.
    """
    check_at_least("num_matvecs", num_matvecs, SETUP + 1)
    with called(generator, op.dtype), own_peer(op) as (peer, spent):
        return trace_by(peer, num_matvecs - spent, tol)


def density(op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator, steps: int = 100) -> Estimate:
    """PyHessian's `density`, Lanczos quadrature from sign probes, on the counted operator.

    The released version ends in `torch.eig`, which torch no longer has: a shim stands for it, as in its repository.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products.
        generator: Seeds the global generators it draws from.
        steps: Its Lanczos steps for each probe, 100 by default; fewer where n or the budget holds fewer.

    Returns:
        (nodes, weights), averaged over the probes.

    Cost:
        Single products, `steps` for each probe.

    Raises:
        ValueError: If the budget is too small.

    Source:
        Yao, Gholami, Keutzer and Mahoney, PyHessian (2020), arXiv:1912.07145.
    """
    with called(generator, op.dtype):
        return density_by(counted_peer(op), num_matvecs, min(steps, op.dim))


def own_density(op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator, steps: int = 100) -> Estimate:
    """PyHessian's `density` as its users run it, with the shim for `torch.eig`: by its own Hessian products.

    Args:
        op: Hessian of a network with dimension n.
        num_matvecs: Most products and gradients, at least 2.
        generator: Seeds the global generators it draws from.
        steps: Its Lanczos steps for each probe, 100 by default; fewer where n or the budget holds fewer.

    Returns:
        (nodes, weights), averaged over the probes.

    Cost:
        One gradient that it keeps, where the data are one batch, and `steps` products for each probe.

    Raises:
        ValueError: If the budget is too small.

    Source:
        Yao, Gholami, Keutzer and Mahoney, PyHessian (2020), arXiv:1912.07145.
    """
    check_at_least("num_matvecs", num_matvecs, SETUP + 1)
    with called(generator, op.dtype), own_peer(op) as (peer, spent):
        return density_by(peer, num_matvecs - spent, min(steps, op.dim))


def _least_power(dim: int, *, k: int | None, **_: object) -> int:
    return min(k or 10, dim)


def _least_own_power(dim: int, *, k: int | None, **_: object) -> int:
    return SETUP + min(k or 10, dim)


PYHESSIAN_POWER = Method(
    name="pyhessian-power",
    run=power,
    estimands=(TopEigenvalues,),
    citation=_CITATION,
    version="1",
    min_matvecs=_least_power,
    presets=("pyhessian-power", "pyhessian-power[max_iter=10000,tol=1e-06]"),
    library="pyhessian",
    modules=_MODULES,
)
PYHESSIAN_OWN_POWER = Method(
    name="pyhessian-own-power",
    run=own_power,
    estimands=(TopEigenvalues,),
    requires=(NETWORK,),
    works_by="copy",
    citation=_CITATION,
    version="1",
    min_matvecs=_least_own_power,
    library="pyhessian",
    modules=_MODULES,
)
PYHESSIAN_TRACE = Method(
    name="pyhessian-trace",
    run=trace,
    estimands=(Trace,),
    citation=_CITATION,
    version="1",
    presets=("pyhessian-trace", "pyhessian-trace[tol=0.0]"),
    library="pyhessian",
    modules=_MODULES,
)
PYHESSIAN_OWN_TRACE = Method(
    name="pyhessian-own-trace",
    run=own_trace,
    estimands=(Trace,),
    requires=(NETWORK,),
    works_by="copy",
    citation=_CITATION,
    version="1",
    min_matvecs=1 + SETUP,
    presets=("pyhessian-own-trace", "pyhessian-own-trace[tol=0.0]"),
    library="pyhessian",
    modules=_MODULES,
)
PYHESSIAN_DENSITY = Method(
    name="pyhessian-density-eig-shim",
    run=density,
    estimands=(Density,),
    citation=_CITATION,
    version="1",
    library="pyhessian",
    modules=_MODULES,
)
PYHESSIAN_OWN_DENSITY = Method(
    name="pyhessian-own-density-eig-shim",
    run=own_density,
    estimands=(Density,),
    requires=(NETWORK,),
    works_by="copy",
    citation=_CITATION,
    version="1",
    min_matvecs=1 + SETUP,
    library="pyhessian",
    modules=_MODULES,
)
