"""What is estimated: eigenvalues, density, trace, diagonal and what they decide, each with its reference and errors."""

from hessbench.estimand.base import Array, Arrays, Estimand, Estimate, Reference, Source
from hessbench.estimand.counted_eigenvalues import CountAbove, Mass
from hessbench.estimand.density import Density
from hessbench.estimand.diagonal import Diagonal
from hessbench.estimand.eigenspace import TopEigenspace
from hessbench.estimand.eigenvalues import TopEigenvalues
from hessbench.estimand.solve import Solve
from hessbench.estimand.table import ESTIMANDS, parse_estimand
from hessbench.estimand.trace import Trace
from hessbench.estimand.trace_function import LogDeterminant, TraceFunction

__all__ = [
    "ESTIMANDS",
    "Array",
    "Arrays",
    "CountAbove",
    "Density",
    "Diagonal",
    "Estimand",
    "Estimate",
    "LogDeterminant",
    "Mass",
    "Reference",
    "Solve",
    "Source",
    "TopEigenspace",
    "TopEigenvalues",
    "Trace",
    "TraceFunction",
    "parse_estimand",
]
