"""scikit-primate on the counted operator, as the SciPy operator it takes."""

from __future__ import annotations

import contextlib
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal

from hessbench.counting import CountingOperator
from hessbench.distributions import library
from hessbench.estimand import Density, Estimate, TopEigenvalues, Trace
from hessbench.method import Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.peers.calling import called

Stop: TypeAlias = Literal["budget", "library"]

_CITATION: Final = "Piekenbrock, scikit-primate (2024), https://github.com/peekxc/primate"
_LIBRARY: Final = "scikit-primate"
_WIDE: Final = 32  # its default block
_MODULES: Final = ("primate.lanczos", "primate.trace", "primate.estimators")


def lanczos(op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator, orth: int = 0) -> Estimate:
    """The `lanczos` of primate, and the values of the tridiagonal matrix it hands back.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least 3.
        generator: Source of its seed.
        orth: Vectors it orthogonalises against: 0, its default, for none; -1 for all.

    Returns:
        All Ritz values; in `also` the density, their Gauss weights beside them.

    Cost:
        Single products: min(num_matvecs - 1, n), and one with the zero vector by which it finds the dtype.

    Raises:
        ValueError: If the budget is below 3.

    Source:
        Piekenbrock, scikit-primate, https://github.com/peekxc/primate.
    """
    check_at_least("num_matvecs", num_matvecs, 3)
    steps = min(num_matvecs - 1, op.dim)
    with called(generator) as seed:
        a, b = library("primate.lanczos").lanczos(op.to_scipy(), deg=steps, orth=orth, seed=seed)
    values, vectors = eigh_tridiagonal(a, b[: len(a) - 1])
    said = {"asked": f"lanczos(deg={steps}, orth={orth})", "asked_matvecs": steps, "reported": "no count"}
    density = Estimate((values, vectors[0] ** 2), diagnostics=said)
    return Estimate(torch.as_tensor(values), diagnostics=said, also={Density: density})


def hutch(op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator, stop: Stop = "budget") -> Estimate:
    """The `hutch` of primate with sign probes.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products.
        generator: Source of its seed.
        stop: `budget`: its criterion that counts probes. `library`: its default, 200 probes or an interval of 95 % half
            as wide as 1, whatever the trace; ended by the budget where that is smaller.

    Returns:
        The trace.

    Cost:
        Blocks of up to 32 products; single ones with `stop=library`, its default.

    Source:
        Piekenbrock, scikit-primate, https://github.com/peekxc/primate.
    """
    module = library("primate.trace")
    with called(generator) as seed:
        if stop == "library":
            count = library("primate.estimators").CountCriterion(count=min(num_matvecs, 200))
            spread = library("primate.estimators").ConfidenceCriterion(confidence=0.95, atol=1.0, rtol=0.0)
            batch, keywords = 1, {"converge": count | spread}
        else:
            batch = min(num_matvecs, _WIDE)
            keywords = {"converge": "count", "count": num_matvecs // batch * batch}
        value, found = module.hutch(op.to_scipy(), batch=batch, seed=seed, full=True, **keywords)
    said = {"asked": f"hutch(batch={batch}, {stop})", "reported": f"{found.nit} probes", "matvecs": found.nit}
    return Estimate(_number(value), diagnostics=said)


def hutchpp(op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator) -> Estimate:
    """The `hutchpp` of primate with sign probes, asked for what fits: it spends three times its `m`, and more.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least 9.
        generator: Source of its seed.

    Returns:
        The trace.

    Cost:
        3 m products, m = 3 floor(num_matvecs / 9), a third of them one by one.

    Raises:
        ValueError: If the budget is below 9.

    Source:
        Piekenbrock, scikit-primate, https://github.com/peekxc/primate.
    """
    check_at_least("num_matvecs", num_matvecs, 9)
    m = min(num_matvecs // 9, op.dim // 3) * 3
    with called(generator) as seed:
        value, found = library("primate.trace").hutchpp(op.to_scipy(), m=m, seed=seed, full=True)
    said = {"asked": f"hutchpp(m={m})", "asked_matvecs": m, "reported": f"nit {found.nit}", "matvecs": found.nit}
    return Estimate(_number(value), diagnostics=said)


def xtrace(op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator) -> Estimate:
    """The `xtrace` of primate, stopped from its callback where the budget ends: by itself it spends 2 n products.

    Args:
        op: Symmetric operator of dimension n.
        num_matvecs: Most products, at least 4.
        generator: Source of its seed.

    Returns:
        The trace after the last whole block.

    Cost:
        Blocks of up to 32 probes with two products each, half of them one by one; at most 2 n in all.

    Raises:
        ValueError: If the budget is below 4.

    Source:
        Piekenbrock, scikit-primate, https://github.com/peekxc/primate; Epperly, Tropp and Webber (2024),
        arXiv:2301.07825.
    """
    check_at_least("num_matvecs", num_matvecs, 4)
    probes = min(num_matvecs // 2, op.dim)
    batch = min(probes, _WIDE)
    found: list[tuple[float, int]] = []

    def told(result: Any) -> None:
        found.append((_number(result.estimate), result.nit))
        if (len(found) + 1) * batch > probes:
            raise StopIteration

    with called(generator) as seed, contextlib.suppress(StopIteration):
        library("primate.trace").xtrace(op.to_scipy(), batch=batch, seed=seed, callback=told)
    value, nit = found[-1]
    said = {"asked": f"xtrace(batch={batch}), stopped after {len(found)}", "reported": f"nit {nit}", "matvecs": nit}
    return Estimate(value, diagnostics=said)


def _number(value: Any) -> float:
    return float(np.asarray(value).ravel()[0])


PRIMATE_LANCZOS = Method(
    name="primate-lanczos",
    run=lanczos,
    estimands=(TopEigenvalues, Density),
    citation=_CITATION,
    version="1",
    min_matvecs=3,
    presets=("primate-lanczos", "primate-lanczos[orth=-1]"),
    library=_LIBRARY,
    modules=_MODULES,
)
PRIMATE_HUTCH = Method(
    name="primate-hutch",
    run=hutch,
    estimands=(Trace,),
    citation=_CITATION,
    version="1",
    presets=("primate-hutch", "primate-hutch[stop=library]"),
    library=_LIBRARY,
    modules=_MODULES,
)
PRIMATE_HUTCHPP = Method(
    name="primate-hutchpp",
    run=hutchpp,
    estimands=(Trace,),
    citation=_CITATION,
    version="1",
    min_matvecs=9,
    library=_LIBRARY,
    modules=_MODULES,
)
PRIMATE_XTRACE = Method(
    name="primate-xtrace",
    run=xtrace,
    estimands=(Trace,),
    citation=_CITATION,
    version="1",
    min_matvecs=4,
    library=_LIBRARY,
    modules=_MODULES,
)
