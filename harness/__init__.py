"""A benchmark harness for matrix-free estimators of curvature spectra, with a cost ledger."""

from importlib.metadata import version as _version

from hessbench.counting import BudgetExceeded, CountingOperator
from hessbench.estimand import Density, Diagonal, Estimand, Estimate, Reference, Source, TopEigenvalues, Trace
from hessbench.method import Footprint, Method
from hessbench.operators import LinearOperator, OperatorInfo, ProductKind
from hessbench.problem import Problem, ProblemFamily
from hessbench.record import Record, Status

__version__ = _version("hessbench")

__all__ = [
    "BudgetExceeded",
    "CountingOperator",
    "Density",
    "Diagonal",
    "Estimand",
    "Estimate",
    "Footprint",
    "LinearOperator",
    "Method",
    "OperatorInfo",
    "Problem",
    "ProblemFamily",
    "ProductKind",
    "Record",
    "Reference",
    "Source",
    "Status",
    "TopEigenvalues",
    "Trace",
    "__version__",
]
