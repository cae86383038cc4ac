"""Every estimand by its key, and reading one from a text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

from hessbench.estimand.base import Estimand, defaults_of
from hessbench.estimand.counted_eigenvalues import CountAbove, Mass
from hessbench.estimand.density import Density
from hessbench.estimand.diagonal import Diagonal
from hessbench.estimand.eigenspace import TopEigenspace
from hessbench.estimand.eigenvalues import TopEigenvalues
from hessbench.estimand.solve import Solve
from hessbench.estimand.trace import Trace
from hessbench.estimand.trace_function import LogDeterminant, TraceFunction
from hessbench.specs import canonical, parse_one, suggest

ESTIMANDS: Final[dict[str, type[Estimand]]] = {
    kind.key: kind
    for kind in (
        TopEigenvalues,
        Trace,
        Density,
        Diagonal,
        TopEigenspace,
        LogDeterminant,
        TraceFunction,
        Mass,
        CountAbove,
        Solve,
    )
}


def parse_estimand(text: str) -> Estimand:
    """Read an estimand such as `top-eigenvalues[k=10]`.

    Raises:
        ValueError: If the name or a parameter is not accepted.
    """
    spec = parse_one(text)
    if spec.name not in ESTIMANDS:
        raise ValueError(
            f"unknown estimand {spec.name!r}{suggest(spec.name, ESTIMANDS)}; accepted: {', '.join(ESTIMANDS)}"
        )
    kind = ESTIMANDS[spec.name]
    defaults = defaults_of(kind)
    filled = canonical(spec, defaults).as_dict
    for name, value in filled.items():
        if name == "k" and (not isinstance(value, int) or isinstance(value, bool)):
            raise ValueError(f"{spec.name}: k takes an integer, got {value!r}")
    return cast("Callable[..., Estimand]", kind)(**filled)
