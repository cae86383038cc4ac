"""What is estimated: eigenvalues, their space, trace, density, diagonal, each with its reference and its errors."""

from hessbench.estimand.base import Array, Arrays, Estimand, Estimate, Reference, Source
from hessbench.estimand.density import Density
from hessbench.estimand.diagonal import Diagonal
from hessbench.estimand.eigenspace import TopEigenspace
from hessbench.estimand.eigenvalues import TopEigenvalues
from hessbench.estimand.solve import Solve
from hessbench.estimand.table import ESTIMANDS, parse_estimand
from hessbench.estimand.trace import Trace

__all__ = [
    "ESTIMANDS",
    "Array",
    "Arrays",
    "Density",
    "Diagonal",
    "Estimand",
    "Estimate",
    "Reference",
    "Solve",
    "Source",
    "TopEigenspace",
    "TopEigenvalues",
    "Trace",
    "parse_estimand",
]
