"""A benchmark harness for matrix-free estimators of curvature spectra, with a cost ledger."""

from importlib.metadata import version as _version

from hessbench.counting import BudgetExceeded, CountingOperator
from hessbench.estimand import (
    Density,
    Diagonal,
    Estimand,
    Estimate,
    Reference,
    Source,
    TopEigenspace,
    TopEigenvalues,
    Trace,
)
from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Record, Status
from hessbench.method import Footprint, Method
from hessbench.operators import LinearOperator, OperatorInfo, ProductKind
from hessbench.problem import Problem, ProblemFamily
from hessbench.running.notebook import evaluate
from hessbench.running.runner import Options, run
from hessbench.running.suite import Suite

__version__ = _version("hessbench")

__all__ = [
    "BudgetExceeded",
    "CountingOperator",
    "Density",
    "Diagonal",
    "Estimand",
    "Estimate",
    "Footprint",
    "Ledger",
    "LinearOperator",
    "Method",
    "OperatorInfo",
    "Options",
    "Problem",
    "ProblemFamily",
    "ProductKind",
    "Record",
    "Reference",
    "Source",
    "Status",
    "Suite",
    "TopEigenspace",
    "TopEigenvalues",
    "Trace",
    "__version__",
    "evaluate",
    "run",
]
