"""What is estimated: eigenvalues, their space, trace, density, diagonal, each with its reference and its errors."""

from hessbench.estimand.base import (
    ESTIMANDS,
    Array,
    Arrays,
    Density,
    Diagonal,
    Estimand,
    Estimate,
    Reference,
    Source,
    TopEigenspace,
    TopEigenvalues,
    Trace,
    parse_estimand,
)

__all__ = [
    "ESTIMANDS",
    "Array",
    "Arrays",
    "Density",
    "Diagonal",
    "Estimand",
    "Estimate",
    "Reference",
    "Source",
    "TopEigenspace",
    "TopEigenvalues",
    "Trace",
    "parse_estimand",
]
