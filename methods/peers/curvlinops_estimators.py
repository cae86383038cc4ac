"""The trace and diagonal estimators of curvlinops, on the counted operator or on its own on a copy of the network."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import torch

from hessbench.counting import CountingOperator
from hessbench.distributions import library
from hessbench.estimand import Diagonal, Estimate, Trace
from hessbench.method import Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.peers.calling import called
from hessbench.methods.peers.curvlinops_operator import CHECKED, CITATION, LIBRARY, least_own, own_operator
from hessbench.problem import NETWORK

Traced: TypeAlias = Literal["hutchinson", "hutchpp", "xtrace"]
Diagonals: TypeAlias = Literal["hutchinson", "xdiag"]

_TRACES: Final[dict[str, tuple[str, int]]] = {
    "hutchinson": ("hutchinson_trace", 1), "hutchpp": ("hutchpp_trace", 3), "xtrace": ("xtrace", 2),
}  # fmt: skip
_DIAGONALS: Final[dict[str, tuple[str, int]]] = {"hutchinson": ("hutchinson_diag", 1), "xdiag": ("xdiag", 2)}
_MODULES: Final = ("curvlinops",)


def trace(
    op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator, by: Traced = "hutchinson"
) -> Estimate:
    """The trace estimators of curvlinops with sign probes, on the counted operator.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least 3.
        generator: Seeds the global generators it draws from.
        by: `hutchinson`, `hutchpp` or `xtrace`.

    Returns:
        The trace.

    Cost:
        The largest multiple of 1, 3 or 2 that the budget and n - 1 hold, in 1, 3 or 2 calls.

    Source:
        Dangel et al., curvlinops (2025), arXiv:2501.19183.
    """
    with called(generator):
        return _asked(op, num_matvecs, *_TRACES[by])


def own_trace(
    op: CountingOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    by: Traced = "hutchinson",
    check: bool = True,
) -> Estimate:
    """The trace estimators of curvlinops as its users run them: on its own operator of a copy of the network.

    Args:
        op: Hessian or GGN of a network with dimension n.
        num_matvecs: Most products and gradients; the check takes four of them.
        generator: Seeds the global generators it draws from.
        by: `hutchinson`, `hutchpp` or `xtrace`.
        check: Whether its operator checks that it is deterministic when it is made, which is its default.

    Returns:
        The trace.

    Cost:
        The check, and then as `trace`.

    Raises:
        ValueError: If the budget is too small.

    Source:
        Dangel et al., curvlinops (2025), arXiv:2501.19183.
    """
    check_at_least("num_matvecs", num_matvecs, least_own(op.dim, check=check))
    with called(generator), own_operator(op, check=check) as peer:
        return _asked(peer, num_matvecs - CHECKED * check, *_TRACES[by])


def diagonal(
    op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator, by: Diagonals = "hutchinson"
) -> Estimate:
    """The diagonal estimators of curvlinops with sign probes, on the counted operator.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least 2.
        generator: Seeds the global generators it draws from.
        by: `hutchinson` or `xdiag`.

    Returns:
        The diagonal (n,).

    Cost:
        The largest multiple of 1 or 2 that the budget and n - 1 hold, in as many calls.

    Source:
        Dangel et al., curvlinops (2025), arXiv:2501.19183.
    """
    with called(generator):
        return _asked(op, num_matvecs, *_DIAGONALS[by])


def own_diagonal(
    op: CountingOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    by: Diagonals = "hutchinson",
    check: bool = True,
) -> Estimate:
    """The diagonal estimators of curvlinops as its users run them: on its own operator of a copy of the network.

    Args:
        op: Hessian or GGN of a network with dimension n.
        num_matvecs: Most products and gradients; the check takes four of them.
        generator: Seeds the global generators it draws from.
        by: `hutchinson` or `xdiag`.
        check: Whether its operator checks that it is deterministic when it is made, which is its default.

    Returns:
        The diagonal (n,).

    Cost:
        The check, and then as `diagonal`.

    Raises:
        ValueError: If the budget is too small.

    Source:
        Dangel et al., curvlinops (2025), arXiv:2501.19183.
    """
    check_at_least("num_matvecs", num_matvecs, least_own(op.dim, check=check))
    with called(generator), own_operator(op, check=check) as peer:
        return _asked(peer, num_matvecs - CHECKED * check, *_DIAGONALS[by])


def _asked(peer: Any, num_matvecs: int, function: str, multiple: int) -> Estimate:
    """The value of one of its functions, and what it was asked for."""
    matvecs = min(num_matvecs, peer.shape[0] - 1) // multiple * multiple
    check_at_least("num_matvecs", matvecs, multiple)
    value = getattr(library("curvlinops"), function)(peer, matvecs)
    said = {"asked": f"{function}({matvecs})", "asked_matvecs": matvecs, "reported": "no count"}
    return Estimate(value.detach(), diagnostics=said)


CURVLINOPS_TRACE = Method(
    name="curvlinops-trace",
    run=trace,
    estimands=(Trace,),
    citation=CITATION,
    version="1",
    min_matvecs=3,
    presets=("curvlinops-trace", "curvlinops-trace[by=hutchpp]", "curvlinops-trace[by=xtrace]"),
    library=LIBRARY,
    modules=_MODULES,
)
CURVLINOPS_OWN_TRACE = Method(
    name="curvlinops-own-trace",
    run=own_trace,
    estimands=(Trace,),
    requires=(NETWORK,),
    works_by="copy",
    citation=CITATION,
    version="2",
    min_matvecs=least_own,
    presets=(
        "curvlinops-own-trace",
        "curvlinops-own-trace[by=hutchpp]",
        "curvlinops-own-trace[by=xtrace]",
        "curvlinops-own-trace[by=xtrace,check=false]",
    ),
    library=LIBRARY,
    modules=_MODULES,
)
CURVLINOPS_DIAGONAL = Method(
    name="curvlinops-diagonal",
    run=diagonal,
    estimands=(Diagonal,),
    citation=CITATION,
    version="1",
    min_matvecs=2,
    presets=("curvlinops-diagonal", "curvlinops-diagonal[by=xdiag]"),
    library=LIBRARY,
    modules=_MODULES,
)
CURVLINOPS_OWN_DIAGONAL = Method(
    name="curvlinops-own-diagonal",
    run=own_diagonal,
    estimands=(Diagonal,),
    requires=(NETWORK,),
    works_by="copy",
    citation=CITATION,
    version="2",
    min_matvecs=least_own,
    presets=("curvlinops-own-diagonal", "curvlinops-own-diagonal[by=xdiag]"),
    library=LIBRARY,
    modules=_MODULES,
)
